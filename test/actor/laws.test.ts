import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import * as Actor from "../../src/actor/Actor.ts"
import * as Mailbox from "../../src/actor/Mailbox.ts"
import { quickImmediates } from "../engine/immediates.ts"
import * as broken from "./broken.ts"
import { actorLaws, conversationLaws, forSeeds, mailboxLaws } from "./laws.ts"

quickImmediates()

const seeds = Number(process.env["SEEDS"] ?? 2_000)

/** Every seed up to 200 is tried, and the first violation is the one expected. */
const assertBreaks = (law: string, run: (seed: number) => Effect.Effect<unknown>) =>
  Effect.gen(function*() {
    const exit = yield* Effect.exit(forSeeds(200, run))
    if (Exit.isSuccess(exit)) return assert.fail("the laws did not notice")
    assert.include(String(Cause.squash(exit.cause)), law)
  })

describe("laws", () => {
  it.effect("the mailbox keeps them", () =>
    forSeeds(seeds, (seed) => Effect.sync(() => mailboxLaws(Mailbox.make, seed))))

  it.effect("the actor keeps them", () =>
    Effect.gen(function*() {
      const runs = yield* forSeeds(seeds, (seed) => actorLaws(Actor.spawn, seed))
      if (runs.length === 1) return
      // What the runs saw, so that the laws are not kept for want of occasions to break them.
      const counts: Record<string, number> = {}
      for (const note of runs.flat()) counts[note] = (counts[note] ?? 0) + 1
      for (
        const note of [
          "data handled",
          "data abandoned",
          "data discarded",
          "control handled",
          "control abandoned",
          "control discarded",
          "control accepted when full",
          "refused",
          "restarted",
          "Crashed",
          "Interrupted",
          "Deadline",
          "Stopped",
          "Closed",
          "Spent"
        ]
      ) assert.isAbove(counts[note] ?? 0, runs.length / 50, note)
    }), 120_000)

  it.effect(
    "actors that talk to each other keep them",
    () => forSeeds(seeds / 4, (seed) => conversationLaws(Actor.spawn, seed)),
    120_000
  )

  it.effect.each(Object.keys(broken.conversations))(
    "catch an actor in conversation that %s",
    (name) => assertBreaks("heard in order", (seed) => conversationLaws(broken.conversations[name]!, seed))
  )

  it.effect.each(Object.keys(broken.mailboxes))(
    "catch a mailbox that %s",
    (name) =>
      assertBreaks(broken.mailboxLaw[name]!, (seed) => Effect.sync(() => mailboxLaws(broken.mailboxes[name]!, seed)))
  )

  it.effect.each(Object.keys(broken.actors))(
    "catch an actor that %s",
    (name) => assertBreaks(broken.actorLaw[name]!, (seed) => actorLaws(broken.actors[name]!, seed)),
    60_000
  )
})
