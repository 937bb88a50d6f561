/**
 * The server's side of a room's contract: what handlers are given and what they must be.
 */
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Definition from "./Definition.ts"
import type * as Identity from "./Identity.ts"

/** The event is larger than 256 KiB once encoded. Nothing was emitted. */
export class EventTooLarge extends /* @__PURE__ */ Data.TaggedError("EventTooLarge")<{
  readonly event: string
  readonly bytes: number
  readonly limit: number
}> {
  override get message() {
    return `event ${this.event} has ${this.bytes} bytes, more than ${this.limit}`
  }
}

/** The payload does not fit the event's schema. Nothing was emitted. */
export class EventInvalid extends /* @__PURE__ */ Data.TaggedError("EventInvalid")<{
  readonly event: string
  readonly detail: string
}> {
  override get message() {
    return `payload of event ${this.event} does not fit its schema: ${this.detail}`
  }
}

/** Why an event was not emitted. A handler may let it pass: its caller gets `HandlerFailed`, the room lives on. */
export type EmitError = EventTooLarge | EventInvalid

/** Where a reliable event stands in its room's order. */
export interface Emitted {
  /** Counts reliable events from 1; survives restarts of the room. Of a volatile event: the last reliable one. */
  readonly offset: number
  /**
   * Receivers that were so far behind that something was dropped for this event: the event itself, an older volatile
   * one, or everything together with their connection. Those whose join is still being answered are not among them.
   */
  readonly dropped: number
}

/** An event whose publisher waited for it to be taken. */
export interface Taken extends Emitted {
  /** Members for whom it still waited when the time was up. */
  readonly behind: number
}

/**
 * Why a member is no longer in the room. `lost`: its client went, or its connection was lost and it did not come back
 * within the window.
 */
export type LeaveReason = "left" | "kicked" | "lost" | "stopped"

/** A session in a room. */
export interface Member<R extends Definition.Any> extends Identity.Identified {
  /** Unique in the room; what other members see. The same as long as it is a member, over all its connections. */
  readonly id: string
  /** The key for tables of your own: one per session, stable across reconnects. */
  readonly sessionId: string
  readonly presence: Definition.Presence<R>
  /**
   * Sends an event to this member alone: no offset, not in the log, lost if the member is not connected.
   */
  readonly send: <N extends keyof Definition.Events<R>>(
    event: N,
    ...payload: Definition.Args<Definition.EventInput<R, N>>
  ) => Effect.Effect<void, EmitError>
}

/** Somebody who wants to join and is not a member yet. */
export interface JoinRequest<out Payload> extends Identity.Identified {
  readonly payload: Payload
  /** The id the member will have. */
  readonly memberId: string
  /** `restart` when the room was restarted and its members are joined to the new instance. */
  readonly cause: "join" | "restart"
}

/** A request or notice as its handler gets it. */
export interface Call<out Payload, out M> {
  readonly payload: Payload
  readonly member: M
}

/** Options of one emit. */
export interface EmitOptions<M, W extends boolean = boolean> {
  /** These members skip the event: the receiver obeys, so that offsets stay contiguous for everybody. */
  readonly except?: M | ReadonlyArray<M>
  /**
   * Waits until the runtime has taken the event for the slowest member, at most 10 s, and answers with {@link Taken}.
   * The event is emitted at once; the room handles nothing else meanwhile. Nobody waits for a member that meets its
   * fate, that catches up, or whose join is still being answered.
   */
  readonly wait?: W
}

/** A room from within: one instance for each key, given to the room's `init`. */
export interface Handle<R extends Definition.Any> {
  readonly key: Definition.Key<R>
  /** The members of this moment, by id, in the order of their joining. */
  readonly members: ReadonlyMap<string, Member<R>>
  /**
   * Emits an event to all members, synchronously: its offset is assigned and it is in the log and in every outbox
   * when this returns. All members see reliable events in the order of their offsets, before the reply of the
   * request that emitted them. At most 256 KiB.
   */
  readonly emit: <N extends keyof Definition.Events<R>, W extends boolean = false>(
    event: N,
    ...payload: Definition.ArgsWith<Definition.EventInput<R, N>, EmitOptions<Member<R>, W>>
  ) => Effect.Effect<W extends true ? Taken : Emitted, EmitError>
  /**
   * Reliable events that the room keeps, for whoever has to know: with a durable store `init` can build the state of the
   * room from them, page by page. None unless the option `history` keeps some. What does not fit the contract any more is
   * left out.
   */
  readonly history: (options: Definition.HistoryOptions) => Effect.Effect<Definition.History<R>>
  /** Removes a member, whether or not it is connected. Its `leave` handler runs next, with `kicked`. */
  readonly kick: (member: Member<R>, reason?: string) => Effect.Effect<void>
  /** Changes what members see of a member. */
  readonly setPresence: (member: Member<R>, presence: Definition.Presence<R>) => Effect.Effect<void, EmitError>
  /** Runs an effect once, as a turn of the room, unless the room has stopped or restarted by then. */
  readonly after: (delay: Duration.Input, effect: Effect.Effect<void, EmitError>) => Effect.Effect<void>
  /** Runs an effect again and again, as turns of the room, until the room stops or restarts. A late turn delays the next. */
  readonly every: (interval: Duration.Input, effect: Effect.Effect<void, EmitError>) => Effect.Effect<void>
  /** Closes when this instance of the room ends: stopped, idle or about to restart. */
  readonly scope: Scope.Scope
}

