/**
 * The text codec: a frame is a JSON array, a message is frames separated by newlines.
 */
import * as Build from "./Build.ts"
import type { Codec, Encoded } from "./Codec.ts"
import * as Depth from "./Depth.ts"
import * as Frame from "./Frame.ts"
import * as Utf8 from "./Utf8.ts"

/** A kind of frame, compiled from its row of the table. */
interface Shape {
  readonly kind: string
  readonly names: ReadonlyArray<string>
  readonly fields: ReadonlyArray<Frame.Field<unknown>>
  readonly build: (values: Build.Values) => unknown
  /** Where `ref` stands in the array; 0 where the kind has none. */
  readonly ref: number
}

type Shapes = ReadonlyMap<string, Shape>

const compile = <T extends Frame.Table>(table: T, build: { readonly [K in keyof T]: Shape["build"] }): Shapes =>
  new Map(
    Object.entries(table).map(([kind, row]) => {
      const names = Object.keys(row)
      return [kind, { kind, names, fields: Object.values(row), build: build[kind], ref: names.indexOf("ref") + 1 }]
    })
  )

const client = compile(Frame.client, Build.client)
const server = compile(Frame.server, Build.server)
const shapes: Shapes = new Map([...client, ...server])

const malformed = (field: string, expected: string, ref: number | null): Frame.Malformed => ({
  _tag: "malformed",
  field,
  detail: `Expected ${expected}`,
  ref
})

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const decodeFrame = (shapes: Shapes, text: string): unknown => {
  const values = parse(text)
  if (!Array.isArray(values)) return malformed("frame", "a JSON array", null)
  const kind: unknown = values[0]
  if (typeof kind !== "string") return malformed("frame.kind", "a string", null)
  const shape = shapes.get(kind)
  if (shape === undefined) return { _tag: "unknown", kind }
  const fields = shape.fields
  for (let index = 0; index < fields.length; index++) {
    const value = fields[index].read(values[index + 1])
    if (value === undefined) return wrongField(shape, values, index, fields[index].expected)
    values[index + 1] = value
  }
  if (!Depth.isShallow(text)) {
    const deep = fields.findIndex((_, index) => !Depth.within(values[index + 1], Depth.maxDepth))
    if (deep !== -1) return wrongField(shape, values, deep, `at most ${Depth.maxDepth} levels`)
  }
  return shape.build(values)
}

const wrongField = (shape: Shape, values: ReadonlyArray<unknown>, index: number, expected: string): Frame.Malformed =>
  malformed(
    `${shape.kind}.${shape.names[index]}`,
    expected,
    shape.ref === 0 ? null : Frame.int.read(values[shape.ref]) ?? null
  )

const decode = (shapes: Shapes) => (message: string | Uint8Array, maxFrames: number) => {
  if (typeof message !== "string") return [malformed("message", "text", null)]
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
  const { kind, names } = shapes.get(frame._tag)!
  const values: Array<unknown> = [kind]
  for (let index = 0; index < names.length; index++) {
    values.push((frame as unknown as Record<string, unknown>)[names[index]])
  }
  let last = values.length - 1
  while (values[last] === null || values[last] === undefined) last--
  values.length = last + 1
  const data = JSON.stringify(values)
  return { data, bytes: Utf8.byteLength(data) }
}

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
  decodeClient: decode(client) as Codec["decodeClient"],
  decodeServer: decode(server) as Codec["decodeServer"]
}
