/**
 * What a test says about its room: a model that follows it step by step, and what must hold.
 */
import type * as Result from "effect/Result"
import type { LeaveReason } from "../contract/Behavior.ts"
import type * as Room from "../contract/Definition.ts"

/** Somebody wanted to join: `outcome` is its presence, or why it was refused. */
export interface JoinStep<R extends Room.Any> {
  readonly _tag: "join"
  readonly memberId: string
  readonly payload: Room.JoinPayload<R>
  /** `restart` when the room was restarted and its members are joined to the new instance. */
  readonly cause: "join" | "restart"
  readonly outcome: Result.Result<Room.Presence<R>, Room.JoinError<R>>
}

/** A member is no longer in the room. */
export interface LeaveStep {
  readonly _tag: "leave"
  readonly memberId: string
  readonly reason: LeaveReason
}

/** A handler was interrupted, as its member left: what it did until then stands. */
export interface InterruptedStep {
  readonly _tag: "interrupted"
  /** The request, the notice, or `join`. */
  readonly name: string
  readonly memberId: string
  readonly payload: unknown
}

/** A request was handled, with success or with an error of its contract. */
export interface RequestStep<R, N extends keyof Room.Requests<R>> {
  readonly _tag: N
  readonly memberId: string
  readonly payload: Room.RequestPayload<Room.Requests<R>[N]>
  readonly outcome: Result.Result<
    Room.RequestSuccess<Room.Requests<R>[N]>,
    Room.RequestFailure<Room.Requests<R>[N]>
  >
}

/** A notice was handled. */
export interface NoticeStep<R, N extends keyof Room.Notices<R>> {
  readonly _tag: N
  readonly memberId: string
  readonly payload: Room.TypeOf<Room.Notices<R>[N]>
}

/** What can be seen of the room at one moment. */
export interface View<R extends Room.Any> {
  /** The members of this moment and their presence, by id. */
  readonly members: ReadonlyMap<string, Room.Presence<R>>
  /** What the room's `snapshot` says at this moment; undefined if it has none, or nobody is there to ask for it. */
  readonly snapshot: Room.Snapshot<R> | undefined
  /** What this instance of the room has emitted, in order. */
  readonly events: ReadonlyArray<Exclude<Room.Event<R>, { readonly _tag: "synced" }>>
}

/** The step of a name: that of `join`, `leave` or `interrupted`, or of a message. */
export type StepOf<R extends Room.Any, N> = N extends "join" ? JoinStep<R>
  : N extends "leave" ? LeaveStep
  : N extends "interrupted" ? InterruptedStep
  : N extends keyof Room.Requests<R> ? RequestStep<R, N>
  : N extends keyof Room.Notices<R> ? NoticeStep<R, N>
  : never

/** How the model goes on after each step of the room; a step that is left out changes nothing. */
// One mapped type: an intersection of several would not give the functions the types of their parameters.
export type Steps<R extends Room.Any, S> = {
  readonly [
    N in "join" | "leave" | "interrupted" | keyof Room.Requests<R> | keyof Room.Notices<R>
  ]?: (state: S, step: StepOf<R, N>) => S
}

/**
 * A simpler room that says what the real one should do.
 *
 * A room handles one message at a time, and the model follows in exactly that order, whatever clients do at once. What is
 * thrown in it, as by any assertion library, falsifies the room.
 */
export interface Model<R extends Room.Any, S> {
  /** The state before anybody joined. A value that is never changed, only followed by others. */
  readonly initial: S
  /** The next state, after each kind of step. The place for assertions about its outcome. */
  readonly next?: Steps<R, NoInfer<S>>
  /** The state of a new instance, after a crash or an idle time; `initial` unless said. */
  readonly restarted?: (state: NoInfer<S>) => NoInfer<S>
  /** Must hold after each step: falsified by `false` and by whatever it throws. */
  readonly invariant?: (state: NoInfer<S>, view: View<R>) => boolean | void
}

/** The model as the kit uses it. */
export interface AnyModel {
  readonly initial: unknown
  readonly next?: { readonly [tag: string]: ((state: unknown, step: never) => unknown) | undefined }
  readonly restarted?: (state: unknown) => unknown
  readonly invariant?: (state: unknown, view: never) => unknown
}
