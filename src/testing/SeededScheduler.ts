/**
 * A scheduler whose order is decided by a seed: the same seed, the same order.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import * as TestClock from "effect/testing/TestClock"

/** Whole numbers from 0 up to `bound`, from a seed (xorshift, 32 bits). */
const makeNext = (seed: number) => {
  // Spread, so that neighbouring seeds differ from the first number on; a state of 0 would stay 0.
  let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) || 1
  return (bound: number): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % bound
  }
}

interface Queued {
  readonly task: () => void
  readonly priority: number
}

/**
 * A scheduler that runs, step by step, the first task of a dispatcher chosen by the seed.
 *
 * **Details**
 *
 * Every fiber and every link of the in-memory network has a dispatcher of its own, so what they do interleaves as the
 * seed says, while each keeps its own order (lower priority numbers first, as in any scheduler). The order holds as
 * long as nothing real takes part: no timers, no sockets, no input or output.
 */
export const make = (seed: number): Scheduler.Scheduler => {
  const next = makeNext(seed)
  const real = new Scheduler.MixedScheduler()
  const ready: Array<Array<Queued>> = []
  let armed = false

  const step = (queue: Array<Queued>) => {
    const { task } = queue.shift()!
    if (queue.length === 0) ready.splice(ready.indexOf(queue), 1)
    task()
  }
  const arm = () => {
    if (armed) return
    armed = true
    real.setImmediate(pump)
  }
  const pump = () => {
    armed = false
    // As many steps as there are tasks now: what they set off may wait for the event loop.
    let steps = ready.reduce((sum, queue) => sum + queue.length, 0)
    try {
      while (steps-- > 0 && ready.length > 0) step(ready[next(ready.length)]!)
    } finally {
      if (ready.length > 0) arm()
    }
  }

  return {
    executionMode: "async",
    shouldYield: (fiber) => real.shouldYield(fiber),
    makeDispatcher: () => {
      const queue: Array<Queued> = []
      return {
        scheduleTask: (task, priority) => {
          const after = queue.findIndex((queued) => queued.priority > priority)
          if (queue.length === 0) ready.push(queue)
          if (after < 0) queue.push({ task, priority })
          else queue.splice(after, 0, { task, priority })
          arm()
        },
        flush: () => {
          while (queue.length > 0) step(queue)
        }
      }
    }
  }
}

/**
 * Runs an effect in a fiber of its own, in virtual time and in the order of a seed.
 *
 * **Details**
 *
 * Provides the scheduler and a `TestClock` that starts at 0. Layers that take the `Scheduler` or the `Clock` when they
 * are built, such as the in-memory transport, must be provided inside.
 */
export const withSeed =
  (seed: number) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, TestClock.TestClock>> =>
    // Forked twice: a fiber keeps the dispatcher it began with, and the layer builds with the scheduler in place.
    // The scheduler is made when it runs: whoever runs it twice sees the same twice.
    Effect.suspend(() =>
      Effect.forkChild(Effect.provide(Effect.flatMap(Effect.forkChild(effect), Fiber.join), TestClock.layer())).pipe(
        Effect.flatMap(Fiber.join),
        Effect.provideService(Scheduler.Scheduler, make(seed))
      )
    )
