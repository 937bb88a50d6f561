/**
 * RFC 6455 down to the bytes, against an echo endpoint on the sockets of a runtime.
 *
 * What a runtime does otherwise is a field of `capabilities`, and the case looks at it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Scope, Stream } from "effect"
import * as Endpoint from "../../src/engine/Endpoint.ts"
import * as Engine from "../../src/engine/Engine.ts"
import * as Limits from "../../src/engine/Limits.ts"
import type * as Transport from "../../src/engine/Transport.ts"
import { frame, openRaw, type RawClient, until } from "./transportClient.ts"

const continuation = 0
const text = 1
const binary = 2
const close = 8
const ping = 9
const pong = 10

const join = Buffer.concat

const numbered = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => index & 255)

const closing = (code: number, reason: string | Uint8Array = "", options?: Parameters<typeof frame>[2]): Buffer =>
  frame(close, join([Buffer.from([code >> 8, code & 255]), Buffer.from(reason as string)]), options)

const begun = { fin: false }

/** One message cut into frames of so many bytes. */
const fragmented = (opcode: number, payload: Uint8Array, size: number): Buffer => {
  const count = Math.max(1, Math.ceil(payload.length / size))
  return join(
    Array.from(
      { length: count },
      (_, index) =>
        frame(index === 0 ? opcode : continuation, payload.subarray(index * size, (index + 1) * size), {
          fin: index === count - 1
        })
    )
  )
}

const notUtf8: { readonly [what: string]: ReadonlyArray<number> } = {
  "a continuation byte that is none": [0xc3, 0x28],
  "an overlong form": [0xc0, 0xaf],
  "a surrogate": [0xed, 0xa0, 0x80],
  "more than U+10FFFF": [0xf4, 0x90, 0x80, 0x80],
  "a continuation byte alone": [0x61, 0x80],
  "a byte that is never UTF-8": [0xff]
}

const limit = Limits.defaults.messageBytes

