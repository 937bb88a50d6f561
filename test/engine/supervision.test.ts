/** Rooms that crash: when they are restarted, when they are given up, and who pays for it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import type * as Actor from "../../src/actor/Actor.ts"
import type * as Room from "../../src/contract/Room.ts"
import { memory, serve } from "./harness.ts"
import { makeLab, type Script } from "./lab.ts"
import { errorOf, type Peer } from "./peer.ts"
import { count, roomTest, settle } from "./stage.ts"

const dies: Script = { do: (_, __, what) => what === "die" ? Effect.die("x") : Effect.succeed(what) }

const left = (peer: Peer) => peer.all("left").map(({ detail, reason }) => [reason, detail])

describe("supervision of a room", () => {
  roomTest(
    "restarts it as its schedule says",
    dies,
    ({ member, pass, trace }) =>
      Effect.gen(function*() {
        const { do: send, peer } = yield* member("ada")
        for (const crash of [1, 2]) {
          yield* peer.answer(send("die"))
          yield* pass(6_999)
          yield* settle
          assert.strictEqual(count(trace, "init a"), crash)
          yield* pass(1)
          yield* peer.next("synced", crash)
        }
      }),
    { supervision: { schedule: Schedule.spaced("7 seconds") } }
  )

  roomTest(
    "gives it up when its schedule ends: members are told, what waits is RoomStopped, and the next join starts it anew",
    {
      do: (_, __, what) =>
        what === "die later"
          ? Effect.delay(Effect.die("x"), 1_000)
          : what === "die"
          ? Effect.die("x")
          : Effect.succeed(what)
    },
    ({ engine, member, pass, peer, trace }) =>
      Effect.gen(function*() {
        const [ada, bob] = [yield* member("ada"), yield* member("bob")]
        yield* ada.peer.answer(ada.do("die"))
        yield* pass(100)
        yield* ada.peer.next("synced")
        const refs = [ada.do("die later"), bob.do("waits")] as const
        yield* settle
        yield* pass(1_000)
        assert.strictEqual(errorOf(yield* ada.peer.answer(refs[0])), "HandlerFailed")
        assert.strictEqual(errorOf(yield* bob.peer.answer(refs[1])), "RoomStopped")
        for (const one of [ada, bob]) {
          yield* one.peer.next("left")
          assert.deepStrictEqual(left(one.peer), [["stopped", "it crashed too often"]])
          assert.isUndefined(one.peer.closed)
        }
        assert.deepStrictEqual(yield* engine.rooms, [])
        yield* (yield* peer()).join("lab", "a", { name: "carol" })
        assert.deepStrictEqual(trace.slice(-2), ["init a", "join carol"])
      }),
    { supervision: { schedule: Schedule.upTo(Schedule.spaced(100), { times: 1 }) } }
  )

  roomTest(
    "gives it up with one crash more than its intensity, and counts only those of its time",
    dies,
    ({ member, pass }) =>
      Effect.gen(function*() {
        const members = []
        for (let index = 0; index < 4; index++) members.push(yield* member(`${index}`))
        for (const [index, { do: send, peer }] of members.entries()) {
          yield* peer.answer(send("die"))
          yield* pass(index === 0 ? 10_000 : 1_000)
        }
        for (const { peer } of members) {
          yield* peer.next("left")
          assert.strictEqual(peer.all("synced").length, 3)
        }
      }),
    { supervision: { schedule: Schedule.spaced(1), intensity: { restarts: 2, within: "10 seconds" } } }
  )

  const escalates: Room.Options = {
    supervision: { intensity: { restarts: 0, within: "1 minute" }, spent: "escalate" }
  }

  roomTest(
    "escalates if it is asked to: the rooms of its contract stop in order, and the engine serves the rest on",
    {
      do: (_, __, what) =>
        what === "die" ? Effect.die("x") : Effect.as(what === "slow" ? Effect.sleep(5_000) : Effect.void, what)
    },
    ({ engine, errors, member, pass, peer, trace }) =>
      Effect.gen(function*() {
        const [ada, bob] = [yield* member("ada"), yield* member("bob", "b")]
        const accepted = [bob.do("slow"), bob.do("next")]
        yield* settle
        assert.strictEqual(errorOf(yield* ada.peer.answer(ada.do("die"))), "HandlerFailed")
        yield* ada.peer.next("left")
        assert.deepStrictEqual(left(ada.peer), [["stopped", "it crashed too often"]])
        // What the other room had accepted is done; nothing else is.
        assert.strictEqual(errorOf(yield* bob.peer.answer(bob.do("late"))), "RoomStopped")
        yield* pass(5_000)
        for (const ref of accepted) assert.strictEqual((yield* bob.peer.answer(ref))._tag, "ok")
        yield* bob.peer.next("left")
        assert.deepStrictEqual(left(bob.peer), [["stopped", "a room of this kind crashed too often"]])
        assert.strictEqual(count(trace, "leave bob stopped"), 1)
        assert.deepStrictEqual(yield* engine.rooms, [])
        // Whoever is connected stays so, and has the other contracts.
        const carol = yield* peer()
        for (const one of [ada.peer, carol]) {
          const refused = yield* one.answer(one.sendJoin("lab", "c", { name: "x" }))
          assert.deepInclude(refused, {
            error: { _tag: "RoomStopped", detail: "a room of this kind crashed too often" }
          })
          const subscribed = yield* one.answer(one.ask({ _tag: "subscribe", topic: "news", key: "k", position: null }))
          assert.strictEqual(subscribed._tag, "subscribed")
        }
        assert.strictEqual(errors.filter((error) => error.includes("no room of lab is served any more")).length, 1)
      }),
    escalates
  )

  roomTest("does not escalate unless it is asked to", dies, ({ member }) =>
    Effect.gen(function*() {
      const [ada, bob] = [yield* member("ada"), yield* member("bob", "b")]
      yield* ada.peer.answer(ada.do("die"))
      yield* ada.peer.next("left")
      assert.strictEqual((yield* bob.peer.answer(bob.do("fine")))._tag, "ok")
      yield* member("carol", "c")
    }), { supervision: { intensity: { restarts: 0, within: "1 minute" } } })

  it("is the same data as the supervision of an actor", () => {
    const room: Room.Supervision = { schedule: Schedule.spaced(1), spent: "escalate" }
    const actor: Actor.Supervision = room
    assert.strictEqual(actor, room)
  })
})

describe("a member whose messages crash rooms", () => {
  const poisons: Script = {
    ...dies,
    join: (_, { payload }) => payload.name === "poison" ? Effect.die("x") : Effect.succeed(payload),
    leave: (_, { presence }) => presence.name === "poisonous leave" ? Effect.die("x") : Effect.void,
    note: () => Effect.die("x")
  }

  roomTest(
    "is closed with 4500 after three crashes, with each answered before, while the room and its members stay",
    dies,
    ({ engine, member, pass, trace }) =>
      Effect.gen(function*() {
        const [ada, bob] = [yield* member("ada"), yield* member("bob")]
        for (let crash = 1; crash <= 3; crash++) {
          assert.isUndefined(ada.peer.closed)
          assert.strictEqual(errorOf(yield* ada.peer.answer(ada.do("die"))), "HandlerFailed")
          if (crash === 3) continue
          yield* pass(10_000)
          yield* ada.peer.next("synced", crash)
        }
        assert.strictEqual(yield* ada.peer.closeCode, 4500)
        assert.strictEqual(ada.peer.frames.at(-1)?._tag, "error")
        yield* pass(10_000)
        yield* bob.peer.next("synced", 3)
        assert.strictEqual((yield* bob.peer.answer(bob.do("fine")))._tag, "ok")
        assert.isUndefined(bob.peer.closed)
        assert.deepInclude((yield* engine.rooms)[0], { members: 1 })
        assert.strictEqual(count(trace, "leave ada kicked"), 1)
        assert.strictEqual(count(trace, "restart ada"), 2)
      })
  )

  roomTest(
    "does not have run what it sent behind the third",
    dies,
    ({ member, pass, trace }) =>
      Effect.gen(function*() {
        const { do: send, peer } = yield* member("ada")
        for (const what of ["die", "die", "die", "more"]) send(what)
        for (let second = 0; second < 5; second++) yield* pass(1_000)
        assert.strictEqual(yield* peer.closeCode, 4500)
        assert.deepStrictEqual(trace.filter((entry) => entry.startsWith("do ")), ["do die", "do die", "do die"])
      })
  )

  roomTest(
    "is charged for requests, notices, joins and leaves, in all its rooms together",
    poisons,
    ({ member, pass, peer }) =>
      Effect.gen(function*() {
        const one = yield* peer()
        const { channel } = yield* one.join("lab", "a", { name: "ada" })
        one.notice(channel, "Note", { what: "x" })
        yield* pass(1_000)
        assert.strictEqual(errorOf(yield* one.answer(one.sendJoin("lab", "b", { name: "poison" }))), "HandlerFailed")
        yield* pass(1_000)
        assert.isUndefined(one.closed)
        const third = yield* one.join("lab", "c", { name: "poisonous leave" })
        yield* one.answer(one.ask({ _tag: "leave", channel: third.channel }))
        assert.strictEqual(yield* one.closeCode, 4500)
        // Nobody else was charged.
        const { do: send, peer: other } = yield* member("bob", "b")
        for (let crash = 0; crash < 2; crash++) {
          yield* other.answer(send("die"))
          yield* pass(1_000)
        }
        assert.isUndefined(other.closed)
      })
  )

  roomTest(
    "is charged for the restarts that its join prevents, so that the room comes back without it",
    {
      ...dies,
      join: (_, { cause, payload }) =>
        cause === "restart" && payload.name === "poison" ? Effect.die("x") : Effect.succeed(payload)
    },
    ({ member, pass, trace }) =>
      Effect.gen(function*() {
        const [poison, bob] = [yield* member("poison"), yield* member("bob")]
        yield* bob.peer.answer(bob.do("die"))
        for (let second = 0; second < 5; second++) yield* pass(1_000)
        assert.strictEqual(yield* poison.peer.closeCode, 4500)
        yield* bob.peer.next("synced")
        assert.strictEqual((yield* bob.peer.answer(bob.do("fine")))._tag, "ok")
        assert.strictEqual(count(trace, "leave poison kicked"), 1)
        assert.isUndefined(bob.peer.closed)
      })
  )

  roomTest(
    "is forgiven each crash when it no longer counts against the room",
    dies,
    ({ member, pass }) =>
      Effect.gen(function*() {
        const { do: send, peer } = yield* member("ada")
        for (let crash = 0; crash < 10; crash++) {
          yield* peer.answer(send("die"))
          yield* pass(5_000)
        }
        assert.isUndefined(peer.closed)
      }),
    { supervision: { schedule: Schedule.spaced(1), intensity: { restarts: 5, within: "10 seconds" } } }
  )

  it.effect("is nobody where a timer of the room died, a handler took too long, or its error was a typed one", () => {
    const { layer } = makeLab({
      init: (room) => room.every(3_500, Effect.die("x")),
      do: (_, __, what) => what === "hang" ? Effect.never : Effect.fail(what as never)
    }, {
      deadline: 1_000,
      supervision: { schedule: Schedule.spaced(1), intensity: { restarts: 100, within: "1 minute" } }
    })
    return serve(memory, { rooms: [layer] })(({ pass, peer }) =>
      Effect.gen(function*() {
        const one = yield* peer()
        const { channel } = yield* one.join("lab", "a", { name: "ada" })
        for (let round = 1; round <= 5; round++) {
          assert.strictEqual(errorOf(yield* one.request(channel, "Do", { what: "x" })), "HandlerFailed")
          const hangs = one.sendRequest(channel, "Do", { what: "hang" })
          yield* settle
          yield* pass(1_000)
          assert.strictEqual(errorOf(yield* one.answer(hangs)), "HandlerTimeout")
          yield* pass(2_501)
          yield* one.next("synced", round)
        }
        assert.isUndefined(one.closed)
      })
    )
  })
})
