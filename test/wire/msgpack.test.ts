import { describe, it } from "@effect/vitest"
import { assert } from "vitest"
import { Bytes } from "../../src/wire/Bytes.ts"
import type * as Frame from "../../src/wire/Frame.ts"
import { msgpack } from "../../src/wire/Msgpack.ts"
import { Reader } from "../../src/wire/MsgpackReader.ts"
import { Writer } from "../../src/wire/MsgpackWriter.ts"

const ascii = (text: string) => [...new TextEncoder().encode(text)]
const text = (value: string) => [0xa0 | value.length, ...ascii(value)]
/** `["notice", 1, "A", …]` with a payload of these bytes. */
const notice = (...payload: ReadonlyArray<number>) => [0x94, ...text("notice"), 1, ...text("A"), ...payload]
const decode = (...bytes: ReadonlyArray<number>) => msgpack.decodeClient(Uint8Array.from(bytes), 256)!

const malformed = (...bytes: ReadonlyArray<number>): Frame.Malformed => {
  const frames = decode(...bytes)
  assert.lengthOf(frames, 1)
  assert.strictEqual(frames[0]!._tag, "malformed")
  return frames[0] as Frame.Malformed
}

const payloadOf = (...payload: ReadonlyArray<number>): unknown => {
  const frames = decode(...notice(...payload))
  assert.deepStrictEqual(frames.map(({ _tag }) => _tag), ["notice"])
  return (frames[0] as Frame.ClientFrames["notice"]).payload
}

describe("msgpack", () => {
  it("calls a text message malformed", () => {
    assert.deepStrictEqual(msgpack.decodeClient("[]", 1), [
      { _tag: "malformed", field: "message", detail: "Expected bytes", ref: null }
    ])
  })

  it("calls an empty message a malformed frame", () => {
    assert.strictEqual(malformed().field, "frame")
  })

  it("names the field and the reference, never the value", () => {
    assert.deepStrictEqual(malformed(0x93, ...text("renew"), 7, 0x91, ...text("secret")), {
      _tag: "malformed",
      field: "renew.token",
      detail: "Expected a string",
      ref: 7
    })
  })

  it("goes on behind a frame that is wrong, however it is wrong", () => {
    const wrong: { readonly [what: string]: ReadonlyArray<number> } = {
      "no array": [0x2a],
      "an empty array": [0x90],
      "no kind": [0x91, 0xc0],
      "a wrong field": [0x92, ...text("cancel"), 0xff],
      "an extension": notice(0xd4, 1, 2),
      "an extension with a length": notice(0xc7, 3, 1, 1, 2, 3),
      "a key that is no text": notice(0x81, 1, 2),
      "a number that is not finite": notice(0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0),
      "text that is not UTF-8": notice(0xa2, 0xc3, 0x28),
      "too many levels": notice(...Array(65).fill(0x91), 1)
    }
    for (const [what, bytes] of Object.entries(wrong)) {
      const frames = decode(...bytes, 0x91, ...text("pong"))
      assert.deepStrictEqual(frames.map(({ _tag }) => _tag), ["malformed", "pong"], what)
    }
  })

  it("cannot go on where a message ends within a frame, or at the byte that means nothing", () => {
    const whole = msgpack.encode({ _tag: "notice", channel: 300, name: "A", payload: { a: [1.5, "text", null] } })
    const bytes = [...(whole.data as Uint8Array)]
    for (let length = 1; length < bytes.length; length++) malformed(...bytes.slice(0, length))
    assert.strictEqual(malformed(0xc1, 0x91, ...text("pong")).field, "frame")
    malformed(...notice(0xc1), 0x91, ...text("pong"))
  })

  it("makes nothing for what a length only announces", () => {
    for (const head of [0xc6, 0xdb, 0xdd, 0xdf]) {
      malformed(...notice(head, 0xff, 0xff, 0xff, 0xff))
      malformed(head, 0xff, 0xff, 0xff, 0xff)
    }
    // Each of these would be a list of 65,535 places within the one before.
    const nested = Array.from({ length: 20_000 }, () => [0xdc, 0xff, 0xff]).flat()
    const before = process.memoryUsage().heapUsed
    for (let times = 0; times < 20; times++) malformed(...notice(...nested))
    assert.isBelow(process.memoryUsage().heapUsed - before, 200_000_000)
  })

  it("survives any depth", () => {
    const nested = (levels: number) => notice(...Array(levels).fill(0x91), 1)
    assert.strictEqual(decode(...nested(64))[0]!._tag, "notice")
    assert.deepInclude(malformed(...nested(65)), { field: "notice.payload", detail: "Expected at most 64 levels" })
    malformed(...nested(60_000))
    malformed(...notice(...Array(60_000).fill(0x91)))
    malformed(...Array(60_000).fill(0x91))
  })

  it("ignores elements behind the fields, whatever they are", () => {
    assert.deepStrictEqual(
      decode(0x95, ...text("cancel"), 1, 0xd4, 1, 2, ...Array(200).fill(0x91), 1, 0x81, 1, 2, 0x91, ...text("pong")),
      [{ _tag: "cancel", ref: 1 }, { _tag: "pong" }]
    )
  })

  it("takes a frame of an unknown kind for unknown, and goes on behind it", () => {
    assert.deepStrictEqual(decode(0x92, ...text("later"), 0xd4, 1, 2, 0x91, ...text("pong")), [
      { _tag: "unknown", kind: "later" },
      { _tag: "pong" }
    ])
  })

  it("counts frames without reading more than allowed", () => {
    assert.isUndefined(msgpack.decodeClient(new Uint8Array(65_536).fill(0xc0), 256))
    assert.lengthOf(msgpack.decodeClient(new Uint8Array(256).fill(0xc0), 256)!, 256)
  })

  it("reads every form of a number, of text and of bytes", () => {
    assert.strictEqual(payloadOf(0xcc, 200), 200)
    assert.strictEqual(payloadOf(0xcd, 1, 0), 256)
    assert.strictEqual(payloadOf(0xce, 0xff, 0xff, 0xff, 0xff), 4_294_967_295)
    assert.strictEqual(payloadOf(0xcf, 0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), Number.MAX_SAFE_INTEGER)
    assert.strictEqual(payloadOf(0xd0, 0xff), -1)
    assert.strictEqual(payloadOf(0xd1, 0xff, 0), -256)
    assert.strictEqual(payloadOf(0xd2, 0x80, 0, 0, 0), -2_147_483_648)
    assert.strictEqual(payloadOf(0xd3, 0xff, 0xe0, 0, 0, 0, 0, 0, 1), Number.MIN_SAFE_INTEGER)
    assert.strictEqual(payloadOf(0xca, 0x3f, 0x80, 0, 0), 1)
    assert.strictEqual(payloadOf(0xdb, 0, 0, 0, 1, 0x61), "a")
    assert.deepStrictEqual(payloadOf(0xc6, 0, 0, 0, 1, 7), new Bytes(Uint8Array.of(7).buffer))
    assert.deepStrictEqual(payloadOf(0xdf, 0, 0, 0, 1, 0xa1, 0x61, 0xdd, 0, 0, 0, 1, 0xc3), { a: [true] })
  })

  it("rounds a number beyond 2^53, as JSON does, and takes it for no reference", () => {
    assert.strictEqual(payloadOf(0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), 2 ** 64)
    assert.strictEqual(malformed(0x92, ...text("cancel"), 0xcf, 0, 0x20, 0, 0, 0, 0, 0, 1).field, "cancel.ref")
  })

  it("gives bytes that do not change with the message", () => {
    const message = Uint8Array.from(notice(0xc4, 2, 1, 2))
    const [frame] = msgpack.decodeClient(message, 1)!
    message.fill(0)
    assert.deepStrictEqual([...(frame as Frame.ClientFrames["notice"]).payload as Uint8Array], [1, 2])
  })

  it("changes no prototype", () => {
    const payload = payloadOf(0x81, ...text("__proto__"), 0x81, ...text("polluted"), 1) as object
    assert.isUndefined(({} as Record<string, unknown>)["polluted"])
    assert.strictEqual(Object.getPrototypeOf(payload), Object.prototype)
    assert.deepStrictEqual(Object.keys(payload), ["__proto__"])
  })
})

