import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as V8 from "node:v8"
import * as Vm from "node:vm"
import { seedOf } from "../engine/random.ts"
import { type Left, withChurn } from "./churn.ts"

V8.setFlagsFromString("--expose-gc")
const collect: () => void = Vm.runInNewContext("gc")

/** Bytes that are held, once everything that can go has gone. */
const heap = Effect.gen(function*() {
  for (let round = 0; round < 3; round++) {
    yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    collect()
  }
  return process.memoryUsage().heapUsed
})

const MiB = 2 ** 20

/** What compiled code and caches differ by from one measurement to the next: half a MiB was seen. */
const noise = 2 * MiB

const nothing: Omit<Left, "channels" | "metrics"> = {
  connections: 0,
  rooms: 0,
  links: 0,
  used: 0,
  // The heartbeat's.
  timers: 1,
  users: 0,
  members: 0,
  waiting: 0
}

const seed = seedOf(1)

// 43,200 deeds in an hour of virtual time, about 15 seconds of a slow machine. Of 10,000 keys the engine keeps 3,000.
const size = { seconds: 1_800, clients: 1_000, keys: 10_000, deeds: 12, channels: 3_000 }

describe(`churn (seed ${seed})`, () => {
  it.live(
    "of 1,000 clients through 10,000 keys for an hour leaves memory flat and every table empty",
    () =>
      withChurn(seed, size, ({ close, done, left, spell }) =>
        Effect.gen(function*() {
          const halves = []
          for (let half = 0; half < 2; half++) {
            yield* spell
            const { channels, metrics, ...rest } = yield* left
            assert.deepStrictEqual(rest, nothing)
            assert.isAtMost(channels, size.channels)
            // As many as contracts and protocol have names.
            assert.isBelow(metrics, 200)
            halves.push(yield* heap)
          }
          const [first, second] = halves
          assert.isBelow(second!, first! + noise, `${(second! - first!) / MiB} MiB more than after half an hour`)
          // It was a life worth watching.
          assert.isAbove(done().joins, size.keys)
          assert.isAbove(done().connects, 5 * size.clients)
          assert.isAbove(done().frames, 200_000)
          assert.strictEqual(yield* close, 0)
        })),
    120_000
  )

  it.live("is the same again from the same seed", () => {
    const life = withChurn(
      seed,
      { ...size, seconds: 60, clients: 50 },
      ({ close, done, left, spell }) =>
        Effect.gen(function*() {
          yield* spell
          const all = { ...yield* left, ...done() }
          yield* close
          return all
        })
    )
    return Effect.gen(function*() {
      assert.deepStrictEqual(yield* life, yield* life)
    })
  })
})
