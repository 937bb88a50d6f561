import { describe, it } from "@effect/vitest"
import { Arbitrary, Effect } from "effect"
import { assert } from "vitest"
import type { Codec } from "../../src/wire/Codec.ts"
import { json } from "../../src/wire/Json.ts"
import { broken } from "./broken.ts"
import * as Frames from "./frames.ts"
import { laws } from "./laws.ts"

describe("json", () => {
  for (const { check, input, name } of laws) {
    it.effect.prop(name, [input], ([value]) => Effect.sync(() => check(json, value)), { arbitrary: { runs: 2000 } })
  }

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
const brokenLaw = Effect.fnUntraced(function*(codec: Codec) {
  for (const { check, input, name } of laws) {
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

describe("the laws catch a codec that", () => {
  for (const [fault, codec] of Object.entries(broken)) {
    it.effect(fault, () =>
      Effect.gen(function*() {
        assert.isDefined(yield* brokenLaw(codec))
      }))
  }
})