describe("what the writer writes", () => {
  const writer = new Writer()
  const hex = (value: unknown) => [...writer.write(value)].map((byte) => byte.toString(16).padStart(2, "0")).join("")

  it("is the shortest form of a number", () => {
    const forms: ReadonlyArray<readonly [number, string]> = [
      [0, "00"],
      [-0, "00"],
      [127, "7f"],
      [128, "cc80"],
      [256, "cd0100"],
      [65_536, "ce00010000"],
      [4_294_967_296, "cf0000000100000000"],
      [-1, "ff"],
      [-32, "e0"],
      [-33, "d0df"],
      [-129, "d1ff7f"],
      [-32_769, "d2ffff7fff"],
      [-2_147_483_649, "d3ffffffff7fffffff"],
      [1.5, "cb3ff8000000000000"],
      [2 ** 53, "cb4340000000000000"]
    ]
    for (const [value, form] of forms) assert.strictEqual(hex(value), form, String(value))
  })

  it("is read again, at every length where a form ends", () => {
    for (const length of [0, 1, 15, 16, 24, 25, 31, 32, 255, 256, 65_535, 65_536, 200_000]) {
      const values = [
        "a".repeat(length),
        "é".repeat(length),
        new Bytes(new ArrayBuffer(length)),
        Array(length).fill(0),
        Object.fromEntries(Array.from({ length }, (_, index) => [`k${index}`, index]))
      ]
      for (const value of values) {
        const written = writer.write(value)
        const reader = new Reader(written)
        assert.deepStrictEqual(reader.value(64), value)
        assert.isTrue(reader.isAtEnd)
        assert.isTrue(new Reader(written).skip(1))
      }
    }
  })

  it("is what JSON writes of undefined and of numbers without a JSON form", () => {
    assert.strictEqual(hex({ a: undefined, b: [undefined, NaN, Infinity] }), "81a16293c0c0c0")
  })

  it("throws for what has no form, and goes on afterwards", () => {
    assert.throws(() => writer.write([1n]), "bigint")
    assert.strictEqual(hex([1]), "9101")
  })
})
