/**
 * Generators of frames, derived from the tables: a new kind or field is covered the moment it is in the table.
 */
import { Arbitrary, Schema } from "effect"
import * as Frame from "../../src/wire/Frame.ts"

export type AnyFrame = Frame.ClientFrame | Frame.ServerFrame
export type Direction = "client" | "server"

const text = Arbitrary.schema(Schema.Union([
  Schema.String,
  Schema.Literals(["", "é", "😀", "\ud800", "\udc00x", "\n", "\u2028", "\"", "\\", "__proto__", "constructor", "[[["])
]))
// Not -0, which JSON writes as 0.
const int = Arbitrary.map(
  Arbitrary.schema(Schema.Union([
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
    Schema.Literals([0, 1, Number.MAX_SAFE_INTEGER])
  ])),
  (value) => value + 0
)
const flag = Arbitrary.schema(Schema.Boolean)

// Once a key with a backslash was parsed, V8 (to 15.0 at least) may read a later key with an escape as that key:
// JSON.parse('{"a":1,"\\\\":1}') and then JSON.parse('{"a":1,"\\n":1}'). So no key here needs an escape.
const plainKey = (key: string): string => key.toWellFormed().replaceAll(/["\\\u0000-\u001f]/g, "_")

/** The same without such keys in its plain objects. */
export const withPlainKeys = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withPlainKeys)
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [plainKey(key), withPlainKeys(inner)]))
}

/** Any JSON value; without -0. */
export const json: Arbitrary.Arbitrary<unknown> = Arbitrary.map(
  Arbitrary.schema(Schema.Json),
  (value) => withPlainKeys(JSON.parse(JSON.stringify(value)))
)

const limits = Arbitrary.all({
  message: int,
  frames: int,
  payload: int,
  openRequests: int,
  rooms: int,
  rate: int,
  burst: int
})

const record = Arbitrary.map(
  Arbitrary.array(Arbitrary.all([Arbitrary.map(text, plainKey), text])),
  (entries) => Object.fromEntries(entries)
)

const generators = new Map<Frame.Field<unknown>, Arbitrary.Arbitrary<unknown>>([
  [Frame.int, int],
  [Frame.text, text],
  [Frame.flag, flag],
  [Frame.texts, Arbitrary.array(text)],
  [Frame.record, record],
  [Frame.json, json],
  [Frame.position, Arbitrary.all([text, int, int])],
  [Frame.announced, limits],
  [Frame.members, Arbitrary.array(Arbitrary.all([text, json]))],
  [
    Frame.entries,
    Arbitrary.array(Arbitrary.all([
      int,
      text,
      json,
      Arbitrary.flatMap(flag, (isNull) => isNull ? Arbitrary.Constant(null) : Arbitrary.array(text))
    ]))
  ],
  [Frame.error, Arbitrary.map(Arbitrary.all([text, record]), ([_tag, rest]) => ({ ...rest, _tag }))]
])

/** An optional field is known by what it expects. */
const byExpected = new Map([...generators].flatMap(([field, generator]) => [
  [field.expected, generator],
  [
    Frame.optional(field).expected,
    Arbitrary.flatMap(flag, (isNull) => isNull ? Arbitrary.Constant(null) : generator)
  ]
]))

const frameOf = (kind: string, row: Frame.Table[string]): Arbitrary.Arbitrary<AnyFrame> => {
  const fields: Record<string, Arbitrary.Arbitrary<unknown>> = { _tag: Arbitrary.Constant(kind) }
  for (const [name, field] of Object.entries(row)) {
    const generator = byExpected.get(field.expected)
    if (generator === undefined) throw new Error(`no generator for ${kind}.${name}: ${field.expected}`)
    fields[name] = generator
  }
  return Arbitrary.all(fields) as Arbitrary.Arbitrary<unknown> as Arbitrary.Arbitrary<AnyFrame>
}

/** One generator for each kind of a direction. */
export const kinds = (direction: Direction): ReadonlyMap<string, Arbitrary.Arbitrary<AnyFrame>> =>
  new Map(Object.entries(Frame[direction]).map(([kind, row]) => [kind, frameOf(kind, row)]))

const anyOf = (direction: Direction): Arbitrary.Arbitrary<AnyFrame> => {
  const all = kinds(direction)
  return Arbitrary.flatMap(Arbitrary.schema(Schema.Literals([...all.keys()])), (kind) => all.get(kind)!)
}

/** Frames of one direction, as a peer would send them. */
export interface Sent {
  readonly direction: Direction
  readonly frames: ReadonlyArray<AnyFrame>
}

const ofDirection = { client: anyOf("client"), server: anyOf("server") }

/** One to many frames of one direction. */
export const sent: Arbitrary.Arbitrary<Sent> = Arbitrary.flatMap(
  Arbitrary.schema(Schema.Literals(["client", "server"])),
  (direction) =>
    Arbitrary.map(
      Arbitrary.array(ofDirection[direction], { minLength: 1, maxLength: 12 }),
      (frames): Sent => ({ direction, frames })
    )
)

const wellFormed = (value: unknown): unknown => {
  if (typeof value === "string") return value.toWellFormed()
  if (Array.isArray(value)) return value.map(wellFormed)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name.toWellFormed(), wellFormed(inner)]))
}

/** The same without lone surrogates, which only JSON can write. */
export const sentAsUtf8: Arbitrary.Arbitrary<Sent> = Arbitrary.map(
  sent,
  ({ direction, frames }) => ({ direction, frames: wellFormed(frames) as ReadonlyArray<AnyFrame> })
)
