/**
 * What a contract is made of, and the types that are read off it.
 */
import type * as Schema from "effect/Schema"

export const TypeId = "~heddle/Room"
export type TypeId = typeof TypeId

/** A schema that needs no services, so a message is encoded and decoded without leaving the tick. */
export interface Codec extends Schema.ConstraintCodec<unknown, unknown, never, never> {}

/** The fields of a `Schema.Struct`. `{}` is a message without payload. */
export interface Fields {
  readonly [name: string]: Codec
}

/** A schema, or the fields of a `Schema.Struct`. */
export type SchemaOrFields = Codec | Fields

/** A schema, or several that become a union. */
export type SchemaOrUnion = Codec | ReadonlyArray<Codec>

/** A message that is answered: with `success`, with one of its own `error`s, or with a `RequestError`. */
export interface RequestDefinition {
  readonly payload?: SchemaOrFields
  readonly success?: SchemaOrFields
  readonly error?: SchemaOrUnion
}

/**
 * What becomes of a volatile event for a receiver that does not read fast enough, once its outbox is full.
 *
 * - `"dropOldest"`: waiting events of this fate leave, the oldest first, until the new one fits.
 * - `"dropNewest"`: the new event is dropped.
 * - `"disconnect"`: the receiver is closed with 4409, as for a reliable event.
 * - `{ conflate }`: of those with the same key only the newest waits, at the place of the newest. More keys than fit
 *   close the receiver with 4409: the newest of a key is never dropped.
 */
export type Fate<P = never> = "dropOldest" | "dropNewest" | "disconnect" | {
  /** The key of an event, within the room or topic and the name of the event. Called once per event. */
  readonly conflate: (payload: P) => string
}

/** An event that is not kept, has no offset and may be lost. Made by `Room.volatile`. */
export interface Volatile<out P extends SchemaOrFields = SchemaOrFields> {
  readonly "~heddle/Volatile": P
  readonly "~heddle/Fate": Fate
}

/** The contract of a room: what client and server say to each other, without behaviour. */
export interface Definition {
  /** The form of a room's key; a string when left out. Its encoded form is at most 256 bytes. */
  readonly key?: Schema.ConstraintCodec<unknown, string>
  /** What a client sends to join, and how a join is refused. */
  readonly join?: { readonly payload?: SchemaOrFields; readonly error?: SchemaOrUnion }
  /** What a member must know at its position; sent at join and again after a gap or a restart. */
  readonly snapshot?: SchemaOrFields
  /** What members see of each other; `join` answers with it. */
  readonly presence?: SchemaOrFields
  readonly requests?: { readonly [name: string]: RequestDefinition }
  readonly notices?: { readonly [name: string]: SchemaOrFields }
  readonly events?: { readonly [name: string]: SchemaOrFields | Volatile }
  /**
   * What becomes of a member that does not read reliable events fast enough, once its outbox is full: `"disconnect"`, the
   * default, closes it with 4409. With `"catchUp"` no more events wait for it; once it reads again it gets them from the
   * log, in order, or a fresh snapshot if they have left. Needs the option `history` of `toLayer`.
   */
  readonly whenFull?: "disconnect" | "catchUp"
}

// ------------------------------------------------------------- validation

type Excess<A, Allowed extends PropertyKey> = Exclude<keyof A, Allowed>

/** Names of messages do not start with a lower-case letter, so heddle's own members never clash with them. */
type CheckName<K> = K extends string ? Capitalize<K> extends K ? unknown
  : `heddle: "${K}" must start with an upper-case letter`
  : never

type CheckRequest<K, A> = [Excess<A, "payload" | "success" | "error">] extends [never] ? CheckName<K>
  : `heddle: a request has "payload", "success" and "error", not "${
    & Excess<A, "payload" | "success" | "error">
    & string}"`

type KeysOf<A> = A extends object ? keyof A : never

type CheckDisjoint<K, Requests> = K extends KeysOf<Requests> ? `heddle: "${K & string}" is already a request`
  : CheckName<K>

/** Maps each mistake in a definition to a string literal that is the message. */
export type Check<D> = {
  readonly [K in keyof D]: K extends "requests" ? { readonly [N in keyof D[K]]: CheckRequest<N, D[K][N]> }
    : K extends "notices" ? { readonly [N in keyof D[K]]: CheckDisjoint<N, D extends { requests: infer R } ? R : {}> }
    : K extends "events" ? { readonly [N in keyof D[K]]: CheckName<N> }
    : K extends "join" ? [Excess<D[K], "payload" | "error">] extends [never] ? unknown
      : `heddle: "join" has "payload" and "error", not "${Excess<D[K], "payload" | "error"> & string}"`
    : K extends keyof Definition ? unknown
    : `heddle: a room has no "${K & string}"`
}

// ------------------------------------------------------------- views

