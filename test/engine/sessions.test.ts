import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import * as Engine from "../../src/engine/Engine.ts"
import type { Script } from "./lab.ts"
import { Lab } from "./lab.ts"
import { errorOf } from "./peer.ts"
import { sessionTest, who } from "./returning.ts"
import { count, hang, say, settle } from "./stage.ts"

const echo: Script = { do: (room, _, what) => Effect.as(say(room, what), what) }

describe("a connection that is lost", () => {
  sessionTest(
    "for two seconds is neither a leave nor an absence for anybody",
    echo,
    ({ client, pass, trace }) =>
      Effect.gen(function*() {
        const [ada, bob] = [yield* client(), yield* client()]
        const joined = yield* ada.join("ada")
        yield* bob.join("bob")
        yield* ada.drop
        yield* pass(2_000)
        yield* ada.resume
        const again = yield* ada.join("ada")
        yield* settle
        assert.strictEqual(again.memberId, joined.memberId)
        assert.strictEqual(again.channel, joined.channel)
        assert.deepStrictEqual(trace, ["init a", "join ada", "join bob"])
        assert.deepStrictEqual(bob.all("absent"), [])
        // Of bob himself in full, and nothing since.
        assert.strictEqual(bob.all("present").length, 1)
        assert.deepStrictEqual(who(ada.peer.all("present")), ["ada", "bob"])
      })
  )

  sessionTest(
    "is a leave once the window has passed, and not before",
    echo,
    ({ client, pass, stats, trace }) =>
      Effect.gen(function*() {
        const [ada, bob] = [yield* client(), yield* client()]
        const { memberId } = yield* ada.join("ada")
        yield* bob.join("bob")
        yield* ada.drop
        yield* pass(119_999)
        assert.deepStrictEqual([bob.all("absent"), count(trace, "leave ada lost")], [[], 0])
        // Bob's own heartbeat goes on; whoever comes now still sees ada.
        const carol = yield* client()
        yield* carol.join("carol")
        assert.deepStrictEqual(who(carol.all("present")), ["ada", "bob", "carol"])
        yield* pass(1)
        assert.deepStrictEqual(bob.all("absent").map((frame) => frame.memberId), [memberId])
        assert.strictEqual(count(trace, "leave ada lost"), 1)
        yield* pass(600_000)
        assert.strictEqual(count(trace, "leave ada lost"), 1)
        assert.deepInclude(yield* stats, { sessions: { attached: 2, detached: 0 } })
        const welcome = yield* ada.resume
        assert.notStrictEqual(welcome.session, ada.first.session)
        assert.deepInclude((yield* stats).resumes, { unknown: 1, resumed: 0 })
      })
  )

  sessionTest(
    "without the server having noticed leaves the rooms that its client does not join again",
    {},
    ({ client, pass, trace }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        yield* ada.join("ada")
        yield* ada.join("other", { key: "b" })
        // The older connection still stands.
        yield* ada.resume
        yield* ada.join("ada")
        yield* pass(119_999)
        assert.strictEqual(count(trace, "leave other lost"), 0)
        yield* pass(1)
        assert.deepStrictEqual(trace.filter((entry) => entry.startsWith("leave")), ["leave other lost"])
      })
  )

  sessionTest(
    "ends the session at once if there is nothing to come back for",
    {},
    ({ client, stats }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        yield* ada.drop
        assert.deepInclude(yield* stats, { sessions: { attached: 0, detached: 0 } })
        assert.notStrictEqual((yield* ada.resume).session, ada.first.session)
      })
  )

  sessionTest("with a goodbye ends the session at once", {}, ({ client, trace }) =>
    Effect.gen(function*() {
      for (const code of [1000, 1005]) {
        const ada = yield* client()
        yield* ada.join(`${code}`)
        // A close frame without a code is told as 1005.
        ada.peer.handle.close(code, "")
        yield* settle
        assert.strictEqual(count(trace, `leave ${code} lost`), 1)
        assert.notStrictEqual((yield* ada.resume).session, ada.first.session)
      }
    }))

  sessionTest(
    "because a page was closed or loaded again keeps the session",
    {},
    ({ client, trace }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        yield* ada.join("ada")
        ada.peer.handle.close(1001, "")
        yield* settle
        assert.strictEqual((yield* ada.resume).session, ada.first.session)
        assert.strictEqual(count(trace, "leave ada lost"), 0)
      })
  )

  sessionTest(
    "for silence or for not reading keeps the session",
    {},
    ({ client, network, pass, trace }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        yield* ada.join("ada")
        ada.peer.answersPings = false
        yield* pass(75_000)
        assert.strictEqual(yield* ada.peer.closeCode, 4408)
        assert.strictEqual((yield* ada.resume).session, ada.first.session)
        yield* ada.join("ada")
        const connection = network.connections().at(-1)!
        connection.stall()
        for (let index = 0; index < 20; index++) {
          yield* Engine.emit(Lab, "a", "Said", { text: "x".repeat(100_000) })
          yield* settle
        }
        connection.unstall()
        assert.strictEqual(yield* ada.peer.closeCode, 4409)
        assert.strictEqual((yield* ada.resume).session, ada.first.session)
        assert.deepStrictEqual(trace, ["init a", "join ada"])
      })
  )

  sessionTest("for breaking the protocol ends the session", {}, ({ client, trace }) =>
    Effect.gen(function*() {
      const ada = yield* client()
      yield* ada.join("ada")
      ada.peer.raw("no\nno\nno")
      assert.strictEqual(yield* ada.peer.closeCode, 1002)
      yield* settle
      assert.strictEqual(count(trace, "leave ada lost"), 1)
    }))
})

