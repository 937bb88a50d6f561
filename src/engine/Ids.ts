/**
 * Names for sessions, members and logs: unique, not secret.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

/** Makes a new id, synchronously. */
export type Ids = () => string

/** A letter for each number of 6 bits: to write a number in base 36 takes a hundred times as long. */
const letters = new TextEncoder().encode("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_")

const letter = (bits: number): number => letters[bits & 63]!

/**
 * The upper 48 of the 54 bits of a whole number: it is made of a fraction that has fewer, and so the lowest is constant.
 * Its eight letters are made at once: of more pieces an id would be joined when somebody first looks for it.
 */
const write = (number: number): string => {
  const low = Math.floor(number / 64)
  const high = Math.floor(low / 2 ** 24)
  return String.fromCharCode(
    letter(low),
    letter(low >>> 6),
    letter(low >>> 12),
    letter(low >>> 18),
    letter(high),
    letter(high >>> 6),
    letter(high >>> 12),
    letter(high >>> 18)
  )
}

/** Where ids come from: by default 96 bits of effect's `Random`, so that a seeded run names everything the same. */
export const Ids: Context.Reference<Effect.Effect<Ids>> = Context.Reference<Effect.Effect<Ids>>("heddle/engine/Ids", {
  defaultValue: () =>
    Effect.map(
      Effect.service(Random.Random),
      (random) => () => write(random.nextIntUnsafe()) + write(random.nextIntUnsafe())
    )
})
