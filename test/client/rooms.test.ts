import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope, Stream, SubscriptionRef } from "effect"
import { TestClock } from "effect/testing"
import type * as Client from "../../src/client/Client.ts"
import type * as Room from "../../src/contract/Room.ts"
import type * as Frame from "../../src/wire/Frame.ts"
import { Bell, Chat, joined, online, RoomFull, settled } from "./ScriptedServer.ts"
import type { ScriptedSocket } from "./ScriptedServer.ts"

type ChatRoom = Client.Joined<typeof Chat>

const said = (offset: number, text = `${offset}`, except: ReadonlyArray<string> | null = null) =>
  ({ _tag: "event", channel: 7, offset, name: "Said", payload: { text }, except }) as const

const typing = (from: string) =>
  ({ _tag: "volatile", channel: 7, name: "Typing", payload: { from }, except: null }) as const

const show = (event: Room.Event<typeof Chat>): string =>
  event._tag === "synced"
    ? `${event.reason} ${event.snapshot.lastId}`
    : event._tag === "Said"
    ? `${event.offset}:${event.payload.text}`
    : `typing ${event.payload.from}`

/** Reads everything as it comes, in a short form. */
const read = Effect.fnUntraced(function*(room: ChatRoom) {
  const seen: Array<string> = []
  const fiber = yield* room.events.pipe(
    Stream.runForEach((event) => Effect.sync(() => seen.push(show(event)))),
    Effect.forkChild
  )
  yield* settled
  return { seen, fiber }
})

/** Answers a leave and the join that follows, both of which the client sends for a fresh snapshot. */
const renews = Effect.fnUntraced(function*(socket: ScriptedSocket, offset: number) {
  const leave = yield* socket.next("leave")
  yield* settled
  assert.notInclude(["join"], socket.frames.at(-1)!._tag, "it joins once the server has let it go")
  socket.send({ _tag: "ok", ref: leave.ref, value: null })
  const { position } = yield* socket.joins({ position: ["e", 1, offset], snapshot: { lastId: offset } })
  yield* settled
  return position
})

