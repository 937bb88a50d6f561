import { describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Option, Result, Schema } from "effect"
import { assert } from "vitest"
import { Bytes } from "../../src/wire/Bytes.ts"
import type { Codec } from "../../src/wire/Codec.ts"
import type * as Frame from "../../src/wire/Frame.ts"
import { json } from "../../src/wire/Json.ts"
import { msgpack } from "../../src/wire/Msgpack.ts"
import * as Payload from "../../src/wire/Payload.ts"

class Picture extends Schema.Class<Picture>("Picture")({ pixels: Schema.Uint8Array, taken: Schema.Date }) {}
class Corrupt extends Schema.TaggedError<Corrupt>()("Corrupt", { rest: Schema.Uint8Array }) {}

interface Tree {
  readonly leaf: Uint8Array
  readonly children: ReadonlyArray<Tree>
}
const Tree = Schema.Struct({
  leaf: Schema.Uint8Array,
  children: Schema.Array(Schema.suspend((): Schema.Codec<Tree, any> => Tree))
})

const everywhere = {
  class: Picture,
  error: Corrupt,
  tree: Tree,
  option: Schema.Option(Schema.Uint8Array),
  union: Schema.Union([Schema.Uint8Array, Schema.Int]),
  record: Schema.Record(Schema.String, Schema.Uint8Array),
  tuple: Schema.Tuple([Schema.Uint8Array, Schema.Date]),
  set: Schema.ReadonlySet(Schema.Uint8Array),
  checked: Schema.optionalKey(Schema.Uint8Array.check(Schema.makeFilter((bytes: Uint8Array) => bytes.length < 100))),
  renamed: Schema.Struct({ bytes: Schema.Uint8Array }).pipe(Schema.encodeKeys({ bytes: "b" })),
  hex: Schema.Uint8ArrayFromHex
}
const payload = Payload.compile(everywhere, "payload")

const bytes = Uint8Array.of(1, 2, 250)
const value = {
  class: new Picture({ pixels: bytes, taken: new Date(0) }),
  error: new Corrupt({ rest: bytes }),
  tree: { leaf: bytes, children: [{ leaf: new Uint8Array(), children: [] }] },
  option: Option.some(bytes),
  union: bytes,
  record: { a: bytes },
  tuple: [bytes, new Date(0)],
  set: new Set([bytes]),
  checked: bytes,
  renamed: { bytes },
  hex: bytes
}

/** What a client of a codec makes of a payload. */
const through = (codec: Codec, wire: unknown): unknown => {
  const { data } = codec.encode({ _tag: "direct", channel: 1, name: "A", payload: wire })
  const [frame] = codec.decodeServer(data, 1)!
  return (frame as Frame.ServerFrames["direct"]).payload
}

describe("bytes", () => {
  const wire = Result.getOrThrow(payload.encode(value))

  for (const codec of [json, msgpack]) {
    it(`arrive wherever they stand in a schema: ${codec.subprotocol}`, () => {
      assert.deepStrictEqual(Result.getOrThrow(payload.decode(through(codec, wire))), value)
    })
  }

  it("are base64 in JSON and bin in MessagePack", () => {
    const payload = Payload.compile(Schema.Uint8Array, "payload")
    const wire = Result.getOrThrow(payload.encode(bytes))
    assert.strictEqual(through(json, wire), "AQL6")
    assert.deepStrictEqual(through(msgpack, wire), new Bytes(bytes.slice().buffer))
    assert.strictEqual(Object.getPrototypeOf(Result.getOrThrow(payload.decode(wire))), Uint8Array.prototype)
  })

  it("stay text where the schema says which text", () => {
    assert.strictEqual((wire as { readonly hex: unknown }).hex, "0102fa")
  })

  it("do not change with what the sender does afterwards", () => {
    const payload = Payload.compile(Schema.Uint8Array, "payload")
    const mine = Uint8Array.of(1, 2)
    const wire = Result.getOrThrow(payload.encode(mine))
    mine.fill(0)
    assert.deepStrictEqual([...wire as Uint8Array], [1, 2])
  })

  it("are refused where they do not fit, with field and expectation", () => {
    const refused = (wire: unknown) => Result.getOrThrow(Result.flip(payload.decode(wire)))
    const valid = wire as object
    assert.deepInclude(refused({ ...valid, tuple: [5, "1970-01-01T00:00:00.000Z"] }), {
      field: "payload.tuple[0]",
      detail: "Expected Bytes"
    })
    assert.deepInclude(refused({ ...valid, record: { a: "!" } }), {
      field: "payload.record.*",
      detail: "Expected base64 text"
    })
    assert.strictEqual(refused({ ...valid, checked: new Uint8Array(100) }).field, "payload.checked")
  })

  it("are base64 as RFC 4648 has it, and no text like it", () => {
    const { decode } = Payload.compile(Schema.Uint8Array, "payload")
    for (const text of ["", "AA==", "AQI=", "AQL6", "/+8="]) assert.isTrue(Result.isSuccess(decode(text)), text)
    for (const text of ["A", "AA", "AQI", "AQ=I", "AA==AA==", " AQL6", "AQL6\n", "_-8=", "===="]) {
      assert.isTrue(Result.isFailure(decode(text)), text)
    }
  })

  it("are no JSON: a schema of any JSON refuses them", () => {
    const payload = Payload.compile(Schema.Json, "payload")
    assert.isTrue(Result.isFailure(payload.decode(bytes)))
  })

  it("have no depth, however many they are", () => {
    const payload = Payload.compile(Tree, "payload")
    const wire = Result.getOrThrow(payload.encode({ leaf: new Uint8Array(100_000), children: [] }))
    assert.strictEqual((through(msgpack, wire) as { readonly leaf: Uint8Array }).leaf.length, 100_000)
  })

  it("change the fingerprint, since they are not text in every codec", () => {
    assert.notStrictEqual(
      Payload.compile(Schema.Uint8Array, "payload").structure,
      Payload.compile(Schema.String, "payload").structure
    )
  })

  it.effect.prop(
    "of any number arrive through both codecs",
    [Arbitrary.schema(Schema.Uint8Array)],
    ([bytes]) =>
      Effect.sync(() => {
        const payload = Payload.compile({ bytes: Schema.Uint8Array }, "payload")
        const wire = Result.getOrThrow(payload.encode({ bytes }))
        for (const codec of [json, msgpack]) {
          assert.deepStrictEqual(Result.getOrThrow(payload.decode(through(codec, wire))), { bytes } as never)
        }
      })
  )
})

describe("a schema without bytes", () => {
  it("has the same form on the wire as before, with the codec of effect itself", () => {
    const schema = Schema.Struct({ at: Schema.Date, n: Schema.BigInt })
    const value = { at: new Date(0), n: 5n }
    assert.deepStrictEqual(
      Result.getOrThrow(Payload.compile(schema, "payload").encode(value)),
      Schema.encodeSync(Schema.toCodecJson(schema))(value)
    )
  })
})
