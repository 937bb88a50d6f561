import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Scope } from "effect"
import type * as Room from "../../src/contract/Room.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { memory, type Options, serve, type World } from "./harness.ts"
import { Lab, type LabMember, type LabRoom, makeLab, News, Refused, type Script } from "./lab.ts"
import { errorOf, type Peer } from "./peer.ts"

interface Stage extends World {
  readonly trace: Array<string>
  /** Joins room `a`, or another, as `name`. */
  readonly member: (name: string, key?: string) => Effect.Effect<Member, never, Scope.Scope>
  /** Lets everything run that can run without time passing. */
  readonly settle: Effect.Effect<void>
}

interface Member {
  readonly peer: Peer
  readonly channel: number
  readonly memberId: string
  readonly position: readonly [string, number, number]
  readonly do: (what: string) => number
}

const settle = Effect.forEach(Array.from({ length: 60 }), () => Effect.yieldNow, { discard: true })

const test = (
  sentence: string,
  script: Script,
  body: (stage: Stage) => Effect.Effect<void, unknown, Scope.Scope | Engine.Engine>,
  room?: Room.Options,
  options: Partial<Options> = {}
) =>
  it.effect(sentence, () => {
    const { layer, trace } = makeLab(script, room)
    return serve(memory, { rooms: [layer, News], ...options })((world) =>
      body({
        ...world,
        trace,
        settle,
        member: Effect.fnUntraced(function*(name: string, key = "a") {
          const peer = yield* world.peer()
          const { channel, memberId, position } = yield* peer.join("lab", key, { name })
          return { peer, channel, memberId, position, do: (what) => peer.sendRequest(channel, "Do", { what }) }
        })
      })
    )
  })

const say = (room: LabRoom, text: string) => Effect.asVoid(room.emit("Said", { text }))
const texts = (peer: Peer) => peer.events().map((payload) => (payload as { readonly text: string }).text)
const hang = (what: string) => what === "hang" ? Effect.never : Effect.succeed(what)
const count = (trace: ReadonlyArray<string>, entry: string) => trace.filter((one) => one === entry).length
const ok = (ref: number, value: unknown = null) => ({ _tag: "ok", ref, value } as const)

