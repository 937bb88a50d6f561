/**
 * Names for sessions, members and logs: unique, not secret.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

/** Makes a new id, synchronously. */
export type Ids = () => string

/** Two letters for each number of 12 bits: to write a number in base 36 takes a hundred times as long. */
const letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
const pairs = Array.from({ length: 4096 }, (_, bits) => letters[bits >> 6]! + letters[bits & 63]!)

/** The upper 48 of the 54 bits of a whole number: it is made of a fraction that has fewer, and so the lowest is constant. */
const write = (number: number): string => {
  const upper = Math.floor(number / 64)
  const low = upper >>> 0
  const high = Math.floor(upper / 2 ** 32)
  return pairs[low & 4095]! + pairs[(low >>> 12) & 4095]! + pairs[(low >>> 24) | ((high & 15) << 8)]! +
    pairs[(high >>> 4) & 4095]!
}

/** Where ids come from: by default 96 bits of effect's `Random`, so that a seeded run names everything the same. */
export const Ids: Context.Reference<Effect.Effect<Ids>> = Context.Reference<Effect.Effect<Ids>>("heddle/engine/Ids", {
  defaultValue: () =>
    Effect.map(
      Effect.service(Random.Random),
      (random) => () => write(random.nextIntUnsafe()) + write(random.nextIntUnsafe())
    )
})
