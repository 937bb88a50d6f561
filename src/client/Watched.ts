/**
 * A value that is written from callbacks and watched by fibers, with a bound.
 */
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as MutableList from "effect/MutableList"
import * as Pipeable from "effect/Pipeable"
import * as PubSub from "effect/PubSub"
import * as Semaphore from "effect/Semaphore"
import type * as SubscriptionRef from "effect/SubscriptionRef"
import { Feed } from "./Feed.ts"

/**
 * The newest values, for a `PubSub`: the oldest make room, and a watcher begins with the value of the moment.
 *
 * `PubSub.sliding` with `replay: 1` does the same, but brings a page every kind of `PubSub` that there is.
 */
class Newest<A> implements PubSub.PubSub.Atomic<A> {
  private readonly feed: Feed<A>

  constructor(capacity: number) {
    this.feed = new Feed(capacity)
  }

  get capacity(): number {
    return this.feed.capacity
  }

  size(): number {
    return this.feed.end - this.feed.start
  }

  isEmpty(): boolean {
    return this.size() === 0
  }

  /** There is always a place: that of the oldest. */
  isFull(): boolean {
    return false
  }

  slide(): void {}

  publish(value: A): boolean {
    this.feed.push(value)
    return true
  }

  publishAll(values: Iterable<A>): Array<A> {
    for (const value of values) this.feed.push(value)
    return []
  }

  subscribe(): PubSub.PubSub.BackingSubscription<A> {
    const { feed } = this
    const reader = feed.add(feed.end - 1)
    const size = () => feed.end - Math.max(reader.cursor, feed.start)
    const pollUpTo = (most: number): Array<A> => {
      reader.cursor = Math.max(reader.cursor, feed.start)
      return feed.take(reader, most)
    }
    return {
      size,
      isEmpty: () => size() === 0,
      poll: () => size() === 0 ? MutableList.Empty : pollUpTo(1)[0]!,
      pollUpTo,
      unsubscribe: () => feed.remove(reader)
    }
  }

  /** Nothing apart from what a subscription polls. */
  replayWindow(): PubSub.PubSub.ReplayWindow<A> {
    return { remaining: 0, take: () => undefined, takeN: () => [], takeAll: () => [], close: () => {} }
  }
}

/** What `SubscriptionRef.make` makes, around another `PubSub`. */
class Watched<A> extends Pipeable.Class implements SubscriptionRef.SubscriptionRef<A> {
  readonly "~effect/SubscriptionRef" = { _A: identity }
  readonly semaphore = Semaphore.makeUnsafe(1)
  readonly pubsub: PubSub.PubSub<A>
  value: A

  constructor(pubsub: PubSub.PubSub<A>, value: A) {
    super()
    this.pubsub = pubsub
    this.value = value
  }

  toJSON(): unknown {
    return { _id: "SubscriptionRef", value: this.value }
  }
}

/**
 * Makes a `SubscriptionRef` whose watchers are at most `capacity` values behind; a slower one misses the oldest.
 */
export const make = <A>(value: A, capacity: number): Effect.Effect<SubscriptionRef.SubscriptionRef<A>> =>
  Effect.map(
    PubSub.make<A>({ atomicPubSub: () => new Newest(capacity), strategy: () => new PubSub.SlidingStrategy() }),
    (pubsub) => {
      const ref = new Watched(pubsub, value)
      set<A>(ref, value)
      return ref
    }
  )

/** Writes the value and tells the watchers, at once. */
export const set = <A>(ref: SubscriptionRef.SubscriptionRef<A>, value: A): void => {
  ref.value = value
  PubSub.publishUnsafe(ref.pubsub, value)
}
