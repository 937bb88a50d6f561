import { describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Result, Schema, SchemaIssue, SchemaParser } from "effect"
import { assert } from "vitest"
import * as BytesSchema from "../../src/wire/BytesSchema.ts"
import * as Issue from "../../src/wire/Issue.ts"
import * as Payload from "../../src/wire/Payload.ts"
import * as Plain from "../../src/wire/Plain.ts"
import * as Structure from "../../src/wire/Structure.ts"

type AnySchema = Schema.Codec<any, any>
type Parse = (input: unknown) => Effect.Effect<unknown, SchemaIssue.Issue>

const oneOf = <A>(values: ReadonlyArray<A>): Arbitrary.Arbitrary<A> =>
  Arbitrary.map(Arbitrary.schema(Schema.Literals(values.map((_, index) => index))), (index) => values[index]!)

// ---------------------------------------------------------------- schemas

class Named extends Schema.Class<Named>("Named")({ id: Schema.Int }) {}

const throwing = Schema.String.check(Schema.makeFilter((text: string) => {
  if (text === "throw") throw new Error("a check threw")
  return true
}))

const scalars: ReadonlyArray<AnySchema> = [
  Schema.String,
  Schema.Int,
  Schema.Finite,
  Schema.Boolean,
  Schema.Null,
  Schema.NonEmptyString,
  Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(5)),
  Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 })),
  Schema.Finite.check(Schema.isGreaterThan(0).and(Schema.isLessThan(1))),
  Schema.Literal(0),
  Schema.Literal("a"),
  Schema.Literals(["a", "b", 1, true]),
  Schema.NullOr(Schema.String),
  Schema.Union([Schema.NonEmptyString, Schema.Int]),
  Schema.Union([Schema.Literal("a"), Schema.String], { mode: "oneOf" }),
  throwing
]

/** Those that the parser has to itself. */
const others: ReadonlyArray<AnySchema> = [
  Schema.Number,
  Schema.Date,
  Schema.Json,
  Schema.Unknown,
  Schema.Undefined,
  Schema.Uint8Array,
  Schema.Option(Schema.Int),
  Schema.FiniteFromString,
  Schema.Trim,
  Named,
  Schema.Tuple([Schema.String, Schema.Int]),
  Schema.Record(Schema.String, Schema.Int),
  Schema.Union([Schema.Struct({ a: Schema.Int }), Schema.Struct({ a: Schema.Int, b: Schema.Int })]),
  Schema.String.pipe(Schema.withConstructorDefault(Effect.succeed("default"))),
  Schema.flip(Schema.Struct({ a: Schema.FiniteFromString }).check(Schema.makeFilter(({ a }) => a > 0)))
]

const names = ["a", "b", "id", "7", "1", "é", "", "__proto__", "constructor", "toString"]

const wrappings: ReadonlyArray<(inner: AnySchema) => AnySchema> = [
  (inner) => Schema.Array(inner),
  (inner) => Schema.Array(inner).check(Schema.isMaxLength(2)),
  (inner) => Schema.NonEmptyArray(inner),
  (inner) => Schema.NullOr(inner),
  (inner) => inner
]

const structOf = (inner: Arbitrary.Arbitrary<AnySchema>): Arbitrary.Arbitrary<AnySchema> =>
  Arbitrary.map(
    Arbitrary.all([
      Arbitrary.array(Arbitrary.all([oneOf(names), inner, oneOf([false, false, true])]), {
        minLength: 1,
        maxLength: 4
      }),
      oneOf([false, false, true])
    ]),
    ([fields, checked]) => {
      const struct = Schema.Struct(
        Object.fromEntries(
          fields.map(([name, field, optional]) => [name, optional ? Schema.optionalKey(field) : field])
        )
      ) as unknown as AnySchema
      return checked ? struct.check(Schema.makeFilter((value: object) => Object.keys(value).length !== 2)) : struct
    }
  )

const wrapped = (inner: Arbitrary.Arbitrary<AnySchema>): Arbitrary.Arbitrary<AnySchema> =>
  Arbitrary.map(Arbitrary.all([inner, oneOf(wrappings)]), ([inner, wrap]) => wrap(inner))

const either = <A>(one: Arbitrary.Arbitrary<A>, other: Arbitrary.Arbitrary<A>): Arbitrary.Arbitrary<A> =>
  Arbitrary.flatMap(oneOf([true, false]), (first) => first ? one : other)

