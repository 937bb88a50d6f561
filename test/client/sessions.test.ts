/**
 * What a client does with its session: what goes on after a lost connection, and what does not.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Logger, Stream, SubscriptionRef } from "effect"
import { TestClock } from "effect/testing"
import type * as Client from "../../src/client/Client.ts"
import type * as Frame from "../../src/wire/Frame.ts"
import { Chat, joined as joinedWithout, settled, start, Ticker } from "./ScriptedServer.ts"
import type { ScriptedServer, ScriptedSocket } from "./ScriptedServer.ts"

type Welcome = Partial<Frame.ServerFrames["welcome"]>

const session = (token: string, seq = 0): Welcome => ({ session: "s-1", resume: token, window: 120_000, seq })

/** A client with a session, whose token is `one`, in the room `chat/lobby`, in channel 7 with offset 0. */
const joined = Effect.fnUntraced(
  function*(options: Partial<Client.Options> = {}, announced: Partial<Frame.Announced> = {}) {
    const { client, server } = yield* start({ reconnect: { max: "1 second" }, ...options })
    const socket = yield* server.welcomes(announced, undefined, session("one"))
    const joining = yield* Effect.forkChild(client.join(Chat, "lobby", { name: "ada" }))
    yield* socket.joins()
    return { client, room: yield* Fiber.join(joining), server, socket }
  }
)

/** Cuts the connection and welcomes the next. */
const comesBack = Effect.fnUntraced(function*(server: ScriptedServer, socket: ScriptedSocket, welcome: Welcome) {
  socket.close(1006)
  yield* TestClock.adjust("1 second")
  const next = yield* server.welcomes({}, undefined, welcome)
  yield* settled
  return next
})

const say = (room: Client.Joined<typeof Chat>, text: string) => Effect.forkChild(Effect.exit(room.Say({ text })))

const reasonOf = (exit: Exit.Exit<unknown, unknown>) => {
  assert(Exit.isFailure(exit))
  return (Cause.squash(exit.cause) as Client.RequestError).reason
}

const tags = (socket: ScriptedSocket) => socket.frames.map(({ _tag }) => _tag)

describe("the token of a session", () => {
  it.effect("is told in the next hello, always the newest, and put in force by a pong at once", () =>
    Effect.gen(function*() {
      const { server, socket } = yield* joined()
      assert.deepStrictEqual(tags(socket).slice(0, 2), ["hello", "pong"])
      assert.isNull(socket.all("hello")[0]!.resume)
      const second = yield* comesBack(server, socket, session("two"))
      assert.strictEqual(second.all("hello")[0]!.resume, "one")
      assert.strictEqual(tags(second)[1], "pong")
      const third = yield* comesBack(server, second, session("three"))
      assert.strictEqual(third.all("hello")[0]!.resume, "two")
    }))

  it.effect("stays the same while no connection gets as far as a welcome", () =>
    Effect.gen(function*() {
      const { room, server, socket } = yield* joined()
      const saying = yield* say(room, "hi")
      yield* socket.next("request")
      socket.close(1006)
      for (let attempt = 0; attempt < 3; attempt++) {
        yield* TestClock.adjust("5 seconds")
        const refused = yield* server.accept
        refused.open()
        assert.strictEqual(refused.all("hello")[0]!.resume, "one")
        refused.close(1013)
        yield* settled
      }
      yield* TestClock.adjust("5 seconds")
      const next = yield* server.welcomes({}, undefined, session("two", 1))
      yield* next.joins()
      next.send({ _tag: "ok", ref: (yield* next.next("request")).ref, value: 1 })
      assert.deepStrictEqual(yield* Fiber.join(saying), Exit.succeed(1))
    }))

  it.effect("is forgotten when a newer connection has the session, and what was open fails", () =>
    Effect.gen(function*() {
      const { room, server, socket } = yield* joined()
      const saying = yield* say(room, "hi")
      yield* socket.next("request")
      socket.close(4410)
      const reason = reasonOf(yield* Fiber.join(saying))
      assert(reason._tag === "ConnectionLost")
      assert.deepStrictEqual([reason.code, reason.mayHaveRun], [4410, true])
      yield* TestClock.adjust("1 second")
      const next = yield* server.welcomes({}, undefined, { ...session("two"), session: "s-2" })
      assert.isNull(next.all("hello")[0]!.resume)
    }))

  it.effect("is never part of a state, an error or a log", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const logger = Logger.make(({ message }) => void told.push(String(message)))
      yield* Effect.gen(function*() {
        const { client, room, server, socket } = yield* joined({ token: "credentials" })
        const show = (value: unknown) => told.push(String(value), JSON.stringify(value) ?? "")
        yield* Effect.forkChild(
          Stream.runForEach(SubscriptionRef.changes(client.state), (s) => Effect.sync(() => show(s)))
        )
        const saying = yield* say(room, "hi")
        yield* socket.next("request")
        socket.sendText("[\"welcome\",5]\nnonsense")
        const next = yield* comesBack(server, socket, { ...session("secret two"), session: "s-2" })
        show(yield* Fiber.join(saying))
        show(client)
        show(room)
        next.close(4500, "go")
        yield* settled
        show(yield* Effect.exit(room.Clear()))
      }).pipe(Effect.provide(Logger.layer([logger])))
      assert.isAbove(told.length, 5)
      for (const text of told) assert.notMatch(text, /\bone\b|secret|credentials/)
    }))
})

