/**
 * What goes out with the upgrade and before the welcome, and what becomes of it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Stream, SubscriptionRef } from "effect"
import { TestClock } from "effect/testing"
import type * as Client from "../../src/client/Client.ts"
import type * as Frame from "../../src/wire/Frame.ts"
import { Chat, settled, start, Ticker } from "./ScriptedServer.ts"
import type { ScriptedServer, ScriptedSocket } from "./ScriptedServer.ts"

const join = (client: Client.Client, key: string, name = "ada") =>
  Effect.forkChild(client.join(Chat, key, { name }), { startImmediately: true })

/** What was asked for, in order, message by message. */
const asked = (socket: ScriptedSocket) =>
  socket.messages.map(({ frames }) => frames.map((frame) => "key" in frame ? frame.key : frame._tag))

/** The next socket, which is opening. */
const connects = Effect.fnUntraced(function*(server: ScriptedServer) {
  yield* TestClock.adjust("5 seconds")
  return yield* server.accept
})

/** The next socket, open and not yet welcomed. */
const opens = Effect.fnUntraced(function*(server: ScriptedServer) {
  const socket = yield* connects(server)
  socket.open()
  yield* settled
  return socket
})

const keys = (count: number) => Array.from({ length: count }, (_, index) => `${index}`)

const limited = (ref: number, retryAfter: number): Frame.ServerFrames["error"] => ({
  _tag: "error",
  ref,
  error: { _tag: "RateLimited", retryAfter }
})

describe("with the hello of a new session", () => {
  it.effect("go the rooms and topics that are wanted by then, in order, in one message, with the upgrade", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start({ token: "secret" })
      const lobby = yield* join(client, "lobby")
      const prices = yield* client.subscribe(Ticker, "AAPL").pipe(
        Stream.take(1),
        Stream.runCollect,
        Effect.forkChild({ startImmediately: true })
      )
      yield* join(client, "cellar")
      const socket = yield* connects(server)
      assert.deepStrictEqual(asked(socket), [["hello", "lobby", "AAPL", "cellar"]])
      socket.open()
      const [hello, first, second] = socket.frames
      assert.deepInclude(hello, { token: "secret", resume: null })
      assert.deepInclude(first, { _tag: "join", ref: 1, payload: { name: "ada" }, position: null })
      assert.deepInclude(second, { _tag: "subscribe", ref: 2, position: null })
      socket.welcome()
      yield* socket.joins()
      const room = yield* Fiber.join(lobby)
      socket.send(
        { _tag: "subscribed", ref: 2, channel: 3, position: ["e", 1, 0], recovered: false },
        { _tag: "event", channel: 3, offset: 1, name: "Published", payload: { price: 5 }, except: null }
      )
      assert.deepStrictEqual(yield* Fiber.join(prices), [{ price: 5 }])
      yield* Effect.forkChild(room.Clear())
      assert.deepInclude(yield* socket.next("request"), { name: "Clear", seq: 1 })
      yield* settled
      assert.lengthOf(socket.all("join"), 2, "each is asked for once")
      assert.lengthOf(socket.all("subscribe"), 1)
    }))

  it.effect("goes nothing that is wanted later: it goes when the socket opens, or else waits for the welcome", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start()
      yield* join(client, "lobby")
      const socket = yield* connects(server)
      yield* join(client, "cellar")
      yield* join(client, "attic")
      yield* settled
      assert.deepStrictEqual(asked(socket), [["hello", "lobby"]])
      socket.open()
      assert.deepStrictEqual(asked(socket), [["hello", "lobby"], ["cellar", "attic"]])
      yield* join(client, "garden")
      yield* TestClock.adjust("1 second")
      assert.lengthOf(asked(socket), 2)
      socket.welcome()
      yield* settled
      assert.deepStrictEqual(asked(socket), [["hello", "lobby"], ["cellar", "attic"], ["garden"]])
    }))

  it.effect("go no more than half of the usual burst, and the others after the welcome at the pace it announces", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start()
      yield* Effect.forEach(keys(120), (key) => join(client, key))
      const socket = yield* connects(server)
      assert.isAtMost(socket.protocols.join(", ").length, 4_200)
      const [greeting = []] = asked(socket)
      assert.isAbove(greeting.length, 50)
      assert.deepStrictEqual(greeting, ["hello", ...keys(greeting.length - 1)])
      yield* TestClock.adjust("4 seconds")
      socket.open()
      assert.deepStrictEqual(asked(socket)[1], keys(99).slice(greeting.length - 1), "to the server no time has passed")
      socket.welcome({ rate: 10, burst: 210 })
      yield* settled
      assert.deepStrictEqual(asked(socket)[2], keys(104).slice(99), "half of 210, less the hundred")
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(asked(socket).flat().slice(1), keys(120))
    }))

  it.effect("goes no more than fits, and nothing overtakes what does not", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start()
      for (const [key, size] of [["small", 1], ["large", 60_000], ["larger", 6_000], ["last", 1]] as const) {
        yield* join(client, key, "x".repeat(size))
      }
      const socket = yield* connects(server)
      assert.deepStrictEqual(asked(socket), [["hello", "small"]])
      socket.open()
      assert.deepStrictEqual(asked(socket), [["hello", "small"], ["large"]])
      socket.welcome()
      yield* settled
      assert.deepStrictEqual(asked(socket), [["hello", "small"], ["large"], ["larger", "last"]])
    }))

  it.effect("goes nothing that only the announced limits allow, and does not fail for it", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start()
      const joining = yield* join(client, "huge", "x".repeat(70_000))
      const socket = yield* opens(server)
      assert.deepStrictEqual(asked(socket), [["hello"]])
      socket.welcome({ message: 100_000 })
      yield* socket.joins()
      yield* Fiber.join(joining)
    }))

  it.effect("goes everything as the socket opens where the hello is too large for an upgrade", () =>
    Effect.gen(function*() {
      for (const [size, isLarge] of [[3_059, false], [3_060, true]] as const) {
        const { client, server } = yield* start({ token: "t".repeat(size) })
        yield* join(client, "lobby")
        const socket = yield* connects(server)
        assert.strictEqual(socket.frames.length, isLarge ? 0 : 1)
        socket.open()
        assert.deepStrictEqual(asked(socket), isLarge ? [["hello", "lobby"]] : [["hello"], ["lobby"]])
      }
    }))

  it.effect("goes nothing beside a token that fills the message", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start({ token: "t".repeat(70_000) })
      yield* join(client, "lobby")
      const socket = yield* opens(server)
      assert.deepStrictEqual(asked(socket), [["hello"]])
    }))
})

