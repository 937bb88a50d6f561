import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Random, Scope, Stream, SubscriptionRef } from "effect"
import { TestClock } from "effect/testing"
import * as Client from "../../src/client/Client.ts"
import { Connector } from "../../src/client/Connector.ts"
import { Chat, joined, online, ScriptedServer, settled, start, startAnyhow } from "./ScriptedServer.ts"

const stateOf = (client: Client.Client) => SubscriptionRef.getUnsafe(client.state)

/** The waits before the next `count` attempts of a client whose connections all fail. */
const waits = Effect.fnUntraced(function*(count: number, options: Partial<Client.Options> = {}) {
  const { client, server } = yield* startAnyhow(options)
  const waits: Array<number> = []
  for (let i = 0; i < count; i++) {
    const socket = yield* server.accept
    socket.close(1006)
    yield* settled
    const state = stateOf(client)
    assert(state._tag === "waiting")
    assert.strictEqual(state.attempt, i + 1)
    waits.push(state.retryIn)
    yield* TestClock.adjust(state.retryIn)
  }
  return waits
})

describe("a client", () => {
  it.effect("says hello with its token, and is online once it is welcome", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start({ token: "secret" })
      assert.strictEqual(stateOf(client)._tag, "connecting")
      const socket = yield* server.accept
      assert.strictEqual(socket.url, "ws://test/live")
      assert.strictEqual(socket.protocols[0], "heddle.v1+json")
      socket.open()
      assert.deepStrictEqual(socket.frames, [{ _tag: "hello", token: "secret", resume: null }])
      assert.strictEqual(stateOf(client)._tag, "connecting")
      socket.welcome()
      assert.strictEqual(stateOf(client)._tag, "online")
    }))

  it.effect("stops when the server does not speak the protocol", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start()
      const socket = yield* server.accept
      socket.open("")
      yield* settled
      assert.deepStrictEqual(stateOf(client), { _tag: "stopped", code: 1002, reason: "no heddle.v1+json" })
      assert.isDefined(socket.closed)
      assert.lengthOf(socket.frames, 1, "nothing is said after the hello")
    }))

  it.effect("gives up a handshake after ten seconds and tries again", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start()
      const socket = yield* server.accept
      socket.open()
      yield* TestClock.adjust("9999 millis")
      assert.strictEqual(stateOf(client)._tag, "connecting")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(socket.closed?.code, 4408)
      assert.strictEqual(stateOf(client)._tag, "waiting")
      yield* TestClock.adjust("1 second")
      yield* server.welcomes()
      assert.strictEqual(stateOf(client)._tag, "online")
    }))

  it.effect("gives up a socket that never opens", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start()
      const socket = yield* server.accept
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(socket.closed?.code, 4408)
      assert.strictEqual(stateOf(client)._tag, "waiting")
      socket.open()
      socket.close(1006)
      yield* settled
      assert.lengthOf(socket.frames, 1, "what a given up socket does later means nothing")
    }))

  it.effect("answers a ping within the callback that brought it", () =>
    Effect.gen(function*() {
      const { socket } = yield* online()
      socket.send({ _tag: "ping" })
      assert.lengthOf(socket.all("pong"), 1)
    }))

  it.effect("closes and reconnects when the server is silent for as long as was announced", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start()
      const socket = yield* server.welcomes({}, 60_000)
      yield* TestClock.adjust("40 seconds")
      socket.send({ _tag: "ping" })
      yield* TestClock.adjust("59999 millis")
      assert.strictEqual(stateOf(client)._tag, "online")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(socket.closed?.code, 4408)
      const state = stateOf(client)
      assert(state._tag === "waiting")
      assert.strictEqual(state.code, 4408)
    }))

  it.effect("ignores unknown and malformed frames", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      socket.sendText("[\"novelty\",1]\nnonsense\n[\"ok\"]\n{}")
      const clearing = yield* Effect.forkChild(room.Clear())
      const { ref } = yield* socket.next("request")
      socket.send({ _tag: "ok", ref, value: null })
      yield* Fiber.join(clearing)
    }))

  it.effect("fails a request whose answer is malformed", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const clearing = yield* Effect.forkChild(Effect.flip(room.Clear()))
      const { ref } = yield* socket.next("request")
      socket.sendText(`["error",${ref},"no"]`)
      assert.strictEqual((yield* Fiber.join(clearing)).reason._tag, "MalformedFrame")
    }))

  it.effect("closes a connection that keeps sending malformed frames, and tries again", () =>
    Effect.gen(function*() {
      const { client, socket } = yield* online()
      for (let i = 0; i < 15; i++) socket.sendText("nonsense")
      assert.isTrue(socket.closed === undefined)
      socket.sendText("nonsense")
      assert.strictEqual(socket.closed?.code, 4400)
      yield* settled
      assert.strictEqual(stateOf(client)._tag, "waiting")
    }))

  it.effect("tells its states in order, each once", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start()
      const states = yield* SubscriptionRef.changes(client.state).pipe(
        Stream.takeUntil(({ _tag }) => _tag === "stopped"),
        Stream.runCollect,
        Effect.forkChild({ startImmediately: true })
      )
      yield* settled
      const first = yield* server.welcomes()
      first.close(1012)
      yield* TestClock.adjust("1 second")
      const second = yield* server.welcomes()
      second.close(4500, "stay away")
      assert.deepStrictEqual((yield* Fiber.join(states)).map(({ _tag }) => _tag), [
        "connecting",
        "online",
        "waiting",
        "connecting",
        "online",
        "stopped"
      ])
    }))
})

