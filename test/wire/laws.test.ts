import { describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { assert } from "vitest"
import type { Codec } from "../../src/wire/Codec.ts"
import * as Frame from "../../src/wire/Frame.ts"
import { json } from "../../src/wire/Json.ts"
import { msgpack } from "../../src/wire/Msgpack.ts"
import { Writer } from "../../src/wire/MsgpackWriter.ts"
import { broken, brokenMsgpack } from "./broken.ts"
import * as Frames from "./frames.ts"
import { lawsOf } from "./laws.ts"

const codecs = [
  { codec: json, sent: Frames.sent },
  { codec: msgpack, sent: Frames.sentAsUtf8 }
]

for (const { codec, sent } of codecs) {
  describe(codec.subprotocol, () => {
    for (const { check, input, name } of lawsOf(sent)) {
      it.effect.prop(name, [input], ([value]) => Effect.sync(() => check(codec, value)), { arbitrary: { runs: 2000 } })
    }
  })
}

describe("json", () => {
  for (const direction of ["client", "server"] as const) {
    const decode = direction === "client" ? json.decodeClient : json.decodeServer
    for (const [kind, frame] of Frames.kinds(direction)) {
      it.effect.prop(
        `round trip of ${kind}`,
        [frame],
        ([frame]) => Effect.sync(() => assert.deepStrictEqual(decode(json.encode(frame).data, 1), [frame] as never)),
        {
          arbitrary: { runs: 300 }
        }
      )
    }
  }
})

/** The array of a frame as its row of the table says, without trailing fields that are null. */
const byTable = (frame: Frames.AnyFrame, direction: Frames.Direction): ReadonlyArray<unknown> => {
  const row = Object.keys((Frame[direction] as Frame.Table)[frame._tag]!)
  const values = [frame._tag, ...row.map((name) => (frame as unknown as Record<string, unknown>)[name])]
  return values.slice(0, values.findLastIndex((value) => value !== null && value !== undefined) + 1)
}

describe("frames are written as the table says", () => {
  const missing = Arbitrary.schema(Schema.Array(Schema.Boolean))
  for (const direction of ["client", "server"] as const) {
    for (const [kind, frame] of Frames.kinds(direction)) {
      it.effect.prop(kind, [frame, missing], ([whole, missing]) =>
        Effect.sync(() => {
          const names = Object.keys(whole).filter((name, index) => name === "_tag" || missing[index] !== true)
          const partial = Object.fromEntries(names.map((name) => [name, whole[name as keyof typeof whole]])) as never
          for (const frame of [whole, partial]) {
            const values = byTable(frame, direction)
            assert.strictEqual(json.encode(frame).data, JSON.stringify(values))
            assert.deepStrictEqual(msgpack.encode(frame).data, new Writer().write(values))
          }
        }), { arbitrary: { runs: 100 } })
    }
  }
})

/** The first law that a codec breaks. */
const brokenLaw = Effect.fnUntraced(function*(codec: Codec, sent: Arbitrary.Arbitrary<Frames.Sent>) {
  for (const { check, input, name } of lawsOf(sent)) {
    const holds = (value: unknown) => {
      try {
        check(codec, value)
        return true
      } catch {
        return false
      }
    }
    const result = yield* Arbitrary.checkEffect(input, holds, { runs: 2000, maxShrinks: 0 })
    if (result._tag === "Falsified") return name
  }
  return undefined
})

for (
  const [name, faults, sent] of [["json", broken, Frames.sent], ["msgpack", brokenMsgpack, Frames.sentAsUtf8]] as const
) {
  describe(`the laws catch a ${name} codec that`, () => {
    for (const [fault, codec] of Object.entries(faults)) {
      it.effect(fault, () =>
        Effect.gen(function*() {
          assert.isDefined(yield* brokenLaw(codec, sent))
        }))
    }
  })
}