describe("a join", () => {
  it.effect("sends key and payload, and gives the room", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      assert.deepStrictEqual(socket.all("join"), [
        { _tag: "join", ref: 1, room: "chat", key: "lobby", payload: { name: "ada" }, position: null, last: null }
      ])
      assert.strictEqual(room.memberId, "me")
      assert.strictEqual(room.key, "lobby")
    }))

  it.effect("fails with the contract's own error", () =>
    Effect.gen(function*() {
      const { client, socket } = yield* online()
      const joining = yield* Effect.forkChild(Effect.flip(client.join(Chat, "lobby", { name: "ada" })))
      const { ref } = yield* socket.next("join")
      socket.send({ _tag: "failed", ref, error: { _tag: "RoomFull", limit: 3 } })
      assert.deepStrictEqual(yield* Fiber.join(joining), new RoomFull({ limit: 3 }))
    }))

  it.effect("fails with the reason of a protocol error, and may be tried again", () =>
    Effect.gen(function*() {
      const { client, socket } = yield* online()
      for (let i = 0; i < 2; i++) {
        const joining = yield* Effect.forkChild(Effect.flip(client.join(Chat, "lobby", { name: "ada" })))
        const { ref } = yield* socket.next("join")
        socket.send({ _tag: "error", ref, error: { _tag: "NotServed", detail: "no such room" } })
        const error = yield* Fiber.join(joining)
        assert(error._tag === "RequestError" && error.reason._tag === "NotServed")
      }
    }))

  it.effect("with a payload or key that does not fit is not sent", () =>
    Effect.gen(function*() {
      const { client, socket } = yield* online()
      const payload = yield* Effect.flip(client.join(Chat, "lobby", { name: 1 as never }))
      assert(payload._tag === "RequestError" && payload.reason._tag === "InvalidPayload")
      const key = yield* Effect.flip(client.join(Chat, "x".repeat(257), { name: "ada" }))
      assert(key._tag === "RequestError" && key.reason._tag === "InvalidKey")
      yield* settled
      assert.lengthOf(socket.all("join"), 0)
    }))

  it.effect("of a room this client is in fails", () =>
    Effect.gen(function*() {
      const { client } = yield* joined()
      const error = yield* Effect.flip(client.join(Chat, "lobby", { name: "eve" }))
      assert(error._tag === "RequestError" && error.reason._tag === "AlreadyJoined")
    }))

  it.effect("fails when the snapshot does not fit the contract, and leaves", () =>
    Effect.gen(function*() {
      const { client, socket } = yield* online()
      const joining = yield* Effect.forkChild(Effect.flip(client.join(Chat, "lobby", { name: "ada" })))
      yield* socket.joins({ snapshot: { lastId: "none" } })
      const error = yield* Fiber.join(joining)
      assert(error._tag === "RequestError" && error.reason._tag === "InvalidPayload")
      assert.strictEqual((yield* socket.next("leave")).channel, 7)
    }))

  it.effect("that is interrupted is cancelled, and left if it was too late", () =>
    Effect.gen(function*() {
      const { client, socket } = yield* online()
      const joining = yield* Effect.forkChild(client.join(Chat, "lobby", { name: "ada" }))
      const { ref } = yield* socket.next("join")
      yield* Fiber.interrupt(joining)
      assert.strictEqual((yield* socket.next("cancel")).ref, ref)
      yield* Effect.forkChild(client.join(Chat, "lobby", { name: "ada" }))
      yield* settled
      assert.lengthOf(socket.all("join"), 1, "the address is not free yet")
      socket.send({
        _tag: "joined",
        ref,
        channel: 7,
        memberId: "me",
        position: ["e", 1, 0],
        recovered: false,
        snapshot: { lastId: 0 }
      })
      const leave = yield* socket.next("leave")
      assert.strictEqual(leave.channel, 7)
      socket.send({ _tag: "ok", ref: leave.ref, value: null })
      yield* settled
      assert.lengthOf(socket.all("join"), 2)
    }))

  it.effect("that is not answered fails after its time", () =>
    Effect.gen(function*() {
      const { client, socket } = yield* online()
      const joining = yield* Effect.forkChild(Effect.flip(client.join(Chat, "lobby", { name: "ada" })))
      const { ref } = yield* socket.next("join")
      yield* TestClock.adjust("35 seconds")
      const error = yield* Fiber.join(joining)
      assert(error._tag === "RequestError" && error.reason._tag === "HandlerTimeout")
      assert.strictEqual((yield* socket.next("cancel")).ref, ref)
    }))
})

describe("a join that begins some events back", () => {
  const join = Effect.fnUntraced(function*(last: number, eventBuffer = 1_024) {
    const { client, server, socket } = yield* online({ eventBuffer, reconnect: { max: "1 second" } })
    const joining = yield* Effect.forkChild(client.join(Chat, "lobby", { name: "ada" }, { last }))
    const sent = (yield* socket.joins({ position: ["e", 1, 3], snapshot: { lastId: 5 } })).last
    return { room: yield* Fiber.join(joining), sent, server, socket }
  })

  it.effect("is told them after the first synced", () =>
    Effect.gen(function*() {
      const { room, sent, socket } = yield* join(2)
      assert.strictEqual(sent, 2)
      socket.send(said(4), said(5))
      const { seen } = yield* read(room)
      socket.send(said(6))
      yield* settled
      assert.deepStrictEqual(seen, ["joined 5", "4:4", "5:5", "6:6"])
    }))

  it.effect("says so again with its position, for where that cannot be continued", () =>
    Effect.gen(function*() {
      const { room, server, socket } = yield* join(2)
      const { seen } = yield* read(room)
      socket.send(said(4), said(5))
      socket.close(1006)
      yield* TestClock.adjust("1 second")
      const second = yield* server.welcomes()
      const { last, position } = yield* second.joins({ position: ["f", 1, 7], snapshot: { lastId: 9 } })
      assert.deepStrictEqual([last, position], [2, ["e", 1, 5]])
      second.send(said(8), said(9))
      yield* settled
      assert.deepStrictEqual(seen, ["joined 5", "4:4", "5:5", "gap 9", "8:8", "9:9"])
    }))

  it.effect("asks for no more than half of what is kept for readers, and for nothing when one was too slow", () =>
    Effect.gen(function*() {
      const { room, sent, socket } = yield* join(100, 8)
      assert.strictEqual(sent, 4)
      for (let offset = 4; offset <= 20; offset++) socket.send(said(offset))
      const { seen } = yield* read(room)
      yield* renews(socket, 20)
      assert.isNull(socket.all("join").at(-1)!.last)
      assert.deepStrictEqual(seen, ["joined 20"])
    }))

  it.effect("is an ordinary one where that is not a number from 1", () =>
    Effect.gen(function*() {
      for (const last of [0, -1, NaN, 0.5]) assert.isNull((yield* Effect.scoped(join(last))).sent)
      assert.strictEqual((yield* join(2.9)).sent, 2)
    }))
})