describe("a session that goes on", () => {
  sessionTest("does so after an hour of heartbeats", echo, ({ client, pass, trace }) =>
    Effect.gen(function*() {
      const ada = yield* client()
      yield* ada.join("ada")
      yield* pass(3_600_000)
      yield* ada.drop
      yield* pass(60_000)
      assert.strictEqual((yield* ada.resume).session, ada.first.session)
      yield* ada.join("ada")
      assert.deepStrictEqual(trace, ["init a", "join ada"])
    }))

  sessionTest(
    "does so a hundred times, each with a token of its own",
    echo,
    ({ client, stats, trace }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        const { memberId } = yield* ada.join("ada")
        const tokens = new Set([ada.token])
        for (let time = 1; time <= 100; time++) {
          yield* Engine.emit(Lab, "a", "Said", { text: `${time}` })
          yield* ada.drop
          yield* Engine.emit(Lab, "a", "Said", { text: `${time} missed` })
          assert.strictEqual((yield* ada.resume).session, ada.first.session)
          const joined = yield* ada.join("ada", { recover: true })
          assert.deepInclude(joined, { memberId, recovered: true })
          assert.strictEqual((yield* ada.request(`${time}`))._tag, "ok")
          tokens.add(ada.token)
        }
        assert.strictEqual(tokens.size, 101)
        assert.deepStrictEqual(ada.offsets, Array.from({ length: 300 }, (_, index) => index + 1))
        assert.deepStrictEqual(trace.filter((entry) => !entry.startsWith("do")), ["init a", "join ada"])
        assert.strictEqual((yield* stats).resumes.resumed, 100)
      }),
    { history: { capacity: 100 } }
  )

  sessionTest("gets a fresh snapshot where what it missed is not kept", {}, ({ client }) =>
    Effect.gen(function*() {
      const ada = yield* client()
      const { memberId } = yield* ada.join("ada")
      yield* ada.drop
      yield* Engine.emit(Lab, "a", "Said", { text: "missed" })
      yield* ada.resume
      const joined = yield* ada.join("ada", { recover: true })
      assert.deepInclude(joined, { memberId, recovered: false, snapshot: { state: "state" } })
      assert.strictEqual(joined.position[2], 1)
    }))

  sessionTest("is told nothing of a room until it has joined it again", {
    do: (room, member) => Effect.as(Effect.andThen(say(room, "said"), member.send("Said", { text: "direct" })), "")
  }, ({ client }) =>
    Effect.gen(function*() {
      const [ada, bob] = [yield* client(), yield* client()]
      yield* ada.join("ada")
      yield* bob.join("bob")
      yield* ada.drop
      yield* ada.resume
      yield* bob.request("x")
      yield* settle
      assert.deepStrictEqual(ada.peer.kinds(), ["welcome"])
    }), { history: { capacity: 10 } })

  sessionTest(
    "leaves a room that it left meanwhile, by the number it had",
    {},
    ({ client, trace }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        const { channel } = yield* ada.join("ada")
        yield* ada.drop
        yield* ada.resume
        assert.strictEqual((yield* ada.peer.answer(ada.peer.ask({ _tag: "leave", channel })))._tag, "ok")
        yield* settle
        assert.deepStrictEqual(trace, ["init a", "join ada", "leave ada left"])
        assert.deepStrictEqual(ada.peer.all("left"), [])
      })
  )

  sessionTest(
    "loses the memberships that it does not join again within the window",
    {},
    ({ client, pass, trace }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        yield* ada.join("ada", { key: "a" })
        yield* ada.join("ada", { key: "b" })
        yield* ada.drop
        yield* ada.resume
        yield* ada.join("ada", { key: "b" })
        yield* pass(119_999)
        assert.strictEqual(count(trace, "leave ada lost"), 0)
        yield* pass(1)
        assert.strictEqual(count(trace, "leave ada lost"), 1)
        yield* pass(600_000)
        assert.strictEqual(count(trace, "leave ada lost"), 1)
        assert.deepStrictEqual(ada.peer.all("left"), [])
        assert.isUndefined(ada.peer.closed)
      })
  )

  sessionTest(
    "comes back to all the rooms it may be in, and to no more",
    {},
    ({ client }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        for (const key of ["a", "b"]) yield* ada.join("ada", { key })
        yield* ada.drop
        yield* ada.resume
        const refs = ["a", "b", "c"].map((key) => ada.peer.sendJoin("lab", key, { name: "ada" }))
        for (const ref of refs) yield* ada.peer.answer(ref)
        assert.deepStrictEqual(refs.map((ref) => ada.peer.answersTo(ref)[0]!._tag), ["joined", "joined", "error"])
      }),
    {},
    { limits: { roomsPerSession: 2 } }
  )

  sessionTest(
    "is a member once: a second join is refused, before and after",
    {},
    ({ client }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        yield* ada.join("ada")
        yield* ada.drop
        yield* ada.resume
        const refs = [1, 2].map(() => ada.peer.sendJoin("lab", "a", { name: "ada" }))
        for (const ref of refs) yield* ada.peer.answer(ref)
        assert.strictEqual(ada.peer.answersTo(refs[0]!)[0]!._tag, "joined")
        assert.strictEqual(errorOf(ada.peer.answersTo(refs[1]!)[0]!), "AlreadyJoined")
      })
  )

  sessionTest("joins a room anew that kicked it meanwhile", {
    do: (room, _, what) => Effect.as(room.kick([...room.members.values()].find((m) => m.presence.name === what)!), "")
  }, ({ client, trace }) =>
    Effect.gen(function*() {
      const [ada, bob] = [yield* client(), yield* client()]
      const { memberId } = yield* ada.join("ada")
      yield* bob.join("bob")
      yield* ada.drop
      yield* bob.request("ada")
      yield* settle
      assert.strictEqual(count(trace, "leave ada kicked"), 1)
      assert.deepStrictEqual(bob.all("absent").map((frame) => frame.memberId), [memberId])
      assert.strictEqual((yield* ada.resume).session, ada.first.session)
      assert.notStrictEqual((yield* ada.join("ada")).memberId, memberId)
      assert.strictEqual(count(trace, "join ada"), 2)
    }))

  let crashes = 0
  sessionTest("is joined to the next instance of a room that crashed meanwhile", {
    do: (_, __, what) => what === "crash" ? Effect.die(`crash ${++crashes}`) : Effect.succeed(what)
  }, ({ client, pass, trace }) =>
    Effect.gen(function*() {
      const [ada, bob] = [yield* client(), yield* client()]
      const { memberId } = yield* ada.join("ada")
      yield* bob.join("bob")
      yield* ada.drop
      yield* bob.request("crash")
      yield* pass(2_000)
      yield* bob.next("synced")
      yield* ada.resume
      assert.strictEqual((yield* ada.join("ada")).memberId, memberId)
      assert.deepStrictEqual(ada.peer.all("synced"), [])
      assert.strictEqual(count(trace, "restart ada"), 1)
      assert.deepStrictEqual(trace.filter((entry) => entry.startsWith("leave")), [])
    }))

  let shown = 0
  sessionTest("stays a member, and gets in later, where the room dies of showing itself again", {
    snapshot: (_, { presence }) => presence.name === "ada" && ++shown === 2 ? Effect.die("x") : Effect.succeed("shown")
  }, ({ client, pass, trace }) =>
    Effect.gen(function*() {
      const ada = yield* client()
      const { memberId } = yield* ada.join("ada")
      yield* ada.drop
      yield* ada.resume
      assert.strictEqual(
        errorOf(yield* ada.peer.answer(ada.peer.sendJoin("lab", "a", { name: "ada" }))),
        "HandlerFailed"
      )
      yield* pass(2_000)
      assert.strictEqual((yield* ada.join("ada")).memberId, memberId)
      assert.deepStrictEqual(trace.filter((entry) => entry.startsWith("leave")), [])
    }))
})

