/**
 * The binary codec: a frame is a MessagePack array, a message is frames one after another.
 *
 * @since 0.1.0
 */
import type { Codec, Encoded } from "./Codec.ts"
import * as Depth from "./Depth.ts"
import type * as Frame from "./Frame.ts"
import { Reader } from "./MsgpackReader.ts"
import { Writer } from "./MsgpackWriter.ts"
import type { Shapes } from "./Shape.ts"
import * as Shape from "./Shape.ts"

export type { Codec } from "./Codec.ts"

const readFrame = (shapes: Shapes, reader: Reader): unknown => {
  const length = reader.arrayLength()
  if (length < 0) return Shape.malformed("frame", "a MessagePack array", null)
  const kind = length === 0 ? undefined : reader.name()
  if (kind === undefined) return Shape.malformed("frame.kind", "a string", null)
  const shape = shapes.get(kind)
  if (shape === undefined) return { _tag: "unknown", kind }
  const { fields } = shape
  const values: Array<unknown> = [kind]
  for (let index = 0; index < fields.length; index++) {
    const read = index + 1 < length ? reader.value(Depth.maxDepth) : null
    if (reader.expected !== undefined) return Shape.wrongField(shape, values, index, reader.expected)
    const value = fields[index].read(read)
    if (value === undefined) return Shape.wrongField(shape, values, index, fields[index].expected)
    values.push(value)
  }
  const more = length - values.length
  return more <= 0 || reader.skip(more) ? shape.build(values) : incomplete
}

const incomplete = Shape.malformed("frame", "a complete MessagePack array", null)

/** Reads a frame and moves behind it; undefined where it cannot be told where it ends. */
const decodeFrame = (shapes: Shapes, reader: Reader): unknown => {
  const start = reader.at
  const frame = readFrame(shapes, reader) as { readonly _tag: string }
  if (frame._tag !== "malformed" && frame._tag !== "unknown") return frame
  reader.back(start)
  return reader.skip(1) ? frame : undefined
}

const decode = (shapes: Shapes) => (message: string | Uint8Array, maxFrames: number) => {
  if (typeof message === "string") return [Shape.malformed("message", "bytes", null)]
  const reader = new Reader(message)
  const frames: Array<unknown> = []
  do {
    if (frames.length >= maxFrames) return undefined
    const frame = decodeFrame(shapes, reader)
    frames.push(frame ?? incomplete)
    if (frame === undefined) break
  } while (!reader.isAtEnd)
  return frames
}

const writer = new Writer()

const encode = (frame: Frame.ClientFrame | Frame.ServerFrame): Encoded => {
  const data = writer.write(Shape.toValues(frame))
  return { data, bytes: data.length, kind: frame._tag }
}

const concat = (frames: ReadonlyArray<Encoded>): Uint8Array<ArrayBuffer> => {
  let bytes = 0
  for (const frame of frames) bytes += frame.bytes
  const message = new Uint8Array(bytes)
  let at = 0
  for (const { bytes, data } of frames) {
    message.set(data as Uint8Array, at)
    at += bytes
  }
  return message
}

/**
 * The codec of subprotocol `heddle.v1+msgpack`: the same frames as JSON in fewer bytes, and bytes as they are.
 *
 * **Details**
 *
 * A server speaks it with whoever offers it. A client does with `Client.make({ url, codec: msgpack })`.
 *
 * **Gotchas**
 *
 * Text is UTF-8 here, so that a surrogate without its pair arrives as U+FFFD.
 *
 * @category codecs
 * @since 0.1.0
 */
export const msgpack: Codec = {
  subprotocol: "heddle.v1+msgpack",
  encode,
  concat,
  separatorBytes: 0,
  isText: false,
  decodeClient: decode(Shape.client) as Codec["decodeClient"],
  decodeServer: decode(Shape.server) as Codec["decodeServer"]
}
