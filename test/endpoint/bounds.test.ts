import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Endpoint from "../../src/engine/Endpoint.ts"
import { type Client, serve, until } from "./lab.ts"

const KiB = 1024

/** An endpoint that joins `all` and reads when it is told to; and what it has read. */
const reader = (read: Effect.Effect<void>) => {
  const got: Array<string | Uint8Array> = []
  const endpoint = Endpoint.make("/", {
    handle: (socket) =>
      Effect.gen(function*() {
        yield* socket.join("all")
        yield* read
        yield* socket.messages.pipe(Stream.runForEach((message) => Effect.sync(() => got.push(message))))
      })
  })
  return { endpoint, got }
}

/** Lets everything happen that can happen without time passing. */
const settle = Effect.gen(function*() {
  for (let rounds = 0; rounds < 50; rounds++) yield* Effect.yieldNow
})

const bytesOf = ({ messages }: Client) => messages.reduce((sum, message) => sum + message.length, 0)

describe("what an endpoint's client sends", () => {
  it.effect("is at most one message of the largest size; a larger one is 1009", () => {
    const { endpoint, got } = reader(Effect.void)
    return serve([endpoint], { limits: { messageBytes: 10 } })(Effect.fnUntraced(function*({ end, open }) {
      const client = yield* open("/")
      client.send("0123456789")
      client.send("éééééx")
      assert.strictEqual((yield* end(client)).code, 1009)
      assert.deepStrictEqual(got, ["0123456789"])
    }))
  })

  it.effect("waits, 256 messages of it, and then it is not read until half of that was", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { endpoint, got } = reader(Deferred.await(gate))
      yield* serve([endpoint], { limits: { frameBurst: 1e9 } })(Effect.fnUntraced(function*({ empty, open }) {
        const client = yield* open("/")
        const sent = Array.from({ length: 1000 }, String)
        for (const text of sent) client.send(text)
        yield* settle
        // The bytes of all but 256 messages.
        assert.strictEqual(client.unread(), sent.slice(256).join("").length)
        yield* Deferred.succeed(gate, undefined)
        yield* until("all is read", () => got.length === 1000)
        assert.deepStrictEqual(got, sent)
        client.close()
        yield* empty
      }))
    }))

  it.effect("waits, as many bytes as one message may have", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { endpoint, got } = reader(Deferred.await(gate))
      yield* serve([endpoint])(Effect.fnUntraced(function*({ open }) {
        const client = yield* open("/")
        for (let index = 0; index < 8; index++) client.send(new Uint8Array(30 * KiB))
        yield* settle
        assert.strictEqual(client.unread(), 5 * 30 * KiB)
        yield* Deferred.succeed(gate, undefined)
        yield* until("all is read", () => got.length === 8)
      }))
    }))

  it.effect("is read no faster than the frame rate: nothing is lost, the client waits", () => {
    const { endpoint, got } = reader(Effect.void)
    return serve([endpoint], { limits: { frameRate: 10, frameBurst: 20 } })(
      Effect.fnUntraced(function*({ open }) {
        const client = yield* open("/")
        const sent = Array.from({ length: 400 }, String)
        for (const text of sent) client.send(text)
        yield* settle
        assert.strictEqual(got.length, 20)
        yield* TestClock.adjust("1 second")
        yield* settle
        assert.strictEqual(got.length, 30)
        assert.isAbove(client.unread(), 0)
        yield* TestClock.adjust("40 seconds")
        yield* until("all is read", () => got.length === 400)
        assert.deepStrictEqual(got, sent)
        assert.isUndefined(client.closed)
      })
    )
  })

  it.effect("may be nothing for as long as the client likes", () => {
    const { endpoint } = reader(Effect.void)
    return serve([endpoint])(Effect.fnUntraced(function*({ open }) {
      const client = yield* open("/")
      yield* TestClock.adjust("2 hours")
      assert.isUndefined(client.closed)
    }))
  })
})

