/**
 * The text codec: a frame is a JSON array, a message is frames separated by newlines.
 */
import type { Codec, Encoded } from "./Codec.ts"
import * as Depth from "./Depth.ts"
import type * as Frame from "./Frame.ts"
import type { Shapes } from "./Shape.ts"
import * as Shape from "./Shape.ts"
import * as Utf8 from "./Utf8.ts"

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const decodeFrame = (shapes: Shapes, text: string): unknown => {
  const values = parse(text)
  if (!Array.isArray(values)) return Shape.malformed("frame", "a JSON array", null)
  const kind: unknown = values[0]
  if (typeof kind !== "string") return Shape.malformed("frame.kind", "a string", null)
  const shape = shapes.get(kind)
  if (shape === undefined) return { _tag: "unknown", kind }
  const fields = shape.fields
  for (let index = 0; index < fields.length; index++) {
    const value = fields[index].read(values[index + 1])
    if (value === undefined) return Shape.wrongField(shape, values, index, fields[index].expected)
    values[index + 1] = value
  }
  if (!Depth.isShallow(text)) {
    const deep = fields.findIndex((_, index) => !Depth.within(values[index + 1], Depth.maxDepth))
    if (deep !== -1) return Shape.wrongField(shape, values, deep, `at most ${Depth.maxDepth} levels`)
  }
  return shape.build(values)
}

const decode = (shapes: Shapes) => (message: string | Uint8Array, maxFrames: number) => {
  if (typeof message !== "string") return [Shape.malformed("message", "text", null)]
  let end = message.indexOf("\n")
  if (end === -1) return maxFrames < 1 ? undefined : [decodeFrame(shapes, message)]
  const frames: Array<unknown> = []
  let start = 0
  while (end !== -1) {
    if (frames.length >= maxFrames) return undefined
    frames.push(decodeFrame(shapes, message.slice(start, end)))
    start = end + 1
    end = message.indexOf("\n", start)
  }
  if (frames.length >= maxFrames) return undefined
  frames.push(decodeFrame(shapes, message.slice(start)))
  return frames
}

const encode = (frame: Frame.ClientFrame | Frame.ServerFrame): Encoded => {
  const data = JSON.stringify(Shape.toValues(frame))
  return { data, bytes: Utf8.byteLength(data), kind: frame._tag }
}

/** Whether a value has more bytes than it may. Most payloads that are asked about are none at all. */
export const exceeds = (value: Frame.Json, max: number): boolean =>
  value !== null && value !== undefined && Utf8.exceeds(JSON.stringify(value), max)

const concat = (frames: ReadonlyArray<Encoded>): string => {
  if (frames.length === 0) return ""
  let message = frames[0].data as string
  for (let index = 1; index < frames.length; index++) message += "\n" + (frames[index].data as string)
  return message
}

/**
 * The codec of subprotocol `heddle.v1+json`.
 *
 * A line that is not a JSON array, also an empty one, is a malformed frame. Trailing fields that are null are left out;
 * further elements after the known fields are ignored. The value of a field has at most 64 levels.
 */
export const json: Codec = {
  subprotocol: "heddle.v1+json",
  encode,
  concat,
  separatorBytes: 1,
  isText: true,
  decodeClient: decode(Shape.client) as Codec["decodeClient"],
  decodeServer: decode(Shape.server) as Codec["decodeServer"]
}
