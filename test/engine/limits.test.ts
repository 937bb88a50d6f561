import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import * as Engine from "../../src/engine/Engine.ts"
import type { World } from "./harness.ts"
import { Lab, News } from "./lab.ts"
import { errorOf, type Peer } from "./peer.ts"
import { ask, connectionTest, settle } from "./stage.ts"

describe("slow consumer", () => {
  connectionTest(
    "is closed with 4409 once its outbox is full, and nobody else waits for it",
    { limits: { outboxBytes: 200_000, sessionWindow: 0 } },
    ({ network, peer, trace }) =>
      Effect.gen(function*() {
        const slow = yield* peer()
        const healthy = yield* peer()
        yield* slow.join("lab", "a", { name: "slow" })
        yield* healthy.join("lab", "a", { name: "healthy" })
        const connection = network.connections()[0]!
        connection.stall()
        const text = "x".repeat(10_000)
        for (let index = 0; index < 50; index++) {
          yield* Engine.emit(Lab, "a", "Said", { text })
          yield* settle
        }
        yield* healthy.next("event", 50)
        assert.deepStrictEqual(
          healthy.all("event").map(({ offset }) => offset),
          Array.from({ length: 50 }, (_, i) => i + 1)
        )
        assert.strictEqual(trace.at(-1), "leave slow lost")
        connection.unstall()
        assert.strictEqual(yield* slow.closeCode, 4409)
        assert.isUndefined(healthy.closed)
        // What it got until then has no hole.
        assert.deepStrictEqual(
          slow.all("event").map(({ offset }) => offset),
          slow.all("event").map((_, index) => index + 1)
        )
      })
  )

  connectionTest(
    "is not served further while its replies fill half its outbox, and then gets every answer",
    {
      // No answer is kept, so that what was not read is all that counts.
      limits: { sessionWindow: 0 },
      script: { do: (_room, _member, what) => Effect.succeed(what + "x".repeat(100_000)) }
    },
    ({ network, peer, trace }) =>
      Effect.gen(function*() {
        const slow = yield* peer()
        const { channel } = yield* slow.join("lab", "a", { name: "slow" })
        const [connection] = network.connections()
        connection!.stall()
        const handled = () => trace.filter((entry) => entry.startsWith("do ")).length
        for (let index = 0; index < 60; index++) {
          ask(slow, channel, `${index}`)
          yield* settle
        }
        // 64 KiB with the runtime, half of 1 MiB in the outbox, and the one that went past it.
        assert.isAtMost(handled(), 8)
        assert.isUndefined(slow.closed)
        connection!.unstall()
        yield* slow.next("ok", 60)
        assert.strictEqual(handled(), 60)
      })
  )

  connectionTest(
    "gets everything, in order, when it reads again in time",
    {},
    ({ network, peer }) =>
      Effect.gen(function*() {
        const slow = yield* peer()
        yield* slow.join("lab", "a", { name: "slow" })
        const [connection] = network.connections()
        connection!.stall()
        for (let index = 0; index < 50; index++) {
          yield* Engine.emit(Lab, "a", "Said", { text: "x".repeat(10_000) })
          yield* settle
        }
        connection!.unstall()
        yield* slow.next("event", 50)
        assert.deepStrictEqual(
          slow.all("event").map(({ offset }) => offset),
          Array.from({ length: 50 }, (_, i) => i + 1)
        )
        assert.isUndefined(slow.closed)
      })
  )

  connectionTest(
    "of a topic costs no other subscriber an event",
    { limits: { outboxFrames: 10 } },
    ({ network, peer }) =>
      Effect.gen(function*() {
        const peers: Array<Peer> = []
        for (let index = 0; index < 6; index++) {
          const one = yield* peer()
          yield* one.answer(one.ask({ _tag: "subscribe", topic: "news", key: "k", position: null }))
          peers.push(one)
        }
        for (const index of [1, 3]) network.connections()[index]!.stall()
        for (let index = 0; index < 40; index++) {
          yield* Engine.publish(News, "k", { text: "x".repeat(10_000) })
          yield* settle
        }
        for (const index of [0, 2, 4, 5]) {
          yield* peers[index]!.next("event", 40)
          assert.deepStrictEqual(
            peers[index]!.all("event").map(({ offset }) => offset),
            Array.from({ length: 40 }, (_, i) => i + 1)
          )
        }
      })
  )
})

