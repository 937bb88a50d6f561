/**
 * A value that is written from callbacks and watched by fibers, with a bound.
 */
import * as Effect from "effect/Effect"
import * as PubSub from "effect/PubSub"
import * as SubscriptionRef from "effect/SubscriptionRef"

/**
 * Makes a `SubscriptionRef` whose watchers are at most `capacity` values behind; a slower one misses the oldest.
 */
export const make = <A>(value: A, capacity: number): Effect.Effect<SubscriptionRef.SubscriptionRef<A>> =>
  Effect.gen(function*() {
    const pubsub = yield* PubSub.sliding<A>({ capacity, replay: 1 })
    const ref = Object.assign(yield* SubscriptionRef.make(value), { pubsub })
    set(ref, value)
    return ref
  })

/** Writes the value and tells the watchers, at once. */
export const set = <A>(ref: SubscriptionRef.SubscriptionRef<A>, value: A): void => {
  ref.value = value
  Effect.runSync(PubSub.publish(ref.pubsub, value))
}
