import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Random, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Chat, joined, settled, start } from "./ScriptedServer.ts"
import type { ScriptedSocket } from "./ScriptedServer.ts"

const sentAt = (socket: ScriptedSocket): ReadonlyArray<number> =>
  socket.messages.flatMap(({ at, frames }) => frames.map(() => at))

/** The most frames in any window, over what is allowed in it. */
const excess = (times: ReadonlyArray<number>, rate: number, burst: number): number => {
  let most = -Infinity
  for (let from = 0; from < times.length; from++) {
    for (let to = from; to < times.length; to++) {
      most = Math.max(most, to - from + 1 - burst - (rate * (times[to]! - times[from]!)) / 1000)
    }
  }
  return most
}

describe("without a connection", () => {
  it.effect("requests and notices wait, and are sent in their order once the room is joined again", () =>
    Effect.gen(function*() {
      const { room, server, socket } = yield* joined()
      socket.close(1006)
      yield* settled
      yield* room.Moved({ x: 1 })
      const clearing = yield* Effect.forkChild(room.Clear(), { startImmediately: true })
      yield* room.Moved({ x: 2 })
      yield* TestClock.adjust("1 second")
      const second = yield* server.welcomes()
      yield* settled
      assert.deepStrictEqual(second.frames.map(({ _tag }) => _tag), ["hello", "join"])
      yield* second.joins({ channel: 9 })
      yield* settled
      assert.deepStrictEqual(
        second.frames.slice(2).map((frame) => [frame._tag, "channel" in frame ? frame.channel : undefined]),
        [["notice", 9], ["request", 9], ["notice", 9]]
      )
      second.send({ _tag: "ok", ref: (yield* second.next("request")).ref, value: null })
      yield* Fiber.join(clearing)
    }))

  it.effect("one more than the queue holds fails, and nothing of it is sent", () =>
    Effect.gen(function*() {
      const { room, server, socket } = yield* joined()
      socket.close(1006)
      yield* settled
      for (let i = 0; i < 128; i++) {
        yield* room.Typing()
        yield* Effect.forkChild(room.Clear(), { startImmediately: true })
      }
      const errors = [yield* Effect.flip(room.Typing()), yield* Effect.flip(room.Clear())]
      for (const error of errors) {
        assert(error.reason._tag === "QueueFull")
        assert.strictEqual(error.reason.capacity, 256)
      }
      yield* TestClock.adjust("1 second")
      const second = yield* server.welcomes()
      yield* second.joins()
      yield* settled
      assert.lengthOf(second.all("notice"), 128)
      assert.lengthOf(second.all("request"), 128)
    }))

  it.effect("a request that is interrupted makes its place free", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined({ offlineQueue: 1 })
      socket.close(1006)
      yield* settled
      const clearing = yield* Effect.forkChild(room.Clear(), { startImmediately: true })
      assert.strictEqual((yield* Effect.flip(room.Typing())).reason._tag, "QueueFull")
      yield* Fiber.interrupt(clearing)
      yield* room.Typing()
    }))

  it.effect("joins wait too, and no more of them than the queue holds", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start({ offlineQueue: 2 })
      const names = ["a", "b", "c"]
      const joining = yield* Effect.forEach(
        names,
        (key) => Effect.forkChild(Effect.exit(client.join(Chat, key, { name: "ada" })), { startImmediately: true })
      )
      const refused = yield* Fiber.join(joining[2]!)
      assert.strictEqual(refused._tag, "Failure")
      const socket = yield* server.welcomes()
      yield* settled
      assert.deepStrictEqual(socket.all("join").map(({ key }) => key), ["a", "b"])
    }))

  it.effect("a room that is not joined yet holds only its own messages back", () =>
    Effect.gen(function*() {
      const { client, room, server, socket } = yield* joined()
      const joining = yield* Effect.forkChild(client.join(Chat, "other", { name: "ada" }))
      yield* socket.joins({ channel: 8 })
      const other = yield* Fiber.join(joining)
      socket.close(1006)
      yield* settled
      yield* room.Moved({ x: 1 })
      yield* other.Moved({ x: 2 })
      yield* TestClock.adjust("1 second")
      const second = yield* server.welcomes()
      yield* second.next("join")
      yield* second.joins({ channel: 8 })
      yield* settled
      assert.deepStrictEqual(second.all("notice").map(({ payload }) => payload), [{ x: 2 }])
    }))
})