const schemaOf = (leaves: ReadonlyArray<AnySchema>): Arbitrary.Arbitrary<AnySchema> => {
  const leaf = wrapped(oneOf(leaves))
  return either(structOf(leaf), wrapped(structOf(either(leaf, wrapped(structOf(leaf))))))
}

// ---------------------------------------------------------------- values

const odd: ReadonlyArray<unknown> = [
  undefined,
  null,
  -0,
  NaN,
  Infinity,
  0.5,
  "",
  "a",
  "throw",
  true,
  [],
  {},
  [undefined],
  // oxlint-disable-next-line no-sparse-arrays
  [, 1],
  { a: 1, b: 2 },
  Symbol.iterator,
  1n,
  new Named({ id: 1 }),
  new Date(0),
  JSON.parse("{\"__proto__\":1,\"a\":1}"),
  Object.create({ a: 1, id: 1 }),
  Object.create(null),
  {
    get a(): never {
      throw new Error("a getter threw")
    }
  },
  Object.defineProperty({}, "a", { value: 1, enumerable: false }),
  () => {}
]

const shapes: ReadonlyArray<(value: any) => unknown> = [
  (value) => value,
  (value) => ({ ...value, excess: 1 }),
  (value) => ({ excess: 1, ...value }),
  (value) => ({ ...value, [Symbol.for("excess")]: 1 }),
  (value) => Object.fromEntries(Object.entries(value).reverse()),
  (value) => Object.fromEntries(Object.entries(value).slice(1)),
  (value) => Object.fromEntries(Object.entries(value).slice(0, -1)),
  (value) => Object.create(value),
  (value) => Object.assign(Object.create(null), value),
  (value) => Object.assign(Object.create({ a: "a", id: 1 }), value),
  (value) =>
    Object.defineProperties(
      {},
      Object.fromEntries(
        Object.entries(value).map(([name, value]) => [name, { value, enumerable: name < "b" }])
      )
    ),
  (value) => Object.assign([], value)
]

/** Somewhere within a value another one, or another form of the same. */
const bend = (value: any, [depth, choice, swap]: readonly [number, number, boolean]): unknown => {
  if (typeof value !== "object" || value === null) return swap ? odd[choice % odd.length] : value
  const keys = Object.keys(value)
  if (depth === 0 || keys.length === 0) {
    if (swap) return odd[choice % odd.length]
    return Array.isArray(value) ? value : shapes[choice % shapes.length]!(value)
  }
  const key = keys[choice % keys.length]!
  const bent = Array.isArray(value) ? [...value] : { ...value }
  Object.defineProperty(bent, key, {
    value: bend(value[key], [depth - 1, choice, swap]),
    writable: true,
    enumerable: true,
    configurable: true
  })
  return bent
}

const bending = Arbitrary.all([
  oneOf([0, 1, 2]),
  oneOf(Array.from({ length: 300 }, (_, at) => at)),
  oneOf([true, false])
])

// ---------------------------------------------------------------- what effect says

const outcome = (parse: Parse) => (input: unknown): unknown => {
  let exit
  try {
    exit = Effect.runSyncExit(parse(input))
  } catch {
    return Result.fail(Issue.unknownInvalid("payload"))
  }
  if (exit._tag === "Success") return Result.succeed(exit.value)
  const issue = exit.cause.reasons.map((reason) => reason._tag === "Fail" ? reason.error : undefined)[0]
  return Result.fail(
    SchemaIssue.isIssue(issue) ? Issue.toInvalidPayload(issue, "payload") : Issue.unknownInvalid("payload")
  )
}

/** What `deepStrictEqual` does not tell apart: the order of keys. */
const keysOf = (value: unknown): unknown =>
  typeof value !== "object" || value === null
    ? value
    : Reflect.ownKeys(value).map((key) => [key, keysOf((value as Record<PropertyKey, unknown>)[key])])

/** As a codec sees it: it does not write what stands under symbols. */
const written = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value
  if (Array.isArray(value)) return value.map(written)
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, written(inner)]))
}

/** Whether a codec may have read it. */
const isReadable = (value: unknown): boolean => {
  if (value === undefined) return false
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return true
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== (Array.isArray(value) ? Array.prototype : Object.prototype)) return false
  const names = Array.isArray(value) ? [...value.keys(), "length"].map(String) : Object.keys(value)
  return Reflect.ownKeys(value).length === names.length &&
    names.every((name) => isReadable(Object.getOwnPropertyDescriptor(value, name)?.value))
}