describe("the history of a room", () => {
  const entry = (offset: number, text: unknown = `${offset}`, except: ReadonlyArray<string> | null = null) =>
    [offset, "Said", { text }, except] as const

  it.effect("is asked for page by page, and told without what is not for this member", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const newest = yield* Effect.forkChild(room.history({ limit: 4 }))
      const first = yield* socket.next("history")
      assert.deepStrictEqual([first.channel, first.before, first.limit], [7, null, 4])
      const events = [entry(5, "hidden", ["me"]), entry(6), [7, "Novelty", {}, null] as const, entry(8, 8)]
      socket.send({ _tag: "page", ref: first.ref, channel: 7, events, more: true })
      const page = yield* Fiber.join(newest)
      assert.deepStrictEqual(page, {
        events: [{ _tag: "Said", payload: { text: "6" }, offset: 6 }],
        more: true,
        before: 5
      })
      const older = yield* Effect.forkChild(room.history({ before: page.before, limit: 4 }))
      const second = yield* socket.next("history")
      assert.strictEqual(second.before, 5)
      socket.send({ _tag: "page", ref: second.ref, channel: 7, events: [], more: false })
      assert.deepStrictEqual(yield* Fiber.join(older), { events: [], more: false, before: undefined })
    }))

  it.effect("is asked for in whole numbers, at most 256 events at once", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      for (
        const options of [{ limit: 1_000 }, { limit: 0 }, { limit: NaN }, { limit: 2.5, before: 7.5 }, {
          limit: 1,
          before: -1
        }]
      ) yield* Effect.forkChild(room.history(options))
      yield* settled
      assert.deepStrictEqual(socket.all("history").map(({ before, limit }) => [before, limit]), [
        [null, 256],
        [null, 1],
        [null, 1],
        [7, 2],
        [null, 1]
      ])
    }))

  it.effect("is asked for again after a lost connection, once the room is joined", () =>
    Effect.gen(function*() {
      const { room, server, socket } = yield* joined()
      const looking = yield* Effect.forkChild(room.history({ limit: 1 }))
      yield* socket.next("history")
      socket.close(1006)
      yield* TestClock.adjust("1 second")
      const second = yield* server.welcomes()
      yield* settled
      assert.lengthOf(second.all("history"), 0)
      yield* second.joins()
      const { ref } = yield* second.next("history")
      second.send({ _tag: "page", ref, channel: 7, events: [entry(1)], more: false })
      assert.lengthOf((yield* Fiber.join(looking)).events, 1)
    }))

  it.effect("fails with the reason of the server, after its time, and when the room is left", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const refused = yield* Effect.forkChild(Effect.flip(room.history({ limit: 1 })))
      const { ref } = yield* socket.next("history")
      socket.send({ _tag: "error", ref, error: { _tag: "NotJoined" } })
      assert.strictEqual((yield* Fiber.join(refused)).reason._tag, "NotJoined")
      const late = yield* Effect.forkChild(Effect.flip(room.history({ limit: 1 })))
      yield* TestClock.adjust("35 seconds")
      assert.strictEqual((yield* Fiber.join(late)).reason._tag, "HandlerTimeout")
      yield* room.leave
      assert.strictEqual((yield* Effect.flip(room.history({ limit: 1 }))).reason._tag, "NotJoined")
    }))

  it.effect("that nobody waits for any more is forgotten", () =>
    Effect.gen(function*() {
      const { room, server, socket } = yield* joined()
      const looking = yield* Effect.forkChild(room.history({ limit: 1 }))
      yield* socket.next("history")
      yield* Fiber.interrupt(looking)
      socket.close(1006)
      yield* TestClock.adjust("1 second")
      const second = yield* server.welcomes()
      yield* second.joins()
      yield* settled
      assert.lengthOf(second.all("history"), 0)
    }))
})