describe("a drop during a join", () => {
  sessionTest("does not interrupt it: its client is in when it comes back", {
    join: (_, { payload }) => Effect.as(Effect.sleep(1_000), payload)
  }, ({ client, pass, trace }) =>
    Effect.gen(function*() {
      const [ada, bob] = [yield* client(), yield* client()]
      bob.peer.sendJoin("lab", "a", { name: "bob" })
      yield* settle
      yield* pass(1_000)
      ada.peer.sendJoin("lab", "a", { name: "ada" })
      yield* settle
      yield* ada.drop
      yield* pass(1_000)
      yield* bob.next("present", 2)
      yield* ada.resume
      yield* ada.join("ada")
      assert.deepStrictEqual(trace, ["init a", "join bob", "join ada"])
      assert.deepStrictEqual(ada.peer.kinds(), ["welcome", "joined", "present"])
      assert.deepStrictEqual(who(bob.all("present")), ["bob", "ada"])
    }))

  sessionTest("and during its snapshot does not either, nor does one during a return", {
    snapshot: () => Effect.delay(Effect.succeed("slow"), 1_000)
  }, ({ client, pass, trace }) =>
    Effect.gen(function*() {
      const ada = yield* client()
      for (let time = 0; time < 3; time++) {
        ada.peer.sendJoin("lab", "a", { name: "ada" })
        yield* settle
        yield* ada.drop
        yield* ada.resume
      }
      const ref = ada.peer.sendJoin("lab", "a", { name: "ada" })
      for (let second = 0; second < 5; second++) {
        yield* pass(1_000)
        yield* settle
      }
      assert.deepInclude(yield* ada.peer.answer(ref), { _tag: "joined", snapshot: { state: "slow" } })
      assert.deepStrictEqual(trace, ["init a", "join ada"])
      assert.strictEqual(ada.peer.all("error").length, 0)
    }))

  sessionTest("leaves once if nobody comes back", {
    join: (_, { payload }) => Effect.as(Effect.sleep(1_000), payload)
  }, ({ client, engine, pass, trace }) =>
    Effect.gen(function*() {
      const ada = yield* client()
      ada.peer.sendJoin("lab", "a", { name: "ada" })
      yield* settle
      yield* ada.drop
      yield* pass(1_000)
      assert.deepInclude((yield* engine.rooms)[0], { members: 1 })
      yield* pass(120_000)
      assert.deepStrictEqual(
        trace.filter((entry) => !entry.startsWith("init")),
        ["join ada", "leave ada lost", "end a"].slice(0, 2)
      )
    }))
})