describe("the pace", () => {
  it.effect("lets what is made at once wait for its turn, and loses nothing", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined({}, { rate: 10, burst: 20 })
      for (let x = 0; x < 50; x++) yield* room.Moved({ x })
      yield* settled
      assert.lengthOf(socket.all("notice"), 8, "half the burst, less hello and join")
      yield* TestClock.adjust("1 second")
      assert.lengthOf(socket.all("notice"), 18)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(
        socket.all("notice").map(({ payload }) => payload),
        Array.from({ length: 50 }, (_, x) => ({
          x
        }))
      )
    }))

  it.effect("takes up to a queue and a burst in one tick", () =>
    Effect.gen(function*() {
      const { room } = yield* joined({ offlineQueue: 16 }, { rate: 1, burst: 20 })
      for (let x = 0; x < 8 + 16; x++) yield* room.Moved({ x })
      assert.strictEqual((yield* Effect.flip(room.Moved({ x: 0 }))).reason._tag, "QueueFull")
    }))

  it.effect.prop(
    "is never faster than announced, whatever is sent when, also when the queue drains after a reconnect",
    [
      Schema.Struct({
        rate: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 200 })),
        burst: Schema.Int.check(Schema.isBetween({ minimum: 4, maximum: 50 })),
        seed: Schema.Int
      })
    ],
    ([{ burst, rate, seed }]) =>
      Effect.gen(function*() {
        const { room, server, socket } = yield* joined({ offlineQueue: 60 }, { rate, burst })
        for (let i = 0; i < 20; i++) {
          const count = yield* Random.nextIntBetween(0, 30)
          for (let n = 0; n < count; n++) yield* Effect.ignore(room.Moved({ x: n }))
          // A pong never waits: two of them are what half of the smallest burst leaves room for.
          if (i % 10 === 0) socket.send({ _tag: "ping" })
          yield* TestClock.adjust(yield* Random.nextIntBetween(0, 500))
        }
        assert.isAtMost(excess(sentAt(socket), rate, burst), 1e-6)
        socket.close(1006)
        yield* settled
        for (let n = 0; n < 60; n++) yield* Effect.ignore(room.Moved({ x: n }))
        yield* TestClock.adjust("1 second")
        const second = yield* server.welcomes({ rate, burst })
        yield* TestClock.adjust("3 seconds")
        yield* second.joins()
        yield* TestClock.adjust("30 seconds")
        assert.isAtMost(excess(sentAt(second), rate, burst), 1e-6)
        assert.isAtLeast(second.all("notice").length, Math.min(60, rate * 20))
      }).pipe(Effect.scoped, Random.withSeed(seed)),
    { arbitrary: { runs: 25 } }
  )

  it.effect("holds back while the socket has not sent what it was given", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined({ offlineQueue: 4 })
      socket.bufferedAmount = 64 * 1024
      for (let x = 0; x < 4; x++) yield* room.Moved({ x })
      assert.strictEqual((yield* Effect.flip(room.Moved({ x: 4 }))).reason._tag, "QueueFull")
      yield* TestClock.adjust("1 second")
      assert.lengthOf(socket.all("notice"), 0)
      socket.bufferedAmount = 0
      yield* TestClock.adjust("20 millis")
      assert.lengthOf(socket.all("notice"), 4)
    }))
})

describe("a notice", () => {
  it.effect("that is too large for one message fails", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined({}, { message: 90 })
      const error = yield* Effect.flip(room.Painted({ dots: "x".repeat(90) }))
      assert(error.reason._tag === "LimitExceeded")
      assert.strictEqual(error.reason.max, 90)
      yield* settled
      assert.lengthOf(socket.all("notice"), 0)
    }))
})