const isSame = (actual: any, expected: any): void => {
  assert.deepStrictEqual(actual, expected)
  assert.deepStrictEqual(keysOf(actual.success), keysOf(expected.success))
}

/** Compares both directions for a value and for a bent one. */
const compare = (schema: AnySchema, value: unknown, how: readonly [number, number, boolean]): void => {
  const codec = BytesSchema.toCodec(schema)
  const payload = Payload.compile(schema, "payload")
  const write = SchemaParser.encodeUnknownEffect(codec) as Parse
  const make = SchemaParser.makeEffect(schema) as Parse
  const encode = outcome(
    Structure.isConstructed(schema.ast) ? (input) => Effect.flatMapEager(make(input), write) : write
  )
  const decode = outcome(SchemaParser.decodeUnknownEffect(codec) as Parse)
  const encoded = encode(value) as Result.Result<unknown, unknown>
  for (const input of [value, bend(value, how)]) {
    isSame(
      Result.map(payload.encode(input), written),
      Result.map(encode(input) as Result.Result<unknown, unknown>, written)
    )
  }
  if (Result.isFailure(encoded)) return
  for (const input of [encoded.success, bend(encoded.success, how)]) {
    if (isReadable(input)) isSame(payload.decode(input), decode(input))
  }
}

const sampleOf = (schemas: Arbitrary.Arbitrary<AnySchema>) =>
  Arbitrary.flatMap(schemas, (schema) => Arbitrary.map(Arbitrary.schema(schema), (value) => ({ schema, value })))

describe("Plain", () => {
  for (const [family, leaves] of [["plain", scalars], ["any", [...scalars, ...others]]] as const) {
    it.effect.prop(
      `does what effect's parser does, for ${family} schemas`,
      [sampleOf(schemaOf(leaves)), bending],
      ([{ schema, value }, how]) => Effect.sync(() => compare(schema, value, how)),
      { arbitrary: { runs: 1500 }, timeout: 60_000 }
    )
  }

  it("copies what fits where it is encoded, and leaves to the parser what needs thought", () => {
    const fields = { id: Schema.Int, tags: Schema.Array(Schema.String), note: Schema.optionalKey(Schema.String) }
    const { ast } = BytesSchema.toCodec(Schema.Struct(fields))
    const [copy, own] = [Plain.compile(ast, true)!, Plain.compile(ast, false)!]
    for (const value of [{ id: 1, tags: ["a"] }, { id: 1, tags: [], note: "b" }]) {
      const copied = copy(value) as typeof value
      assert.deepStrictEqual(copied, value)
      assert.notStrictEqual(copied, value)
      assert.notStrictEqual(copied.tags, value.tags)
      assert.strictEqual(own(value), value)
    }
    for (const value of [{ id: 1, tags: [], excess: 1 }, { tags: [], id: 1 }, { id: 1.5, tags: [] }, { id: 1 }, []]) {
      assert.strictEqual(copy(value), Plain.misfit)
      assert.strictEqual(own(value), Plain.misfit)
    }
  })

  it("has no copy for what its form on the wire differs from, nor for what may be two things", () => {
    const two = Schema.Union([Schema.Struct({ a: Schema.Int }), Schema.Struct({ a: Schema.Int, b: Schema.Int })])
    const one = Schema.Union([Schema.Literal("a"), Schema.String], { mode: "oneOf" })
    for (const schema of [Schema.Date, Schema.Number, Named, two, one, Schema.Struct({ ["__proto__"]: Schema.Int })]) {
      assert.isUndefined(Plain.compile(BytesSchema.toCodec(schema).ast, false))
    }
  })

  it("shows a check what is encoded, and what it was decoded to", () => {
    const seen: Array<unknown> = []
    const schema = Schema.Struct({ a: Schema.Int }).check(Schema.makeFilter((value) => seen.push(value) > 0))
    const value = { a: 1 }
    const [copied, parsed] = [Payload.compile(schema, "payload"), BytesSchema.toCodec(schema)]
    copied.encode(value)
    copied.decode(value)
    assert.strictEqual(seen.length, 2)
    Effect.runSync(SchemaParser.encodeUnknownEffect(parsed)(value) as Effect.Effect<unknown>)
    Effect.runSync(SchemaParser.decodeUnknownEffect(parsed)(value) as Effect.Effect<unknown>)
    assert.deepStrictEqual(seen.map((each) => each === value), [true, true, true, false])
  })
})