describe("joining", () => {
  test(
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

  test(
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

  test(
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

  test(
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

  test(
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
})

describe("leaving", () => {
  test(
    "handles first what was sent before the leave, and answers it",
    {},
    ({ member, trace }) =>
      Effect.gen(function*() {
        const { channel, peer } = yield* member("ada")
        peer.send(
          { _tag: "request", ref: 10, channel, seq: 1, ack: 0, name: "Do", payload: { what: "1" } },
          { _tag: "notice", channel, name: "Note", payload: { what: "2" } },
          { _tag: "leave", ref: 11, channel },
          { _tag: "request", ref: 12, channel, seq: 2, ack: 0, name: "Do", payload: { what: "3" } }
        )
        assert.deepStrictEqual([yield* peer.answer(10), yield* peer.answer(11)], [ok(10, "1"), ok(11)])
        assert.strictEqual(errorOf(yield* peer.answer(12)), "NotJoined")
        assert.deepStrictEqual(trace, ["init a", "join ada", "do 1", "done 1", "note 2", "leave ada left"])
      })
  )

  test("interrupts the handler of the one who leaves, if it is suspended, and of nobody else", {
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

  test("leaves though the mailbox is full, and the others see it", {
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

  test("answers a second leave, and runs the handler once", {}, ({ member, settle, trace }) =>
    Effect.gen(function*() {
      const { channel, peer } = yield* member("ada")
      peer.send({ _tag: "leave", ref: 10, channel }, { _tag: "leave", ref: 11, channel })
      yield* peer.answer(11)
      peer.close()
      yield* settle
      assert.strictEqual(trace.filter((entry) => entry.startsWith("leave")).length, 1)
    }))

  test(
    "runs the leave of everybody whose connection is lost, with reason lost",
    {},
    ({ member, network, trace }) =>
      Effect.gen(function*() {
        yield* member("ada", "a")
        const bob = yield* member("bob", "a")
        network.connections()[0]!.cut()
        yield* bob.peer.next("absent")
        assert.deepStrictEqual(trace.slice(-1), ["leave ada lost"])
      })
  )

  test("lets the same session join again, as another member", {}, ({ member, trace }) =>
    Effect.gen(function*() {
      const { channel, memberId, peer } = yield* member("ada")
      peer.send({ _tag: "leave", ref: 10, channel })
      const again = yield* peer.join("lab", "a", { name: "ada" })
      assert.strictEqual(again.channel, channel)
      assert.notStrictEqual(again.memberId, memberId)
      assert.deepStrictEqual(trace, ["init a", "join ada", "leave ada left", "join ada"])
    }))
})

describe("requests", () => {
  test("answers a cancelled request once, whether it runs or waits", {
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

  test("answers the contract's own error as failed", {
    do: () => Effect.fail(new Refused({ why: "not today" }))
  }, ({ member }) =>
    Effect.gen(function*() {
      const { do: send, peer } = yield* member("ada")
      assert.deepInclude(yield* peer.answer(send("x")), {
        _tag: "failed",
        error: { _tag: "Refused", why: "not today" }
      })
    }))

  test("sends what a handler emitted before its reply, also on a second room of the same connection", {
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

  test("gives a handler a scope that ends with it", {
    do: (room, _, what) => Effect.as(Effect.addFinalizer(() => Effect.orDie(say(room, `${what} ended`))), what) as never
  }, ({ member }) =>
    Effect.gen(function*() {
      const { do: send, peer } = yield* member("ada")
      yield* peer.answer(send("scope"))
      assert.deepStrictEqual(peer.kinds().slice(-2), ["event", "ok"])
    }))
})

describe("members", () => {
  test("kick removes a member: its leave runs next, once, and everybody is told", {
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

  test("kick interrupts what runs for the member, when something else than that decides it", {
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

  test("lets a handler kick its own caller, and answers it before", {
    do: (room, member, what) => Effect.as(room.kick(member), what)
  }, ({ member }) =>
    Effect.gen(function*() {
      const { do: send, peer } = yield* member("ada")
      assert.deepStrictEqual(yield* peer.answer(send("x")), ok(2, "x"))
      yield* peer.next("left")
      assert.deepStrictEqual(peer.kinds().slice(-2), ["ok", "left"])
    }))

  test("setPresence changes what everybody sees, and refuses what is too large", {
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

  test("member.send reaches one member, and takes no offset", {
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

  test("except is told to everybody, so that offsets stay contiguous", {
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

  test("volatile events have no offset and disturb none", {
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

describe("restart", () => {
  const dies: Script = { do: (room, _, what) => what === "die" ? Effect.die("x") : Effect.as(say(room, what), what) }

  test(
    "joins every member to the new instance, tells it its state again, and offsets go on",
    dies,
    ({ member, pass, settle, trace }) =>
      Effect.gen(function*() {
        const [ada, bob] = [yield* member("ada"), yield* member("bob")]
        yield* ada.peer.answer(ada.do("1"))
        assert.strictEqual(errorOf(yield* ada.peer.answer(ada.do("die"))), "HandlerFailed")
        const waits = bob.do("2")
        yield* pass(100)
        yield* bob.peer.answer(waits)
        for (const { peer } of [ada, bob]) {
          const synced = yield* peer.next("synced")
          assert.deepInclude(synced, {
            reason: "restarted",
            position: [ada.position[0], 1, 1],
            snapshot: { state: "state" }
          })
          yield* peer.next("event", 2)
          assert.deepStrictEqual(peer.all("event").map(({ offset, payload }) => [offset, payload]), [
            [1, { text: "1" }],
            [2, { text: "2" }]
          ])
        }
        ada.peer.close()
        bob.peer.close()
        yield* settle
        assert.deepStrictEqual(trace.filter((entry) => !entry.startsWith("do")), [
          "init a",
          "join ada",
          "join bob",
          "end a",
          "init a",
          "restart ada",
          "restart bob",
          "leave ada lost",
          "leave bob lost"
        ])
      })
  )

  test("removes a member whom the new instance refuses, with one leave", {
    ...dies,
    join: (_, { cause, payload }) =>
      cause === "restart" && payload.name === "bob" ? Effect.fail(new Refused({ why: "no" })) : Effect.succeed(payload)
  }, ({ member, pass, trace }) =>
    Effect.gen(function*() {
      const [ada, bob] = [yield* member("ada"), yield* member("bob")]
      yield* ada.peer.answer(ada.do("die"))
      yield* pass(100)
      assert.deepInclude(yield* bob.peer.next("left"), { reason: "kicked" })
      yield* ada.peer.next("synced")
      assert.strictEqual(count(trace, "leave bob kicked"), 1)
      bob.peer.close()
      yield* settle
      assert.strictEqual(trace.filter((entry) => entry.startsWith("leave bob")).length, 1)
    }))

  test("says synced before every event after its position, also those of the time the snapshot took", {
    ...dies,
    snapshot: () => Effect.as(Effect.sleep(1_000), "taken")
  }, ({ pass, peer, settle }) =>
    Effect.gen(function*() {
      const one = yield* peer()
      const join = one.sendJoin("lab", "a", { name: "ada" })
      yield* settle
      yield* pass(1_000)
      const { channel } = (yield* one.answer(join)) as { readonly channel: number }
      yield* one.request(channel, "Do", { what: "1" })
      yield* one.request(channel, "Do", { what: "die" })
      yield* pass(100)
      yield* settle
      // The snapshot of the new instance is being taken.
      yield* Engine.emit(Lab, "a", "Said", { text: "meanwhile" })
      yield* settle
      yield* pass(1_000)
      const { position } = yield* one.next("synced")
      yield* one.next("event", 2)
      const after = one.frames.slice(one.frames.findIndex(({ _tag }) => _tag === "synced"))
      const next = after.find(({ _tag }) => _tag === "event") as { readonly offset: number } | undefined
      assert.deepStrictEqual([position[2], next?.offset], [1, 2])
    }))

  test(
    "never runs the message again that crashed, and handles those behind it",
    dies,
    ({ member, pass, trace }) =>
      Effect.gen(function*() {
        const { do: send, peer } = yield* member("ada")
        const refs = [send("1"), send("die"), send("2")]
        yield* pass(100)
        yield* peer.answer(refs[2]!)
        assert.deepStrictEqual(trace.filter((entry) => entry.startsWith("do ")), ["do 1", "do die", "do 2"])
        assert.deepStrictEqual(refs.map((ref) => peer.answersTo(ref).length), [1, 1, 1])
      })
  )

  test("answers a leave whose handler crashes, and does not run it again", {
    leave: (_, { presence }) => presence.name === "ada" ? Effect.die("x") : Effect.void
  }, ({ member, pass, settle, trace }) =>
    Effect.gen(function*() {
      const [ada, bob] = [yield* member("ada"), yield* member("bob")]
      assert.deepStrictEqual(yield* ada.peer.answer(ada.peer.ask({ _tag: "leave", channel: ada.channel })), ok(2))
      yield* pass(100)
      yield* bob.peer.next("synced")
      yield* settle
      assert.strictEqual(trace.filter((entry) => entry.includes("ada")).join(), "join ada,leave ada left")
    }))
})

describe("timers", () => {
  const ticking: Script = {
    init: (room) =>
      Effect.andThen(
        Effect.orDie(room.after(1_000, say(room, "after"))),
        Effect.orDie(room.every(400, say(room, "every")))
      )
  }

  test(
    "run as turns of the room, after and every so often",
    ticking,
    ({ member, pass, settle }) =>
      Effect.gen(function*() {
        const { peer } = yield* member("ada")
        yield* pass(2_000)
        yield* settle
        assert.deepStrictEqual(texts(peer), ["every", "every", "after", "every", "every", "every"])
      })
  )

  test("wait for the handler that runs, since a room does one thing at a time", {
    ...ticking,
    do: (room, _, what) => Effect.as(Effect.andThen(Effect.sleep(3_000), say(room, what)), what)
  }, ({ member, pass, settle }) =>
    Effect.gen(function*() {
      const { do: send, peer } = yield* member("ada")
      send("handler")
      yield* settle
      yield* pass(2_999)
      yield* settle
      assert.deepStrictEqual(texts(peer), [])
      yield* pass(1)
      yield* peer.next("event", 3)
      // One turn of `every` waited, not six.
      assert.deepStrictEqual([...texts(peer)].sort(), ["after", "every", "handler"])
      assert.strictEqual(texts(peer)[0], "handler")
    }))

  test("do not survive the instance that set them", {
    do: (room, _, what) => what === "die" ? Effect.die("x") : Effect.as(room.every(1_000, say(room, what)), what)
  }, ({ member, pass, settle }) =>
    Effect.gen(function*() {
      const { do: send, peer } = yield* member("ada")
      yield* peer.answer(send("old"))
      yield* pass(1_000)
      yield* peer.next("event")
      yield* peer.answer(send("die"))
      yield* pass(10_000)
      yield* settle
      assert.deepStrictEqual(texts(peer), ["old"])
    }))

  test(
    "do not survive the room",
    ticking,
    ({ engine, member, pass, settle, sleeping, trace }) =>
      Effect.gen(function*() {
        yield* settle
        const idle = sleeping()
        const { peer } = yield* member("ada")
        peer.close()
        yield* settle
        yield* pass(10_000)
        yield* settle
        assert.deepStrictEqual([yield* engine.rooms, trace.at(-1)], [[], "end a"])
        const { offset } = yield* Engine.emit(Lab, "a", "Said", { text: "x" })
        yield* pass(10_000)
        assert.strictEqual((yield* Engine.emit(Lab, "a", "Said", { text: "x" })).offset, offset + 1)
        assert.isAtMost(sleeping(), idle)
      }),
    { idleTimeout: 5_000 }
  )
})

describe("idleness", () => {
  test(
    "stops a room some time after its last member left; epoch and offsets stay",
    {},
    ({ engine, member, pass, settle, trace }) =>
      Effect.gen(function*() {
        const first = yield* member("ada")
        yield* Engine.emit(Lab, "a", "Said", { text: "1" })
        first.peer.close()
        yield* settle
        yield* pass(4_999)
        yield* settle
        assert.strictEqual((yield* engine.rooms).length, 1)
        yield* pass(1)
        yield* settle
        assert.strictEqual((yield* engine.rooms).length, 0)
        assert.deepStrictEqual(trace, ["init a", "join ada", "leave ada lost", "end a"])
        const again = yield* member("ada")
        assert.deepStrictEqual(again.position, [first.position[0], first.position[1], 1])
        assert.deepStrictEqual(trace.slice(4), ["init a", "join ada"])
      }),
    { idleTimeout: 5_000 }
  )

  test(
    "keeps a room that somebody joined again in time",
    {},
    ({ engine, member, pass, settle, trace }) =>
      Effect.gen(function*() {
        for (let round = 0; round < 5; round++) {
          const { peer } = yield* member("ada")
          peer.close()
          yield* settle
          yield* pass(4_000)
          yield* settle
        }
        assert.deepStrictEqual([(yield* engine.rooms).length, count(trace, "init a")], [1, 1])
      }),
    { idleTimeout: 5_000 }
  )

  test("stops a room that nobody joined after all: the one who wanted to has gone meanwhile", {
    init: () => Effect.sleep(1_000)
  }, ({ engine, pass, peer, settle }) =>
    Effect.gen(function*() {
      const one = yield* peer()
      one.sendJoin("lab", "a", { name: "ada" })
      yield* settle
      one.close()
      yield* settle
      yield* pass(1_000)
      yield* settle
      assert.strictEqual((yield* engine.rooms).length, 1)
      yield* pass(5_000)
      yield* settle
      assert.strictEqual((yield* engine.rooms).length, 0)
    }), { idleTimeout: 5_000 })

  test("stops a room whose only join was refused, or died", {
    join: (_, { payload }) => payload.name === "dies" ? Effect.die("x") : Effect.fail(new Refused({ why: "no" }))
  }, ({ engine, pass, peer, settle }) =>
    Effect.gen(function*() {
      const one = yield* peer()
      yield* one.answer(one.sendJoin("lab", "a", { name: "refused" }))
      yield* one.answer(one.sendJoin("lab", "b", { name: "dies" }))
      yield* pass(100)
      assert.strictEqual((yield* engine.rooms).length, 2)
      yield* pass(6_000)
      yield* settle
      assert.strictEqual((yield* engine.rooms).length, 0)
    }), { idleTimeout: 5_000 })
})

describe("from outside", () => {
  test("emit reaches the members of this moment and gives the offset", {}, ({ member }) =>
    Effect.gen(function*() {
      const [ada, bob] = [yield* member("ada", "a"), yield* member("bob", "b")]
      assert.deepStrictEqual(yield* Engine.emit(Lab, "a", "Said", { text: "x" }), { offset: 1 })
      assert.deepStrictEqual(yield* Engine.emit(Lab, "a", "Said", { text: "y" }), { offset: 2 })
      yield* ada.peer.next("event", 2)
      assert.deepStrictEqual([texts(ada.peer), texts(bob.peer)], [["x", "y"], []])
    }))

  test(
    "emit to a room that does not run starts none, and counts",
    {},
    ({ engine, member, trace }) =>
      Effect.gen(function*() {
        yield* Engine.emit(Lab, "a", "Said", { text: "x" })
        assert.deepStrictEqual([yield* engine.rooms, trace], [[], []])
        assert.strictEqual((yield* member("ada")).position[2], 1)
      })
  )

  test(
    "publish reaches the subscribers of a topic from their subscription on, until they end it",
    {},
    ({ peer }) =>
      Effect.gen(function*() {
        const one = yield* peer()
        yield* Engine.publish(News, "k", { text: "before" })
        const subscribed = yield* one.answer(one.ask({ _tag: "subscribe", topic: "news", key: "k", position: null }))
        assert.deepInclude(subscribed, { _tag: "subscribed", recovered: false })
        yield* Engine.publish(News, "k", { text: "during" })
        yield* Engine.publish(News, "other", { text: "elsewhere" })
        yield* one.next("event")
        const { channel } = subscribed as { readonly channel: number }
        const again = one.ask({ _tag: "subscribe", topic: "news", key: "k", position: null })
        assert.strictEqual(errorOf(yield* one.answer(again)), "AlreadyJoined")
        assert.strictEqual(errorOf(yield* one.request(channel, "Do")), "NotJoined")
        yield* one.answer(one.ask({ _tag: "unsubscribe", channel }))
        yield* Engine.publish(News, "k", { text: "after" })
        yield* settle
        assert.deepStrictEqual(one.events(), [{ text: "during" }])
      })
  )

  test("rooms lists what runs, with its members", {}, ({ engine, member }) =>
    Effect.gen(function*() {
      yield* member("ada", "a")
      yield* member("bob", "a")
      yield* member("carol", "b")
      assert.deepStrictEqual(yield* engine.rooms, [
        { room: "lab", key: "a", members: 2 },
        { room: "lab", key: "b", members: 1 }
      ])
      assert.strictEqual(yield* engine.connections, 3)
    }))
})

describe("what a handler is told", () => {
  const seen = Deferred.makeUnsafe<LabMember>()

  test("members of the room by id, in the order of joining", {
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
