import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import type * as Client from "../../src/client/Client.ts"
import type * as Frame from "../../src/wire/Frame.ts"
import { online, settled, Ticker } from "./ScriptedServer.ts"
import type { ScriptedSocket } from "./ScriptedServer.ts"

const subscribes = Effect.fnUntraced(function*(socket: ScriptedSocket, offset = 0) {
  const subscribe = yield* socket.next("subscribe")
  socket.send({ _tag: "subscribed", ref: subscribe.ref, channel: 3, position: ["e", 1, offset], recovered: false })
  return subscribe
})

const published = (offset: number, price: Frame.Json = offset) =>
  ({ _tag: "event", channel: 3, offset, name: "Published", payload: { price }, except: null }) as const

const read = Effect.fnUntraced(function*(client: Client.Client, delay = 0) {
  const seen: Array<number> = []
  const fiber = yield* client.subscribe(Ticker, "AAPL").pipe(
    Stream.runForEach(({ price }) =>
      Effect.andThen(Effect.sync(() => seen.push(price)), delay === 0 ? Effect.void : Effect.sleep(delay))
    ),
    Effect.forkChild
  )
  yield* settled
  return { seen, fiber }
})

describe("a topic", () => {
  it.effect("streams what is published, and skips what does not fit", () =>
    Effect.gen(function*() {
      const { client, socket } = yield* online()
      const { seen } = yield* read(client)
      const { _tag, key, position, topic } = yield* subscribes(socket)
      assert.deepStrictEqual([_tag, topic, key, position], ["subscribe", "ticker", "AAPL", null])
      socket.send(
        published(1),
        published(2, "two"),
        published(3),
        { _tag: "volatile", channel: 3, name: "Published", payload: { price: 99 }, except: null }
      )
      yield* settled
      assert.deepStrictEqual(seen, [1, 3, 99])
    }))

  it.effect("is subscribed once for all its streams, and unsubscribed with the last", () =>
    Effect.gen(function*() {
      const { client, socket } = yield* online()
      const one = yield* read(client)
      yield* subscribes(socket)
      const two = yield* read(client)
      socket.send(published(1))
      yield* settled
      assert.deepStrictEqual([one.seen, two.seen], [[1], [1]])
      assert.lengthOf(socket.all("subscribe"), 1)
      yield* Fiber.interrupt(one.fiber)
      yield* settled
      assert.lengthOf(socket.all("unsubscribe"), 0)
      yield* Fiber.interrupt(two.fiber)
      const { channel, ref } = yield* socket.next("unsubscribe")
      assert.strictEqual(channel, 3)
      yield* read(client)
      assert.lengthOf(socket.all("subscribe"), 1)
      socket.send({ _tag: "ok", ref, value: null })
      yield* settled
      assert.lengthOf(socket.all("subscribe"), 2)
    }))

  it.effect("is subscribed again after a reconnect, from where it was", () =>
    Effect.gen(function*() {
      const { client, server, socket } = yield* online()
      const { seen } = yield* read(client)
      yield* subscribes(socket)
      socket.send(published(1))
      socket.close(1006)
      yield* TestClock.adjust("1 second")
      const second = yield* server.welcomes()
      const { position } = yield* subscribes(second, 5)
      assert.deepStrictEqual(position, ["e", 1, 1])
      second.send(published(6))
      yield* settled
      assert.deepStrictEqual(seen, [1, 6])
    }))

  it.effect("drops the oldest for a slow stream", () =>
    Effect.gen(function*() {
      const { client, socket } = yield* online({ eventBuffer: 4 })
      const { seen } = yield* read(client, 1_000)
      yield* subscribes(socket)
      for (let offset = 1; offset <= 20; offset++) {
        socket.send(published(offset))
        yield* settled
      }
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(seen, [1, 17, 18, 19, 20])
    }))

  it.effect("that the server refuses fails its streams", () =>
    Effect.gen(function*() {
      const { client, socket } = yield* online()
      const { fiber } = yield* read(client)
      const { ref } = yield* socket.next("subscribe")
      socket.send({ _tag: "error", ref, error: { _tag: "Unauthorized", detail: "not yours" } })
      assert.strictEqual((yield* Effect.flip(Fiber.join(fiber))).reason._tag, "Unauthorized")
    }))

  it.effect("fails its streams when the client is closed", () =>
    Effect.gen(function*() {
      const { client, socket } = yield* online()
      const { fiber } = yield* read(client)
      yield* subscribes(socket)
      yield* client.close
      assert.strictEqual((yield* Effect.flip(Fiber.join(fiber))).reason._tag, "ClientClosed")
      const late = yield* Effect.flip(Stream.runDrain(client.subscribe(Ticker, "AAPL")))
      assert.strictEqual(late.reason._tag, "ClientClosed")
    }))
})
