import { describe, it } from "@effect/vitest"
import { Effect, Fiber, PubSub, Stream, SubscriptionRef } from "effect"
import { assert } from "vitest"
import * as Watched from "../../src/client/Watched.ts"

/** Subscribes, and answers how to read what is there. */
const watch = Effect.fnUntraced(function*<A>(ref: SubscriptionRef.SubscriptionRef<A>) {
  const subscription = yield* PubSub.subscribe(ref.pubsub)
  return PubSub.takeAll(subscription)
})

describe("a watched value", () => {
  it.effect("is a SubscriptionRef in every respect", () =>
    Effect.gen(function*() {
      const ref = yield* Watched.make(1, 4)
      assert.isTrue(SubscriptionRef.isSubscriptionRef(ref))
      yield* SubscriptionRef.update(ref, (value) => value + 1)
      assert.strictEqual(yield* ref.pipe(SubscriptionRef.get), 2)
      assert.strictEqual(yield* SubscriptionRef.getAndSet(ref, 3), 2)
      assert.strictEqual(JSON.stringify(ref), JSON.stringify(yield* SubscriptionRef.make(3)))
    }))

  it.effect("tells each watcher the value of the moment, then every change", () =>
    Effect.gen(function*() {
      const ref = yield* Watched.make(0, 4)
      Watched.set(ref, 1)
      const early = yield* SubscriptionRef.changes(ref).pipe(Stream.take(4), Stream.runCollect, Effect.forkChild)
      yield* Effect.yieldNow
      Watched.set(ref, 2)
      yield* Effect.yieldNow
      Watched.set(ref, 3)
      const late = yield* SubscriptionRef.changes(ref).pipe(Stream.take(2), Stream.runCollect, Effect.forkChild)
      yield* Effect.yieldNow
      yield* SubscriptionRef.set(ref, 4)
      assert.deepStrictEqual(yield* Fiber.join(early), [1, 2, 3, 4])
      assert.deepStrictEqual(yield* Fiber.join(late), [3, 4])
    }))

  it.effect("keeps the newest for a watcher that is slow, and all of them for one that is not", () =>
    Effect.gen(function*() {
      const ref = yield* Watched.make(0, 3)
      const slow = yield* watch(ref)
      const fast = yield* watch(ref)
      const seen = [...(yield* fast)]
      for (let value = 1; value <= 10; value++) {
        Watched.set(ref, value)
        seen.push(...(yield* fast))
      }
      assert.deepStrictEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
      assert.deepStrictEqual(yield* slow, [8, 9, 10])
    }).pipe(Effect.scoped))

  it.effect("wakes a watcher that waits", () =>
    Effect.gen(function*() {
      const ref = yield* Watched.make(0, 1)
      const next = yield* watch(ref)
      assert.deepStrictEqual(yield* next, [0])
      const waiting = yield* Effect.forkChild(next)
      yield* Effect.yieldNow
      Watched.set(ref, 1)
      assert.deepStrictEqual(yield* Fiber.join(waiting), [1])
    }).pipe(Effect.scoped))
})