describe("events", () => {
  it.effect("begin with synced, then follow in the order of their offsets", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      socket.send(said(1), said(2), typing("bob"))
      const { seen } = yield* read(room)
      assert.deepStrictEqual(seen, ["joined 0", "1:1", "2:2", "typing bob"])
      socket.send(said(3))
      yield* settled
      assert.strictEqual(seen.at(-1), "3:3")
    }))

  it.effect("that skip this member, are unknown or do not fit are left out, and their offsets counted", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const { seen } = yield* read(room)
      socket.send(
        said(1, "not for me", ["you", "me"]),
        { ...said(2), name: "Novelty" },
        { ...said(3), payload: { text: 3 } },
        said(4, "for others too", ["you"])
      )
      yield* settled
      assert.deepStrictEqual(seen, ["joined 0", "4:for others too"])
      assert.lengthOf(socket.all("leave"), 0)
    }))

  it.effect("to this member alone have no offset", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const { seen } = yield* read(room)
      socket.send({ _tag: "direct", channel: 7, name: "Said", payload: { text: "psst" } }, said(1))
      yield* settled
      assert.deepStrictEqual(seen, ["joined 0", "undefined:psst", "1:1"])
    }))

  it.effect("that come twice are told once", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const { seen } = yield* read(room)
      socket.send(said(1), said(1), said(2), said(1))
      yield* settled
      assert.deepStrictEqual(seen, ["joined 0", "1:1", "2:2"])
    }))

  it.effect("with a gap in their offsets make the client join again at its position", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const { seen } = yield* read(room)
      socket.send(said(1), said(3), said(4))
      assert.deepStrictEqual(yield* renews(socket, 4), ["e", 1, 1])
      socket.send(said(5))
      yield* settled
      assert.deepStrictEqual(seen, ["joined 0", "1:1", "gap 4", "5:5"])
    }))

  it.effect("with a gap in their offsets go on without one when the server tells what was missed", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const { seen } = yield* read(room)
      socket.send(said(1), said(3), said(4))
      socket.send({ _tag: "ok", ref: (yield* socket.next("leave")).ref, value: null })
      yield* socket.joins({ position: ["e", 1, 1], recovered: true, snapshot: { lastId: 4 } })
      socket.send(said(2), said(3), said(4))
      yield* settled
      assert.deepStrictEqual(seen, ["joined 0", "1:1", "2:2", "3:3", "4:4"])
    }))

  it.effect("begin again with what the server sends after a restart of the room", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const { seen } = yield* read(room)
      socket.send(said(1), {
        _tag: "synced",
        channel: 7,
        position: ["e", 1, 5],
        reason: "restarted",
        snapshot: { lastId: 5 }
      }, said(6))
      yield* settled
      assert.deepStrictEqual(seen, ["joined 0", "1:1", "restarted 5", "6:6"])
    }))

  it.effect("wait for a request before the room is renewed, and hold others back", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const clearing = yield* Effect.forkChild(room.Clear())
      const { ref } = yield* socket.next("request")
      socket.send(said(3))
      yield* Effect.forkChild(room.Say({ text: "hi" }))
      yield* settled
      assert.lengthOf(socket.all("leave"), 0)
      assert.lengthOf(socket.all("request"), 1)
      socket.send({ _tag: "ok", ref, value: null })
      yield* Fiber.join(clearing)
      yield* renews(socket, 3)
      assert.strictEqual((yield* socket.next("request")).name, "Say")
    }))

  it.effect("reach their readers before the reply that follows them", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const order: Array<string> = []
      yield* room.on("Said", () => Effect.sync(() => order.push("event")))
      yield* settled
      yield* Effect.forkChild(Effect.tap(room.Say({ text: "hi" }), () => Effect.sync(() => order.push("reply"))))
      const { ref } = yield* socket.next("request")
      socket.send(said(1), { _tag: "ok", ref, value: 1 })
      yield* settled
      assert.deepStrictEqual(order, ["event", "reply"])
    }))
})

