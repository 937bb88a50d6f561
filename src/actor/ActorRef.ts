/**
 * What an actor is to those who use it, and what it is made of.
 */
import type * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { AskTimeout, MailboxFull, Stopped, Unanswered } from "./ActorError.ts"
import type { Reply } from "./Ask.ts"
import type { Supervision } from "./Supervision.ts"

/**
 * What one instance of an actor does with its messages.
 *
 * **Details**
 *
 * One message at a time: the next one waits until the effect that a handler returned has ended. A handler that
 * returns nothing has handled its message synchronously, which needs no fiber and is the fastest way. An effect
 * that dies, or a handler that throws, crashes the instance. Fibers forked with `Effect.forkChild` end with the
 * handling of their message; fork into the scope that `init` had to keep them for the life of the instance.
 *
 * @category models
 * @since 0.1.0
 */
export interface Behavior<in M, in C = never> {
  /** Handles one message. */
  readonly receive: (message: M) => Effect.Effect<void> | void
  /** Handles one control message; without it they are dropped. */
  readonly control?: ((message: C) => Effect.Effect<void> | void) | undefined
}

/**
 * Why the handling of a message did not end by itself.
 *
 * @category models
 * @since 0.1.0
 */
export type Abandoned =
  | { readonly _tag: "Crashed"; readonly cause: Cause.Cause<unknown> }
  | { readonly _tag: "Interrupted"; readonly reason: string }
  | { readonly _tag: "Deadline" }

/**
 * Why an actor is no more: `stop` was called, its scope closed, or its restarts were spent.
 *
 * @category models
 * @since 0.1.0
 */
export type StopReason =
  | { readonly _tag: "Stopped" }
  | { readonly _tag: "Closed" }
  | { readonly _tag: "Spent"; readonly cause: Cause.Cause<unknown> }

/**
 * How to spawn an actor.
 *
 * **Details**
 *
 * The hooks are synchronous, outlive the instances of the actor, and are called in its turns, except for what a
 * `stop` from outside discards, which is reported inside that call. Every accepted message meets exactly one fate:
 * it was handled, `onAbandoned` or `onDiscarded` got it. A hook that throws is logged and changes nothing.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<M, C, E, R> {
  /** Names the actor in errors, logs and its supervisor. */
  readonly id: string
  /**
   * Makes an instance: runs when the actor starts and again at each restart, in a scope that ends with the
   * instance. It may take its time, messages wait. Its failure is a crash.
   */
  readonly init: (self: Actor<M, C>) => Effect.Effect<Behavior<M, C>, E, R | Scope.Scope>
  /** The most data messages that may wait. Default 256. */
  readonly mailbox?: number | undefined
  /** The longest that the handling of one message may take, once it suspends. Default: no limit. */
  readonly deadline?: Duration.Input | undefined
  /** What follows a crash. */
  readonly supervision?: Supervision | undefined
  /** A message whose handling did not end by itself. It is not handled again. */
  readonly onAbandoned?: ((message: M | C, why: Abandoned) => void) | undefined
  /** A message that still waited when the actor stopped. */
  readonly onDiscarded?: ((message: M | C) => void) | undefined
  /** After a crash, a new instance is ready; it has not handled anything yet. */
  readonly onRestarted?: (() => void) | undefined
  /**
   * It drains and nothing waits any more: called at most once. What it sends to the control lane is handled before
   * the actor stops.
   */
  readonly onDrained?: (() => void) | undefined
  /** The actor is no more: called exactly once, after all else. */
  readonly onStopped?: ((reason: StopReason) => void) | undefined
}

/**
 * A running actor: a bounded mailbox, and a behavior that handles one message at a time.
 *
 * **Details**
 *
 * Messages from one sender are handled in the order in which they were sent, control messages before data. An
 * idle actor holds no fiber and no timer. It lives until `stop`, until the scope it was spawned in closes, or until
 * its restarts are spent; its id, mailbox and what waits in it outlive a crash.
 *
 * **Gotchas**
 *
 * `tell`, `tellUnsafe` and `ask` may be passed around as functions; the other members need their actor before the
 * dot.
 *
 * @category models
 * @since 0.1.0
 */
export interface Actor<in M, in C = never> {
  readonly id: string
  /** Puts a message in the mailbox: at most once, handled unless the actor stops or crashes on it. */
  readonly tell: (message: M) => Effect.Effect<void, MailboxFull | Stopped>
  /** Like `tell`, synchronously: for callbacks and hot paths. */
  readonly tellUnsafe: (message: M) => "accepted" | "full" | "stopped"
  /** Puts a message in the control lane, which is never full; `false` only when the actor is no more. */
  controlUnsafe(message: C): boolean
  /**
   * Sends a message that carries a `Reply`, and waits for the answer, 5 seconds unless told otherwise. Fails with
   * `Unanswered` as soon as the handling ended badly, and with `Stopped` when the actor stopped meanwhile.
   */
  readonly ask: <A, E = never>(
    make: (reply: Reply<A, E>) => M,
    options?: { readonly timeout?: Duration.Input | undefined }
  ) => Effect.Effect<A, E | MailboxFull | Stopped | Unanswered | AskTimeout>
  /**
   * Interrupts the handling that is suspended now, if its message matches, and answers whether it did. The actor
   * goes on with the next message once the handler's finalizers have run; it is no crash. `any`, because an
   * `Actor` of fewer messages may stand for one of more.
   */
  interruptCurrent(predicate: (message: any) => boolean, reason: string): boolean
  /**
   * Stops the actor, and waits until it is no more. `"drain"` (default) refuses new messages and handles what
   * was accepted; `"discard"` interrupts the handler and discards what waits. Called by the actor's own handler,
   * it does not wait.
   */
  stop(mode?: "drain" | "discard"): Effect.Effect<void>
  /** Like `stop`, without waiting. */
  stopUnsafe(mode?: "drain" | "discard"): void
  /** Waits until the actor is no more. */
  readonly exit: Effect.Effect<StopReason>
  /** How many messages wait, in both lanes. */
  readonly pending: number
  /** Whether nothing waits and nothing is being handled. */
  readonly isIdle: boolean
  /** What it is up to: a `stopping` actor handles nothing any more, one that drains is still `ready`. */
  readonly state: "starting" | "ready" | "restarting" | "stopping" | "stopped"
}