describe("where the session goes on, a request without an answer", () => {
  it.effect("is sent again with its number and a new reference, in order and before newer ones", () =>
    Effect.gen(function*() {
      const { room, server, socket } = yield* joined()
      const saying = [yield* say(room, "1"), yield* say(room, "2"), yield* say(room, "3")]
      yield* settled
      socket.send({ _tag: "ok", ref: socket.all("request")[1]!.ref, value: 2 })
      socket.close(1006)
      yield* settled
      saying.push(yield* say(room, "4"))
      yield* TestClock.adjust("1 second")
      const next = yield* server.welcomes({}, undefined, session("two", 3))
      yield* settled
      assert.lengthOf(next.all("request"), 0, "its room comes first")
      yield* next.joins({ recovered: true })
      yield* settled
      assert.deepStrictEqual(next.all("request").map(({ ack, again, payload, seq }) => [seq, ack, again, payload]), [
        [1, 0, true, { text: "1" }],
        [3, 0, true, { text: "3" }],
        [4, 0, null, { text: "4" }]
      ])
      for (const { ref, seq } of next.all("request")) next.send({ _tag: "ok", ref, value: seq })
      const answers = yield* Effect.forEach(saying, Fiber.join)
      assert.deepStrictEqual(answers, [1, 2, 3, 4].map((n) => Exit.succeed(n)))
      yield* say(room, "5")
      const { ack, seq } = yield* Effect.map(settled, () => next.all("request").at(-1)!)
      assert.deepStrictEqual([seq, ack], [5, 4], "numbers and acknowledgement go on")
    }))

  it.effect("waits for its own room only, if the server has seen it", () =>
    Effect.gen(function*() {
      const { client, room, server, socket } = yield* joined()
      const joining = yield* Effect.forkChild(client.join(Chat, "other", { name: "ada" }))
      yield* socket.joins({ channel: 8 })
      const other = yield* Fiber.join(joining)
      yield* say(room, "1")
      yield* say(other, "2")
      yield* settled
      const next = yield* comesBack(server, socket, session("two", 2))
      const [, join] = next.all("join")
      next.send({ ...joinedFrame, ref: join!.ref, channel: 8 })
      yield* say(other, "3")
      yield* settled
      assert.deepStrictEqual(next.all("request").map(({ seq }) => seq), [2, 3])
      yield* next.joins()
      yield* settled
      assert.deepStrictEqual(next.all("request").map(({ seq }) => seq), [2, 3, 1])
    }))

  it.effect("that the server has not seen holds back those after it, whatever their room", () =>
    Effect.gen(function*() {
      const { client, room, server, socket } = yield* joined()
      const joining = yield* Effect.forkChild(client.join(Chat, "other", { name: "ada" }))
      yield* socket.joins({ channel: 8 })
      const other = yield* Fiber.join(joining)
      yield* say(room, "1")
      yield* say(other, "2")
      yield* settled
      const next = yield* comesBack(server, socket, session("two", 0))
      const [first, second] = next.all("join")
      next.send({ ...joinedFrame, ref: second!.ref, channel: 8 })
      yield* say(other, "3")
      yield* other.Typing()
      yield* settled
      assert.deepStrictEqual(next.all("request"), [])
      next.send({ ...joinedFrame, ref: first!.ref })
      yield* settled
      assert.deepStrictEqual(next.all("request").map(({ again, seq }) => [seq, again]), [[1, true], [2, true], [
        3,
        null
      ]])
    }))

  it.effect("fails when the server has lost what became of it", () =>
    Effect.gen(function*() {
      const { room, server, socket } = yield* joined()
      const saying = yield* say(room, "1")
      yield* settled
      const next = yield* comesBack(server, socket, session("two", 1))
      yield* next.joins()
      const { ref } = yield* next.next("request")
      next.send({ _tag: "error", ref, error: { _tag: "ConnectionLost", code: 1006, mayHaveRun: true } })
      const reason = reasonOf(yield* Fiber.join(saying))
      assert(reason._tag === "ConnectionLost" && reason.mayHaveRun)
    }))

  it.effect("that ran may have run, even if the server takes no more frames at the moment", () =>
    Effect.gen(function*() {
      const { room, server, socket } = yield* joined()
      const saying = [yield* say(room, "1"), yield* say(room, "2")]
      yield* settled
      const next = yield* comesBack(server, socket, session("two", 1))
      yield* next.joins()
      yield* settled
      for (const { ref } of next.all("request")) {
        next.send({ _tag: "error", ref, error: { _tag: "RateLimited", retryAfter: 5 } })
      }
      const reasons = (yield* Effect.forEach(saying, Fiber.join)).map(reasonOf)
      assert.deepStrictEqual(reasons.map(({ _tag }) => _tag), ["ConnectionLost", "RateLimited"])
    }))

  it.effect("fails after its time, counted from when it was first sent, and is then cancelled", () =>
    Effect.gen(function*() {
      const { room, server, socket } = yield* joined()
      const first = yield* say(room, "1")
      yield* settled
      yield* TestClock.adjust("20 seconds")
      const next = yield* comesBack(server, socket, session("two", 1))
      yield* next.joins()
      yield* settled
      yield* TestClock.adjust("13 seconds")
      assert.isUndefined(first.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.strictEqual(reasonOf(yield* Fiber.join(first))._tag, "HandlerTimeout")
      assert.deepStrictEqual(next.all("cancel").map(({ ref }) => ref), next.all("request").map(({ ref }) => ref))
    }))

  it.effect("fails after its time without a connection too; later it is only asked for to be cancelled", () =>
    Effect.gen(function*() {
      const { room, server, socket } = yield* joined({ reconnect: { base: "100 minutes", max: "100 minutes" } })
      const saying = yield* say(room, "1")
      yield* settled
      yield* TestClock.adjust("10 seconds")
      socket.close(1006)
      yield* TestClock.adjust("24 seconds")
      assert.isUndefined(saying.pollUnsafe())
      yield* TestClock.adjust("1 second")
      const reason = reasonOf(yield* Fiber.join(saying))
      assert(reason._tag === "ConnectionLost")
      assert.deepStrictEqual([reason.code, reason.mayHaveRun], [1006, true])
      yield* TestClock.adjust("100 minutes")
      const next = yield* server.welcomes({}, undefined, session("two", 1))
      yield* next.joins()
      yield* settled
      assert.deepStrictEqual(tags(next).slice(-2), ["request", "cancel"])
      next.send({ _tag: "error", ref: next.all("request")[0]!.ref, error: { _tag: "Interrupted", detail: "" } })
      yield* say(room, "2")
      yield* settled
      assert.strictEqual(next.all("request").at(-1)!.ack, 1)
    }))

  it.effect("is answered although its room was left meanwhile", () =>
    Effect.gen(function*() {
      const { room, server, socket } = yield* joined()
      const saying = yield* say(room, "1")
      yield* settled
      socket.close(1006)
      yield* settled
      yield* room.leave
      yield* TestClock.adjust("1 second")
      const next = yield* server.welcomes({}, undefined, session("two", 1))
      yield* settled
      assert.deepStrictEqual(tags(next).slice(2), ["leave", "request"])
      assert.deepStrictEqual([next.all("request")[0]!.channel, next.all("request")[0]!.again], [7, true])
      next.send({ _tag: "ok", ref: next.all("request")[0]!.ref, value: 9 })
      assert.deepStrictEqual(yield* Fiber.join(saying), Exit.succeed(9))
    }))

  it.effect("that no longer fits one message, because it says that it comes again, fails", () =>
    Effect.gen(function*() {
      // As large as a message may be.
      const text = "x".repeat(200)
      const bytes = JSON.stringify(["request", 2, 7, 1, 0, "Say", { text }]).length
      const { room, server, socket } = yield* joined({}, { message: bytes })
      const saying = yield* say(room, text)
      yield* settled
      assert.lengthOf(socket.all("request"), 1)
      socket.close(1006)
      yield* TestClock.adjust("1 second")
      const next = yield* server.welcomes({ message: bytes }, undefined, session("two", 1))
      yield* next.joins()
      assert.strictEqual(reasonOf(yield* Fiber.join(saying))._tag, "ConnectionLost")
    }))
})

const joinedFrame = {
  _tag: "joined",
  channel: 7,
  memberId: "me",
  position: ["e", 1, 0],
  recovered: false,
  snapshot: { lastId: 0 }
} as const

describe("where the session does not go on, a request without an answer", () => {
  for (
    const [what, welcome] of [
      ["another session", { ...session("two"), session: "s-2" }],
      ["no session", { session: "s-2" }]
    ] as const
  ) {
    it.effect(`fails, and is not sent again, with ${what}`, () =>
      Effect.gen(function*() {
        const { room, server, socket } = yield* joined()
        const saying = yield* say(room, "1")
        yield* settled
        socket.close(1012)
        yield* settled
        assert.isUndefined(saying.pollUnsafe(), "it is not known yet")
        yield* TestClock.adjust("1 second")
        const next = yield* server.welcomes({}, undefined, welcome)
        const reason = reasonOf(yield* Fiber.join(saying))
        assert(reason._tag === "ConnectionLost")
        assert.deepStrictEqual([reason.code, reason.mayHaveRun], [1012, true])
        yield* next.joins()
        yield* say(room, "2")
        yield* settled
        assert.deepStrictEqual(next.all("request").map(({ ack, again, seq }) => [seq, ack, again]), [[1, 0, null]])
      }))
  }

  it.effect("fails at once where there was no session to go on with", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joinedWithout()
      const saying = yield* say(room, "1")
      yield* settled
      socket.close(1006)
      assert.strictEqual(reasonOf(yield* Fiber.join(saying))._tag, "ConnectionLost")
    }))

  it.effect("fails when the client is closed before it comes back", () =>
    Effect.gen(function*() {
      const { client, room, socket } = yield* joined()
      const saying = yield* say(room, "1")
      yield* settled
      socket.close(1006)
      yield* settled
      yield* client.close
      const reason = reasonOf(yield* Fiber.join(saying))
      assert(reason._tag === "ConnectionLost" && reason.mayHaveRun)
    }))
})

