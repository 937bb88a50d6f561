import { assert, describe } from "@effect/vitest"
import { Effect, Scope } from "effect"
import * as Engine from "../../src/engine/Engine.ts"
import { Lab, Refused } from "./lab.ts"
import { errorOf } from "./peer.ts"
import { count, hang, ok, roomTest, say, settle, texts } from "./stage.ts"

describe("joining", () => {
  roomTest(
    "answers with the snapshot and the members, and the others see the new one",
    {},
    ({ member }) =>
      Effect.gen(function*() {
        const ada = yield* member("ada")
        const bob = yield* member("bob")
        assert.deepStrictEqual(ada.peer.all("joined")[0]!.snapshot, { state: "state" })
        assert.deepStrictEqual((yield* bob.peer.next("present")).members, [
          [ada.memberId, { name: "ada" }],
          [bob.memberId, { name: "bob" }]
        ])
        assert.deepStrictEqual((yield* ada.peer.next("present", 2)).members, [[bob.memberId, { name: "bob" }]])
      })
  )

  roomTest(
    "answers with the error of the contract when the room refuses, and no leave is owed",
    { join: () => Effect.fail(new Refused({ why: "full" })) },
    ({ engine, peer, trace }) =>
      Effect.gen(function*() {
        const one = yield* peer()
        assert.deepInclude(yield* one.answer(one.sendJoin("lab", "a", { name: "ada" })), {
          _tag: "failed",
          error: { _tag: "Refused", why: "full" }
        })
        one.close()
        yield* settle
        assert.deepStrictEqual(trace, ["init a", "join ada"])
        assert.deepInclude((yield* engine.rooms)[0], { members: 0 })
      })
  )

  roomTest(
    "shows a member every event after its position and none before it, also those of the time its snapshot took",
    {
      snapshot: (room, { presence }) =>
        presence.name === "bob"
          ? Effect.as(Effect.andThen(say(room, "during"), Effect.sleep(100)), "taken").pipe(Effect.orDie)
          : Effect.succeed("")
    },
    ({ member, pass, peer }) =>
      Effect.gen(function*() {
        yield* member("ada")
        yield* Engine.emit(Lab, "a", "Said", { text: "before" })
        const bob = yield* peer()
        const ref = bob.sendJoin("lab", "a", { name: "bob" })
        yield* settle
        yield* Engine.emit(Lab, "a", "Said", { text: "meanwhile" })
        assert.deepStrictEqual(bob.answersTo(ref), [])
        yield* pass(100)
        const joined = yield* bob.answer(ref)
        yield* Engine.emit(Lab, "a", "Said", { text: "after" })
        yield* bob.next("event", 3)
        assert.deepInclude(joined, { _tag: "joined", snapshot: { state: "taken" } })
        assert.strictEqual((joined as any).position[2], 1)
        assert.deepStrictEqual(bob.all("event").map(({ offset }) => offset), [2, 3, 4])
        assert.deepStrictEqual(texts(bob), ["during", "meanwhile", "after"])
        assert.isBelow(bob.frames.indexOf(joined), bob.frames.indexOf(bob.all("event")[0]!))
      })
  )

  roomTest(
    "replays what was missed after a position, and says that it did",
    {},
    ({ member, peer }) =>
      Effect.gen(function*() {
        yield* member("ada")
        const { position } = yield* member("bob")
        for (const text of ["1", "2", "3"]) yield* Engine.emit(Lab, "a", "Said", { text })
        const again = yield* peer()
        const answer = yield* again.answer(again.sendJoin("lab", "a", { name: "bob" }, [position[0], position[1], 1]))
        assert.deepInclude(answer, { recovered: true, position: [position[0], position[1], 1] })
        yield* again.next("event", 2)
        assert.deepStrictEqual(texts(again), ["2", "3"])
        for (const wrong of [["other", 1, 1], [position[0], 2, 1], [position[0], 1, 99]] as const) {
          const other = yield* peer()
          const fresh = yield* other.answer(other.sendJoin("lab", "a", { name: "bob" }, wrong))
          assert.deepInclude(fresh, { recovered: false, position: [position[0], position[1], 3] })
        }
      }),
    { history: { capacity: 10 } }
  )

  roomTest(
    "counts rooms that are being joined against the rooms of a session",
    { join: () => Effect.never },
    ({ peer }) =>
      Effect.gen(function*() {
        const one = yield* peer()
        const refs = [1, 2, 3, 4].map((key) => one.sendJoin("lab", `${key}`, { name: "ada" }))
        yield* settle
        assert.deepStrictEqual(refs.map((ref) => one.answersTo(ref).map(errorOf)), [
          [],
          [],
          ["LimitExceeded"],
          ["LimitExceeded"]
        ])
      }),
    {},
    { limits: { roomsPerSession: 2 } }
  )

  roomTest("neither runs nor finishes a join whose connection has gone", {
    join: (_, { payload }) => Effect.as(Effect.sleep(1_000), payload)
  }, ({ engine, pass, peer, trace }) =>
    Effect.gen(function*() {
      const [one, two, three] = [yield* peer(), yield* peer(), yield* peer()]
      for (const [name, wants] of [["ada", one], ["bob", two], ["carol", three]] as const) {
        wants.sendJoin("lab", "a", { name })
        yield* settle
      }
      two.close()
      yield* settle
      one.close()
      yield* settle
      yield* pass(1_000)
      yield* three.next("joined")
      assert.deepStrictEqual(trace, ["init a", "join ada", "join carol"])
      assert.deepInclude((yield* engine.rooms)[0], { members: 1 })
    }))

  let endings = 0
  roomTest("starts a room anew that is still ending", {
    // Only the first instance: the others end with the engine, for which no time passes.
    init: (room) => endings++ === 0 ? Scope.addFinalizer(room.scope, Effect.sleep(1_000)) : Effect.void
  }, ({ member, pass, trace }) =>
    Effect.gen(function*() {
      const first = yield* member("ada")
      first.peer.close()
      yield* settle
      yield* pass(5_000)
      yield* settle
      const again = yield* member("bob")
      assert.strictEqual(again.position[0], first.position[0])
      yield* pass(1_000)
      assert.deepStrictEqual(trace, ["init a", "join ada", "leave ada lost", "init a", "join bob", "end a"])
      again.peer.close()
      yield* settle
    }), { idleTimeout: 5_000 })
})

