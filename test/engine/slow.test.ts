/** Slow members and subscribers: what their publisher is told, and how it waits for them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import * as Room from "../../src/contract/Room.ts"
import * as Topic from "../../src/contract/Topic.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { memory, serve } from "./harness.ts"
import { type LabRoom, News } from "./lab.ts"
import type { Peer } from "./peer.ts"
import { connectionTest, settle } from "./stage.ts"

const Text = { text: Schema.String }

class Fates extends Room.make("fates", {
  events: {
    Said: Text,
    Oldest: Room.volatile(Text),
    Newest: Room.volatile(Text, "dropNewest"),
    Latest: Room.volatile({ key: Schema.String, ...Text }, { conflate: ({ key }) => key }),
    Strict: Room.volatile(Text, "disconnect")
  },
  notices: { Latest: { key: Schema.String, text: Schema.String } }
}) {}

class Ticker extends Topic.make("ticker", {
  payload: Room.volatile({ symbol: Schema.String, ...Text }, { conflate: ({ symbol }) => symbol })
}) {}

/** Frames of an outbox, and 70 KB that fill the transport. */
const frames = 4
const filling = "x".repeat(70_000)

const FatesLive = Fates.toLayer((room) => ({
  Latest: ({ member, payload }) => room.emit("Latest", payload, { except: member })
}))

const fatesTest = (
  sentence: string,
  body: (stage: {
    readonly fast: Peer
    readonly slow: Peer
    readonly engine: Engine.Engine["Service"]
    readonly noticed: (key: string, text: string) => Effect.Effect<void>
    readonly unstall: () => void
  }) => Effect.Effect<void, unknown, Engine.Engine>
) =>
  it.effect(
    sentence,
    () =>
      serve(memory, { rooms: [FatesLive, Ticker], limits: { outboxFrames: frames } })(({ engine, network, peer }) =>
        Effect.gen(function*() {
          const slow = yield* peer()
          const fast = yield* peer()
          const { channel } = yield* slow.join("fates", "a")
          yield* fast.join("fates", "a")
          for (const one of [slow, fast]) {
            yield* one.answer(one.ask({ _tag: "subscribe", topic: "ticker", key: "k", position: null }))
          }
          const [connection] = network.connections()
          connection!.stall()
          for (let index = 0; index < 2; index++) {
            yield* Engine.emit(Fates, "a", "Said", { text: filling })
            yield* settle
          }
          yield* body({
            fast,
            slow,
            engine,
            noticed: (key, text) => {
              slow.notice(channel, "Latest", { key, text })
              return settle
            },
            unstall: connection!.unstall
          })
        })
      )
  )

/** The texts of all events but the ones that fill. */
const own = (peer: Peer) =>
  peer.frames.flatMap((frame) => frame._tag === "event" || frame._tag === "volatile" ? [frame.payload] : [])
    .map((payload) => (payload as { readonly text: string }).text)
    .filter((text) => text !== filling)
const noDrops = { dropOldest: 0, dropNewest: 0, conflate: 0, disconnect: 0 }

