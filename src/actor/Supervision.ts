/**
 * What happens to an actor that crashed: when it is restarted, and when that is given up.
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"

/**
 * How an actor is restarted after a crash, and when it is given up.
 *
 * **Details**
 *
 * A crash that comes when `within` has passed since the last one starts the schedule from its beginning.
 *
 * @category models
 * @since 0.1.0
 */
export interface Supervision {
  /** How long to wait before each restart; when it ends, the actor is spent. Default: 100 ms, doubling, at most 10 s. */
  readonly schedule?: Schedule.Schedule<unknown, Cause.Cause<unknown>> | undefined
  /** The most restarts within a time; one crash more and the actor is spent. Default: 5 within a minute. */
  readonly intensity?: { readonly restarts: number; readonly within: Duration.Input } | undefined
  /** What a spent actor does: it stops (default), and with `"escalate"` its supervisor fails as well. */
  readonly spent?: "stop" | "escalate" | undefined
}

const defaultSchedule = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("10 seconds")])

/** @internal */
export const defaultIntensity = { restarts: 5, within: "1 minute" } as const

/**
 * Logs what went wrong in an actor.
 *
 * @internal
 */
export const logCause = (id: string, text: string, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.annotateLogs(Effect.logError(text, cause), "actor", id)

type Step = (now: number, cause: Cause.Cause<unknown>) => Effect.Effect<Duration.Duration | undefined>

/**
 * The crashes of one actor, counted against its supervision.
 *
 * @internal
 */
export class Restarts {
  private readonly schedule: Schedule.Schedule<unknown, Cause.Cause<unknown>>
  private readonly most: number
  private readonly within: number
  private step: Step | undefined
  private times: Array<number> = []

  constructor(supervision: Supervision | undefined) {
    const intensity = supervision?.intensity ?? defaultIntensity
    this.schedule = supervision?.schedule ?? defaultSchedule
    this.most = intensity.restarts
    this.within = Duration.toMillis(Duration.fromInputUnsafe(intensity.within))
  }

  /** Ends the instance that crashed and waits as the supervision says, or answers `false` when the actor is spent. */
  recover(id: string, instance: Scope.Closeable | undefined, cause: Cause.Cause<unknown>): Effect.Effect<boolean> {
    return Effect.gen({ self: this }, function*() {
      yield* logCause(id, "an actor crashed", cause)
      const closed = instance === undefined
        ? Exit.void
        : yield* Effect.exit(Scope.close(instance, Exit.failCause(cause)))
      if (closed._tag === "Failure") yield* logCause(id, "a finalizer of a crashed actor failed", closed.cause)
      const delay = yield* this.next(cause)
      if (delay === undefined) return false
      yield* Effect.sleep(delay)
      return true
    })
  }

  /** How long to wait before the next restart, or nothing when the actor is spent. */
  private next(cause: Cause.Cause<unknown>): Effect.Effect<Duration.Duration | undefined> {
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      this.times = this.times.filter((time) => now - time < this.within)
      if (this.times.length >= this.most) return Effect.undefined
      if (this.times.length === 0) this.step = undefined
      this.times.push(now)
      if (this.step !== undefined) return this.step(now, cause)
      return Effect.flatMap(Schedule.toStep(this.schedule), (pull) => {
        this.step = (now, cause) =>
          Pull.matchEffect(pull(now, cause), {
            onSuccess: ([, delay]) => Effect.succeed(delay),
            onDone: () => Effect.undefined,
            onFailure: Effect.failCause
          })
        return this.step(now, cause)
      })
    })
  }
}
