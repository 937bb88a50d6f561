import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { joined, Muted, settled } from "./ScriptedServer.ts"

describe("a request", () => {
  it.effect("succeeds with what the handler answered", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const saying = yield* Effect.forkChild(room.Say({ text: "hi" }))
      const { ref, ...request } = yield* socket.next("request")
      assert.deepStrictEqual(request, {
        _tag: "request",
        channel: 7,
        seq: 1,
        ack: 0,
        name: "Say",
        payload: { text: "hi" },
        again: null
      })
      socket.send({ _tag: "ok", ref, value: 42 })
      assert.strictEqual(yield* Fiber.join(saying), 42)
    }))

  it.effect("fails with the contract's own error", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const saying = yield* Effect.forkChild(Effect.flip(room.Say({ text: "hi" })))
      const { ref } = yield* socket.next("request")
      socket.send({ _tag: "failed", ref, error: { _tag: "Muted", until: "2026-01-01T00:00:00.000Z" } })
      const error = yield* Fiber.join(saying)
      assert.instanceOf(error, Muted)
      assert.deepStrictEqual((error as Muted).until, new Date("2026-01-01T00:00:00.000Z"))
    }))

  it.effect("fails with the reason of a protocol error", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const saying = yield* Effect.forkChild(Effect.flip(room.Say({ text: "hi" })))
      const { ref } = yield* socket.next("request")
      socket.send({ _tag: "error", ref, error: { _tag: "Overloaded", retryAfter: 250 } })
      const error = yield* Fiber.join(saying)
      assert(error._tag === "RequestError" && error.reason._tag === "Overloaded")
      assert.strictEqual(error.reason.retryAfter, 250)
    }))

  it.effect("is answered out of order, and acknowledged as far as every answer came", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const first = yield* Effect.forkChild(room.Say({ text: "1" }))
      const second = yield* Effect.forkChild(room.Say({ text: "2" }))
      const one = yield* socket.next("request")
      const two = yield* socket.next("request")
      assert.deepStrictEqual([one.seq, two.seq], [1, 2])
      assert.notStrictEqual(one.ref, two.ref)
      socket.send({ _tag: "ok", ref: two.ref, value: 2 })
      assert.strictEqual(yield* Fiber.join(second), 2)
      yield* Effect.forkChild(room.Clear())
      const three = yield* socket.next("request")
      assert.deepStrictEqual([three.seq, three.ack], [3, 0])
      socket.send({ _tag: "ok", ref: one.ref, value: 1 })
      assert.strictEqual(yield* Fiber.join(first), 1)
      yield* Effect.forkChild(room.Clear())
      const four = yield* socket.next("request")
      assert.deepStrictEqual([four.seq, four.ack], [4, 2])
    }))

  it.effect("that does not fit the contract is not sent", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const error = yield* Effect.flip(room.Say({ text: 1 as never }))
      assert(error._tag === "RequestError" && error.reason._tag === "InvalidPayload")
      assert.strictEqual(error.reason.field, "payload.text")
      yield* settled
      assert.lengthOf(socket.all("request"), 0)
    }))

  it.effect("fails when the answer does not fit the contract", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const saying = yield* Effect.forkChild(Effect.flip(room.Say({ text: "hi" })))
      const { ref } = yield* socket.next("request")
      socket.send({ _tag: "ok", ref, value: "forty-two" })
      const error = yield* Fiber.join(saying)
      assert(error._tag === "RequestError" && error.reason._tag === "InvalidPayload")
      assert.strictEqual(error.reason.field, "success")
    }))

  it.effect("fails when the error is not in the contract", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const saying = yield* Effect.forkChild(Effect.flip(room.Clear()))
      const { ref } = yield* socket.next("request")
      socket.send({ _tag: "failed", ref, error: { _tag: "Muted" } })
      assert.strictEqual((yield* Fiber.join(saying)).reason._tag, "InvalidPayload")
    }))

  it.effect("that is too large for one message fails before it is sent", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined({}, { message: 1_000 })
      const error = yield* Effect.flip(room.Say({ text: "x".repeat(1_000) }))
      assert(error._tag === "RequestError" && error.reason._tag === "LimitExceeded")
      assert.strictEqual(error.reason.max, 1_000)
      yield* Effect.forkChild(room.Clear())
      assert.strictEqual((yield* socket.next("request")).seq, 1)
    }))

  it.effect("is cancelled on the server when it is interrupted", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const saying = yield* Effect.forkChild(room.Say({ text: "hi" }))
      const { ref } = yield* socket.next("request")
      yield* Fiber.interrupt(saying)
      assert.strictEqual((yield* socket.next("cancel")).ref, ref)
      socket.send({ _tag: "error", ref, error: { _tag: "Interrupted", detail: "cancelled" } })
      yield* Effect.forkChild(room.Clear())
      assert.strictEqual((yield* socket.next("request")).ack, 1)
    }))

  it.effect("that is interrupted before it was sent leaves no trace", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined({}, { openRequests: 1 })
      yield* Effect.forkChild(room.Say({ text: "1" }))
      const { ref } = yield* socket.next("request")
      const second = yield* Effect.forkChild(room.Say({ text: "2" }))
      yield* settled
      yield* Fiber.interrupt(second)
      socket.send({ _tag: "ok", ref, value: 1 })
      yield* settled
      assert.lengthOf(socket.all("request"), 1)
      assert.lengthOf(socket.all("cancel"), 0)
    }))

  it.effect("fails after its time, and is cancelled", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const saying = yield* Effect.forkChild(Effect.flip(room.Say({ text: "hi" })))
      const { ref } = yield* socket.next("request")
      yield* TestClock.adjust("34 seconds")
      assert.isUndefined(saying.pollUnsafe())
      yield* TestClock.adjust("1 second")
      const error = yield* Fiber.join(saying)
      assert(error._tag === "RequestError" && error.reason._tag === "HandlerTimeout")
      assert.strictEqual(error.reason.millis, 35_000)
      assert.strictEqual((yield* socket.next("cancel")).ref, ref)
    }))

  it.effect("fails with ConnectionLost when the connection ends, and is never sent again", () =>
    Effect.gen(function*() {
      const { room, server, socket } = yield* joined()
      const saying = yield* Effect.forkChild(Effect.flip(room.Say({ text: "hi" })))
      yield* socket.next("request")
      socket.close(1006)
      const error = yield* Fiber.join(saying)
      assert(error._tag === "RequestError" && error.reason._tag === "ConnectionLost")
      assert.deepStrictEqual([error.reason.code, error.reason.mayHaveRun], [1006, true])
      yield* TestClock.adjust("1 second")
      const second = yield* server.welcomes()
      yield* second.joins()
      yield* settled
      assert.lengthOf(second.all("request"), 0)
      yield* Effect.forkChild(room.Clear())
      const { ack, seq } = yield* second.next("request")
      assert.deepStrictEqual([seq, ack], [1, 0], "a new connection is a new session")
    }))

  it.effect("leaves with what else is sent in the same tick, in one message", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const before = socket.messages.length
      yield* room.Typing()
      yield* room.Moved({ x: 1 })
      yield* Effect.forkChild(room.Say({ text: "hi" }), { startImmediately: true })
      yield* settled
      assert.deepStrictEqual(socket.messages.slice(before).map(({ frames }) => frames.map(({ _tag }) => _tag)), [
        ["notice", "notice", "request"]
      ])
    }))

  it.effect("shares a message with no more frames and bytes than were announced", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined({}, { message: 300, frames: 3 })
      const before = socket.messages.length
      for (let x = 0; x < 7; x++) yield* room.Moved({ x })
      yield* settled
      assert.deepStrictEqual(socket.messages.slice(before).map(({ frames }) => frames.length), [3, 3, 1])
      yield* Effect.forkChild(room.Say({ text: "a".repeat(150) }))
      yield* Effect.forkChild(room.Say({ text: "b".repeat(150) }))
      yield* settled
      assert.deepStrictEqual(socket.messages.slice(before + 3).map(({ frames }) => frames.length), [1, 1])
    }))

  it.effect("waits while as many are open as were announced", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined({}, { openRequests: 2 })
      for (let i = 0; i < 3; i++) yield* Effect.forkChild(room.Say({ text: `${i}` }))
      yield* settled
      assert.lengthOf(socket.all("request"), 2)
      yield* room.Typing()
      yield* settled
      assert.lengthOf(socket.all("notice"), 0, "a notice does not overtake a request of its room")
      socket.send({ _tag: "ok", ref: socket.all("request")[1]!.ref, value: 1 })
      yield* settled
      assert.lengthOf(socket.all("request"), 2, "no more than so many beyond what is acknowledged")
      socket.send({ _tag: "ok", ref: socket.all("request")[0]!.ref, value: 1 })
      yield* settled
      assert.deepStrictEqual(socket.all("request").map(({ payload }) => payload), [
        { text: "0" },
        { text: "1" },
        { text: "2" }
      ])
      assert.lengthOf(socket.all("notice"), 1)
    }))
})