describe("a slow reader", () => {
  it.effect("is told everything while no more waits than is kept", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined({ eventBuffer: 8 })
      for (let offset = 1; offset <= 7; offset++) socket.send(said(offset))
      const { seen } = yield* read(room)
      assert.deepStrictEqual(seen, ["joined 0", "1:1", "2:2", "3:3", "4:4", "5:5", "6:6", "7:7"])
    }))

  it.effect("gets a fresh snapshot in place of what it missed, when it reads on", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined({ eventBuffer: 8 })
      const seen: Array<string> = []
      const gate = yield* Effect.forkChild(Effect.never)
      yield* room.events.pipe(
        Stream.runForEach((event) =>
          Effect.andThen(
            Effect.sync(() => seen.push(show(event))),
            Effect.suspend(() => seen.length === 1 ? Effect.exit(Fiber.await(gate)) : Effect.void)
          )
        ),
        Effect.forkChild
      )
      yield* settled
      for (let offset = 1; offset <= 20; offset++) socket.send(said(offset))
      yield* settled
      assert.lengthOf(socket.all("leave"), 0, "one that does not read costs nobody anything")
      yield* Fiber.interrupt(gate)
      assert.isNull(yield* renews(socket, 20))
      socket.send(said(21))
      yield* settled
      assert.deepStrictEqual(seen, ["joined 0", "gap 20", "21:21"])
    }))

  it.effect("does not lose reliable events to volatile ones", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined({ eventBuffer: 8 })
      for (let i = 0; i < 100; i++) socket.send(typing("bob"))
      socket.send(said(1), said(2), said(3), said(4))
      const { seen } = yield* read(room)
      assert.deepStrictEqual(seen, ["joined 0", ...Array(3).fill("typing bob"), "1:1", "2:2", "3:3", "4:4"])
      assert.lengthOf(socket.all("leave"), 0)
    }))

  it.effect("of a room without a snapshot goes on where it can", () =>
    Effect.gen(function*() {
      const { client, socket } = yield* online({ eventBuffer: 4 })
      const joining = yield* Effect.forkChild(client.join(Bell, "tower"))
      yield* socket.joins({ snapshot: null })
      const bell = yield* Fiber.join(joining)
      for (let offset = 1; offset <= 10; offset++) {
        socket.send({ _tag: "event", channel: 7, offset, name: "Rang", payload: { times: offset }, except: null })
      }
      const events = yield* bell.events.pipe(Stream.take(5), Stream.runCollect)
      assert.deepStrictEqual(events.map((event) => event._tag === "synced" ? event.reason : event.payload.times), [
        "joined",
        7,
        8,
        9,
        10
      ])
      assert.lengthOf(socket.all("leave"), 0)
    }))
})

describe("a later reader", () => {
  it.effect("begins with the newest snapshot and everything since", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const first = yield* read(room)
      socket.send(said(1), said(2))
      const second = yield* read(room)
      socket.send(said(3))
      yield* settled
      assert.deepStrictEqual(first.seen, ["joined 0", "1:1", "2:2", "3:3"])
      assert.deepStrictEqual(second.seen, first.seen)
    }))

  it.effect("gets a fresh snapshot when not everything since the last one is kept", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined({ eventBuffer: 8 })
      const first = yield* read(room)
      for (let offset = 1; offset <= 20; offset++) {
        socket.send(said(offset))
        yield* settled
      }
      assert.lengthOf(first.seen, 21)
      const second = yield* read(room)
      yield* renews(socket, 20)
      socket.send(said(21))
      yield* settled
      assert.deepStrictEqual(second.seen, ["joined 20", "21:21"])
      assert.deepStrictEqual(first.seen.slice(-2), ["gap 20", "21:21"])
    }))
})

describe("on", () => {
  it.effect("handles one kind of event until its scope closes", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const seen: Array<string> = []
      const scope = yield* Scope.make()
      yield* room.on("Said", ({ text }, offset) => Effect.sync(() => seen.push(`${offset}:${text}`))).pipe(
        Scope.provide(scope)
      )
      yield* room.on("synced", ({ reason }) => Effect.sync(() => seen.push(reason)))
      socket.send(said(1, "one"), typing("bob"))
      yield* settled
      assert.deepStrictEqual([...seen].sort(), ["1:one", "joined"])
      yield* Scope.close(scope, Exit.void)
      socket.send(said(2, "two"))
      yield* settled
      assert.lengthOf(seen, 2)
    }))
})