/** Runs the cases on the transport of one runtime. */
export const rfc6455 = (
  capabilities: Transport.Capabilities,
  transport: Layer.Layer<Transport.Transport, Transport.ListenError>
): void => {
  describe(`RFC 6455 on ${capabilities.runtime}`, () => {
    interface Server {
      readonly open: Effect.Effect<RawClient, never, Scope.Scope>
      /** How connections ended, as their handlers saw it. */
      readonly ends: ReadonlyArray<Endpoint.CloseEvent>
    }

    const test = (sentence: string, body: (server: Server) => Effect.Effect<void, never, Scope.Scope>) =>
      it.live(sentence, () => {
        const ends: Array<Endpoint.CloseEvent> = []
        const endpoint = Endpoint.make("/echo", {
          handle: (socket) =>
            socket.messages.pipe(
              Stream.runForEach(socket.send),
              Effect.ensuring(Effect.map(socket.closed, (event) => ends.push(event)))
            )
        })
        const engine = Engine.layer({ endpoints: [endpoint], limits: { frameRate: 1e9, frameBurst: 1e9 } })
        return Effect.flatMap(Engine.Engine, ({ address }) => body({ ends, open: openRaw(address, "/echo") })).pipe(
          Effect.scoped,
          Effect.provide(Layer.provide(engine, transport))
        )
      })

    const well = (client: RawClient) =>
      Effect.suspend(() => {
        client.write(frame(ping, "well?"))
        return until("the server is well", () => client.pongs.at(-1) === "well?")
      })

    /** Every message written comes back, and the connection lives on. */
    const echoes = (
      sentence: string,
      written: Uint8Array,
      expected: ReadonlyArray<string | Uint8Array>,
      pongs: ReadonlyArray<string> = []
    ) =>
      test(`echoes ${sentence}`, ({ open }) =>
        Effect.gen(function*() {
          const client = yield* open
          client.write(written)
          yield* until("everything came back", () => client.messages.length >= expected.length)
          yield* well(client)
          assert.deepStrictEqual(client.messages, expected)
          assert.deepStrictEqual(client.pongs.slice(0, -1), pongs)
          assert.isUndefined(client.close)
        }))

    /** The connection ends with the code, or without one where the runtime does not tell. */
    const fails = (sentence: string, written: Uint8Array, code: number) =>
      test(`fails the connection on ${sentence}`, ({ ends, open }) =>
        Effect.gen(function*() {
          const other = yield* open
          const client = yield* open
          client.write(join([written, frame(text, "after")]))
          yield* until("it is gone", client.gone)
          yield* until("its handler has ended", () => ends.length === 1)
          assert.notInclude(client.messages, "after")
          assert.strictEqual(client.close?.code, capabilities.closesOnInvalidFrames ? code : undefined)
          yield* well(other)
        }))

    /** What only a strict runtime refuses; on another one the connection lives on. */
    const failsIf = (strict: boolean, sentence: string, written: Uint8Array, code: number) =>
      strict ? fails(sentence, written, code) : test(`lets pass ${sentence}`, ({ open }) =>
        Effect.gen(function*() {
          const client = yield* open
          client.write(written)
          yield* until("it is answered", () => client.close !== undefined || client.messages.length > 0)
        }))

    // ------------------------------------------------------------- framing (5.2, 5.4)

    for (const length of [0, 1, 125, 126, 127, 65_535, 65_536]) {
      echoes(`${length} bytes of text`, frame(text, "x".repeat(length)), ["x".repeat(length)])
      echoes(`${length} bytes`, frame(binary, numbered(length)), [numbered(length)])
    }

    const bytewise = fragmented(binary, numbered(300), 1)
    const cut = fragmented(text, Buffer.from("aé😀z"), 1)
    echoes("a message of 300 fragments", bytewise, [numbered(300)])
    echoes("UTF-8 that is split across fragments at every byte", cut, ["aé😀z"])
    echoes(
      "fragments without content",
      join([
        frame(text, "", begun),
        frame(continuation, "", begun),
        frame(continuation, ""),
        frame(binary, "", begun),
        frame(continuation, "b", begun),
        frame(continuation, "")
      ]),
      ["", Uint8Array.of(98)]
    )
    echoes(
      "65,536 bytes in fragments",
      fragmented(text, Buffer.from("y".repeat(65_536)), 1000),
      ["y".repeat(65_536)]
    )
    echoes("many messages in one packet", join(Array.from({ length: 50 }, (_, index) => frame(text, `${index}`))), [
      ...Array.from({ length: 50 }, (_, index) => `${index}`)
    ])
    echoes(
      "every plane of Unicode, and what is not a character",
      frame(text, "\u0000\u007f\u0080\u07ff\u0800\ufffe\u{10ffff}"),
      [
        "\u0000\u007f\u0080\u07ff\u0800\ufffe\u{10ffff}"
      ]
    )
    echoes("bytes that are not UTF-8", frame(binary, Uint8Array.of(0xc3, 0x28)), [Uint8Array.of(0xc3, 0x28)])

    test("echoes what arrives byte by byte", ({ open }) =>
      Effect.gen(function*() {
        const client = yield* open
        client.socket.setNoDelay(true)
        for (const byte of join([frame(text, "é", begun), frame(ping, "?"), frame(continuation, "z")])) {
          client.write(Uint8Array.of(byte))
          yield* Effect.yieldNow
        }
        yield* until("it came back", () => client.messages.length === 1)
        assert.deepStrictEqual([client.messages, client.pongs], [["éz"], ["?"]])
      }))

    // ------------------------------------------------------------- control frames (5.5)

    const longest = "p".repeat(125)
    echoes("the payload of a ping, up to 125 bytes", join([frame(ping, ""), frame(ping, longest)]), [], ["", longest])
    echoes(
      "pings in their order",
      join(Array.from({ length: 20 }, (_, index) => frame(ping, `${index}`))),
      [],
      Array.from({ length: 20 }, (_, index) => `${index}`)
    )
    echoes("nothing for a pong that nobody asked for", join([frame(pong, "x"), frame(text, "a")]), ["a"])
    echoes(
      "a message with control frames between its fragments",
      join([
        frame(text, "a", begun),
        frame(ping, "1"),
        frame(continuation, "b", begun),
        frame(pong, ""),
        frame(ping, "2"),
        frame(continuation, "c")
      ]),
      ["abc"],
      ["1", "2"]
    )

    const { strictFrames } = capabilities
    fails("a fragmented ping", frame(ping, "x", begun), 1002)
    fails("a fragmented pong", frame(pong, "x", begun), 1002)
    fails("a fragmented close", closing(1000, "", begun), 1002)
    fails("a ping of 126 bytes", frame(ping, "x".repeat(126)), 1002)
    failsIf(strictFrames, "a pong of 126 bytes", join([frame(pong, "x".repeat(126)), frame(text, "alive")]), 1002)
    failsIf(strictFrames, "a close of 126 bytes", closing(1000, "x".repeat(124)), 1002)

    // ------------------------------------------------------------- what must not be sent (5.1, 5.2, 5.4)

    for (const [bit, reserved] of [0x40, 0x20, 0x10].entries()) {
      fails(`reserved bit ${bit + 1}`, frame(text, "x", { reserved }), 1002)
      fails(`reserved bit ${bit + 1} of a ping`, frame(ping, "x", { reserved }), 1002)
    }
    for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
      fails(`reserved opcode ${opcode}`, frame(opcode, "x"), 1002)
    }
    for (const [what, opcode] of [["message", text], ["ping", ping]] as const) {
      const written = frame(opcode, "x", { masked: false })
      failsIf(capabilities.refusesUnmaskedFrames, `an unmasked ${what}`, join([written, frame(text, "alive")]), 1002)
    }
    failsIf(capabilities.refusesUnmaskedFrames, "an unmasked close", closing(1000, "", { masked: false }), 1002)
    fails("a continuation of nothing", frame(continuation, "x"), 1002)
    fails("a continuation of nothing, to be continued", frame(continuation, "x", begun), 1002)
    fails("a message within a fragmented message", join([frame(text, "a", begun), frame(text, "b")]), 1002)
    failsIf(
      strictFrames,
      "a fragmented message within a fragmented message",
      join([frame(text, "a", begun), frame(binary, "b", begun), frame(continuation, "c")]),
      1002
    )

    // ------------------------------------------------------------- UTF-8 (8.1)

    for (const [what, bytes] of Object.entries(notUtf8)) {
      const written = Uint8Array.from(bytes)
      fails(`text with ${what}`, frame(text, written), 1007)
      fails(`fragmented text with ${what}`, join([frame(text, "ok", begun), frame(continuation, written)]), 1007)
    }
    fails("text that ends within a character", frame(text, Uint8Array.of(0x61, 0xc3)), 1007)
    failsIf(
      strictFrames,
      "fragmented text that ends within a character",
      join([frame(text, "a", begun), frame(continuation, Uint8Array.of(0xc3))]),
      1007
    )

    // ------------------------------------------------------------- size

    const oversize: { readonly [what: string]: Uint8Array } = {
      "text": frame(text, "x".repeat(limit + 1)),
      "bytes": frame(binary, numbered(limit + 1)),
      "text by its bytes": frame(text, "é".repeat(limit / 2) + "x"),
      "fragments": fragmented(binary, numbered(limit + 1), 1 + limit / 2)
    }
    for (const [what, written] of Object.entries(oversize)) {
      test(`closes with 1009 after a message that is too large: ${what}`, ({ ends, open }) =>
        Effect.gen(function*() {
          const client = yield* open
          client.write(written)
          yield* until("it is closed", () => client.close !== undefined)
          assert.deepStrictEqual([client.close?.code, client.messages], [1009, []])
          yield* until("its handler has ended", () => ends.length === 1)
        }))
    }
    if (capabilities.limitsMessages) {
      fails("a frame that announces too much", frame(text, "x".repeat(limit + 1)).subarray(0, 14), 1009)
      fails("a frame of 2^63 bytes", Buffer.from([0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]), 1009)
    }

    // ------------------------------------------------------------- closing (5.5.1, 7)

    // 1012 and 1013 were registered later, and everybody knows them.
    for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999]) {
      test(`answers a close with ${code} in kind, and the handler is told`, ({ ends, open }) =>
        Effect.gen(function*() {
          const client = yield* open
          client.write(join([frame(text, "before"), closing(code, "bye é"), frame(text, "after")]))
          yield* until("it is gone", client.gone)
          yield* until("its handler has ended", () => ends.length === 1)
          assert.strictEqual(client.close?.code, code)
          assert.deepStrictEqual(ends, [{ code, reason: "bye é" }])
          assert.notInclude(client.messages, "after")
        }))
    }

    for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535]) {
      test(`answers a close with ${code}, which nobody may send, with 1002`, ({ ends, open }) =>
        Effect.gen(function*() {
          const client = yield* open
          client.write(closing(code))
          yield* until("it is gone", client.gone)
          yield* until("its handler has ended", () => ends.length === 1)
          assert.strictEqual(client.close?.code, 1002)
        }))
    }

    test("answers a close without a code in kind; the handler is told 1005", ({ ends, open }) =>
      Effect.gen(function*() {
        const client = yield* open
        client.write(frame(close, ""))
        yield* until("it is gone", client.gone)
        yield* until("its handler has ended", () => ends.length === 1)
        assert.deepStrictEqual([client.close, ends[0]], [{ code: 1005, reason: "" }, { code: 1005, reason: "" }])
      }))

    test("answers a close between fragments", ({ ends, open }) =>
      Effect.gen(function*() {
        const client = yield* open
        client.write(join([frame(text, "a", begun), closing(1000)]))
        yield* until("it is gone", client.gone)
        yield* until("its handler has ended", () => ends.length === 1)
        assert.deepStrictEqual([client.close?.code, client.messages], [1000, []])
      }))

    test("takes a reason of 123 bytes", ({ ends, open }) =>
      Effect.gen(function*() {
        const client = yield* open
        client.write(closing(1000, `${"é".repeat(61)}x`))
        yield* until("its handler has ended", () => ends.length === 1)
        assert.deepStrictEqual(ends, [{ code: 1000, reason: `${"é".repeat(61)}x` }])
      }))

    fails("a close of one byte", frame(close, Uint8Array.of(3)), 1002)
    fails("a reason that is not UTF-8", closing(1000, Uint8Array.of(0xc3, 0x28)), 1007)

    test("tells the handler 1006 when the connection ends without a close", ({ ends, open }) =>
      Effect.gen(function*() {
        const ended = yield* open
        ended.socket.end()
        yield* until("its handler has ended", () => ends.length === 1)
        const reset = yield* open
        reset.cut()
        yield* until("its handler has ended", () => ends.length === 2)
        assert.deepStrictEqual(ends, [{ code: 1006, reason: "" }, { code: 1006, reason: "" }])
      }))
  })
}