describe("the wait before a reconnect", () => {
  it.effect("ends when the client is told to connect now", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start({ reconnect: { base: "1 hour", max: "1 hour" } })
      const first = yield* server.accept
      yield* client.reconnect
      first.close(1006)
      yield* settled
      assert.strictEqual(stateOf(client)._tag, "waiting", "told while it connected, which it did already")
      yield* client.reconnect
      const second = yield* server.welcomes()
      yield* client.reconnect
      yield* settled
      assert.lengthOf(server.sockets, 2)
      second.close(1006)
      yield* settled
      const state = stateOf(client)
      assert(state._tag === "waiting")
      assert.strictEqual(state.attempt, 2, "attempts are counted all the same")
      yield* TestClock.adjust(state.retryIn - 1)
      assert.lengthOf(server.sockets, 2)
      yield* TestClock.adjust(1)
      assert.lengthOf(server.sockets, 3)
      yield* client.close
      yield* client.reconnect
      yield* settled
      assert.lengthOf(server.sockets, 3)
    }))

  it.effect("is anything from zero to a bound that doubles up to its cap", () =>
    Effect.gen(function*() {
      for (let seed = 0; seed < 20; seed++) {
        const delays = yield* Effect.scoped(waits(10).pipe(Random.withSeed(seed)))
        delays.forEach((delay, attempt) => {
          assert.isAtLeast(delay, 0)
          assert.isAtMost(delay, Math.min(30_000, 500 * 2 ** attempt))
        })
      }
    }))

  it.effect("is spread over all of it", () =>
    Effect.gen(function*() {
      const capped: Array<number> = []
      for (let seed = 0; seed < 60; seed++) {
        const options = { reconnect: { base: "1 second", max: "1 second" } } as const
        capped.push(...yield* Effect.scoped(waits(5, options).pipe(Random.withSeed(seed))))
      }
      assert.isBelow(Math.min(...capped), 50)
      assert.isAbove(Math.max(...capped), 950)
      const mean = capped.reduce((sum, delay) => sum + delay, 0) / capped.length
      assert.isTrue(mean > 450 && mean < 550, `${mean}`)
    }))

  it.effect("differs from client to client", () =>
    Effect.gen(function*() {
      const one = yield* Effect.scoped(waits(5).pipe(Random.withSeed("a")))
      const other = yield* Effect.scoped(waits(5).pipe(Random.withSeed("b")))
      assert.notDeepEqual(one, other)
    }))

  it.effect("starts from the shortest again after ten seconds online", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start()
      const attemptAfter = Effect.fnUntraced(function*(online: number) {
        const socket = yield* server.welcomes()
        yield* TestClock.adjust(online)
        socket.close(1006)
        yield* settled
        const state = stateOf(client)
        assert(state._tag === "waiting")
        yield* TestClock.adjust(state.retryIn)
        return state.attempt
      })
      assert.strictEqual(yield* attemptAfter(9_999), 1)
      assert.strictEqual(yield* attemptAfter(9_999), 2)
      assert.strictEqual(yield* attemptAfter(10_000), 1)
      assert.strictEqual(yield* attemptAfter(0), 2)
    }))

  it.effect("is what a draining server asked for, and a little more", () =>
    Effect.gen(function*() {
      for (let seed = 0; seed < 20; seed++) {
        yield* Effect.scoped(Effect.gen(function*() {
          const { client, server } = yield* startAnyhow()
          const socket = yield* server.welcomes()
          socket.send({ _tag: "drain", after: 5_000 })
          socket.close(1012)
          yield* settled
          const state = stateOf(client)
          assert(state._tag === "waiting")
          assert.isAtLeast(state.retryIn, 5_000)
          assert.isAtMost(state.retryIn, 5_500)
        })).pipe(Random.withSeed(seed))
      }
    }))
})