describe("with the hello that takes up a session", () => {
  it.effect("goes nothing else", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start()
      const first = yield* server.accept
      first.open()
      first.welcome({}, undefined, { resume: "one" })
      yield* join(client, "lobby")
      yield* first.joins()
      first.close(1006)
      yield* join(client, "cellar")
      const second = yield* connects(server)
      assert.strictEqual(second.all("hello")[0]!.resume, "one")
      second.open()
      yield* settled
      assert.deepStrictEqual(asked(second), [["hello"]])
      second.welcome({}, undefined, { resume: "two" })
      yield* settled
      assert.deepStrictEqual(asked(second).flat(), ["hello", "pong", "cellar", "lobby"])
      second.close(4410)
      const third = yield* opens(server)
      assert.deepStrictEqual(asked(third), [["hello", "lobby", "cellar"]], "it has no session any more")
    }))
})

describe("a join that was sent with a hello", () => {
  for (const code of [1006, 4408, 1013]) {
    it.effect(`is sent again, once, where the connection ends with ${code} before the welcome`, () =>
      Effect.gen(function*() {
        const { client, server } = yield* start()
        const joining = yield* join(client, "lobby")
        const first = yield* opens(server)
        first.close(code)
        yield* settled
        assert.isUndefined(joining.pollUnsafe())
        const second = yield* opens(server)
        assert.deepStrictEqual(asked(second), [["hello", "lobby"]])
        second.welcome()
        yield* second.joins()
        yield* Fiber.join(joining)
        assert.deepStrictEqual(asked(second), [["hello", "lobby"]])
      }))
  }

  it.effect("is sent again with new credentials where the hello was refused", () =>
    Effect.gen(function*() {
      let asks = 0
      const { client, server } = yield* start({ token: Effect.sync(() => `token ${++asks}`) })
      const joining = yield* join(client, "lobby")
      const first = yield* opens(server)
      first.send({ _tag: "error", ref: null, error: { _tag: "Unauthorized", detail: "who are you" } })
      first.close(4401)
      yield* settled
      assert.isUndefined(joining.pollUnsafe())
      const second = yield* opens(server)
      assert.deepInclude(second.frames[0], { token: "token 2" })
      assert.deepStrictEqual(asked(second), [["hello", "lobby"]])
      second.welcome()
      yield* second.joins()
      yield* Fiber.join(joining)
    }))

  it.effect("fails with the client where the hello was refused for good", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start({ token: "secret" })
      const joining = yield* join(client, "lobby")
      const socket = yield* opens(server)
      socket.close(4401)
      const error = yield* Effect.flip(Fiber.join(joining))
      assert(error._tag === "RequestError" && error.reason._tag === "ClientClosed")
      assert.strictEqual(error.reason.code, 4401)
      assert.strictEqual(SubscriptionRef.getUnsafe(client.state)._tag, "stopped")
    }))

  it.effect("and given up before the welcome is cancelled after it, and left if it was too late", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start()
      const joining = yield* join(client, "lobby")
      const socket = yield* opens(server)
      yield* Fiber.interrupt(joining)
      yield* join(client, "lobby")
      yield* settled
      assert.deepStrictEqual(asked(socket), [["hello", "lobby"]])
      socket.welcome()
      yield* settled
      assert.deepStrictEqual(asked(socket), [["hello", "lobby"], ["cancel"]])
      assert.strictEqual(socket.all("cancel")[0]!.ref, 1)
      yield* socket.joins({ channel: 9 })
      const leave = yield* socket.next("leave")
      assert.strictEqual(leave.channel, 9)
      assert.lengthOf(socket.all("join"), 1, "the address is not free yet")
      socket.send({ _tag: "ok", ref: leave.ref, value: null })
      yield* settled
      assert.lengthOf(socket.all("join"), 2)
    }))

  it.effect("and given up is not sent again where the connection ends before the welcome", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start()
      const joining = yield* join(client, "lobby")
      yield* join(client, "cellar")
      const first = yield* opens(server)
      yield* Fiber.interrupt(joining)
      first.close(1006)
      const second = yield* opens(server)
      assert.deepStrictEqual(asked(second), [["hello", "cellar"]])
      second.welcome()
      yield* settled
      assert.deepStrictEqual(asked(second), [["hello", "cellar"]], "and nothing is left or cancelled")
    }))

  it.effect("and given up before the next connection is forgotten: its address is free, and its reference is another's", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start()
      const joining = yield* join(client, "lobby")
      yield* join(client, "cellar")
      const first = yield* opens(server)
      first.close(1006)
      yield* Fiber.interrupt(joining)
      yield* join(client, "lobby")
      const second = yield* opens(server)
      second.welcome()
      yield* settled
      assert.deepStrictEqual(asked(second), [["hello", "cellar", "lobby"]])
    }))

  it.effect("has its time from the welcome on", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start({ requestTimeout: "2 seconds" })
      const joining = yield* join(client, "lobby")
      const socket = yield* opens(server)
      yield* TestClock.adjust("4 seconds")
      socket.welcome()
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(joining.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const error = yield* Effect.flip(Fiber.join(joining))
      assert(error._tag === "RequestError" && error.reason._tag === "HandlerTimeout")
      assert.strictEqual(error.reason.millis, 2_000)
      assert.deepStrictEqual(asked(socket), [["hello", "lobby"], ["cancel"]])
    }))

  it.effect("fails as any other where the server refuses it", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start()
      const joining = yield* join(client, "lobby")
      const socket = yield* opens(server)
      socket.welcome()
      socket.send({ _tag: "error", ref: 1, error: { _tag: "NotServed", detail: "no such room" } })
      const exit = yield* Effect.exit(Fiber.join(joining))
      assert.isTrue(Exit.isFailure(exit))
      yield* settled
      assert.lengthOf(socket.all("join"), 1)
    }))
})