describe("limits", () => {
  const joined = Effect.fnUntraced(function*({ peer }: World) {
    const one = yield* peer()
    const { channel } = yield* one.join("lab", "a", { name: "ada" })
    return { one, channel }
  })

  connectionTest("open requests of a session: the next is Overloaded before it runs", {
    limits: { openRequests: 4 },
    script: { do: (_, __, what) => what === "wait" ? Effect.sleep(1_000).pipe(Effect.as(what)) : Effect.succeed(what) }
  }, (world) =>
    Effect.gen(function*() {
      const { channel, one } = yield* joined(world)
      const refs = Array.from({ length: 6 }, () => ask(one, channel, "wait"))
      for (const ref of refs.slice(4)) assert.strictEqual(errorOf(yield* one.answer(ref)), "Overloaded")
      const join = one.sendJoin("lab", "b", { name: "ada" })
      assert.strictEqual(errorOf(yield* one.answer(join)), "Overloaded")
      for (let second = 0; second < 4; second++) yield* world.pass(1_000)
      for (const ref of refs.slice(0, 4)) assert.strictEqual((yield* one.answer(ref))._tag, "ok")
      assert.strictEqual(world.trace.filter((entry) => entry === "do wait").length, 4)
      assert.strictEqual((yield* one.answer(ask(one, channel, "again")))._tag, "ok")
    }))

  connectionTest(
    "256 open requests by default",
    { script: { do: () => Effect.never }, limits: { frameBurst: 1_000 } },
    (world) =>
      Effect.gen(function*() {
        const { channel, one } = yield* joined(world)
        const refs = Array.from({ length: 257 }, () => ask(one, channel, "wait"))
        assert.strictEqual(errorOf(yield* one.answer(refs[256]!)), "Overloaded")
        assert.deepStrictEqual(refs.slice(0, 256).map((ref) => one.answersTo(ref).length), Array(256).fill(0))
      })
  )

  connectionTest("mailbox of a room: the next request, notice and join is Overloaded, with when to try again", {
    limits: { roomMailbox: 2 },
    script: { do: () => Effect.never }
  }, (world) =>
    Effect.gen(function*() {
      const { channel, one } = yield* joined(world)
      const hung = ask(one, channel, "hang")
      yield* settle
      const waiting = [ask(one, channel, "1"), ask(one, channel, "2")]
      const refused = yield* one.answer(ask(one, channel, "3"))
      assert.deepInclude(refused, { error: { _tag: "Overloaded", retryAfter: 1_000 } })
      one.notice(channel, "Note", { what: "4" })
      assert.strictEqual((yield* one.next("error", 2)).error._tag, "Overloaded")
      const other = yield* world.peer()
      assert.strictEqual(errorOf(yield* other.answer(other.sendJoin("lab", "a", { name: "bob" }))), "Overloaded")
      assert.deepStrictEqual([hung, ...waiting].map((ref) => one.answersTo(ref).length), [0, 0, 0])
      // The room next door has its own.
      yield* other.join("lab", "b", { name: "bob" })
    }))

  connectionTest(
    "a handler's time, by default 30 seconds",
    { script: { do: () => Effect.never } },
    (world) =>
      Effect.gen(function*() {
        const { channel, one } = yield* joined(world)
        const ref = ask(one, channel, "hang")
        yield* settle
        yield* world.pass(29_999)
        yield* settle
        assert.strictEqual(one.answersTo(ref).length, 0)
        yield* world.pass(1)
        assert.deepInclude(yield* one.answer(ref), { error: { _tag: "HandlerTimeout", millis: 30_000 } })
      })
  )

  connectionTest("a snapshot: the join is refused, and the member that it would have been leaves", {
    script: { snapshot: (_, { presence }) => Effect.succeed(presence.name === "large" ? "x".repeat(1_000) : "") },
    limits: { replyBytes: 1_000 }
  }, ({ engine, peer, trace }) =>
    Effect.gen(function*() {
      const one = yield* peer()
      const refused = yield* one.answer(one.sendJoin("lab", "a", { name: "large" }))
      assert.deepInclude(refused, { error: { _tag: "LimitExceeded", limit: "snapshot", max: 1_000 } })
      yield* settle
      assert.deepInclude((yield* engine.rooms)[0], { members: 0 })
      assert.deepStrictEqual(trace, ["init a", "join large", "leave large lost"])
      yield* one.join("lab", "a", { name: "small" })
    }))
})