describe("a volatile event", () => {
  const emitted = Effect.fnUntraced(function*(event: "Oldest" | "Newest" | "Strict", count: number) {
    const dropped: Array<number> = []
    for (let index = 1; index <= count; index++) {
      dropped.push((yield* Engine.emit(Fates, "a", event, { text: `${index}` })).dropped)
      yield* settle
    }
    return dropped
  })

  fatesTest(
    "of dropOldest tells how many receivers lost something for it",
    ({ engine, fast, slow, unstall }) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* emitted("Oldest", 6), [0, 0, 0, 0, 1, 1])
        unstall()
        yield* fast.next("volatile", 6)
        yield* slow.next("volatile", 4)
        assert.deepStrictEqual([own(fast), own(slow)], [["1", "2", "3", "4", "5", "6"], ["3", "4", "5", "6"]])
        assert.deepStrictEqual((yield* engine.stats).drops, { ...noDrops, dropOldest: 2 })
      })
  )

  fatesTest("of dropNewest is lost to who is full", ({ engine, fast, slow, unstall }) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* emitted("Newest", 6), [0, 0, 0, 0, 1, 1])
      unstall()
      yield* fast.next("volatile", 6)
      yield* slow.next("volatile", 4)
      assert.deepStrictEqual(own(slow), ["1", "2", "3", "4"])
      assert.deepStrictEqual((yield* engine.stats).drops, { ...noDrops, dropNewest: 2 })
    }))

  fatesTest("of disconnect closes who is full with 4409", ({ engine, fast, slow, unstall }) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* emitted("Strict", 6), [0, 0, 0, 0, 1, 0])
      unstall()
      yield* fast.next("volatile", 6)
      assert.strictEqual(yield* slow.closeCode, 4409)
      assert.isUndefined(fast.closed)
      assert.isAtLeast((yield* engine.stats).drops.disconnect, frames + 1)
    }))

  fatesTest("that is conflated arrives as the newest of its key, after what was emitted before it", (
    { engine, fast, slow, unstall }
  ) =>
    Effect.gen(function*() {
      const dropped: Array<number> = []
      for (const [key, text] of [["x", "x1"], ["y", "y1"], ["x", "x2"], ["x", "x3"], ["y", "y2"]] as const) {
        dropped.push((yield* Engine.emit(Fates, "a", "Latest", { key, text })).dropped)
        if (text === "x2") yield* Engine.emit(Fates, "a", "Said", { text: "said" })
        yield* settle
      }
      unstall()
      yield* fast.next("volatile", 5)
      yield* slow.next("volatile", 2)
      assert.deepStrictEqual(dropped, [0, 0, 1, 1, 1])
      assert.deepStrictEqual([own(slow), own(fast)], [["said", "x3", "y2"], ["x1", "y1", "x2", "said", "x3", "y2"]])
      assert.deepStrictEqual((yield* engine.stats).drops, { ...noDrops, conflate: 3 })
    }))

  fatesTest("that is conflated does not lose one to a member that the newer one excepts", (
    { noticed, slow, unstall }
  ) =>
    Effect.gen(function*() {
      yield* Engine.emit(Fates, "a", "Latest", { key: "x", text: "for all" })
      yield* noticed("x", "for others")
      yield* noticed("x", "for others, again")
      unstall()
      yield* slow.next("volatile", 2)
      assert.deepStrictEqual(own(slow), ["for all", "for others, again"])
    }))

  fatesTest("makes room for a reliable one", ({ slow, unstall }) =>
    Effect.gen(function*() {
      yield* emitted("Newest", 4)
      const { dropped } = yield* Engine.emit(Fates, "a", "Said", { text: "said" })
      unstall()
      yield* slow.next("volatile", 3)
      yield* slow.next("event", 3)
      assert.deepStrictEqual([own(slow), dropped], [["2", "3", "4", "said"], 1])
    }))

  fatesTest("of a topic meets the fate of its contract", ({ engine, slow, unstall }) =>
    Effect.gen(function*() {
      const dropped: Array<number> = []
      for (const [symbol, text] of [["x", "1"], ["y", "2"], ["x", "3"]] as const) {
        dropped.push((yield* Engine.publish(Ticker, "k", { symbol, text })).dropped)
        yield* settle
      }
      unstall()
      yield* slow.next("volatile", 2)
      assert.deepStrictEqual([own(slow), dropped], [["2", "3"], [0, 0, 1]])
      assert.strictEqual((yield* engine.stats).drops.conflate, 1)
    }))
})

