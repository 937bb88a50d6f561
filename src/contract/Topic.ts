/**
 * A topic's contract: typed publish and subscribe without behaviour of its own.
 */
import type * as Schema from "effect/Schema"
import type * as Room from "./Definition.ts"

export const TypeId = "~heddle/Topic"
export type TypeId = typeof TypeId

/** The key of a topic and what is published to it. `Room.volatile` payloads have no offset and may be lost. */
export interface Definition {
  readonly key?: Schema.ConstraintCodec<unknown, string>
  readonly payload: Room.SchemaOrFields | Room.Volatile
}

/** The contract of a topic named `Name`. */
export interface Topic<in out Name extends string, in out D extends Definition> {
  new(_: never): {}
  readonly [TypeId]: D
  readonly topicName: Name
}

/** Any topic contract. */
export interface Any {
  readonly [TypeId]: Definition
  readonly topicName: string
}

type Def<T> = T extends { readonly [TypeId]: infer D } ? D : never
export type Key<T> = Def<T> extends { readonly key: infer K } ? Room.TypeOf<K> : string
type PayloadOf<T> = Def<T> extends { readonly payload: infer P } ? Room.EventFields<P> : never
/** What a subscriber receives. */
export type Payload<T> = Room.TypeOf<PayloadOf<T>>
/** What a publisher writes: fields with a constructor default are optional. */
export type Input<T> = Room.InputOf<PayloadOf<T>>

/**
 * Defines a topic.
 *
 * @example
 * ```ts
 * class Prices extends Topic.make("prices", { payload: { symbol: Schema.String, price: Schema.Number } }) {}
 * ```
 */
export const make = <const Name extends string, const D extends Definition>(
  name: Name,
  definition: D
): Topic<Name, D> =>
  class {
    static readonly [TypeId]: D = definition
    static readonly topicName = name
  } as never
