/**
 * Supervisors: actors of one kind that live and end together.
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { spawnUnsafe } from "./Actor.ts"
import { Stopped } from "./ActorError.ts"
import type { Actor, Options as ActorOptions } from "./ActorRef.ts"
import type { Supervision } from "./Supervision.ts"

/**
 * Why a supervisor is no more: `stop` was called, its scope closed, or a child that was spent escalated.
 *
 * @category models
 * @since 0.1.0
 */
export type ExitReason =
  | { readonly _tag: "Stopped" }
  | { readonly _tag: "Closed" }
  | { readonly _tag: "Escalated"; readonly child: string; readonly cause: Cause.Cause<unknown> }

/**
 * A child with this id is alive already.
 *
 * @category errors
 * @since 0.1.0
 */
export class ChildExists extends Data.TaggedError("ChildExists")<{ readonly id: string; readonly child: string }> {
  override get message() {
    return `supervisor ${this.id} has a child ${this.child} already`
  }
}

/**
 * How to make a supervisor.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Names the supervisor in errors. */
  readonly id: string
  /** The supervision of children that have none of their own. */
  readonly supervision?: Supervision | undefined
  /** A child was spent and escalates: called before the other children are stopped. */
  readonly onEscalated?: ((child: string, cause: Cause.Cause<unknown>) => void) | undefined
}

/**
 * Holds actors in one scope, and restarts each on its own.
 *
 * **Details**
 *
 * A crash of one child is nothing to the others, until a child is spent whose supervision says `"escalate"`: then
 * the supervisor fails, and all children stop. How many children there are is for the owner to bound.
 *
 * @category models
 * @since 0.1.0
 */
export interface Supervisor {
  readonly id: string
  /** The children that are not stopped, by id. */
  readonly children: ReadonlyMap<string, Actor<never, never>>
  /** Starts a child, which lives until it stops or the supervisor does. */
  readonly spawn: <M, C = never, E = unknown, R = never>(
    options: ActorOptions<M, C, E, R>
  ) => Effect.Effect<Actor<M, C>, Stopped | ChildExists, Exclude<R, Scope.Scope>>
  /** Refuses new children, lets all of them drain, and waits until they are no more. Not for a child's own handler. */
  readonly stop: Effect.Effect<void>
  /** Waits until the supervisor and all of its children are no more. */
  readonly exit: Effect.Effect<ExitReason>
}

/**
 * Creates a supervisor that lives until the scope closes, until `stop`, or until a child escalates.
 *
 * **Details**
 *
 * Closing the scope interrupts the handlers of all children at once and waits for them; what waits is discarded.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Supervisor, never, Scope.Scope> =>
  Effect.contextWith((context: Context.Context<Scope.Scope>) => {
    const { id } = options
    const lease = Scope.forkUnsafe(Context.get(context, Scope.Scope))
    const scope = Scope.makeUnsafe()
    const children = new Map<string, Actor<never, never>>()
    const exit = Deferred.makeUnsafe<ExitReason>()
    let accepting = true
    let ending = false

    const end = (reason: ExitReason): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (ending) return Effect.asVoid(Deferred.await(exit))
        ending = true
        accepting = false
        // All at once: closing the scope would take one after the other.
        for (const child of children.values()) child.stopUnsafe("discard")
        return Effect.andThen(
          Effect.uninterruptible(Scope.close(scope, Exit.void)),
          Effect.sync(() => {
            Scope.closeUnsafe(lease, Exit.void)
            Deferred.doneUnsafe(exit, Effect.succeed(reason))
          })
        )
      })

    const escalate = (child: string, cause: Cause.Cause<unknown>): void => {
      if (ending) return
      options.onEscalated?.(child, cause)
      Effect.runForkWith(context)(end({ _tag: "Escalated", child, cause }))
    }

    const supervisor: Supervisor = {
      id,
      children,
      spawn: <M, C, E, R>(child: ActorOptions<M, C, E, R>) =>
        Effect.contextWith((
          services: Context.Context<Exclude<R, Scope.Scope>>
        ): Effect.Effect<Actor<M, C>, Stopped | ChildExists> => {
          if (!accepting) return Effect.fail(new Stopped({ id }))
          if (children.has(child.id)) return Effect.fail(new ChildExists({ id, child: child.id }))
          const supervision = child.supervision ?? options.supervision
          const actor = spawnUnsafe<M, C, E, R>(Context.add(services, Scope.Scope, scope), {
            ...child,
            supervision,
            onStopped: (reason) => {
              children.delete(child.id)
              try {
                child.onStopped?.(reason)
              } finally {
                if (reason._tag === "Spent" && supervision?.spent === "escalate") escalate(child.id, reason.cause)
              }
            }
          })
          if (actor.state !== "stopped") children.set(child.id, actor)
          return Effect.succeed(actor)
        }),
      stop: Effect.suspend(() => {
        accepting = false
        const draining = [...children.values()]
        for (const child of draining) child.stopUnsafe("drain")
        return Effect.andThen(
          Effect.forEach(draining, (child) => child.exit, { discard: true }),
          end({ _tag: "Stopped" })
        )
      }),
      exit: Deferred.await(exit)
    }

    return Effect.as(Scope.addFinalizer(lease, end({ _tag: "Closed" })), supervisor)
  })
