import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Random } from "effect"
import { quickImmediates } from "../engine/immediates.ts"
import { seeds } from "../engine/random.ts"
import * as broken from "./brokenSessions.ts"
import type { Step } from "./sessionLaws.ts"
import { live, sessionLaws } from "./sessionLaws.ts"

quickImmediates()

const runs = seeds(250)

/** What must have happened in enough of the runs, so that the laws are not kept for want of occasions to break them. */
const occasions = [
  "asked with the hello",
  "resumed",
  "resumed with the token before",
  "again: answered",
  "again: running",
  "again: new",
  "cancelled",
  "restarted"
]

const repeated = (times: number, ...steps: ReadonlyArray<Step>): ReadonlyArray<Step> =>
  Array.from({ length: times }, () => steps).flat()

/** Asks three things in two rooms, of which the last is given up; all frames arrive one after the other. */
const plain: ReadonlyArray<Step> = [
  ...repeated(6, "to server", "to client", "turn of lobby", "turn of cellar"),
  "ask in lobby",
  "ask in cellar",
  "to server",
  "turn of lobby",
  "ask in lobby",
  ...repeated(6, "to server", "to client", "wait"),
  "give up",
  ...repeated(20, "to server", "to client", "turn of cellar", "wait", "turn of lobby")
]

describe("laws of a session", () => {
  it.effect(`hold in ${runs.length} lives of a client`, () =>
    Effect.gen(function*() {
      const counts = new Map<string, number>()
      for (const seed of runs) {
        const { notes } = yield* sessionLaws(seed).pipe(
          Effect.tapCause(() => Effect.sync(() => process.stderr.write(`HEDDLE_SEED=${seed} fails again\n`)))
        )
        for (const note of new Set(notes)) counts.set(note, (counts.get(note) ?? 0) + 1)
      }
      process.stdout.write(
        `laws of a session: ${runs.length} runs, ${[...counts].map((entry) => entry.join(" ")).join(", ")}\n`
      )
      if (runs.length === 1) return
      for (const occasion of occasions) assert.isAbove(counts.get(occasion) ?? 0, runs.length / 100, occasion)
    }), 120_000)

  it.effect("hold wherever the connection breaks, once or twice", () =>
    Effect.gen(function*() {
      const life = (cutAt: (arrived: number) => boolean) =>
        Effect.scoped(live(plain, cutAt)).pipe(Random.withSeed("waits"))
      const { arrived } = yield* life(() => false)
      assert.isAbove(arrived, 10)
      for (let first = 1; first <= arrived; first++) {
        yield* life((n) => n === first)
        for (let second = first + 1; second <= first + 12; second++) yield* life((n) => n === first || n === second)
      }
    }), 120_000)

  for (const [name, { fault, law }] of Object.entries(broken.clients)) {
    it.effect(`catch a client that ${name}`, () =>
      Effect.gen(function*() {
        const mend = fault()
        yield* Effect.gen(function*() {
          for (let seed = 0; seed < 300; seed++) {
            const exit = yield* Effect.exit(sessionLaws(seed))
            if (Exit.isFailure(exit) && String(Cause.squash(exit.cause)).includes(law)) return
          }
          assert.fail("the laws did not notice")
        }).pipe(Effect.ensuring(Effect.sync(mend)))
      }), 60_000)
  }
})
