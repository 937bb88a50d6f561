import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import * as broken from "./broken.ts"
import { quickImmediates } from "./immediates.ts"
import { engineLaws, type Fault } from "./laws.ts"
import { seeds } from "./random.ts"

quickImmediates()

const runs = seeds(2_000)

/** What must have happened in enough of the runs, so that the laws are not kept for want of occasions to break them. */
const occasions = [
  "quiet",
  "deserted",
  "abrupt",
  "done",
  "died",
  "ended",
  "crashed",
  "stopped",
  "spent",
  "expelled",
  "unborn",
  "recovered",
  "dropped",
  "resumed",
  "refused a token",
  "left",
  "joined",
  "event",
  "synced",
  "ok",
  "failed",
  "error",
  "volatile",
  "conflate",
  "disconnect",
  "dropNewest",
  "dropOldest"
]

/** Some seed below 1,000 finds the fault by the law expected; others may find it by another law. */
const assertBreaks = (law: string, fault: Fault) =>
  Effect.gen(function*() {
    for (let seed = 0; seed < 1_000; seed++) {
      const exit = yield* Effect.exit(engineLaws(seed, fault))
      if (Exit.isFailure(exit) && String(Cause.squash(exit.cause)).includes(law)) return
    }
    return assert.fail("the laws did not notice")
  })

describe("laws of the engine", () => {
  it.live(`hold in ${runs.length} lives of an engine`, () =>
    Effect.gen(function*() {
      const counts = new Map<string, number>()
      for (const seed of runs) {
        const notes = yield* engineLaws(seed).pipe(
          Effect.tapCause(() => Effect.sync(() => process.stderr.write(`HEDDLE_SEED=${seed} fails again\n`)))
        )
        for (const note of new Set(notes)) counts.set(note, (counts.get(note) ?? 0) + 1)
      }
      process.stdout.write(
        `laws of the engine: ${runs.length} runs, ${[...counts].map((entry) => entry.join(" ")).join(", ")}\n`
      )
      if (runs.length === 1) return
      for (const occasion of occasions) assert.isAbove(counts.get(occasion) ?? 0, runs.length / 100, occasion)
    }), 120_000)

  it.live("are judged by lives that depend on nothing but their seed", () =>
    Effect.gen(function*() {
      const lives = new Set<string>()
      for (let seed = 0; seed < 20; seed++) {
        const [once, again] = [yield* engineLaws(seed), yield* engineLaws(seed)]
        assert.deepStrictEqual(once, again, `seed ${seed}`)
        lives.add(once.join())
      }
      assert.strictEqual(lives.size, 20)
    }))

  for (const [name, { fault, law }] of Object.entries(broken.engines)) {
    it.live(`catch an engine that ${name}`, () => assertBreaks(law, fault), 60_000)
  }
})
