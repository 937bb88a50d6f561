import { describe, it } from "@effect/vitest"
import { assert } from "vitest"
import { Bytes } from "../../src/wire/Bytes.ts"
import * as Frame from "../../src/wire/Frame.ts"
import { msgpack } from "../../src/wire/Msgpack.ts"
import vectors from "../../src/wire/vectors.msgpack.json" with { type: "json" }

const fromHex = (hex: string): Uint8Array =>
  Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))
const toHex = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")

/** `{"$bin":"<base64>"}` in the file stands for bytes. */
const revive = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(revive)
  if (typeof value !== "object" || value === null) return value
  const { $bin } = value as { readonly $bin?: string }
  if ($bin !== undefined) return new Bytes(Uint8Array.from(atob($bin), (char) => char.charCodeAt(0)).buffer)
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, revive(inner)]))
}

describe("vectors.msgpack.json", () => {
  for (const { canonical, direction, frames, message, name } of vectors) {
    const decode = direction === "client" ? msgpack.decodeClient : msgpack.decodeServer
    const expected = revive(frames) as ReadonlyArray<Frame.ClientFrame>

    it(`decodes: ${name}`, () => {
      const decoded = decode(fromHex(message), 256)!.map((frame) => {
        if (frame._tag !== "malformed") return frame
        const { _tag, field, ref } = frame
        return { _tag, field, ref }
      })
      assert.deepStrictEqual(decoded, expected as never)
    })

    if (canonical) {
      it(`encodes: ${name}`, () => {
        assert.strictEqual(toHex(msgpack.concat(expected.map(msgpack.encode)) as Uint8Array), message)
      })
    }
  }

  it("has every kind of frame in its canonical form", () => {
    const kinds = new Set(
      vectors.filter(({ canonical }) => canonical).flatMap(({ frames }) => frames.map((frame) => frame._tag))
    )
    assert.sameMembers([...kinds], [...Object.keys(Frame.client), ...Object.keys(Frame.server)])
  })
})
