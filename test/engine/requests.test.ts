import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { Refused } from "./lab.ts"
import { errorOf } from "./peer.ts"
import { makeRandom, seedOf } from "./random.ts"
import { sessionTest } from "./returning.ts"
import { count, hang, say, settle } from "./stage.ts"

const history = { history: { capacity: 2_000 } }

describe("a request that is sent again", () => {
  sessionTest("is answered as it was, with success or without, and does not run again", {
    do: (_, __, what) =>
      what === "refuse"
        ? Effect.fail(new Refused({ why: "no" }))
        : what === "die"
        ? Effect.die("x")
        : Effect.succeed(`${what}!`)
  }, ({ client, pass, trace }) =>
    Effect.gen(function*() {
      const ada = yield* client()
      ada.peer.acknowledges = false
      yield* ada.join("ada")
      const whats = ["ok", "refuse", "die"]
      const before = []
      for (const what of whats) {
        before.push(yield* ada.request(what))
        yield* pass(2_000)
      }
      for (let time = 0; time < 3; time++) {
        yield* ada.drop
        yield* ada.resume
        yield* ada.join("ada")
        for (const [index, what] of whats.entries()) {
          const answer = yield* ada.again(index + 1, what)
          assert.deepStrictEqual({ ...answer, ref: 0 }, { ...before[index]!, ref: 0 })
        }
      }
      for (const what of whats) assert.strictEqual(count(trace, `do ${what}`), 1)
    }))

  sessionTest(
    "runs now if it never arrived, also between others that did",
    {},
    ({ client, trace }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        ada.peer.acknowledges = false
        yield* ada.join("ada")
        // Number 2 was refused for its rate, say, and the refusal was lost.
        ada.send("1")
        ada.peer.sendRequest(1, "Do", { what: "3" }, 3)
        yield* settle
        yield* ada.drop
        yield* ada.resume
        yield* ada.join("ada")
        for (const seq of [1, 2, 3, 4]) {
          assert.deepInclude(yield* ada.again(seq, `${seq}`), { _tag: "ok", value: `${seq}` })
        }
        for (const seq of [1, 2, 3, 4]) assert.strictEqual(count(trace, `do ${seq}`), 1)
      })
  )

  sessionTest(
    "is malformed once its answer was acknowledged, and does not run",
    {},
    ({ client, trace }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        yield* ada.join("ada")
        yield* ada.request("1")
        yield* ada.request("2")
        ada.send("3")
        assert.strictEqual(errorOf(yield* ada.again(1, "1")), "MalformedFrame")
        assert.strictEqual(count(trace, "do 1"), 1)
      })
  )

  sessionTest(
    "is malformed while it runs for the same connection",
    { do: (_, __, what) => hang(what) },
    ({ client }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        yield* ada.join("ada")
        const seq = ada.send("hang")
        assert.strictEqual(errorOf(yield* ada.again(seq, "hang")), "MalformedFrame")
      })
  )

  sessionTest("without being marked as such is malformed, as ever", {}, ({ client, trace }) =>
    Effect.gen(function*() {
      const ada = yield* client()
      yield* ada.join("ada")
      yield* ada.request("1")
      yield* ada.drop
      yield* ada.resume
      ada.peer.sendRequest(1, "Do", { what: "1" }, 1)
      yield* ada.next("error")
      assert.strictEqual(count(trace, "do 1"), 1)
    }))

  sessionTest("and whose answer is known comes after the events that it caused, where these are told again", {
    do: (room, _, what) => Effect.as(say(room, what), what),
    snapshot: () => Effect.delay(Effect.succeed("slow"), 100)
  }, ({ client, pass }) =>
    Effect.gen(function*() {
      const ada = yield* client()
      ada.sendJoin("ada")
      yield* pass(100)
      const joined = yield* ada.next("joined")
      ada.peer.acknowledges = false
      yield* ada.peer.answer(ada.peer.sendRequest(joined.channel, "Do", { what: "1" }, 1))
      yield* ada.drop
      yield* ada.resume
      const join = ada.peer.sendJoin("lab", "a", { name: "ada" }, joined.position)
      const ref = ada.peer.sendRequest(joined.channel, "Do", { what: "1" }, 1, true)
      yield* pass(100)
      yield* ada.peer.answer(ref)
      assert.strictEqual(ada.peer.answersTo(join)[0]!._tag, "joined")
      assert.deepStrictEqual(ada.peer.kinds().slice(-2), ["event", "ok"])
    }), history)

  sessionTest(
    "may be cancelled on the new connection",
    { do: (_, __, what) => hang(what) },
    ({ client, trace }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        ada.peer.acknowledges = false
        yield* ada.join("ada")
        const seq = ada.send("hang")
        yield* settle
        yield* ada.drop
        yield* ada.resume
        const ref = ada.sendAgain(seq, "hang")
        yield* settle
        ada.peer.send({ _tag: "cancel", ref })
        assert.strictEqual(errorOf(yield* ada.peer.answer(ref)), "Interrupted")
        assert.strictEqual(count(trace, "interrupted hang"), 1)
        // That is the answer for good.
        yield* ada.drop
        yield* ada.resume
        assert.strictEqual(errorOf(yield* ada.again(seq, "hang")), "Interrupted")
      })
  )

  sessionTest("of a room that it has left meanwhile is answered all the same", {
    do: (_, __, what) => Effect.as(Effect.sleep(100), what)
  }, ({ client, pass }) =>
    Effect.gen(function*() {
      const ada = yield* client()
      ada.peer.acknowledges = false
      const { channel } = yield* ada.join("ada")
      const seq = ada.send("1")
      yield* pass(100)
      ada.peer.ask({ _tag: "leave", channel })
      yield* settle
      yield* ada.drop
      assert.strictEqual((yield* ada.resume).session, ada.first.session)
      assert.deepInclude(yield* ada.again(seq, "1"), { _tag: "ok", value: "1" })
    }))
})