describe("presence", () => {
  const present = (...members: ReadonlyArray<readonly [string, Frame.Json]>) =>
    ({ _tag: "present", channel: 7, members, all: null }) as const

  it.effect("is who is in the room", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const here = () => Object.fromEntries(SubscriptionRef.getUnsafe(room.presence))
      assert.deepStrictEqual(here(), {})
      socket.send(present(["me", { name: "ada" }], ["you", { name: "bob" }]))
      assert.deepStrictEqual(here(), { me: { name: "ada" }, you: { name: "bob" } })
      socket.send(present(["you", { name: "bobby" }]))
      assert.deepStrictEqual(here(), { me: { name: "ada" }, you: { name: "bobby" } })
      socket.send({ _tag: "absent", channel: 7, memberId: "you" })
      assert.deepStrictEqual(here(), { me: { name: "ada" } })
      socket.send(present(["odd", { name: 1 }]))
      assert.deepStrictEqual(here(), { me: { name: "ada" } })
    }))

  it.effect("is told anew by a server that synchronizes", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      socket.send(present(["me", { name: "ada" }], ["gone", { name: "eve" }]))
      const sizes: Array<number> = []
      yield* SubscriptionRef.changes(room.presence).pipe(
        Stream.runForEach(({ size }) => Effect.sync(() => sizes.push(size))),
        Effect.forkChild
      )
      yield* settled
      socket.send(
        { _tag: "synced", channel: 7, position: ["e", 1, 0], reason: "restarted", snapshot: { lastId: 0 } },
        present(["me", { name: "ada" }])
      )
      yield* settled
      assert.deepStrictEqual(sizes, [2, 1], "what comes together is seen together")
    }))

  it.effect("is emptied first where a server tells all of it", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      socket.send(present(["me", { name: "ada" }], ["gone", { name: "eve" }]))
      socket.send({ ...present(["me", { name: "ada" }]), all: true }, present(["new", { name: "bob" }]))
      assert.deepStrictEqual([...SubscriptionRef.getUnsafe(room.presence).keys()], ["me", "new"])
    }))

  it.effect("keeps a slow watcher at the latest state", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const sizes: Array<number> = []
      yield* SubscriptionRef.changes(room.presence).pipe(
        Stream.runForEach(({ size }) => Effect.andThen(Effect.sync(() => sizes.push(size)), Effect.sleep("1 second"))),
        Effect.forkChild
      )
      yield* settled
      for (let i = 1; i <= 100; i++) socket.send(present([`${i}`, { name: "ada" }]))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(sizes.at(-1), 100)
      assert.isBelow(sizes.length, 5)
    }))
})

