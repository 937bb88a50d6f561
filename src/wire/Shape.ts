/**
 * Frames as arrays, for all codecs: which fields a kind has, and what to say about a wrong one.
 */
import * as Build from "./Build.ts"
import * as Frame from "./Frame.ts"

/** A kind of frame, compiled from its row of the table. */
export interface Shape {
  readonly kind: string
  readonly names: ReadonlyArray<string>
  readonly fields: ReadonlyArray<Frame.Field<unknown>>
  readonly build: (values: Build.Values) => unknown
  /** Where `ref` stands in the array; 0 where the kind has none. */
  readonly ref: number
}

/** The kinds of one direction, or of both. */
export type Shapes = ReadonlyMap<string, Shape>

const compile = <T extends Frame.Table>(table: T, build: { readonly [K in keyof T]: Shape["build"] }): Shapes =>
  new Map(
    Object.entries(table).map(([kind, row]) => {
      const names = Object.keys(row)
      return [kind, { kind, names, fields: Object.values(row), build: build[kind], ref: names.indexOf("ref") + 1 }]
    })
  )

export const client: Shapes = compile(Frame.client, Build.client)
export const server: Shapes = compile(Frame.server, Build.server)
const all: Shapes = new Map([...client, ...server])

/** What stood in the place of a frame and is not one. */
export const malformed = (field: string, expected: string, ref: number | null): Frame.Malformed => ({
  _tag: "malformed",
  field,
  detail: `Expected ${expected}`,
  ref
})

/** The same for the field at an index; `values` is the frame's array as far as it was read. */
export const wrongField = (
  shape: Shape,
  values: ReadonlyArray<unknown>,
  index: number,
  expected: string
): Frame.Malformed =>
  malformed(
    `${shape.kind}.${shape.names[index]}`,
    expected,
    shape.ref === 0 ? null : Frame.int.read(values[shape.ref]) ?? null
  )

/** The array of a frame, without trailing fields that are null. */
export const toValues = (frame: Frame.ClientFrame | Frame.ServerFrame): ReadonlyArray<unknown> => {
  const { kind, names } = all.get(frame._tag)!
  const values: Array<unknown> = [kind]
  for (let index = 0; index < names.length; index++) {
    values.push((frame as unknown as Record<string, unknown>)[names[index]])
  }
  let last = values.length - 1
  while (values[last] === null || values[last] === undefined) last--
  values.length = last + 1
  return values
}