describe("where the session goes on, a room", () => {
  it.effect("is joined again at its position, by the same member", () =>
    Effect.gen(function*() {
      const { room, server, socket } = yield* joined()
      socket.send({ _tag: "event", channel: 7, offset: 1, name: "Said", payload: { text: "1" }, except: null })
      const next = yield* comesBack(server, socket, session("two"))
      assert.deepStrictEqual((yield* next.joins({ recovered: true, position: ["e", 2, 1] })).position, ["e", 1, 1])
      assert.strictEqual(room.memberId, "me")
      const seen = yield* Effect.forkChild(room.events.pipe(Stream.take(3), Stream.runCollect))
      next.send({ _tag: "event", channel: 7, offset: 2, name: "Said", payload: { text: "2" }, except: null })
      assert.deepStrictEqual((yield* Fiber.join(seen)).map(({ _tag }) => _tag), ["synced", "Said", "Said"])
      const third = yield* comesBack(server, next, session("three"))
      assert.deepStrictEqual((yield* third.next("join")).position, ["e", 2, 2], "under the term it was given last")
    }))

  it.effect("that was left meanwhile is left", () =>
    Effect.gen(function*() {
      const { room, server, socket } = yield* joined()
      socket.close(1006)
      yield* settled
      yield* room.leave
      yield* TestClock.adjust("1 second")
      const next = yield* server.welcomes({}, undefined, session("two"))
      yield* settled
      assert.deepStrictEqual(next.frames.slice(2), [{ _tag: "leave", ref: 1, channel: 7 }])
    }))

  it.effect("that was left just before, and the answer did not come, is left again", () =>
    Effect.gen(function*() {
      const { room, server, socket } = yield* joined()
      yield* room.leave
      yield* socket.next("leave")
      const next = yield* comesBack(server, socket, session("two"))
      assert.deepStrictEqual(next.frames.slice(2), [{ _tag: "leave", ref: 1, channel: 7 }])
      const third = yield* comesBack(server, next, session("three"))
      third.send({ _tag: "error", ref: (yield* third.next("leave")).ref, error: { _tag: "NotJoined" } })
      const fourth = yield* comesBack(server, third, session("four"))
      assert.lengthOf(fourth.all("leave"), 0)
    }))

  it.effect("that was left and joined again meanwhile is left first, and joined as new", () =>
    Effect.gen(function*() {
      const { client, room, server, socket } = yield* joined()
      socket.close(1006)
      yield* settled
      yield* room.leave
      const joining = yield* Effect.forkChild(client.join(Chat, "lobby", { name: "eve" }))
      yield* TestClock.adjust("1 second")
      const next = yield* server.welcomes({}, undefined, session("two"))
      const { ref } = yield* next.next("leave")
      yield* settled
      assert.lengthOf(next.all("join"), 0)
      next.send({ _tag: "ok", ref, value: null })
      const join = yield* next.joins({ memberId: "me again" })
      assert.deepStrictEqual([join.payload, join.position], [{ name: "eve" }, null])
      assert.strictEqual((yield* Fiber.join(joining)).memberId, "me again")
    }))

  for (const when of ["before", "after"]) {
    it.effect(`that was given up ${when} the loss, its join on the way, is joined once more, and left`, () =>
      Effect.gen(function*() {
        const { client, server, socket } = yield* joined()
        const joining = yield* Effect.forkChild(client.join(Chat, "other", { name: "ada" }))
        yield* socket.next("join")
        if (when === "before") yield* Fiber.interrupt(joining)
        socket.close(1006)
        yield* settled
        yield* Fiber.interrupt(joining)
        const again = yield* Effect.forkChild(client.join(Chat, "other", { name: "eve" }))
        yield* TestClock.adjust("1 second")
        const next = yield* server.welcomes({}, undefined, session("two"))
        yield* settled
        assert.deepStrictEqual(next.all("join").map(({ key, payload }) => [key, payload]), [
          ["other", { name: "ada" }],
          ["lobby", { name: "ada" }]
        ])
        next.send({ ...joinedFrame, ref: next.all("join")[0]!.ref, channel: 8 })
        const leave = yield* next.next("leave")
        assert.strictEqual(leave.channel, 8)
        next.send({ _tag: "ok", ref: leave.ref, value: null })
        yield* settled
        const { payload, ref } = next.all("join").at(-1)!
        assert.deepStrictEqual(payload, { name: "eve" })
        next.send({ ...joinedFrame, ref, channel: 8, memberId: "eve" })
        assert.strictEqual((yield* Fiber.join(again)).memberId, "eve")
      }))
  }

  it.effect("that stopped meanwhile ends, and what it was asked is still told", () =>
    Effect.gen(function*() {
      const { room, server, socket } = yield* joined()
      const saying = yield* say(room, "1")
      yield* settled
      const next = yield* comesBack(server, socket, session("two", 1))
      const { ref } = yield* next.next("join")
      next.send({ _tag: "error", ref, error: { _tag: "RoomStopped", detail: "" } })
      next.send({ _tag: "ok", ref: (yield* next.next("request")).ref, value: 4 })
      assert.deepStrictEqual(yield* Fiber.join(saying), Exit.succeed(4))
      assert.strictEqual(reasonOf(yield* Effect.exit(Stream.runDrain(room.events)))._tag, "RoomStopped")
    }))

  it.effect("waits no longer for a fresh snapshot that it was to leave for", () =>
    Effect.gen(function*() {
      const { room, server, socket } = yield* joined()
      yield* say(room, "1")
      yield* settled
      // A gap: it would leave and join again, once its request is answered.
      socket.send({ _tag: "event", channel: 7, offset: 5, name: "Said", payload: { text: "5" }, except: null })
      const next = yield* comesBack(server, socket, session("two", 1))
      assert.deepStrictEqual((yield* next.joins({ recovered: true })).position, ["e", 1, 0])
      yield* settled
      assert.lengthOf(next.all("leave"), 0)
      assert.lengthOf(next.all("request"), 1)
    }))
})

