import { describe, it } from "@effect/vitest"
import { Arbitrary, Effect } from "effect"
import { assert } from "vitest"
import type { Codec } from "../../src/wire/Codec.ts"
import { json } from "../../src/wire/Json.ts"
import { msgpack } from "../../src/wire/Msgpack.ts"
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
