/**
 * The one place through which every turn of every actor goes.
 *
 * An actor that has something to do hands its turn to the `Dispatcher`, which decides when it runs: at once,
 * after the turn that is running, or (in a simulation) in an order picked by a seed.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"

/**
 * Decides when the turns of actors run.
 *
 * **Details**
 *
 * A turn that throws is logged as an error, and the turns after it still run.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dispatcher {
  /** Runs `turn` once, now or soon. Turns are unbounded here: an actor has at most one waiting. */
  readonly run: (turn: () => void) => void
  /** How many messages an actor may handle in one turn before the other actors and the runtime get theirs. */
  readonly messagesPerTurn: number
}

/**
 * The dispatcher of the actors spawned in this context; by default one for the whole process.
 *
 * @category references
 * @since 0.1.0
 */
export const Dispatcher: Context.Reference<Dispatcher> = Context.Reference<Dispatcher>("heddle/actor/Dispatcher", {
  defaultValue: () => make()
})

/** How many turns run before the runtime gets its turn, so that actors that only talk to each other starve nobody. */
const turnsPerDrain = 1_024

const queues = new WeakMap<Scheduler.Scheduler, Scheduler.SchedulerDispatcher>()

/**
 * The task queue that actors of one Effect scheduler share: one runtime callback serves all that wait.
 *
 * @internal
 */
export const taskQueue = (scheduler: Scheduler.Scheduler): Scheduler.SchedulerDispatcher => {
  let queue = queues.get(scheduler)
  if (queue === undefined) {
    queue = scheduler.makeDispatcher()
    queues.set(scheduler, queue)
  }
  return queue
}

const ambientQueue = () => taskQueue(Context.get(Context.empty(), Scheduler.Scheduler))

/** Where a drain is scheduled: with the fiber that asks for it, or with the default scheduler outside of fibers. */
const currentQueue = () => Fiber.getCurrent()?.currentDispatcher ?? ambientQueue()

const attempt = (turn: () => void): void => {
  try {
    turn()
  } catch (defect) {
    Effect.runFork(Effect.logError("a turn threw", Cause.die(defect)))
  }
}

/**
 * Creates a dispatcher that runs turns in the order they come, as early as it is safe.
 *
 * **Details**
 *
 * Outside of a turn and of any fiber, a turn runs at once. From within a turn it is queued and runs right after,
 * in the same tick, so that actors that start actors do not nest. From within a fiber it is queued, and the
 * fiber's own scheduler runs the queue. After 1,024 turns in a row the rest goes through the scheduler.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Dispatcher => {
  let waiting: Array<() => void> = []
  let running = false
  let scheduledOn: Scheduler.SchedulerDispatcher | undefined

  const schedule = (queue: Scheduler.SchedulerDispatcher) => {
    if (scheduledOn === queue) return
    scheduledOn = queue
    queue.scheduleTask(() => {
      if (scheduledOn === queue) scheduledOn = undefined
      if (!running) drain()
    }, 0)
  }

  const drain = () => {
    running = true
    let next = 0
    while (next < waiting.length && next < turnsPerDrain) attempt(waiting[next++]!)
    running = false
    if (next === waiting.length) {
      waiting = []
      return
    }
    waiting = waiting.slice(next)
    schedule(ambientQueue())
  }

  return {
    messagesPerTurn: 64,
    run: (turn) => {
      if (running) {
        waiting.push(turn)
      } else if (Fiber.getCurrent() !== undefined) {
        waiting.push(turn)
        schedule(currentQueue())
      } else if (waiting.length > 0) {
        waiting.push(turn)
        drain()
      } else {
        running = true
        attempt(turn)
        running = false
        if (waiting.length > 0) drain()
      }
    }
  }
}

/**
 * Creates a dispatcher for simulations, which picks the next turn at random from all that wait.
 *
 * **Details**
 *
 * Turns never run at once and are one message long, so that any order of the messages of different actors can
 * come up; two runs with the same seed and the same program take the same order.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeSeeded = (seed: number): Dispatcher => {
  const waiting: Array<() => void> = []
  let state = seed | 0
  let running = false
  let scheduledOn: Scheduler.SchedulerDispatcher | undefined

  // A 32-bit Weyl sequence, mixed: small, fast, and good enough to pick from a list.
  const below = (bound: number): number => {
    state = (state + 0x9e3779b9) | 0
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) % bound
  }

  const schedule = (queue: Scheduler.SchedulerDispatcher) => {
    if (scheduledOn === queue) return
    scheduledOn = queue
    queue.scheduleTask(() => {
      if (scheduledOn === queue) scheduledOn = undefined
      if (running) return
      running = true
      for (let turns = 0; waiting.length > 0 && turns < turnsPerDrain; turns++) {
        const picked = below(waiting.length)
        const turn = waiting[picked]!
        waiting[picked] = waiting[waiting.length - 1]!
        waiting.pop()
        attempt(turn)
      }
      running = false
      if (waiting.length > 0) schedule(ambientQueue())
    }, 0)
  }

  return {
    messagesPerTurn: 1,
    run: (turn) => {
      waiting.push(turn)
      if (!running) schedule(currentQueue())
    }
  }
}
