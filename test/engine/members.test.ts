import { assert, describe } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import * as Engine from "../../src/engine/Engine.ts"
import { Lab, type LabMember, Refused } from "./lab.ts"
import { errorOf } from "./peer.ts"
import { hang, ok, roomTest, say, texts } from "./stage.ts"

describe("requests", () => {
  roomTest("answers a cancelled request once, whether it runs or waits", {
    do: (_, __, what) => hang(what)
  }, ({ member, settle, trace }) =>
    Effect.gen(function*() {
      const { do: send, peer } = yield* member("ada")
      const [running, waiting] = [send("hang"), send("waits")]
      peer.send({ _tag: "cancel", ref: waiting })
      yield* settle
      peer.send({ _tag: "cancel", ref: running }, { _tag: "cancel", ref: running }, { _tag: "cancel", ref: 999 })
      for (const ref of [running, waiting]) assert.strictEqual(errorOf(yield* peer.answer(ref)), "Interrupted")
      yield* peer.answer(send("after"))
      assert.deepStrictEqual([running, waiting].map((ref) => peer.answersTo(ref).length), [1, 1])
      assert.deepStrictEqual(trace.slice(2), ["do hang", "interrupted hang", "do after", "done after"])
    }))

  roomTest("answers the contract's own error as failed", {
    do: () => Effect.fail(new Refused({ why: "not today" }))
  }, ({ member }) =>
    Effect.gen(function*() {
      const { do: send, peer } = yield* member("ada")
      assert.deepInclude(yield* peer.answer(send("x")), {
        _tag: "failed",
        error: { _tag: "Refused", why: "not today" }
      })
    }))

  roomTest("sends what a handler emitted before its reply, also on a second room of the same connection", {
    do: (room, _, what) => Effect.as(Effect.andThen(say(room, what), Effect.yieldNow), what)
  }, ({ member }) =>
    Effect.gen(function*() {
      const { do: send, peer } = yield* member("ada")
      yield* peer.join("lab", "b", { name: "ada" })
      for (let round = 0; round < 20; round++) {
        const ref = send(`${round}`)
        const reply = yield* peer.answer(ref)
        assert.strictEqual(texts(peer).at(-1), `${round}`)
        assert.strictEqual(peer.frames.at(-1), reply)
      }
    }))

  roomTest(
    "frees the place of a request however it was answered",
    {
      do: (_, __, what) =>
        what === "fails"
          ? Effect.fail(new Refused({ why: "x" }))
          : what === "large"
          ? Effect.succeed("x".repeat(2_000_000))
          : hang(what)
    },
    ({ member }) =>
      Effect.gen(function*() {
        const { channel, do: send, peer } = yield* member("ada")
        for (let round = 0; round < 4; round++) {
          yield* peer.answer(send("fails"))
          yield* peer.answer(send("large"))
          yield* peer.answer(peer.sendRequest(channel, "Nonsense"))
          yield* peer.answer(peer.sendRequest(channel, "Do", { wrong: true }))
          yield* peer.answer(peer.sendJoin("nonsense", "a"))
          yield* peer.answer(peer.sendJoin("lab", "a", { name: "again" }))
          const hung = send("hang")
          peer.send({ _tag: "cancel", ref: hung })
          yield* peer.answer(hung)
        }
        assert.strictEqual((yield* peer.answer(send("fine")))._tag, "ok")
      }),
    {},
    { limits: { openRequests: 2 } }
  )

  roomTest("gives a handler a scope that ends with it", {
    do: (room, _, what) => Effect.as(Effect.addFinalizer(() => Effect.orDie(say(room, `${what} ended`))), what) as never
  }, ({ member }) =>
    Effect.gen(function*() {
      const { do: send, peer } = yield* member("ada")
      yield* peer.answer(send("scope"))
      assert.deepStrictEqual(peer.kinds().slice(-2), ["event", "ok"])
    }))
})