describe("limits that are narrower than was taken for granted", () => {
  it.effect("make a join wait that was sent too fast, whether it is told before the welcome or after", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start()
      const joining = yield* Effect.forEach(keys(3), (key) => join(client, key))
      yield* settled
      const socket = yield* server.accept
      socket.open()
      socket.send(limited(2, 300))
      socket.welcome({ rate: 10, burst: 2 })
      socket.send(limited(3, 300))
      yield* socket.joins({ ref: 1, channel: 10 })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(asked(socket), [["hello", "0", "1", "2"], ["1"], ["2"]])
      const times = socket.messages.map(({ at }) => at)
      assert.deepStrictEqual(times.map((at) => at - times[0]!), [0, 400, 500], "what was sent at once counts")
      for (const ref of [4, 5]) yield* socket.joins({ ref, channel: ref })
      yield* Effect.forEach(joining, Fiber.join)
    }))

  for (const code of [1009, 4429]) {
    it.effect(`let the next hello go alone where ${code} came instead of a welcome`, () =>
      Effect.gen(function*() {
        const { client, server } = yield* start()
        yield* Effect.forEach(keys(60), (key) => join(client, key))
        const first = yield* opens(server)
        assert.lengthOf(first.frames, 61)
        first.close(code)
        const second = yield* opens(server)
        assert.deepStrictEqual(asked(second), [["hello"]])
        second.welcome({ rate: 10, burst: 20 })
        yield* settled
        assert.lengthOf(second.all("join"), 9)
        second.close(1006)
        const third = yield* opens(server)
        assert.deepStrictEqual(asked(third), [["hello", ...keys(9)]], "within what is known by now")
      }))
  }
})
