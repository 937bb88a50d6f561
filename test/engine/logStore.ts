/**
 * What every store of logs must do: one suite, run by each of them.
 */
import { assert, describe, it } from "@effect/vitest"
import { canContinue, position } from "../../src/engine/Log.ts"
import type { Entry, Log, LogStore, Retention } from "../../src/engine/LogStore.ts"
import { json } from "../../src/wire/Json.ts"
import { makeRandom, seedOf } from "./random.ts"

/** A store that a test may open, close and open again. */
export interface Stored {
  readonly store: LogStore
  /** What it keeps, after everything that uses it has ended; undefined where that is nothing. */
  readonly again: (() => Stored) | undefined
  readonly close: () => void
}

const frame = (offset: number, text = "") =>
  json.encode({ _tag: "event", channel: 1, offset, name: "Said", payload: { text }, except: null })

const forever = (capacity: number): Retention => ({ capacity, timeToLive: Infinity })
const page = { events: 1_000, bytes: Infinity }
const offsets = (entries: ReadonlyArray<Entry>) => entries.map(({ offset }) => offset)
const range = (from: number, to: number) =>
  Array.from({ length: Math.max(to - from + 1, 0) }, (_, index) => from + index)

export const logStoreContract = (name: string, make: (options: { readonly maxBytes: number }) => Stored): void => {
  const withStore = (maxBytes: number, body: (open: Opener, stored: Stored) => void) => {
    const stored = make({ maxBytes })
    let epochs = 0
    const open: Opener = (retention = forever(1_000), address = "a", store = stored.store) =>
      store.open(address, retention, () => `e${++epochs}`)
    try {
      body(open, stored)
    } finally {
      stored.close()
    }
  }
  type Opener = (retention?: Retention, address?: string, store?: LogStore) => Log
  const fill = (log: Log, count: number, at = 0) => {
    for (let index = 0; index < count; index++) log.append(frame(log.head + 1), at)
    return log
  }
  const replay = (log: Log, after: number) => offsets(log.read(after, page))
  const durable = (sentence: string, body: (open: Opener, stored: Stored) => void, maxBytes = 1e9) =>
    it(sentence, () => withStore(maxBytes, body))

  describe(`a log in ${name}`, () => {
    /** All of a test is one transaction, where there are any. */
    const test: typeof durable = (sentence, body, maxBytes) =>
      durable(sentence, (open, stored) => {
        stored.store.transaction?.begin()
        body(open, stored)
        stored.store.transaction?.commit()
      }, maxBytes)

    test("counts from 1, and begins at 0", (open) => {
      const log = open()
      assert.deepStrictEqual([position(log), log.first(0), replay(log, 0)], [["e1", 1, 0], 1, []])
      fill(log, 3)
      assert.deepStrictEqual([position(log), log.first(0), replay(log, 0)], [["e1", 1, 3], 1, [1, 2, 3]])
    })

    test("gives back the frames as they were", (open) => {
      const log = open()
      const frames = ["é\n", "\"", "", "😀\u0000", "x".repeat(10_000)].map((text, index) => frame(index + 1, text))
      for (const one of frames) log.append(one, 0)
      assert.deepStrictEqual(
        log.read(0, page).map(({ encoded: { bytes, data } }) => ({ bytes, data })),
        frames.map(({ bytes, data }) => ({ bytes, data }))
      )
    })

    test("keeps the newest, as many as its capacity", (open) => {
      const log = fill(open(forever(3)), 100)
      assert.deepStrictEqual([log.first(0), replay(log, 97), replay(log, 98), replay(log, 100)], [98, [98, 99, 100], [
        99,
        100
      ], []])
    })

    test("gives nothing, rather than a part, when an event that was missed has left", (open) => {
      const log = fill(open(forever(3)), 100)
      assert.deepStrictEqual([replay(log, 96), replay(log, 0)], [[], []])
    })

    test("can continue from exactly before the oldest, not from one before that, and always from its head", (open) => {
      const log = fill(open(forever(3)), 100)
      const can = (offset: number) => canContinue(log, ["e1", 1, offset], 0)
      assert.deepStrictEqual([96, 97, 98, 100, 101].map(can), [false, true, true, true, false])
      assert.isTrue(canContinue(open(forever(3), "b"), ["e2", 1, 0], 0))
    })

    test("refuses a position of another epoch, another term, or from the future", (open) => {
      const log = fill(open(), 5)
      const can = (...where: readonly [string, number, number]) => canContinue(log, where, 0)
      assert.deepStrictEqual([can("e1", 1, 4), can("other", 1, 4), can("e1", 2, 4), can("e1", 0, 4), can("e1", 1, 6)], [
        true,
        false,
        false,
        false,
        false
      ])
    })

    test("does not count what is past the time to live, and lets it leave with the next event", (open) => {
      const log = open({ capacity: 10, timeToLive: 1_000 })
      fill(log, 2, 0)
      fill(log, 2, 600)
      const can = (offset: number, now: number) => canContinue(log, ["e1", 1, offset], now)
      assert.deepStrictEqual([log.first(999), log.first(1_000), log.first(1_599), log.first(1_600)], [1, 3, 3, 5])
      assert.deepStrictEqual([can(0, 999), can(1, 1_000), can(2, 1_599), can(3, 1_600), can(4, 1_600)], [
        true,
        false,
        true,
        false,
        true
      ])
      fill(log, 1, 1_000)
      assert.deepStrictEqual([replay(log, 0), replay(log, 2)], [[], [3, 4, 5]])
    })

    test("reads in pages of so many events and so many bytes, and at least one", (open) => {
      const log = fill(open(), 10)
      const { bytes } = frame(1)
      const read = (events: number, size: number) => offsets(log.read(4, { events, bytes: size }))
      assert.deepStrictEqual([read(2, 1e9), read(9, bytes * 3), read(9, bytes * 3 - 1), read(9, 1)], [
        [5, 6],
        [5, 6, 7],
        [5, 6],
        [5]
      ])
    })

    test("reads backwards too, from the newest before an offset down to a floor", (open) => {
      const log = fill(open(forever(6)), 10)
      const { bytes } = frame(1)
      const read = (before: number, from: number, events: number, size = 1e9) =>
        offsets(log.readBefore(before, from, { events, bytes: size }))
      assert.deepStrictEqual(
        [
          read(11, 1, 3),
          read(8, 1, 100),
          read(8, 6, 100),
          read(5, 1, 9),
          read(99, 9, 9),
          read(9, 1, 9, bytes * 2),
          read(9, 1, 9, 1)
        ],
        [[8, 9, 10], [5, 6, 7], [6, 7], [], [9, 10], [7, 8], [8]]
      )
    })

    test("keeps so many bytes with all others together, and the oldest leave first, of whichever", (open) => {
      const [a, b] = [open(forever(1_000), "a"), open(forever(1_000), "b")]
      for (let index = 0; index < 400; index++) fill(index % 2 ? a : b, 1)
      const kept = [a, b].map((log) => log.head + 1 - log.first(0))
      assert.isAtLeast(kept[0]! + kept[1]!, 10)
      assert.isAtMost(kept[0]! + kept[1]!, 5_000 / frame(1).bytes)
      assert.isAtMost(Math.abs(kept[0]! - kept[1]!), 1)
      fill(b, 8)
      assert.isAtLeast(b.head - b.first(0) - (a.head - a.first(0)), 6)
      assert.deepStrictEqual(replay(a, a.first(0) - 1), range(a.first(0), 200))
    }, 5_000)

    test("is as full as it may be again after a long silence", (open) => {
      const log = open({ capacity: 1_000, timeToLive: 10 })
      for (let round = 0; round < 60; round++) fill(log, 5, round * 100)
      assert.deepStrictEqual(replay(log, log.head - 5), range(log.head - 4, log.head))
    }, 5_000)

    test("agrees with a plain list over many appends, reads and times", (open) => {
      const seed = seedOf(7)
      const random = makeRandom(seed)
      const log = open({ capacity: 40, timeToLive: 500 })
      let plain: Array<{ readonly offset: number; readonly at: number }> = []
      let now = 0
      for (let step = 1; step <= 1_500; step++) {
        now += random.chance(5) ? random.below(300) : random.below(10)
        plain = plain.filter(({ at }) => at + 500 > now).slice(-39)
        plain.push({ offset: step, at: now })
        fill(log, 1, now)
        const kept = plain.map(({ offset }) => offset)
        const after = step - random.below(60)
        const [before, limit] = [step + 1 - random.below(60), 1 + random.below(20)]
        const message = `HEDDLE_SEED=${seed}, step ${step}`
        assert.strictEqual(log.first(now), kept[0], message)
        assert.deepStrictEqual(replay(log, after), after + 1 < kept[0]! ? [] : range(after + 1, step), message)
        assert.deepStrictEqual(
          offsets(log.readBefore(before, 1, { events: limit, bytes: 1e9 })),
          kept.filter((offset) => offset < before).slice(-limit),
          message
        )
      }
    })

    test("is another one once it was closed and nobody kept it, or goes on in another term", (open) => {
      const log = fill(open(), 3)
      log.close()
      const next = open()
      assert.isTrue(next.epoch === "e2" ? next.head === 0 : next.term === 2 && next.head === 3, `${position(next)}`)
      assert.strictEqual(canContinue(next, ["e1", 1, 3], 0), next.epoch === "e1")
    })
  })

  const stored = make({ maxBytes: 1e9 })
  const { again, store: { transaction } } = stored
  stored.close()
  if (again === undefined || transaction === undefined) return

  describe(`a durable log in ${name}`, () => {
    const commit = ({ store }: Stored, body: () => void) => {
      store.transaction!.begin()
      body()
      store.transaction!.commit()
    }

    durable("goes on where it was, in a new term", (open, stored) => {
      commit(stored, () => fill(open(), 5))
      stored.close()
      const second = stored.again!()
      const log = open(undefined, "a", second.store)
      assert.deepStrictEqual([position(log), replay(log, 0)], [["e1", 2, 5], [1, 2, 3, 4, 5]])
      commit(second, () => fill(log, 2))
      second.close()
      const third = second.again!()
      const last = open(undefined, "a", third.store)
      assert.deepStrictEqual([last.endOf(1), last.endOf(2), last.endOf(3), last.endOf(4)], [5, 7, 7, undefined])
      const can = (term: number, offset: number) => canContinue(last, ["e1", term, offset], 0)
      assert.deepStrictEqual([can(1, 5), can(1, 6), can(2, 7), can(2, 8), can(3, 7)], [true, false, true, false, true])
      third.close()
    })

    durable("does not have what was not committed, and a position within that is refused for ever", (open, stored) => {
      commit(stored, () => fill(open(), 5))
      stored.close()
      const second = stored.again!()
      second.store.transaction!.begin()
      fill(open(undefined, "a", second.store), 3)
      second.close()
      const third = second.again!()
      const log = open(undefined, "a", third.store)
      assert.strictEqual(log.head, 5)
      commit(third, () => fill(log, 9))
      assert.isFalse(canContinue(log, ["e1", 1, 8], 0))
      assert.isFalse(log.term !== 2 && canContinue(log, ["e1", 2, 8], 0))
      third.close()
    })

    durable("opened anew after a rollback, has what was committed before, in a new term", (open, stored) => {
      let log = open()
      commit(stored, () => fill(log, 2))
      stored.store.transaction!.begin()
      fill(log, 3)
      stored.store.transaction!.rollback()
      log = open()
      assert.deepStrictEqual([log.head, replay(log, 0), log.epoch, log.term > 1], [2, [1, 2], "e1", true])
      commit(stored, () => fill(log, 1))
      assert.isFalse(canContinue(log, ["e1", 1, 3], 0))
      assert.isTrue(canContinue(log, ["e1", 1, 2], 0))
    })

    durable("keeps its bounds from one opening to the next", (open, stored) => {
      commit(stored, () => fill(open(forever(50)), 60))
      commit(stored, () => fill(open(forever(50), "b"), 60))
      stored.close()
      const second = stored.again!()
      const [a, b] = [open(forever(4), "a", second.store), open(forever(50), "b", second.store)]
      commit(second, () => fill(b, 1))
      commit(second, () => fill(a, 1))
      assert.deepStrictEqual([a.first(0), b.first(0), b.head], [58, b.first(0), 61])
      assert.isAtMost(b.head - b.first(0), 12_000 / frame(1).bytes)
      second.close()
    }, 12_000)
  })
}