describe("members", () => {
  roomTest("kick removes a member: its leave runs next, once, and everybody is told", {
    do: (room, member, what) =>
      Effect.as(
        Effect.forEach([...room.members.values()].filter((one) => one !== member), (one) => room.kick(one, what)),
        what
      )
  }, ({ member, settle, trace }) =>
    Effect.gen(function*() {
      const [ada, bob] = [yield* member("ada"), yield* member("bob")]
      yield* ada.peer.answer(ada.do("for a reason"))
      assert.deepInclude(yield* bob.peer.next("left"), { reason: "kicked", detail: "for a reason" })
      assert.strictEqual((yield* ada.peer.next("absent")).memberId, bob.memberId)
      assert.strictEqual(errorOf(yield* bob.peer.answer(bob.do("x"))), "NotJoined")
      bob.peer.close()
      yield* settle
      assert.deepStrictEqual(trace.filter((entry) => entry.startsWith("leave")), ["leave bob kicked"])
      yield* Engine.emit(Lab, "a", "Said", { text: "not for bob" })
      yield* ada.peer.next("event")
      assert.deepStrictEqual(texts(bob.peer), [])
    }))

  roomTest("kick interrupts what runs for the member, when something else than that decides it", {
    init: (room) =>
      Effect.asVoid(Effect.forkIn(
        Effect.andThen(
          Effect.sleep(1_000),
          Effect.suspend(() => Effect.forEach([...room.members.values()], (one) => room.kick(one)))
        ),
        room.scope
      )),
    do: (_, __, what) => hang(what)
  }, ({ member, pass, settle, trace }) =>
    Effect.gen(function*() {
      const { do: send, peer } = yield* member("ada")
      const ref = send("hang")
      yield* settle
      yield* pass(1_000)
      assert.strictEqual(errorOf(yield* peer.answer(ref)), "Interrupted")
      yield* peer.next("left")
      assert.deepStrictEqual(trace.slice(-2), ["interrupted hang", "leave ada kicked"])
    }))

  roomTest("lets a handler kick its own caller, and answers it before", {
    do: (room, member, what) => Effect.as(room.kick(member), what)
  }, ({ member }) =>
    Effect.gen(function*() {
      const { do: send, peer } = yield* member("ada")
      assert.deepStrictEqual(yield* peer.answer(send("x")), ok(2, "x"))
      yield* peer.next("left")
      assert.deepStrictEqual(peer.kinds().slice(-2), ["ok", "left"])
    }))

  roomTest("setPresence changes what everybody sees, and refuses what is too large", {
    do: (room, member, what) => Effect.as(room.setPresence(member, { name: what }), what)
  }, ({ member }) =>
    Effect.gen(function*() {
      const [ada, bob] = [yield* member("ada"), yield* member("bob")]
      yield* ada.peer.answer(ada.do("ada the second"))
      assert.deepStrictEqual((yield* bob.peer.next("present", 2)).members, [[ada.memberId, { name: "ada the second" }]])
      assert.strictEqual(errorOf(yield* ada.peer.answer(ada.do("x".repeat(4_096)))), "HandlerFailed")
      const carol = yield* member("carol")
      assert.deepInclude((yield* carol.peer.next("present")).members, [ada.memberId, { name: "ada the second" }])
    }))

  roomTest("member.send reaches one member, and takes no offset", {
    do: (room, member, what) =>
      Effect.as(Effect.andThen(member.send("Said", { text: what }), say(room, "to all")), what)
  }, ({ member }) =>
    Effect.gen(function*() {
      const [ada, bob] = [yield* member("ada"), yield* member("bob")]
      yield* ada.peer.answer(ada.do("to ada"))
      yield* bob.peer.next("event")
      assert.deepStrictEqual(ada.peer.kinds().slice(-3), ["direct", "event", "ok"])
      assert.deepStrictEqual(ada.peer.all("direct")[0]!.payload, { text: "to ada" })
      assert.deepStrictEqual([bob.peer.all("direct"), bob.peer.all("event")[0]!.offset], [[], 1])
    }))

  roomTest("except is told to everybody, so that offsets stay contiguous", {
    do: (room, member, what) => Effect.as(room.emit("Said", { text: what }, { except: member }), what)
  }, ({ member }) =>
    Effect.gen(function*() {
      const [ada, bob] = [yield* member("ada"), yield* member("bob")]
      yield* ada.peer.answer(ada.do("1"))
      yield* bob.peer.next("event")
      for (const { peer } of [ada, bob]) {
        assert.deepInclude(peer.all("event")[0], { offset: 1, except: [ada.memberId] })
      }
    }))

  roomTest("volatile events have no offset and disturb none", {
    do: (room, _, what) => Effect.as(Effect.andThen(room.emit("Blinked", { text: "x" }), say(room, "reliable")), what)
  }, ({ member }) =>
    Effect.gen(function*() {
      const { do: send, peer } = yield* member("ada")
      yield* peer.answer(send("1"))
      yield* peer.answer(send("2"))
      assert.deepStrictEqual(peer.kinds().slice(-6), ["volatile", "event", "ok", "volatile", "event", "ok"])
      assert.deepStrictEqual(peer.all("event").map(({ offset }) => offset), [1, 2])
    }))
})

describe("what a handler is told", () => {
  const seen = Deferred.makeUnsafe<LabMember>()

  roomTest("members of the room by id, in the order of joining", {
    do: (room, member) =>
      Effect.as(Deferred.succeed(seen, member), [...room.members.values()].map(({ presence }) => presence.name).join())
  }, ({ member }) =>
    Effect.gen(function*() {
      for (const name of ["ada", "bob", "carol"]) yield* member(name)
      const { do: send, memberId, peer } = yield* member("dora")
      assert.deepInclude(yield* peer.answer(send("x")), { value: "ada,bob,carol,dora" })
      const self = yield* Deferred.await(seen)
      assert.deepStrictEqual([self.id, self.sessionId], [memberId, peer.all("welcome")[0]!.session])
    }))
})
