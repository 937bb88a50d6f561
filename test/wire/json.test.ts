import { describe, it } from "@effect/vitest"
import { assert } from "vitest"
import type * as Frame from "../../src/wire/Frame.ts"
import { json } from "../../src/wire/Json.ts"
import * as Utf8 from "../../src/wire/Utf8.ts"

const only = (message: string) => json.decodeClient(message, 1)![0]!

const malformed = (message: string): Frame.Malformed => {
  const frame = only(message)
  assert.strictEqual(frame._tag, "malformed")
  return frame as Frame.Malformed
}

describe("json", () => {
  it("calls a binary message malformed", () => {
    assert.deepStrictEqual(json.decodeClient(new Uint8Array([91, 93]), 1), [
      { _tag: "malformed", field: "message", detail: "Expected text", ref: null }
    ])
  })

  it("names the field and never the value", () => {
    const { detail, field } = malformed("[\"renew\",1,[\"secret\"]]")
    assert.strictEqual(field, "renew.token")
    assert.strictEqual(detail, "Expected a string")
  })

  it("survives any depth", () => {
    for (const [open, close] of [["[", "]"], ["{\"a\":", "}"]] as const) {
      const nested = (levels: number) => open.repeat(levels) + "1" + close.repeat(levels)
      assert.strictEqual(only(`["notice",1,"A",${nested(64)}]`)._tag, "notice")
      assert.strictEqual(malformed(`["notice",1,"A",${nested(65)}]`).field, "notice.payload")
      malformed(`["notice",1,"A",${nested(100_000)}]`)
      malformed(`["notice",1,"A",${open.repeat(100_000)}`)
    }
  })

  it("takes brackets in strings and wide payloads for what they are", () => {
    assert.strictEqual(only(`["notice",1,"A","${"[{".repeat(1000)}"]`)._tag, "notice")
    assert.strictEqual(only(`["notice",1,"A",[${Array(1000).fill("[{}]").join(",")}]]`)._tag, "notice")
  })

  it("ignores what is deep where nothing is expected", () => {
    assert.strictEqual(only(`["cancel",1,${"[".repeat(200)}${"]".repeat(200)}]`)._tag, "cancel")
  })

  it("changes no prototype", () => {
    const frame = only(
      "[\"notice\",1,\"A\",{\"__proto__\":{\"polluted\":1},\"constructor\":{\"prototype\":{\"polluted\":1}}}]"
    )
    assert.strictEqual(frame._tag, "notice")
    assert.isUndefined(({} as Record<string, unknown>)["polluted"])
    const payload = (frame as Frame.ClientFrames["notice"]).payload as object
    assert.strictEqual(Object.getPrototypeOf(payload), Object.prototype)
  })

  it("gives numbers beyond their range no meaning", () => {
    assert.strictEqual(malformed("[\"cancel\",1e999]").field, "cancel.ref")
    assert.strictEqual(malformed("[\"cancel\",9007199254740993]").field, "cancel.ref")
    assert.strictEqual(malformed("[\"cancel\",-1]").field, "cancel.ref")
  })

  it("keeps escapes in keys", () => {
    const payload = { "\n": 1, "\"": 2, "\ud800": 3 }
    const frame = only(json.encode({ _tag: "notice", channel: 1, name: "A", payload }).data as string)
    assert.deepStrictEqual((frame as Frame.ClientFrames["notice"]).payload, payload)
  })

  it("counts empty lines as frames", () => {
    assert.isUndefined(json.decodeClient("\n".repeat(256), 256))
    assert.lengthOf(json.decodeClient("\n".repeat(255), 256)!, 256)
  })

  it("encodes a missing payload as null", () => {
    assert.strictEqual(
      json.encode({ _tag: "notice", channel: 1, name: "A", payload: undefined }).data,
      "[\"notice\",1,\"A\"]"
    )
    assert.strictEqual(
      json.encode({ _tag: "event", channel: 1, offset: 2, name: "A", payload: undefined, except: ["m"] }).data,
      "[\"event\",1,2,\"A\",null,[\"m\"]]"
    )
  })

  it("concatenates nothing to nothing", () => {
    assert.strictEqual(json.concat([]), "")
  })
})

describe("Utf8", () => {
  const encoder = new TextEncoder()
  const samples = ["", "a", "é", "中", "😀", "\ud800", "\udc00", "a\ud800b", "😀\ud83d", "\ude00\ud83d"]

  it("counts like the runtime, also across the pieces of a long text", () => {
    for (const sample of samples) {
      for (const times of [1, 5_461, 8_191, 8_192, 16_384, 40_000]) {
        for (const before of ["", "a", "ab"]) {
          const text = before + sample.repeat(times)
          assert.strictEqual(Utf8.byteLength(text), encoder.encode(text).length)
        }
      }
    }
  })

  it("says whether a text exceeds a limit", () => {
    assert.isFalse(Utf8.exceeds("abc", 3))
    assert.isTrue(Utf8.exceeds("abcd", 3))
    assert.isFalse(Utf8.exceeds("é", 2))
    assert.isTrue(Utf8.exceeds("éa", 2))
    assert.isTrue(Utf8.exceeds("中", 2))
    assert.isFalse(Utf8.exceeds("", 0))
  })
})