describe("emit and wait", () => {
  const results: Array<unknown> = []
  const waiting = (room: LabRoom, what: string) =>
    Effect.gen(function*() {
      if (what === "fill") yield* room.emit("Said", { text: filling })
      else results.push(yield* room.emit("Said", { text: what }, { wait: true }))
      return what
    })

  connectionTest(
    "goes on once the slowest member has it, and not before",
    { script: { do: (room, _member, what) => waiting(room, what) } },
    ({ network, pass, peer }) =>
      Effect.gen(function*() {
        results.length = 0
        const [slow, fast] = [yield* peer(), yield* peer()]
        yield* slow.join("lab", "a", { name: "slow" })
        const { channel } = yield* fast.join("lab", "a", { name: "fast" })
        const [connection] = network.connections()
        yield* fast.answer(fast.sendRequest(channel, "Do", { what: "at once" }))
        assert.deepStrictEqual(results, [{ offset: 1, dropped: 0, behind: 0 }])
        connection!.stall()
        for (let index = 0; index < 2; index++) {
          yield* fast.answer(fast.sendRequest(channel, "Do", { what: "fill" }))
        }
        const ref = fast.sendRequest(channel, "Do", { what: "waits" })
        yield* fast.next("event", 4)
        yield* pass(9_000)
        assert.deepStrictEqual([results.length, fast.answersTo(ref)], [1, []])
        connection!.unstall()
        yield* fast.answer(ref)
        assert.deepStrictEqual(results.slice(1), [{ offset: 4, dropped: 0, behind: 0 }])
        yield* slow.next("event", 4)
      })
  )

  connectionTest(
    "goes on after its limit, with how many are behind, and leaves no timer",
    { script: { do: (room, _member, what) => waiting(room, what) }, limits: { emitWait: 3_000 } },
    ({ network, pass, peer, sleeping }) =>
      Effect.gen(function*() {
        results.length = 0
        const peers = [yield* peer(), yield* peer(), yield* peer()]
        let channel = 0
        for (const one of peers) channel = (yield* one.join("lab", "a", { name: "x" })).channel
        const fast = peers[2]!
        for (const index of [0, 1]) network.connections()[index]!.stall()
        for (let index = 0; index < 2; index++) {
          yield* fast.answer(fast.sendRequest(channel, "Do", { what: "fill" }))
        }
        const idle = sleeping()
        const ref = fast.sendRequest(channel, "Do", { what: "waits" })
        yield* fast.next("event", 3)
        network.connections()[0]!.unstall()
        yield* pass(2_900)
        assert.strictEqual(fast.answersTo(ref).length, 0)
        yield* pass(200)
        yield* fast.answer(ref)
        assert.deepStrictEqual(results, [{ offset: 3, dropped: 0, behind: 1 }])
        assert.strictEqual(sleeping(), idle)
        network.connections()[1]!.unstall()
        yield* peers[1]!.next("event", 3)
      })
  )

  connectionTest(
    "does not wait for a member that is lost meanwhile",
    { script: { do: (room, _member, what) => waiting(room, what) } },
    ({ network, peer }) =>
      Effect.gen(function*() {
        results.length = 0
        const [slow, fast] = [yield* peer(), yield* peer()]
        yield* slow.join("lab", "a", { name: "slow" })
        const { channel } = yield* fast.join("lab", "a", { name: "fast" })
        const [connection] = network.connections()
        connection!.stall()
        for (let index = 0; index < 2; index++) {
          yield* fast.answer(fast.sendRequest(channel, "Do", { what: "fill" }))
        }
        const ref = fast.sendRequest(channel, "Do", { what: "waits" })
        yield* fast.next("event", 3)
        connection!.cut()
        yield* fast.answer(ref)
        assert.deepStrictEqual(results, [{ offset: 3, dropped: 0, behind: 0 }])
      })
  )

  connectionTest(
    "does not wait for who is not told its state yet: it would wait for itself",
    {
      script: {
        snapshot: (room) =>
          Effect.map(Effect.orDie(room.emit("Said", { text: "from the snapshot" }, { wait: true })), (taken) => {
            results.push(taken)
            return "state"
          })
      }
    },
    ({ peer }) =>
      Effect.gen(function*() {
        results.length = 0
        const one = yield* peer()
        yield* one.join("lab", "a", { name: "one" })
        assert.deepStrictEqual(results, [{ offset: 1, dropped: 0, behind: 0 }])
        yield* one.next("event", 1)
      })
  )

  connectionTest(
    "can be given up",
    { script: { init: (room) => Effect.asVoid(Effect.forkIn(held(room), room.scope)) }, room: { idleTimeout: 1_000 } },
    ({ network, pass, peer, sleeping }) =>
      Effect.gen(function*() {
        results.length = 0
        const slow = yield* peer()
        yield* slow.join("lab", "a", { name: "slow" })
        const idle = sleeping()
        network.connections()[0]!.stall()
        yield* pass(100)
        yield* pass(500)
        assert.deepStrictEqual(results, ["interrupted"])
        assert.isAtMost(sleeping(), idle)
      })
  )

  /** After 100 ms, waits; after 300 more, no longer. */
  const held = (room: LabRoom) =>
    Effect.gen(function*() {
      yield* Effect.sleep(100)
      for (let index = 0; index < 2; index++) {
        yield* room.emit("Said", { text: filling })
        yield* settle
      }
      const fiber = yield* Effect.forkChild(
        Effect.onInterrupt(
          room.emit("Said", { text: "x" }, { wait: true }),
          () => Effect.sync(() => results.push("interrupted"))
        )
      )
      yield* Effect.sleep(300)
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.orDie)
})

describe("a topic", () => {
  connectionTest("that is reliable tells of a subscriber that it closes", { limits: { outboxFrames: frames } }, (
    { network, peer }
  ) =>
    Effect.gen(function*() {
      const slow = yield* peer()
      yield* slow.answer(slow.ask({ _tag: "subscribe", topic: "news", key: "k", position: null }))
      network.connections()[0]!.stall()
      const dropped: Array<number> = []
      for (let index = 0; index < 8; index++) {
        dropped.push((yield* Engine.publish(News, "k", { text: filling })).dropped)
        yield* settle
      }
      assert.deepStrictEqual(dropped, [0, 0, 0, 0, 0, 0, 1, 0])
    }))
})