type JoinHandler<Payload, Presence, E> = (request: JoinRequest<Payload>) => Effect.Effect<Presence, E | EmitError, any>

/** The handlers of a contract. Everything in it must be there; nothing else may. */
export type Handlers<R extends Definition.Any> =
  & (Definition.HasPresence<R> extends true ? {
      /** Admits a client and answers with its presence, or refuses it. */
      readonly join: JoinHandler<Definition.JoinPayload<R>, Definition.Presence<R>, Definition.JoinError<R>>
    }
    : { readonly join?: JoinHandler<Definition.JoinPayload<R>, void, Definition.JoinError<R>> })
  & (Definition.HasSnapshot<R> extends true ? {
      /** What a member must know at this moment. Runs after `join`, and again after a gap or a restart. */
      readonly snapshot: (
        request: { readonly member: Member<R> }
      ) => Effect.Effect<Definition.Snapshot<R>, never, any>
    }
    : {})
  & {
    /** Runs once for every member that joined. */
    readonly leave?: (
      request: { readonly member: Member<R>; readonly reason: LeaveReason }
    ) => Effect.Effect<void, EmitError, any>
  }
  & {
    readonly [N in keyof Definition.Requests<R>]: (
      request: Call<Definition.RequestPayload<Definition.Requests<R>[N]>, Member<R>>
    ) => Effect.Effect<
      Definition.RequestSuccess<Definition.Requests<R>[N]>,
      Definition.RequestFailure<Definition.Requests<R>[N]> | EmitError,
      any
    >
  }
  & {
    readonly [N in keyof Definition.Notices<R>]: (
      request: Call<Definition.TypeOf<Definition.Notices<R>[N]>, Member<R>>
    ) => Effect.Effect<unknown, EmitError, any>
  }

/** A handler for something that is not in the contract is a mistake, usually a renamed request. */
export type NoExcess<R extends Definition.Any, H> = {
  readonly [
    K in Exclude<keyof H, keyof Definition.Requests<R> | keyof Definition.Notices<R> | "join" | "leave" | "snapshot">
  ]: `heddle: the contract has no "${K & string}"`
}

/** What handlers need: their services, with an identity turned into its authenticator. */
export type HandlersServices<H> = {
  readonly [K in keyof H]: H[K] extends (...args: any) => Effect.Effect<infer _A, infer _E, infer R>
    ? Identity.Authenticated<Exclude<R, Scope.Scope>>
    : never
}[keyof H]

/**
 * How a room that crashed is restarted, and when it is given up.
 *
 * A room crashes when one of its handlers, its timers or its `init` dies, or `init` fails. Its members stay, and what
 * waits for it is handled by the next instance. A room that is spent stops: its members get `left` with `stopped`, what
 * waits is answered `RoomStopped`, and `leave` does not run, as there is no instance to run it. The next join starts it
 * anew.
 */
export interface Supervision {
  /**
   * How long to wait before each restart; when it ends, the room is spent. 100 ms, doubling, at most 10 s unless said.
   * It begins anew with a crash before which there was none for the time of `intensity`.
   */
  readonly schedule?: Schedule.Schedule<unknown, Cause.Cause<unknown>>
  /**
   * The most restarts within a time; one crash more and the room is spent. 5 within a minute unless said. For as long a
   * crash also counts against the member whose message caused it: with the third its connection is closed.
   */
  readonly intensity?: { readonly restarts: number; readonly within: Duration.Input }
  /**
   * What else happens when a room is spent: nothing (`"stop"`, unless said), or all rooms of its contract stop with it
   * (`"escalate"`). They do what they accepted, their members leave with `stopped`, and from then on the engine answers
   * joins with `RoomStopped`, while it serves its other contracts on.
   */
  readonly spent?: "stop" | "escalate"
}

/** How a room is kept. */
export interface Options {
  /**
   * Reliable events kept for members that come back or ask for the past: none unless said. At most `capacity`, none older
   * than `timeToLive`, and of all logs together at most 256 MiB: the oldest leave. With `visible: "sinceJoin"` a member
   * gets none from before it joined; `"all"` unless said.
   */
  readonly history?: {
    readonly capacity: number
    readonly timeToLive?: Duration.Input
    readonly visible?: "all" | "sinceJoin"
  }
  /** How long a room without members is kept; 1 minute unless said. */
  readonly idleTimeout?: Duration.Input
  /** Messages that may wait for the room; 1,024 unless said. One more is answered `Overloaded`. */
  readonly mailbox?: number
  /** The longest a handler may take; 30 seconds unless said. */
  readonly deadline?: Duration.Input
  /** What happens to a room that crashed: restarted, at most 5 times a minute, unless said. */
  readonly supervision?: Supervision
}