describe("after a reconnect", () => {
  const reconnect = Effect.fnUntraced(function*(
    first: Effect.Success<ReturnType<typeof joined>>,
    answer: Partial<Frame.ServerFrames["joined"]>
  ) {
    first.socket.close(1006)
    yield* TestClock.adjust("1 second")
    const socket = yield* first.server.welcomes()
    const join = yield* socket.joins(answer)
    yield* settled
    return { join, socket }
  })

  it.effect("a room is joined again at its position, and goes on if that could be continued", () =>
    Effect.gen(function*() {
      const first = yield* joined()
      const { seen } = yield* read(first.room)
      first.socket.send(said(1), said(2))
      const { join, socket } = yield* reconnect(first, {
        channel: 9,
        memberId: "me again",
        position: ["e", 1, 2],
        recovered: true,
        snapshot: { lastId: 4 }
      })
      assert.deepStrictEqual(join.position, ["e", 1, 2])
      assert.strictEqual(first.room.memberId, "me again")
      socket.send({ ...said(3), channel: 9 }, { ...said(4), channel: 9 }, said(5, "of another channel"))
      yield* settled
      assert.deepStrictEqual(seen, ["joined 0", "1:1", "2:2", "3:3", "4:4"])
    }))

  it.effect("a room whose position is gone is told anew", () =>
    Effect.gen(function*() {
      const first = yield* joined()
      const { seen } = yield* read(first.room)
      first.socket.send(said(1))
      const { socket } = yield* reconnect(first, { position: ["f", 1, 0], snapshot: { lastId: 0 } })
      socket.send(said(1, "another log"))
      yield* settled
      assert.deepStrictEqual(seen, ["joined 0", "1:1", "gap 0", "1:another log"])
    }))

  it.effect("a room that refuses to take the member back ends", () =>
    Effect.gen(function*() {
      const first = yield* joined()
      const { fiber } = yield* read(first.room)
      first.socket.close(1006)
      yield* TestClock.adjust("1 second")
      const socket = yield* first.server.welcomes()
      const waiting = yield* Effect.forkChild(Effect.flip(first.room.Clear()))
      const { ref } = yield* socket.next("join")
      socket.send({ _tag: "failed", ref, error: { _tag: "RoomFull", limit: 1 } })
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert(error.reason._tag === "RoomStopped")
      assert.strictEqual((yield* Fiber.join(waiting)).reason._tag, "NotJoined")
      assert.strictEqual((yield* Effect.flip(first.room.Clear())).reason._tag, "NotJoined")
    }))

  it.effect("a room that is busy is asked again when it says", () =>
    Effect.gen(function*() {
      const first = yield* joined()
      first.socket.close(1006)
      yield* TestClock.adjust("1 second")
      const socket = yield* first.server.welcomes()
      const { ref } = yield* socket.next("join")
      socket.send({ _tag: "error", ref, error: { _tag: "Overloaded", retryAfter: 700 } })
      yield* TestClock.adjust("699 millis")
      assert.lengthOf(socket.all("join"), 1)
      yield* TestClock.adjust("1 millis")
      yield* socket.joins()
      const clearing = yield* Effect.forkChild(first.room.Clear())
      socket.send({ _tag: "ok", ref: (yield* socket.next("request")).ref, value: null })
      yield* Fiber.join(clearing)
    }))

  it.effect("a room whose reader fell behind asks for a fresh snapshot instead of a replay", () =>
    Effect.gen(function*() {
      const first = yield* joined({ eventBuffer: 4 })
      for (let offset = 1; offset <= 9; offset++) first.socket.send(said(offset))
      first.socket.close(1006)
      const { seen } = yield* read(first.room)
      yield* TestClock.adjust("1 second")
      const socket = yield* first.server.welcomes()
      const { position } = yield* socket.joins({ position: ["e", 1, 9], snapshot: { lastId: 9 } })
      yield* settled
      assert.isNull(position)
      assert.deepStrictEqual(seen, ["joined 9"])
    }))

  it.effect("a replay that comes too late for a reader that fell behind is followed by a fresh snapshot", () =>
    Effect.gen(function*() {
      const first = yield* joined({ eventBuffer: 4 })
      for (let offset = 1; offset <= 9; offset++) first.socket.send(said(offset))
      first.socket.close(1006)
      yield* TestClock.adjust("1 second")
      const socket = yield* first.server.welcomes()
      const { ref } = yield* socket.next("join")
      const { seen } = yield* read(first.room)
      socket.send({
        _tag: "joined",
        ref,
        channel: 7,
        memberId: "me",
        position: ["e", 1, 9],
        recovered: true,
        snapshot: { lastId: 12 }
      }, said(10))
      assert.isNull(yield* renews(socket, 12))
      assert.deepStrictEqual(seen, ["joined 12"])
    }))
})

