import { describe, it } from "@effect/vitest"
import { assert } from "vitest"
import * as Frame from "../../src/wire/Frame.ts"
import { json } from "../../src/wire/Json.ts"
import vectors from "../../src/wire/vectors.json" with { type: "json" }

describe("vectors.json", () => {
  for (const { canonical, direction, frames, message, name } of vectors) {
    const decode = direction === "client" ? json.decodeClient : json.decodeServer

    it(`decodes: ${name}`, () => {
      const decoded = decode(message, 256)!.map((frame) => {
        if (frame._tag !== "malformed") return frame
        const { _tag, field, ref } = frame
        return { _tag, field, ref }
      })
      assert.deepStrictEqual(decoded, frames as never)
    })

    if (canonical) {
      it(`encodes: ${name}`, () => {
        assert.strictEqual(json.concat(frames.map((frame) => json.encode(frame as never))), message)
      })
    }
  }

  it("has every kind of frame in its canonical form", () => {
    const kinds = new Set(
      vectors.filter(({ canonical }) => canonical).flatMap(({ frames }) => frames.map((f) => f._tag))
    )
    assert.sameMembers([...kinds], [...Object.keys(Frame.client), ...Object.keys(Frame.server)])
  })
})
