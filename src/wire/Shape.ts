/**
 * Frames as arrays, for all codecs: which fields a kind has, and what to say about a wrong one.
 */
import * as Build from "./Build.ts"
import * as Frame from "./Frame.ts"
import * as Values from "./Values.ts"

/** A kind of frame, compiled from its row of the table. */
export interface Shape {
  readonly kind: string
  readonly names: ReadonlyArray<string>
  readonly fields: ReadonlyArray<Frame.Field<unknown>>
  readonly build: (values: Build.Values) => unknown
  /** The array of a frame of this kind, where it is written out. */
  readonly values: ((frame: any) => Array<unknown>) | undefined
  /** Where `ref` stands in the array; 0 where the kind has none. */
  readonly ref: number
}

/** The kinds of one direction, or of both. */
export type Shapes = ReadonlyMap<string, Shape>

const compile = <T extends Frame.Table>(
  table: T,
  build: { readonly [K in keyof T]: Shape["build"] },
  values: { readonly [K in keyof T]?: Shape["values"] }
): Shapes =>
  new Map(
    Object.entries(table).map(([kind, row]) => {
      const names = Object.keys(row)
      const ref = names.indexOf("ref") + 1
      return [kind, { kind, names, fields: Object.values(row), build: build[kind], values: values[kind], ref }]
    })
  )

export const client: Shapes = compile(Frame.client, Build.client, Values.client)
export const server: Shapes = compile(Frame.server, Build.server, Values.server)
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

const byTable = (frame: object, { kind, names }: Shape): Array<unknown> => [
  kind,
  ...names.map((name) => (frame as Record<string, unknown>)[name])
]

/** The array of a frame, without trailing fields that are null. */
export const toValues = (frame: Frame.ClientFrame | Frame.ServerFrame): ReadonlyArray<unknown> => {
  const shape = all.get(frame._tag)!
  const values = shape.values?.(frame) ?? byTable(frame, shape)
  let last = values.length - 1
  while (values[last] === null || values[last] === undefined) last--
  if (last !== values.length - 1) values.length = last + 1
  return values
}
