/**
 * How effects run for callers that know promises and callbacks only.
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"

/**
 * What a call can be told besides its payload.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions {
  /** Aborting it gives the call up, on the server too; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/**
 * A value that changes: what it is now, and a way to be told.
 *
 * @category models
 * @since 0.1.0
 */
export interface Watchable<out A> {
  /** The value of this moment. */
  readonly current: A
  /** Calls `f` with the value at once and then with each new one, until the returned function is called. */
  readonly subscribe: (f: (value: A) => unknown) => () => void
}

/** Starts an effect at once, up to where it has to wait. */
export type Fork = <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>

/** Starts an effect at once. The promise rejects with its error, or with the reason of the signal that ended it. */
export type Run = <A, E>(effect: Effect.Effect<A, E>, signal?: AbortSignal) => Promise<A>

export const makeRun = (context: Context.Context<never>): Run => {
  const fork = Effect.runForkWith(context)
  return (effect, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      fork(effect, { signal }).addObserver((exit) => {
        if (Exit.isSuccess(exit)) return resolve(exit.value)
        reject(signal?.aborted && Cause.hasInterrupts(exit.cause) ? signal.reason : Cause.squash(exit.cause))
      })
    })
}

/** Shows an error to who is responsible for the page or process, which goes on. */
export const report = (error: unknown): void => {
  // Bun and Deno have `reportError` as well, but there it ends the process.
  if ("document" in globalThis && "reportError" in globalThis) globalThis.reportError(error)
  else console.error(error)
}

/** Calls a callback of the user; what it throws or rejects with is reported. */
export const call = <Args extends ReadonlyArray<unknown>>(f: (...args: Args) => unknown, ...args: Args): void => {
  try {
    const result = f(...args) as Partial<PromiseLike<unknown>> | undefined | null
    result?.then?.(undefined, report)
  } catch (error) {
    report(error)
  }
}

/** Shows a reference as it is now, and its changes up to one that is the last. */
export const watchable = <A>(
  ref: SubscriptionRef.SubscriptionRef<A>,
  fork: Fork,
  isLast: (value: A) => boolean = () => false
): Watchable<A> => ({
  get current() {
    return SubscriptionRef.getUnsafe(ref)
  },
  subscribe: (f) => {
    const fiber = fork(Stream.runForEach(SubscriptionRef.changes(ref), (value) =>
      Effect.suspend(() => {
        call(f, value)
        return isLast(value) ? Effect.interrupt : Effect.void
      })))
    return () => fiber.interruptUnsafe()
  }
})