describe("leaving", () => {
  roomTest("handles first what was sent before the leave and still waits", {
    do: (_, __, what) => hang(what)
  }, ({ member, settle, trace }) =>
    Effect.gen(function*() {
      const [ada, bob] = [yield* member("ada"), yield* member("bob")]
      const hung = ada.do("hang")
      yield* settle
      const refs = [bob.do("1"), bob.do("2")]
      const leave = bob.peer.ask({ _tag: "leave", channel: bob.channel })
      const late = bob.do("3")
      ada.peer.send({ _tag: "cancel", ref: hung })
      for (const ref of [...refs, leave]) assert.strictEqual((yield* bob.peer.answer(ref))._tag, "ok")
      assert.strictEqual(errorOf(yield* bob.peer.answer(late)), "NotJoined")
      assert.deepStrictEqual(trace.slice(-5), ["do 1", "done 1", "do 2", "done 2", "leave bob left"])
    }))

  roomTest(
    "handles first what was sent before the leave, and answers it",
    {},
    ({ member, trace }) =>
      Effect.gen(function*() {
        const { channel, peer } = yield* member("ada")
        peer.send(
          { _tag: "request", ref: 10, channel, seq: 1, ack: 0, name: "Do", payload: { what: "1" }, again: null },
          { _tag: "notice", channel, name: "Note", payload: { what: "2" } },
          { _tag: "leave", ref: 11, channel },
          { _tag: "request", ref: 12, channel, seq: 2, ack: 0, name: "Do", payload: { what: "3" }, again: null }
        )
        assert.deepStrictEqual([yield* peer.answer(10), yield* peer.answer(11)], [ok(10, "1"), ok(11)])
        assert.strictEqual(errorOf(yield* peer.answer(12)), "NotJoined")
        assert.deepStrictEqual(trace, ["init a", "join ada", "do 1", "done 1", "note 2", "leave ada left"])
      })
  )

  roomTest("interrupts the handler of the one who leaves, if it is suspended, and of nobody else", {
    do: (_, __, what) => hang(what)
  }, ({ member, settle, trace }) =>
    Effect.gen(function*() {
      const [ada, bob] = [yield* member("ada"), yield* member("bob")]
      const hung = ada.do("hang")
      yield* settle
      const leave = bob.peer.ask({ _tag: "leave", channel: bob.channel })
      yield* settle
      assert.deepStrictEqual([bob.peer.answersTo(leave), ada.peer.answersTo(hung)], [[], []])
      ada.peer.ask({ _tag: "leave", channel: ada.channel })
      assert.strictEqual(errorOf(yield* ada.peer.answer(hung)), "Interrupted")
      yield* bob.peer.answer(leave)
      yield* settle
      assert.deepStrictEqual(trace.slice(3), ["do hang", "interrupted hang", "leave bob left", "leave ada left"])
    }))

  roomTest("leaves though the mailbox is full, and the others see it", {
    do: (_, __, what) => hang(what)
  }, ({ member, settle, trace }) =>
    Effect.gen(function*() {
      const [ada, bob] = [yield* member("ada"), yield* member("bob")]
      const hung = ada.do("hang")
      yield* settle
      const waiting = [bob.do("1"), bob.do("2")]
      assert.strictEqual(errorOf(yield* bob.peer.answer(bob.do("3"))), "Overloaded")
      const leave = bob.peer.ask({ _tag: "leave", channel: bob.channel })
      ada.peer.send({ _tag: "cancel", ref: hung })
      yield* bob.peer.answer(leave)
      for (const ref of waiting) assert.strictEqual(errorOf(yield* bob.peer.answer(ref)), "NotJoined")
      assert.strictEqual((yield* ada.peer.next("absent")).memberId, bob.memberId)
      assert.strictEqual(count(trace, "leave bob left"), 1)
    }), { mailbox: 2 })

  roomTest(
    "answers a second leave, and runs the handler once",
    {},
    ({ member, settle, trace }) =>
      Effect.gen(function*() {
        const { channel, peer } = yield* member("ada")
        peer.send({ _tag: "leave", ref: 10, channel }, { _tag: "leave", ref: 11, channel })
        yield* peer.answer(11)
        peer.close()
        yield* settle
        assert.strictEqual(trace.filter((entry) => entry.startsWith("leave")).length, 1)
      })
  )

  roomTest(
    "runs the leave of everybody whose connection is lost, with reason lost",
    {},
    ({ member, network, trace }) =>
      Effect.gen(function*() {
        yield* member("ada", "a")
        const bob = yield* member("bob", "a")
        network.connections()[0]!.cut()
        yield* bob.peer.next("absent")
        assert.deepStrictEqual(trace.slice(-1), ["leave ada lost"])
      }),
    {},
    { limits: { sessionWindow: 0 } }
  )

  roomTest("lets the same session join again, as another member", {}, ({ member, trace }) =>
    Effect.gen(function*() {
      const { channel, memberId, peer } = yield* member("ada")
      peer.send({ _tag: "leave", ref: 10, channel })
      const again = yield* peer.join("lab", "a", { name: "ada" })
      assert.strictEqual(again.channel, channel)
      assert.notStrictEqual(again.memberId, memberId)
      assert.deepStrictEqual(trace, ["init a", "join ada", "leave ada left", "join ada"])
    }))
})