describe("what an endpoint sends", () => {
  const sender = (size: number) => {
    const state = { sent: 0 }
    const endpoint = Endpoint.make("/", {
      handle: (socket) =>
        Effect.forever(
          Effect.tap(socket.send("x".repeat(size)), () => Effect.sync(() => state.sent++)),
          { disableYield: true }
        )
    })
    return { endpoint, state }
  }

  it.effect("waits for the client: one that does not read suspends the sender at half of the outbox", () => {
    const { endpoint, state } = sender(KiB)
    return serve([endpoint])(Effect.fnUntraced(function*({ empty, open }) {
      const client = yield* open("/")
      client.stall()
      yield* settle
      const early = client.messages.length
      // 64 KiB are in the runtime, and half of 1,024 messages in the outbox.
      assert.isAtMost(state.sent - early, 64 + 512 + 1)
      assert.isAtLeast(state.sent - early, 512)
      const before = state.sent
      yield* settle
      assert.strictEqual(state.sent, before)
      client.unstall()
      yield* until("it goes on", () => state.sent > before + 1000)
      assert.isUndefined(client.closed)
      client.cut()
      yield* empty
    }))
  })

  it.effect("is closed with 4409 when the client takes nothing for 62.5 seconds, and not while it takes a little", () => {
    const { endpoint } = sender(100 * KiB)
    return serve([endpoint])(Effect.fnUntraced(function*({ empty, open }) {
      const client = yield* open("/")
      client.stall()
      for (let minutes = 0; minutes < 5; minutes++) {
        yield* settle
        yield* TestClock.adjust("1 minute")
        assert.isUndefined(client.closed)
        const before = bytesOf(client)
        client.unstall()
        yield* until("it reads", () => bytesOf(client) > before + 300 * KiB)
        client.stall()
      }
      yield* settle
      yield* TestClock.adjust("63 seconds")
      client.unstall()
      yield* until("it is closed", () => client.closed !== undefined)
      assert.strictEqual(client.closed?.code, 4409)
      yield* empty
    }))
  })

  it.effect("is given up as well when others filled the outbox, and not when nobody waits any more", () => {
    const endpoint = Endpoint.make("/", {
      handle: (socket) =>
        Effect.gen(function*() {
          yield* socket.join("all")
          yield* socket.messages.pipe(Stream.runForEach(() => socket.send("x".repeat(300 * KiB))))
        })
    })
    return serve([endpoint])(Effect.fnUntraced(function*({ end, open }) {
      const patient = yield* open("/")
      const lost = yield* open("/")
      for (const client of [patient, lost]) client.stall()
      for (let index = 0; index < 7; index++) {
        yield* Endpoint.publish("all", "x".repeat(100 * KiB))
        yield* settle
      }
      for (const client of [patient, lost]) client.send("go")
      yield* settle
      yield* TestClock.adjust("1 minute")
      patient.unstall()
      yield* until("it has all", () => bytesOf(patient) === 1000 * KiB)
      yield* TestClock.adjust("2 seconds")
      assert.isUndefined(lost.closed)
      yield* TestClock.adjust("1 seconds")
      lost.unstall()
      assert.strictEqual((yield* end(lost)).code, 4409)
      yield* TestClock.adjust("10 minutes")
      assert.isUndefined(patient.closed)
    }))
  })

  it.effect("is a defect past 16 MiB, and else as large as it likes", () => {
    const sizes = [16 * KiB * KiB, 1, 700 * KiB, 600 * KiB, 0]
    const endpoint = Endpoint.make("/", {
      handle: (socket) =>
        Effect.andThen(
          Effect.forEach(sizes, (size) => socket.send(new Uint8Array(size))),
          socket.messages.pipe(Stream.runForEach(() => socket.send(new Uint8Array(16 * KiB * KiB + 1))))
        )
    })
    return serve([endpoint])(Effect.fnUntraced(function*({ end, errors, open }) {
      const client = yield* open("/")
      client.send("more")
      assert.strictEqual((yield* end(client)).code, 1011)
      assert.include(errors[0], "a message of 16777217 bytes, more than 16777216, cannot be sent")
      assert.deepStrictEqual(client.messages.map(({ length }) => length), sizes)
    }))
  })

  it.effect("is still sent when the handler ends while the client is slow", () => {
    const endpoint = Endpoint.make("/", {
      handle: (socket) => Effect.forEach(Array.from({ length: 400 }), () => socket.send("x".repeat(KiB)))
    })
    return serve([endpoint])(Effect.fnUntraced(function*({ end, open }) {
      const client = yield* open("/")
      client.stall()
      yield* settle
      yield* TestClock.adjust("30 seconds")
      assert.isUndefined(client.closed)
      client.unstall()
      assert.strictEqual((yield* end(client)).code, 1000)
      assert.strictEqual(client.messages.length, 400)
    }))
  })

  it.effect("fails a waiting sender when the connection ends, and loses only it", () => {
    const outcomes: Array<string> = []
    const endpoint = Endpoint.make("/", {
      handle: (socket) =>
        socket.send("x".repeat(300 * KiB)).pipe(
          Effect.forever,
          Effect.tapError(({ code }) => Effect.sync(() => outcomes.push(`closed ${code}`))),
          Effect.onInterrupt(() => Effect.sync(() => outcomes.push("interrupted")))
        )
    })
    return serve([endpoint])(Effect.fnUntraced(function*({ empty, errors, open }) {
      const client = yield* open("/")
      client.stall()
      yield* settle
      client.cut()
      yield* empty
      assert.deepStrictEqual(outcomes, ["closed 1006"])
      assert.deepStrictEqual(errors, [])
    }))
  })

  it.effect("to a group closes whoever does not read with 4409, and reaches the others", () => {
    const { endpoint } = reader(Effect.void)
    return serve([endpoint])(Effect.fnUntraced(function*({ engine, open }) {
      const slow = yield* open("/")
      const good = yield* open("/")
      slow.stall()
      const counts = new Set<number>()
      for (let index = 0; index < 50; index++) {
        const count = yield* Endpoint.publish("all", "x".repeat(100 * KiB))
        assert.strictEqual(count, yield* engine.connections)
        counts.add(count)
        yield* until("the good one has it", () => good.messages.length === index + 1)
      }
      assert.deepStrictEqual([...counts], [2, 1])
      slow.unstall()
      yield* until("the slow one is told", () => slow.closed !== undefined)
      assert.strictEqual(slow.closed?.code, 4409)
      assert.isBelow(bytesOf(slow), 2 * KiB * KiB)
      assert.strictEqual(yield* engine.connections, 1)
    }))
  })
})
