import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import * as Engine from "../../src/engine/Engine.ts"
import { Lab, Refused, type Script } from "./lab.ts"
import { errorOf } from "./peer.ts"
import { count, ok, roomTest, say, settle, texts } from "./stage.ts"

describe("restart", () => {
  const dies: Script = { do: (room, _, what) => what === "die" ? Effect.die("x") : Effect.as(say(room, what), what) }

  roomTest(
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

  roomTest("removes a member whom the new instance refuses, with one leave", {
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

  roomTest("says synced before every event after its position, also those of the time the snapshot took", {
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

  roomTest(
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

  roomTest("answers a leave whose handler crashes, and does not run it again", {
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

  roomTest(
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

  roomTest("wait for the handler that runs, since a room does one thing at a time", {
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

  roomTest("do not survive the instance that set them", {
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

  roomTest(
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

  roomTest("do not survive the instance that set them, also when their turn had come and waited", {
    do: (room, _, what) =>
      what === "die"
        ? Effect.andThen(Effect.sleep(2_000), Effect.die("x"))
        : Effect.as(room.after(1_000, say(room, what)), what)
  }, ({ member, pass }) =>
    Effect.gen(function*() {
      const { do: send, peer } = yield* member("ada")
      yield* peer.answer(send("old"))
      const crash = send("die")
      yield* settle
      yield* pass(2_000)
      yield* peer.answer(crash)
      yield* pass(10_000)
      yield* settle
      assert.deepStrictEqual(texts(peer), [])
    }))
})

describe("idleness", () => {
  roomTest(
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

  roomTest(
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

  roomTest("stops a room that nobody joined after all: the one who wanted to has gone meanwhile", {
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

  roomTest("stops a room whose only join was refused, or died", {
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
