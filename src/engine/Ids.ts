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

/** The upper 48 of the 54 bits of a whole number: it is made of a fraction that has fewer, and so the lowest is constant. */
const upper = (number: number): number => Math.floor(number / 64)

/** Of two numbers 96 bits, in 16 letters. Made at once: pieces would be joined when somebody first looks for the id. */
const write = (one: number, other: number): string => {
  const [a, b] = [upper(one), upper(other)]
  const [c, d] = [Math.floor(a / 2 ** 24), Math.floor(b / 2 ** 24)]
  return String.fromCharCode(
    letter(a),
    letter(a >>> 6),
    letter(a >>> 12),
    letter(a >>> 18),
    letter(c),
    letter(c >>> 6),
    letter(c >>> 12),
    letter(c >>> 18),
    letter(b),
    letter(b >>> 6),
    letter(b >>> 12),
    letter(b >>> 18),
    letter(d),
    letter(d >>> 6),
    letter(d >>> 12),
    letter(d >>> 18)
  )
}

/** Where ids come from: by default 96 bits of effect's `Random`, so that a seeded run names everything the same. */
export const Ids: Context.Reference<Effect.Effect<Ids>> = Context.Reference<Effect.Effect<Ids>>("heddle/engine/Ids", {
  defaultValue: () =>
    Effect.map(
      Effect.service(Random.Random),
      (random) => () => write(random.nextIntUnsafe(), random.nextIntUnsafe())
    )
})
