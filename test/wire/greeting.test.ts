import { describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { assert } from "vitest"
import * as Greeting from "../../src/wire/Greeting.ts"
import { json } from "../../src/wire/Json.ts"
import { msgpack } from "../../src/wire/Msgpack.ts"

const find = (...protocols: ReadonlyArray<string>) => Greeting.find(json, protocols)

describe("a message among the subprotocols", () => {
  it.effect.prop(
    "comes out as it went in, as text",
    [Arbitrary.schema(Schema.String)],
    ([message]) =>
      Effect.sync(() => {
        // Lone surrogates become U+FFFD, as in a message of text.
        assert.strictEqual(find("heddle.v1+json", Greeting.offer(message)), message.toWellFormed())
      })
  )

  it.effect.prop(
    "comes out as it went in, as bytes",
    [Arbitrary.schema(Schema.Uint8Array)],
    ([message]) =>
      Effect.sync(() => {
        const found = Greeting.find(msgpack, [msgpack.subprotocol, Greeting.offer(message)])
        assert.deepStrictEqual([...(found as Uint8Array)], [...message])
      })
  )

  it.effect.prop(
    "is a token of RFC 9110, as every subprotocol must be",
    [Arbitrary.schema(Schema.String)],
    ([message]) =>
      Effect.sync(() => {
        assert.match(Greeting.offer(message), /^[\w.-]+$/)
      })
  )

  it("is not there where none is offered", () => {
    assert.isUndefined(find())
    assert.isUndefined(find("heddle.v1+json", "heddle.hello", "hello.W10"))
  })

  it("is refused where it is not base64url, or not text for a codec of text", () => {
    for (const text of ["W10=", "W1+0", "W1/0", "W", "W 10", "é", "_w", "wyg"]) {
      assert.isNull(find("heddle.v1+json", `heddle.hello.${text}`), text)
    }
    assert.strictEqual(find("heddle.v1+json", "heddle.hello.W10"), "[]")
    assert.deepStrictEqual([...(Greeting.find(msgpack, ["heddle.hello._w"]) as Uint8Array)], [255])
  })

  it("takes at most 4 KiB", () => {
    assert.isAtMost(Greeting.offer("x".repeat(Greeting.maxBytes)).length, 4_096 + "heddle.hello.".length)
  })
})