describe("two connections with one session", () => {
  sessionTest(
    "are one: the newer wins, and the older is closed with 4410",
    echo,
    ({ client, trace }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        const { memberId } = yield* ada.join("ada")
        const older = ada.peer
        const welcome = yield* ada.resume
        assert.strictEqual(welcome.session, ada.first.session)
        assert.strictEqual(yield* older.closeCode, 4410)
        assert.strictEqual((yield* ada.join("ada")).memberId, memberId)
        assert.strictEqual((yield* ada.request("still here"))._tag, "ok")
        assert.isUndefined(ada.peer.closed)
        assert.deepStrictEqual(trace.filter((entry) => entry.startsWith("leave")), [])
      })
  )
})

/** Says what it is asked, after a second. */
const slowly: Script = {
  do: (room, _, what) => Effect.as(Effect.andThen(Effect.sleep(1_000), say(room, what)), what)
}

describe("a handler that is suspended when the connection is lost", () => {
  sessionTest(
    "goes on, and its answer waits for whoever comes back",
    slowly,
    ({ client, pass, trace }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        yield* ada.join("ada")
        const seq = ada.send("slowly")
        yield* settle
        yield* ada.drop
        yield* pass(1_000)
        yield* settle
        assert.deepStrictEqual(trace.slice(-2), ["do slowly", "done slowly"])
        yield* ada.resume
        yield* ada.join("ada", { recover: true })
        assert.deepInclude(yield* ada.again(seq, "slowly"), { _tag: "ok", value: "slowly" })
        assert.strictEqual(count(trace, "do slowly"), 1)
      }),
    { history: { capacity: 10 } }
  )

  sessionTest(
    "answers under the new reference, after its events, when its client is back before it ends",
    slowly,
    ({ client, pass, trace }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        yield* ada.join("ada")
        const seq = ada.send("slowly")
        yield* settle
        yield* ada.drop
        yield* ada.resume
        const join = ada.sendJoin("ada", { recover: true })
        const ref = ada.sendAgain(seq, "slowly")
        yield* pass(1_000)
        yield* ada.peer.answer(ref)
        assert.strictEqual(ada.peer.answersTo(join)[0]!._tag, "joined")
        assert.deepStrictEqual(ada.peer.kinds(), ["welcome", "joined", "present", "event", "ok"])
        assert.strictEqual(count(trace, "do slowly"), 1)
      }),
    { history: { capacity: 10 } }
  )

  sessionTest(
    "is interrupted at the end of the window",
    { do: (_, __, what) => hang(what) },
    ({ client, pass, trace }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        yield* ada.join("ada")
        ada.send("hang")
        yield* settle
        yield* ada.drop
        yield* pass(4_999)
        assert.strictEqual(count(trace, "interrupted hang"), 0)
        yield* pass(1)
        yield* settle
        assert.deepStrictEqual(trace.slice(-2), ["interrupted hang", "leave ada lost"])
      }),
    {},
    { limits: { sessionWindow: 5_000 } }
  )
})
