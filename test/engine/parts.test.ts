import { assert, describe, it } from "@effect/vitest"
import { Effect, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Group } from "../../src/actor/Home.ts"
import type { Core } from "../../src/engine/Core.ts"
import { Deadlines } from "../../src/engine/Deadlines.ts"
import { noDrops } from "../../src/engine/Fate.ts"
import * as Heartbeat from "../../src/engine/Heartbeat.ts"
import * as Limits from "../../src/engine/Limits.ts"
import { TokenBucket } from "../../src/engine/TokenBucket.ts"

describe("TokenBucket", () => {
  it("gives so many at once, then so many a second, and never saves up more than the burst", () => {
    const bucket = new TokenBucket(10, 3, 0)
    const take = (times: number, now: number) => Array.from({ length: times }, () => bucket.take(now))
    assert.deepStrictEqual(take(4, 0), [true, true, true, false])
    assert.deepStrictEqual(take(1, 99), [false])
    assert.deepStrictEqual(take(2, 100), [true, false])
    assert.deepStrictEqual(take(4, 1e6), [true, true, true, false])
  })

  it("tells how long to wait for the next", () => {
    const bucket = new TokenBucket(10, 1, 0)
    assert.strictEqual(bucket.wait, 0)
    bucket.take(0)
    assert.strictEqual(bucket.wait, 100)
    bucket.take(50)
    assert.strictEqual(bucket.wait, 50)
    assert.isTrue(bucket.take(50 + bucket.wait))
  })

  it("is full when nothing was taken for a while", () => {
    const bucket = new TokenBucket(10, 2, 0)
    assert.isTrue(bucket.isFull(0))
    bucket.take(0)
    bucket.take(0)
    assert.deepStrictEqual([bucket.isFull(100), bucket.isFull(199), bucket.isFull(200)], [false, false, true])
  })

  it("takes no harm from a clock that goes back", () => {
    const bucket = new TokenBucket(10, 2, 1_000)
    bucket.take(1_000)
    assert.isTrue(bucket.take(0))
    assert.isFalse(bucket.take(500))
    assert.isTrue(bucket.take(1_100))
  })
})

const makeCore = Effect.gen(function*() {
  const scope = Scope.makeUnsafe()
  const context = yield* Effect.context<Scope.Scope>()
  const clock = yield* Effect.clockWith(Effect.succeed)
  const core: Core = {
    limits: Limits.defaults,
    hub: undefined as never,
    drops: noDrops(),
    now: () => clock.currentTimeMillisUnsafe(),
    nextId: () => "id",
    stats: undefined,
    context,
    scope,
    actors: new Group()
  }
  return core
})

describe("Deadlines", () => {
  const make = Effect.gen(function*() {
    const expired: Array<string> = []
    const core = yield* makeCore
    const deadlines = new Deadlines<string>(core, 1_000, (item) => expired.push(item))
    return { core, deadlines, expired }
  })

  it.effect("expires each item at its own time, unless it was removed", () =>
    Effect.gen(function*() {
      const { deadlines, expired } = yield* make
      deadlines.add("a")
      yield* TestClock.adjust(400)
      deadlines.add("b")
      deadlines.add("c")
      deadlines.remove("b")
      yield* TestClock.adjust(599)
      assert.deepStrictEqual(expired, [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(expired, ["a"])
      yield* TestClock.adjust(400)
      assert.deepStrictEqual(expired, ["a", "c"])
      yield* deadlines.empty
    }))

  it.effect("watches again after it had nothing to watch", () =>
    Effect.gen(function*() {
      const { deadlines, expired } = yield* make
      for (let round = 1; round <= 3; round++) {
        deadlines.add("a")
        yield* TestClock.adjust(1_000)
        assert.strictEqual(expired.length, round)
        yield* TestClock.adjust(5_000)
      }
      deadlines.add("b")
      deadlines.remove("b")
      yield* TestClock.adjust(100)
      deadlines.add("c")
      yield* TestClock.adjust(999)
      assert.strictEqual(expired.length, 3)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(expired.slice(3), ["c"])
    }))

  it.effect("expires nothing once its scope has closed", () =>
    Effect.gen(function*() {
      const { core, deadlines, expired } = yield* make
      deadlines.add("a")
      yield* Scope.close(core.scope as Scope.Closeable, Effect.runSync(Effect.exit(Effect.void)))
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(expired, [])
    }))
})

describe("Heartbeat", () => {
  const interval = 1_000

  /** A connection as the sweep sees it, that notes when it was pinged and found silent. */
  const make = Effect.gen(function*() {
    const clock = yield* Effect.clockWith(Effect.succeed)
    const pings: Array<number> = []
    const silences: Array<number> = []
    const connections = new Set<Heartbeat.Beating>()
    const beating = {
      quietSweeps: 0,
      idleSweeps: 0,
      ping: () => {
        pings.push(clock.currentTimeMillisUnsafe())
        beating.idleSweeps = 0
      },
      silent: () => {
        silences.push(clock.currentTimeMillisUnsafe())
        connections.delete(beating)
      }
    }
    connections.add(beating)
    yield* Effect.forkScoped(Heartbeat.sweep(connections, interval))
    return { beating, pings, silences }
  })

  it.effect("pings after one quiet interval, and closes between 2.5 and 3 intervals of silence", () =>
    Effect.gen(function*() {
      const { pings, silences } = yield* make
      yield* TestClock.adjust(2.5 * interval)
      assert.deepStrictEqual([pings, silences], [[1_000, 2_000], []])
      yield* TestClock.adjust(0.5 * interval)
      assert.deepStrictEqual(silences, [3_000])
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual([pings.length, silences.length], [2, 1])
    }))

  it.effect("neither pings nor closes one that is talked to and talks", () =>
    Effect.gen(function*() {
      const { beating, pings, silences } = yield* make
      for (let time = 0; time < 100; time++) {
        yield* TestClock.adjust(interval / 2)
        beating.quietSweeps = 0
        beating.idleSweeps = 0
      }
      assert.deepStrictEqual([pings, silences], [[], []])
    }))

  it.effect("pings one that talks and is told nothing, so that it need not think the server dead", () =>
    Effect.gen(function*() {
      const { beating, pings, silences } = yield* make
      for (let time = 0; time < 10; time++) {
        yield* TestClock.adjust(interval / 2)
        beating.quietSweeps = 0
      }
      assert.deepStrictEqual([pings, silences], [[1_000, 2_000, 3_000, 4_000, 5_000], []])
    }))

  it.effect("pings one that is told much and says nothing, and closes it if it does not answer", () =>
    Effect.gen(function*() {
      const { beating, pings, silences } = yield* make
      for (let time = 0; time < 6; time++) {
        yield* TestClock.adjust(interval / 2)
        beating.idleSweeps = 0
      }
      assert.deepStrictEqual([pings, silences], [[1_000, 2_000], [3_000]])
    }))

  it("announces what it does: 2.5 intervals of silence", () => {
    assert.strictEqual(Heartbeat.silenceMillis(25_000), 62_500)
  })
})
