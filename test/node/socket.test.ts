/**
 * What only Node's transport has to see to itself: pings that nobody waits for, and the version of the protocol.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { once } from "node:events"
import * as Net from "node:net"
import { setImmediate } from "node:timers/promises"
import { vi } from "vitest"
import { layer } from "../../runtimes/node.ts"
import { serve } from "../contract/transport.ts"
import { frame, openRaw, until, upgradeRequest } from "../contract/transportClient.ts"

const pingOf = (index: number) => `${index}`.padEnd(125)

describe("a WebSocket on Node", () => {
  it.live(
    "answers the newest ping of a peer that does not read, and holds no more than 64 KiB for it",
    () =>
      Effect.gen(function*() {
        const { address, sockets } = yield* serve()
        const client = yield* openRaw(address)
        client.stall()
        const count = 150_000
        let most = 0
        for (let from = 0; from < count; from += 1_000) {
          client.write(Buffer.concat(Array.from({ length: 1_000 }, (_, index) => frame(9, pingOf(from + index)))))
        }
        client.send("read")
        yield* until("the server has read everything", () => {
          most = Math.max(most, sockets[0]!.socket.bufferedAmount())
          return sockets[0]!.messages.length > 0
        })
        assert.isAbove(most, 0, "more was asked for than the system takes")
        assert.isAtMost(most, 64 * 1024 + 127)
        client.unstall()
        yield* until("the last one is answered", () => client.pongs.at(-1) === pingOf(count - 1))
        assert.isBelow(client.pongs.length, count)
      }).pipe(Effect.scoped, Effect.provide(layer({ port: 0 }))),
    30_000
  )

  for (const [what, last] of [["a close frame", frame(8, "")], ["an invalid frame", frame(3, "")]] as const) {
    it.live(`drops a peer that goes on for 30 seconds after ${what}`, () =>
      Effect.gen(function*() {
        yield* Effect.acquireRelease(
          Effect.sync(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })),
          () => Effect.sync(() => vi.useRealTimers())
        )
        const { address, sockets } = yield* serve()
        const socket = Net.connect({ port: address.port, host: address.hostname, allowHalfOpen: true })
        yield* Effect.addFinalizer(() => Effect.sync(() => socket.destroy()))
        let received = 0
        socket.on("error", () => {}).on("data", ({ length }) => received += length)
        socket.write(upgradeRequest("/"))
        yield* Effect.promise(() => once(socket, "data"))
        const upgraded = received
        socket.write(last)
        while (received === upgraded) yield* Effect.promise(() => setImmediate())
        vi.advanceTimersByTime(29_999)
        for (let turn = 0; turn < 100; turn++) {
          socket.write(frame(9, "still here"))
          yield* Effect.promise(() => setImmediate())
        }
        assert.strictEqual(sockets[0]!.closes.length, 0)
        vi.advanceTimersByTime(1)
        while (sockets[0]!.closes.length === 0) yield* Effect.promise(() => setImmediate())
      }).pipe(Effect.scoped, Effect.provide(layer({ port: 0 }))))
  }

  for (const [how, last, code] of [["with", frame(8, Uint8Array.of(3, 232)), 1000], ["without", "", 1006]] as const) {
    it.live(`reads all that a peer sent before it ended ${how} a close frame, also what is held meanwhile`, () =>
      Effect.gen(function*() {
        const { address, sockets } = yield* serve({ message: ({ socket }) => socket.pause!() })
        const client = yield* openRaw(address)
        client.socket.end(Buffer.concat([...["a", "b", "c"].map((text) => frame(1, text)), Buffer.from(last)]))
        const [{ closes, messages, socket }] = sockets as [(typeof sockets)[number]]
        for (let count = 1; count <= 3; count++) {
          yield* until("the next one is there", () => messages.length === count)
          // The end of the peer is there too by now.
          for (let turn = 0; turn < 20; turn++) yield* Effect.promise(() => setImmediate())
          assert.strictEqual(messages.length, count)
          if (count < 3) assert.deepStrictEqual(closes, [])
          socket.resume!()
        }
        yield* until("it is closed", () => closes.length > 0)
        assert.deepStrictEqual([messages, closes], [["a", "b", "c"], [{ code, reason: "" }]])
      }).pipe(Effect.scoped, Effect.provide(layer({ port: 0 }))))
  }

  it.live("leaves no timer when it goes on reading after it was dropped", () =>
    Effect.gen(function*() {
      const { address, sockets } = yield* serve({ message: ({ socket }) => socket.pause!() })
      const client = yield* openRaw(address)
      client.write(Buffer.concat([frame(1, "a"), frame(8, "")]))
      yield* until("the message is there", () => sockets[0]?.messages.length === 1)
      const { closes, socket } = sockets[0]!
      socket.terminate!()
      while (closes.length === 0) yield* Effect.promise(() => setImmediate())
      const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length
      const before = timers()
      socket.resume!()
      yield* Effect.promise(() => setImmediate())
      assert.isAtMost(timers(), before)
    }).pipe(Effect.scoped, Effect.provide(layer({ port: 0 }))))

  it.live("refuses another version of the protocol, and says which one it speaks", () =>
    Effect.gen(function*() {
      const { address, sockets } = yield* serve()
      const client = yield* openRaw(address, "/", { "Sec-WebSocket-Version": "8" })
      assert.deepStrictEqual([client.status, client.headers.get("sec-websocket-version")], [426, "13"])
      const bad = yield* openRaw(address, "/", { "Sec-WebSocket-Key": "dGhlIHNhbXBsZQ==" })
      assert.deepStrictEqual([bad.status, sockets.length], [400, 0])
    }).pipe(Effect.scoped, Effect.provide(layer({ port: 0 }))))
})
