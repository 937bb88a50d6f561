/**
 * A room's contract: the messages of a stateful actor with members, shared by server and client.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Handle, Handlers, HandlersServices, NoExcess, Options } from "./Behavior.ts"
import type { Any, Check, Definition, Fate, InputOf, SchemaOrFields, Volatile } from "./Definition.ts"
import { TypeId } from "./Definition.ts"

export type {
  Call,
  EmitError,
  EmitOptions,
  Emitted,
  Handle,
  Handlers,
  JoinRequest,
  LeaveReason,
  Member,
  Options,
  Supervision,
  Taken
} from "./Behavior.ts"
export { EventInvalid, EventTooLarge } from "./Behavior.ts"
export type {
  Any,
  Definition,
  Event,
  EventPayload,
  Fate,
  History,
  HistoryOptions,
  Key,
  Past,
  PastOf,
  Presence,
  Snapshot,
  Synced,
  SyncReason
} from "./Definition.ts"

/** The contract of a room named `Name`. */
export interface Room<in out Name extends string, in out D extends Definition> {
  new(_: never): {}
  readonly [TypeId]: D
  readonly roomName: Name

  /** Checks handlers against the contract and gives them their types. */
  of<const H extends Handlers<this> & NoExcess<this, H>>(handlers: H): H

  /**
   * Serves the room: `init` runs once for each key, and again when the room restarts, so that its local variables are
   * the room's state.
   */
  toLayer<R extends Any, const H extends Handlers<this> & NoExcess<this, H>, EX = never, RX = never>(
    this: R,
    init: (room: Handle<R>) => H | Effect.Effect<H, EX, RX>,
    options?: Options
  ): Layer.Layer<Behavior<Name>, never, Exclude<RX, Scope.Scope> | HandlersServices<H>>
}

/** Provided by `toLayer`, required by `Engine.layer`. */
export interface Behavior<in out Name extends string> {
  readonly "~heddle/Room/Behavior": Name
}

/** Handlers as the engine calls them; their services come from {@link BehaviorService.context} and the caller. */
export type AnyHandlers = {
  /** By the name of the message, or `join`, `snapshot` and `leave`. */
  readonly [name: string]: (request: never) => Effect.Effect<unknown, unknown, unknown>
}

/** What a room's layer holds: contract, behaviour and the services around it. */
export interface BehaviorService {
  readonly contract: Any
  /** Makes the handlers of one instance. */
  readonly init: (room: never) => AnyHandlers | Effect.Effect<AnyHandlers, unknown, Scope.Scope>
  readonly options: Options
  readonly context: Context.Context<never>
}

/** Each room's layer is built on its own, so one key serves all of them. */
export const BehaviorKey: Context.Service<Behavior<any>, BehaviorService> = /* @__PURE__ */ Context.Service<
  Behavior<any>,
  BehaviorService
>("heddle/Room/Behavior")

/**
 * Defines a room.
 *
 * Messages start with an upper-case letter. A schema may be written as the fields of a struct; `{}` means no payload.
 *
 * @example
 * ```ts
 * class Chat extends Room.make("chat", {
 *   requests: { Say: { payload: { text: Schema.String } } },
 *   events: { Said: { text: Schema.String } }
 * }) {}
 * ```
 */
export const make = <const Name extends string, const D extends Definition>(
  name: Name,
  definition: D & Check<D>
): Room<Name, D> =>
  class {
    static readonly [TypeId]: D = definition
    static readonly roomName = name
    static of<H>(handlers: H): H {
      return handlers
    }
    static toLayer(
      this: Any,
      init: BehaviorService["init"],
      options: Options = {}
    ): Layer.Layer<Behavior<Name>> {
      return Layer.effect(
        BehaviorKey,
        Effect.contextWith((context: Context.Context<never>) =>
          Effect.succeed({ contract: this, init, options, context })
        )
      )
    }
  } as never

/**
 * Makes an event volatile: it is not kept and has no offset, it may be lost, and it never disturbs the reliable ones.
 *
 * `whenFull` says what becomes of it for a receiver that does not read fast enough. Reliable events have no such
 * choice: one that were dropped would be a gap.
 *
 * @example
 * ```ts
 * events: { Moved: Room.volatile({ id: Schema.String, x: Schema.Finite }, { conflate: ({ id }) => id }) }
 * ```
 */
export const volatile = <const P extends SchemaOrFields>(
  payload: P,
  whenFull: Fate<InputOf<P>> = "dropOldest"
): Volatile<P> => ({ "~heddle/Volatile": payload, "~heddle/Fate": whenFull })