it.effect("a subscription ends with its connection, whatever the session does", () =>
  Effect.gen(function*() {
    const { client, server, socket } = yield* joined()
    const reading = yield* Effect.forkChild(Stream.runDrain(client.subscribe(Ticker, "AAPL")))
    const { ref } = yield* socket.next("subscribe")
    socket.send({ _tag: "subscribed", ref, channel: 9, position: ["t", 1, 0], recovered: false })
    const next = yield* comesBack(server, socket, session("two"))
    yield* next.next("subscribe")
    const third = yield* comesBack(server, next, session("three"))
    const { ref: again } = yield* third.next("subscribe")
    third.send({ _tag: "subscribed", ref: again, channel: 9, position: ["t", 1, 0], recovered: false })
    yield* Fiber.interrupt(reading)
    yield* third.next("unsubscribe")
    const fourth = yield* comesBack(server, third, session("four"))
    assert.deepStrictEqual(tags(fourth), ["hello", "pong", "join"])
  }))

it.effect("a hundred connections in a row lose nothing", () =>
  Effect.gen(function*() {
    const { room, server, socket } = yield* joined({ requestTimeout: "1 hour" })
    const saying = yield* say(room, "first")
    let current = socket
    const others: Array<Fiber.Fiber<unknown>> = []
    for (let n = 1; n <= 100; n++) {
      yield* settled
      others.push(yield* say(room, `${n}`))
      yield* settled
      const numbers = current.all("request").map(({ seq }) => seq)
      assert.deepStrictEqual(numbers, [1, n + 1])
      current.close(1006)
      yield* TestClock.adjust("1 second")
      current = yield* server.welcomes({}, undefined, session(`${n}`, n + 1))
      assert.strictEqual(current.all("hello")[0]!.resume, n === 1 ? "one" : `${n - 1}`)
      yield* current.joins({ recovered: true })
      yield* settled
      current.send({ _tag: "ok", ref: current.all("request").find(({ seq }) => seq === n + 1)!.ref, value: n })
      current.close(1006)
      yield* TestClock.adjust("1 second")
      current = yield* server.welcomes({}, undefined, session(`${n}`, n + 1))
      yield* current.joins({ recovered: true })
    }
    yield* settled
    current.send({ _tag: "ok", ref: current.all("request")[0]!.ref, value: 0 })
    assert.deepStrictEqual(yield* Fiber.join(saying), Exit.succeed(0))
    for (const other of others) assert.isTrue(Exit.isSuccess((yield* Fiber.join(other)) as Exit.Exit<unknown>))
    yield* say(room, "last")
    yield* settled
    assert.deepStrictEqual(current.all("request").map(({ ack, seq }) => [seq, ack]), [[1, 0], [102, 101]])
  }))