/** Any room contract. */
export interface Any {
  new(_: never): {}
  readonly [TypeId]: Definition
  readonly roomName: string
}

type Side = "Type" | "~type.make.in"
type View<S, V extends Side> = S extends Schema.Constraint ? S[V]
  : S extends ReadonlyArray<Schema.Constraint> ? S[number][V]
  : S extends Schema.Struct.Fields ? keyof S extends never ? void : Schema.Struct<S>[V]
  : never

/** Decoded type of a shorthand. */
export type TypeOf<S> = View<S, "Type">
/** What a sender writes: fields with a constructor default are optional. */
export type InputOf<S> = View<S, "~type.make.in">

type Def<R> = R extends { readonly [TypeId]: infer D } ? D : never
type Get<A, K extends PropertyKey, Default = never> = A extends { readonly [P in K]: infer V } ? V : Default

export type Requests<R> = Get<Def<R>, "requests", {}>
export type Notices<R> = Get<Def<R>, "notices", {}>
export type Events<R> = Get<Def<R>, "events", {}>
/** The key of a room; a string unless its contract says otherwise. */
export type Key<R> = Get<Def<R>, "key"> extends infer K ? [K] extends [never] ? string : TypeOf<K> : never
/** What members see of each other; nothing unless the contract says otherwise. */
export type Presence<R> = Get<Def<R>, "presence"> extends infer P ? [P] extends [never] ? void : TypeOf<P> : never
/** What a member must know at its position; nothing unless the contract says otherwise. */
export type Snapshot<R> = Get<Def<R>, "snapshot"> extends infer P ? [P] extends [never] ? void : TypeOf<P> : never
type JoinDef<R> = Get<Def<R>, "join", {}>
export type JoinPayload<R> = TypeOf<Get<JoinDef<R>, "payload", {}>>
export type JoinInput<R> = InputOf<Get<JoinDef<R>, "payload", {}>>
export type JoinError<R> = TypeOf<Get<JoinDef<R>, "error">>
export type HasPresence<R> = "presence" extends keyof Def<R> ? true : false
export type HasSnapshot<R> = "snapshot" extends keyof Def<R> ? true : false

/** Types of one request definition. */
export type RequestPayload<M> = TypeOf<Get<M, "payload", {}>>
export type RequestInput<M> = InputOf<Get<M, "payload", {}>>
export type RequestSuccess<M> = Get<M, "success"> extends infer S ? [S] extends [never] ? void : TypeOf<S> : never
export type RequestFailure<M> = TypeOf<Get<M, "error">>

export type EventFields<E> = E extends Volatile<infer P> ? P : E
/** What a receiver of an event gets. */
export type EventPayload<R, N extends keyof Events<R>> = TypeOf<EventFields<Events<R>[N]>>
export type EventInput<R, N extends keyof Events<R>> = InputOf<EventFields<Events<R>[N]>>

/** No argument for `{}`; an optional one when every field is optional. */
export type Args<P> = [P] extends [void] ? [] : {} extends P ? [payload?: P] : [payload: P]

/** `Args`, followed by options. */
export type ArgsWith<P, Options> = [P] extends [void] ? [payload?: undefined, options?: Options]
  : {} extends P ? [payload?: P, options?: Options]
  : [payload: P, options?: Options]

/** The whole state of a room for one member: comes first, and again wherever events could not stay contiguous. */
export interface Synced<out S> {
  readonly _tag: "synced"
  readonly reason: SyncReason
  readonly snapshot: S
}

/** Why the state was sent: the first join, a position that could not be continued, or a restart of the room. */
export type SyncReason = "joined" | "gap" | "restarted"

/** What a member receives: one variant per event, and `Synced` when it (again) has the whole state. */
export type Event<R> =
  | { [N in keyof Events<R>]: EventOf<N, EventPayload<R, N>> }[keyof Events<R>]
  | Synced<Snapshot<R>>

/** A reliable event of the past. */
export type Past<R> = {
  [N in keyof Events<R>]: Events<R>[N] extends Volatile ? never : PastOf<N, EventPayload<R, N>>
}[keyof Events<R>]

/** One event of the past. */
export interface PastOf<N, P> {
  readonly _tag: N
  readonly payload: P
  /** Its place in the room's order. */
  readonly offset: number
}

/** Events of the past, the oldest first. */
export interface History<R> {
  readonly events: ReadonlyArray<Past<R>>
  /** Older ones are kept. */
  readonly more: boolean
}

/** Which events of the past: at most `limit`, the newest before the offset `before`, or the newest of all. */
export interface HistoryOptions {
  readonly before?: number
  readonly limit: number
}

/** One event as a member receives it. */
export interface EventOf<N, P> {
  readonly _tag: N
  readonly payload: P
  /** The place of a reliable event in the room's order, and the natural id of what it tells; absent on volatile ones. */
  readonly offset: number | undefined
}
