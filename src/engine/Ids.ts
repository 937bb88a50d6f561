/**
 * Names for sessions, members and logs: unique, not secret.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

/** Makes a new id, synchronously. */
export type Ids = () => string

/** Where ids come from: by default 106 bits of effect's `Random`, so that a seeded run names everything the same. */
export const Ids: Context.Reference<Effect.Effect<Ids>> = Context.Reference<Effect.Effect<Ids>>("heddle/engine/Ids", {
  defaultValue: () =>
    Effect.map(Effect.service(Random.Random), (random) => {
      const half = () => Math.abs(random.nextIntUnsafe()).toString(36)
      return () => half() + half()
    })
})
