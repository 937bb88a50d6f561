import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Schema, SubscriptionRef } from "effect"
import { TestClock } from "effect/testing"
import { Engine, Room } from "heddle"
import { TestServer } from "heddle/testing"

class Chat extends Room.make("chat", {
  join: { payload: { name: Schema.String } },
  presence: { name: Schema.String },
  snapshot: { said: Schema.Int },
  requests: { Say: { payload: { text: Schema.String }, success: Schema.Int }, Slow: {} },
  events: { Said: { text: Schema.String } }
}) {}

const ChatLive = Chat.toLayer((room) => {
  let said = 0
  return {
    join: ({ payload }) => Effect.succeed(payload),
    snapshot: () => Effect.succeed({ said }),
    Say: ({ payload }) => Effect.map(room.emit("Said", payload), () => ++said),
    Slow: () => Effect.sleep("10 seconds")
  }
})

const app = Engine.layer({ path: "/live", rooms: [ChatLive], fetch: () => new Response("hello") })
/** A connection that is lost ends its session. */
const withoutSessions = Engine.layer({ path: "/live", rooms: [ChatLive], limits: { sessionWindow: 0 } })
const silent = Logger.layer([])

const run = <A, E>(test: (server: TestServer.TestServer["Service"]) => Effect.Effect<A, E, any>, engine = app) =>
  TestServer.run(engine, test, { path: "/live" }).pipe(Effect.provide(silent)) as Effect.Effect<A, E>

const join = Effect.fnUntraced(function*(server: TestServer.TestServer["Service"], name: string) {
  const client = yield* server.client()
  const room = yield* client.join(Chat, "lobby", { name })
  return { client, room, received: yield* TestServer.received(room) }
})

describe("a server under test", () => {
  it.live("lets members talk, and tells what each received", () =>
    run(Effect.fnUntraced(function*(server) {
      const ada = yield* join(server, "ada")
      const bob = yield* join(server, "bob")
      assert.strictEqual(yield* ada.room.Say({ text: "one" }), 1)
      yield* bob.room.Say({ text: "two" })
      const first = yield* bob.received.next("Said")
      const second = yield* bob.received.next("Said")
      assert.deepStrictEqual([first.payload.text, second.payload.text], ["one", "two"])
      assert.deepStrictEqual(ada.received.events.map(({ _tag }) => _tag), ["synced", "Said", "Said"])
      yield* ada.received.none("Said", "1 minute")
    })))

  it.live("says what came instead of the event that did not", () =>
    run(Effect.fnUntraced(function*(server) {
      const { received, room } = yield* join(server, "ada")
      yield* room.Say({ text: "hello" })
      yield* received.next("Said")
      const error = yield* Effect.flip(received.next("Said", { within: "1 second" }))
      assert.instanceOf(error, TestServer.NotReceived)
      assert.match(error.message, /^no Said within 1000 ms of virtual time; received:\n {2}synced .*\n {2}Said .*hello/)
      yield* Effect.forkChild(Effect.delay(room.Say({ text: "again" }), "100 millis"))
      const unexpected = yield* Effect.flip(received.none("Said", "1 second"))
      assert.match(unexpected.message, /received Said .*again/)
    })))

  it.live("cuts a connection, whose client comes back", () =>
    run(
      Effect.fnUntraced(function*(server) {
        const { client, received, room } = yield* join(server, "ada")
        const bob = yield* join(server, "bob")
        yield* received.next("synced")
        const slow = yield* Effect.forkChild(Effect.flip(room.Slow()), { startImmediately: true })
        yield* received.none("synced", "1 second")
        yield* client.cut
        assert.match((yield* Fiber.join(slow)).message, /may have run/)
        // Before she is back.
        yield* bob.room.Say({ text: "while she is away" })
        assert.strictEqual((yield* received.next("synced")).reason, "gap")
        assert.strictEqual(yield* room.Say({ text: "back" }), 2)
      }),
      withoutSessions
    ))

  it.live("cuts a connection, whose client takes up its session again", () =>
    run(Effect.fnUntraced(function*(server) {
      const { client, received, room } = yield* join(server, "ada")
      const bob = yield* join(server, "bob")
      yield* received.next("synced")
      yield* bob.received.next("synced")
      const slow = yield* Effect.forkChild(Effect.exit(room.Slow()), { startImmediately: true })
      yield* received.none("synced", "1 second")
      yield* client.cut
      yield* TestClock.adjust("1 hour")
      assert.notMatch(String(yield* Fiber.join(slow)), /may have run/)
      assert.deepStrictEqual([...(yield* SubscriptionRef.get(bob.room.presence)).keys()].length, 2)
    })))

  it.live("holds back what a stalled client would read", () =>
    run(Effect.fnUntraced(function*(server) {
      const ada = yield* join(server, "ada")
      const bob = yield* join(server, "bob")
      yield* bob.client.stall
      yield* ada.room.Say({ text: "hello" })
      yield* bob.received.none("Said", "1 second")
      yield* bob.client.unstall
      yield* bob.received.next("Said")
    })))

  it.live("restarts: rooms begin anew, clients come back", () =>
    run(Effect.fnUntraced(function*(server) {
      const { received, room } = yield* join(server, "ada")
      yield* room.Say({ text: "hello" })
      yield* received.next("synced")
      yield* server.restart
      const { snapshot } = yield* received.next("synced", { within: "1 minute" })
      assert.deepStrictEqual(snapshot, { said: 0 })
      yield* server.provide(Engine.emit(Chat, "lobby", "Said", { text: "from outside" }))
      assert.strictEqual((yield* received.next("Said")).payload.text, "from outside")
      assert.strictEqual((yield* server.engine().rooms).length, 1)
      const response = yield* Effect.promise(() => server.fetch("/"))
      assert.strictEqual(yield* Effect.promise(() => response.text()), "hello")
    })))

  it.effect("is a layer too, in the virtual time of the test runner", () =>
    Effect.gen(function*() {
      const { received, room } = yield* join(yield* TestServer.TestServer, "ada")
      yield* room.Say({ text: "hello" })
      yield* received.next("Said")
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.provideMerge(TestServer.layer(app, { path: "/live" }), silent))
    ))
})