describe("answers to a connection that is no more", () => {
  sessionTest("never go to the next one, whatever they answer", {
    do: (_, __, what) => Effect.as(Effect.sleep(1_000), what)
  }, ({ client, pass }) =>
    Effect.gen(function*() {
      const ada = yield* client()
      const { channel } = yield* ada.join("ada")
      ada.send("1")
      ada.peer.ask({ _tag: "leave", channel })
      ada.peer.sendJoin("lab", "b", { name: "ada" })
      ada.peer.ask({ _tag: "subscribe", topic: "news", key: "x", position: null })
      yield* settle
      yield* ada.drop
      yield* ada.resume
      yield* pass(2_000)
      assert.deepStrictEqual(ada.peer.kinds(), ["welcome"])
    }))
})

describe("a number that was used", () => {
  sessionTest(
    "is refused under the reference it came with, and nothing runs",
    {},
    ({ client, trace }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        yield* ada.join("ada")
        const { channel } = ada.all("joined")[0]!
        const send = (seq: number, ack: number, again: boolean | null = null) =>
          Effect.suspend(() =>
            ada.peer.answer(
              ada.peer.ask({ _tag: "request", channel, seq, ack, name: "Do", payload: { what: `${seq}` }, again })
            )
          )
        assert.strictEqual((yield* send(1, 0))._tag, "ok")
        assert.strictEqual(errorOf(yield* send(1, 0)), "MalformedFrame")
        // The client has acknowledged the answer, so that it is not there any more.
        assert.strictEqual(errorOf(yield* send(1, 1, true)), "MalformedFrame")
        assert.strictEqual(count(trace, "do 1"), 1)
      })
  )
})

