/**
 * How long a client waits before it connects again.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

/** Bounds of the wait in milliseconds. */
export interface Bounds {
  readonly base: number
  readonly max: number
}

/** Online for so long, in milliseconds, a connection was good: the next wait starts from the shortest again. */
export const stableMillis = 10_000

/**
 * The wait before attempt `attempt`, which counts from 0: anything from 0 to `base · 2^attempt`, at most `max`.
 *
 * The whole wait is random, so that clients which lost the same server do not come back together.
 */
export const delay = ({ base, max }: Bounds, attempt: number): Effect.Effect<number> =>
  Effect.map(Random.next, (random) => Math.round(random * Math.min(max, base * 2 ** attempt)))

/** The wait that a draining server asked for, and up to `base` more. */
export const afterDrain = ({ base }: Bounds, after: number): Effect.Effect<number> =>
  Effect.map(Random.next, (random) => after + Math.round(random * base))