describe("a close code", () => {
  for (const code of [1001, 1005, 1006, 1009, 1011, 1012, 1013, 4408, 4409, 4410, 4429, 3999]) {
    it.effect(`${code} makes the client come back`, () =>
      Effect.gen(function*() {
        const { client, server, socket } = yield* online()
        socket.close(code)
        yield* TestClock.adjust("1 second")
        yield* server.welcomes()
        assert.strictEqual(stateOf(client)._tag, "online")
      }))
  }

  for (const code of [1000, 1002, 1007, 4500, 4777]) {
    it.effect(`${code} makes the client stay away`, () =>
      Effect.gen(function*() {
        const { client, server, socket } = yield* online()
        socket.close(code, "go")
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(stateOf(client), { _tag: "stopped", code, reason: "go" })
        assert.lengthOf(server.sockets, 1)
      }))
  }

  it.effect("4401 makes the client ask for a new token, once for each attempt", () =>
    Effect.gen(function*() {
      let asked = 0
      const { client, server } = yield* start({ token: Effect.sync(() => `token ${++asked}`) })
      for (let attempt = 1; attempt <= 3; attempt++) {
        const socket = yield* server.accept
        socket.open()
        assert.strictEqual(socket.all("hello")[0]?.token, `token ${attempt}`)
        socket.close(4401)
        yield* TestClock.adjust("5 seconds")
      }
      yield* server.welcomes()
      assert.strictEqual(stateOf(client)._tag, "online")
      assert.strictEqual(asked, 4)
    }))

  for (const token of ["secret", undefined]) {
    it.effect(`4401 stops a client ${token === undefined ? "without a token" : "whose token never changes"}`, () =>
      Effect.gen(function*() {
        const { client, server } = yield* start(token === undefined ? {} : { token })
        const socket = yield* server.accept
        socket.open()
        socket.close(4401, "who are you")
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(stateOf(client), { _tag: "stopped", code: 4401, reason: "who are you" })
        assert.lengthOf(server.sockets, 1)
      }))
  }

  it.effect("a token effect that dies stops the client", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start({ token: Effect.die(new Error("no vault")) })
      yield* settled
      assert.deepStrictEqual(stateOf(client), { _tag: "stopped", code: 1006, reason: "Error: no vault" })
      assert.lengthOf(server.sockets, 0)
    }))
})

describe("a stopped client", () => {
  it.effect("is what an address that no socket takes comes to", () =>
    Effect.gen(function*() {
      const client = yield* Client.make({ url: "nonsense" }).pipe(
        Effect.provideService(Connector, () => {
          throw new SyntaxError("not a URL")
        })
      )
      yield* settled
      assert.deepStrictEqual(stateOf(client), { _tag: "stopped", code: 1006, reason: "SyntaxError: not a URL" })
    }))

  it.effect("fails what is open, what waits and what comes later", () =>
    Effect.gen(function*() {
      const { client, room, socket } = yield* joined({}, { openRequests: 1 })
      const open = yield* Effect.forkChild(Effect.flip(room.Clear()))
      yield* socket.next("request")
      const waiting = yield* Effect.forkChild(Effect.flip(room.Clear()))
      const joining = yield* Effect.forkChild(Effect.flip(client.join(Chat, "other", { name: "ada" })))
      const reading = yield* Effect.forkChild(Effect.flip(Stream.runDrain(room.events)))
      yield* settled
      socket.close(4500)
      const lost = yield* Fiber.join(open)
      assert(lost.reason._tag === "ConnectionLost")
      assert.deepStrictEqual([lost.reason.code, lost.reason.mayHaveRun], [4500, true])
      const errors = [
        yield* Fiber.join(waiting),
        yield* Fiber.join(joining),
        yield* Fiber.join(reading),
        yield* Effect.flip(room.Say({ text: "hi" })),
        yield* Effect.flip(room.Typing()),
        yield* Effect.flip(client.join(Chat, "third", { name: "ada" }))
      ]
      for (const error of errors) {
        assert(error._tag === "RequestError" && error.reason._tag === "ClientClosed")
        assert.strictEqual(error.reason.code, 4500)
      }
    }))

  it.effect("closed by its user, sends what it still has and closes with 1000", () =>
    Effect.gen(function*() {
      const { client, room, socket } = yield* joined()
      yield* room.Typing()
      yield* client.close
      yield* client.close
      assert.lengthOf(socket.all("notice"), 1)
      assert.deepStrictEqual(socket.closed, { code: 1000, reason: "closed" })
      assert.deepStrictEqual(stateOf(client), { _tag: "stopped", code: 1000, reason: "closed" })
      yield* TestClock.adjust("1 hour")
    }))

  it.effect("leaves nothing behind when its scope closes, whatever it was doing", () =>
    Effect.gen(function*() {
      const server = new ScriptedServer(yield* Clock.Clock)
      const inScope = <A, E>(use: (client: Client.Client) => Effect.Effect<A, E>) =>
        Effect.gen(function*() {
          const scope = yield* Scope.make()
          const client = yield* Client.make({ url: "ws://test" }).pipe(
            Effect.provideService(Connector, server.connect),
            Scope.provide(scope)
          )
          yield* use(client)
          yield* Scope.close(scope, Exit.void)
          yield* settled
          return client
        })
      yield* inScope(() => Effect.void)
      assert.lengthOf(server.sockets, 0, "closed before it could connect")
      yield* inScope(() => server.accept)
      yield* inScope(() => server.welcomes())
      yield* inScope(() => Effect.map(server.accept, (socket) => socket.close(1006)))
      assert.deepStrictEqual(server.sockets.map(({ closed }) => closed?.code), [1000, 1000, undefined])
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(server.sockets, 3)
    }))
})