describe("bounds", () => {
  sessionTest(
    "of answers that are not acknowledged: the next request is overloaded, and does not run",
    {},
    (
      { client, trace }
    ) =>
      Effect.gen(function*() {
        const ada = yield* client()
        yield* ada.join("ada")
        const { channel } = ada.all("joined")[0]!
        const send = (seq: number, ack: number, again: boolean | null = null) =>
          Effect.suspend(() =>
            ada.peer.answer(
              ada.peer.ask({ _tag: "request", channel, seq, ack, name: "Do", payload: { what: `${seq}` }, again })
            )
          )
        for (let seq = 1; seq <= 4; seq++) assert.strictEqual((yield* send(seq, 0))._tag, "ok")
        assert.strictEqual(errorOf(yield* send(5, 0)), "Overloaded")
        assert.strictEqual(count(trace, "do 5"), 0)
        assert.strictEqual((yield* send(6, 2))._tag, "ok")
        // What was overloaded never ran, so that it may.
        assert.strictEqual((yield* send(5, 2, true))._tag, "ok")
        assert.strictEqual(errorOf(yield* send(7, 2)), "Overloaded")
        assert.strictEqual((yield* send(7, 6, true))._tag, "ok")
      }),
    {},
    { limits: { openRequests: 4 } }
  )

  sessionTest(
    "of the bytes of these answers are those of an outbox",
    {
      do: (_, __, what) => Effect.succeed(what + "x".repeat(60_000))
    },
    ({ client }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        yield* ada.join("ada")
        const { channel } = ada.all("joined")[0]!
        const send = (seq: number, ack: number) =>
          Effect.suspend(() =>
            ada.peer.answer(
              ada.peer.ask({ _tag: "request", channel, seq, ack, name: "Do", payload: { what: "" }, again: null })
            )
          )
        assert.strictEqual((yield* send(1, 0))._tag, "ok")
        assert.strictEqual((yield* send(2, 0))._tag, "ok")
        assert.strictEqual(errorOf(yield* send(3, 0)), "Overloaded")
        for (let seq = 4; seq < 30; seq++) assert.strictEqual((yield* send(seq, seq - 1))._tag, "ok")
      }),
    {},
    { limits: { outboxBytes: 100_000 } }
  )

  sessionTest(
    "of sessions without a connection: the one that is so for longest ends",
    {},
    ({ client, stats, trace }) =>
      Effect.gen(function*() {
        const clients = []
        for (const name of ["ada", "bob", "carol"]) {
          const one = yield* client()
          yield* one.join(name)
          clients.push(one)
        }
        for (const one of clients) yield* one.drop
        assert.deepInclude(yield* stats, { sessions: { attached: 0, detached: 2 } })
        assert.deepStrictEqual(trace.filter((entry) => entry.startsWith("leave")), ["leave ada lost"])
        assert.deepStrictEqual(
          [
            (yield* clients[0]!.resume).session === clients[0]!.first.session,
            (yield* clients[1]!.resume).session === clients[1]!.first.session
          ],
          [false, true]
        )
        // Who came back is the one that has waited for least.
        yield* clients[1]!.drop
        const dora = yield* client()
        yield* dora.join("dora")
        yield* dora.drop
        assert.deepStrictEqual(trace.filter((entry) => entry.startsWith("leave")), [
          "leave ada lost",
          "leave carol lost"
        ])
      }),
    {},
    { limits: { sessions: 2 } }
  )
})

describe("a thousand requests over a link that breaks every few frames", () => {
  sessionTest("run a thousand times, and each gets the one answer", {
    do: (room, _, what) =>
      Effect.andThen(
        Effect.andThen(Number(what) % 3 === 0 ? Effect.sleep(Number(what) % 7) : Effect.void, say(room, what)),
        Effect.succeed(what)
      )
  }, ({ client, pass, trace }) =>
    Effect.gen(function*() {
      const { below, chance } = makeRandom(seedOf(1))
      const ada = yield* client()
      const { channel } = yield* ada.join("ada")
      const total = 1_000
      const answers = new Map<number, string>()
      let sent = 0
      let open = new Map<number, number>()
      let drops = 0
      /** Takes note of what has come. */
      const collect = () => {
        for (const [ref, seq] of open) {
          const [answer, ...more] = ada.peer.answersTo(ref)
          if (answer === undefined) continue
          assert.deepStrictEqual(more, [])
          assert.deepInclude(answer, { _tag: "ok", value: `${seq}` }, `seed ${seedOf(1)}`)
          assert.isFalse(answers.has(seq), `two answers to ${seq}, seed ${seedOf(1)}`)
          answers.set(seq, `${seq}`)
          open.delete(ref)
        }
      }
      while (answers.size < total) {
        for (let more = 1 + below(8); more > 0 && sent < total && open.size < 100; more--) {
          sent++
          open.set(ada.peer.sendRequest(channel, "Do", { what: `${sent}` }, sent), sent)
        }
        if (chance(50)) yield* Effect.yieldNow
        if (chance(20)) yield* pass(below(5))
        if (chance(70)) {
          yield* ada.drop
          collect()
          drops++
          if (chance(10)) yield* ada.resumeWith(ada.token, false)
          yield* ada.resume
          ada.sendJoin("ada")
          const unanswered = [...open.values()].sort((one, other) => one - other)
          open = new Map()
          for (const seq of unanswered) {
            open.set(ada.peer.sendRequest(channel, "Do", { what: `${seq}` }, seq, true), seq)
          }
        } else if (chance(50)) yield* pass(10)
        collect()
      }
      assert.isAbove(drops, 50)
      const ran = trace.filter((entry) => entry.startsWith("do "))
      assert.strictEqual(ran.length, total)
      assert.strictEqual(new Set(ran).size, total)
      assert.deepStrictEqual(trace.filter((entry) => entry.startsWith("leave")), [])
    }), history)
})