describe("leaving", () => {
  it.effect("is told to the server when the scope closes, once", () =>
    Effect.gen(function*() {
      const { client, socket } = yield* online()
      const scope = yield* Scope.make()
      const joining = yield* Effect.forkChild(Scope.provide(client.join(Chat, "lobby", { name: "ada" }), scope))
      yield* socket.joins()
      const room = yield* Fiber.join(joining)
      const { fiber } = yield* read(room)
      yield* room.leave
      yield* room.leave
      yield* Scope.close(scope, Exit.void)
      yield* settled
      assert.deepStrictEqual(socket.all("leave").map(({ channel }) => channel), [7])
      yield* Fiber.join(fiber)
      assert.strictEqual((yield* Effect.flip(room.Clear())).reason._tag, "NotJoined")
      assert.strictEqual((yield* Effect.flip(room.Typing())).reason._tag, "NotJoined")
    }))

  it.effect("frees the address for another join, once the server has answered", () =>
    Effect.gen(function*() {
      const { client, room, socket } = yield* joined()
      yield* room.leave
      const joining = yield* Effect.forkChild(client.join(Chat, "lobby", { name: "eve" }))
      const { ref } = yield* socket.next("leave")
      socket.send(said(1, "the last of the old membership"))
      yield* settled
      assert.lengthOf(socket.all("join"), 1)
      socket.send({ _tag: "ok", ref, value: null })
      yield* socket.joins({ position: ["e", 1, 1], memberId: "eve" })
      const again = yield* Fiber.join(joining)
      const { seen } = yield* read(again)
      socket.send(said(2))
      yield* settled
      assert.deepStrictEqual(seen, ["joined 0", "2:2"])
    }))

  it.effect("is not undone by a reconnect", () =>
    Effect.gen(function*() {
      const { room, server, socket } = yield* joined()
      yield* room.leave
      socket.close(1006)
      yield* TestClock.adjust("1 second")
      const second = yield* server.welcomes()
      yield* settled
      assert.lengthOf(second.all("join"), 0)
    }))

  const left = (reason: string, detail: string) => ({ _tag: "left", channel: 7, reason, detail }) as const

  it.effect("by order of the server fails events with why", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const { fiber, seen } = yield* read(room)
      socket.send(said(1), left("kicked", "spam"))
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert(error.reason._tag === "Interrupted")
      assert.strictEqual(error.reason.detail, "kicked: spam")
      assert.deepStrictEqual(seen, ["joined 0", "1:1"])
      assert.strictEqual((yield* Effect.flip(room.Clear())).reason._tag, "NotJoined")
      yield* settled
      assert.lengthOf(socket.all("leave"), 0)
    }))

  it.effect("by the end of the room fails events with RoomStopped", () =>
    Effect.gen(function*() {
      const { room, socket } = yield* joined()
      const { fiber } = yield* read(room)
      socket.send(left("stopped", "it crashed too often"))
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert(error.reason._tag === "RoomStopped")
      assert.strictEqual(error.reason.detail, "it crashed too often")
    }))

  it.effect("by a server that drains is not the end: the room is joined again", () =>
    Effect.gen(function*() {
      const { room, server, socket } = yield* joined()
      const { seen } = yield* read(room)
      socket.send({ _tag: "drain", after: 1_000 }, left("stopped", "the server stops"))
      socket.close(1012)
      yield* TestClock.adjust("2 seconds")
      const second = yield* server.welcomes()
      yield* second.joins({ position: ["f", 1, 0] })
      yield* settled
      assert.deepStrictEqual(seen, ["joined 0", "gap 0"])
    }))

  it.effect("by a server that drains keeps requests and joins for the next, also one that it refused", () =>
    Effect.gen(function*() {
      const { client, room, server, socket } = yield* joined()
      const refused = yield* Effect.forkChild(client.join(Chat, "refused", { name: "ada" }), { startImmediately: true })
      yield* settled
      const { ref } = yield* socket.next("join")
      const stopped = { _tag: "RoomStopped", detail: "the server is stopping" }
      socket.send({ _tag: "drain", after: 0 }, { _tag: "error", ref, error: stopped })
      const later = yield* Effect.forkChild(client.join(Chat, "later", { name: "ada" }), { startImmediately: true })
      const clear = yield* Effect.forkChild(room.Clear(), { startImmediately: true })
      yield* settled
      assert.deepStrictEqual([socket.all("request").length, socket.all("join").length], [0, 2])
      socket.close(1012)
      yield* TestClock.adjust("2 seconds")
      const second = yield* server.welcomes()
      for (const channel of [1, 2, 3]) yield* second.joins({ channel })
      const request = yield* second.next("request")
      second.send({ _tag: "ok", ref: request.ref, value: null })
      for (const fiber of [refused, later, clear]) yield* Fiber.join<unknown, unknown>(fiber)
    }))
})
