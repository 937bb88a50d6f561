/**
 * A topic's contract: typed publish and subscribe without behaviour of its own.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Room from "./Definition.ts"
import type * as Identity from "./Identity.ts"

/** The brand of topic contracts. */
export const TypeId = "~heddle/Topic"
/** The brand of topic contracts. */
export type TypeId = typeof TypeId

/** The key of a topic and what is published to it. `Room.volatile` payloads have no offset, may be lost, and choose how. */
export interface Definition {
  readonly key?: Schema.ConstraintCodec<unknown, string>
  readonly payload: Room.SchemaOrFields | Room.Volatile
  /**
   * Keeps what was published last, so that a new subscriber has it at once; one that comes back has it if it is new to it.
   * Not for a volatile payload.
   */
  readonly latest?: boolean
}

/** A mistake in a definition, as a string literal that says what it is. */
type Check<D> = D extends { readonly latest: true; readonly payload: Room.Volatile }
  ? { readonly latest: "heddle: a volatile payload is not kept" }
  : unknown

/** The contract of a topic named `Name`. */
export interface Topic<in out Name extends string, in out D extends Definition> {
  new(_: never): {}
  readonly [TypeId]: D
  readonly topicName: Name

  /**
   * Serves the topic with a say in who may subscribe. Without it, put the topic itself into the engine's list and
   * everybody may.
   */
  toLayer<T extends Any, R = never>(
    this: T,
    options: Options<Key<T>, R>
  ): Layer.Layer<Behavior<Name>, never, Identity.Authenticated<Exclude<R, Scope.Scope>>>
}

/** How a topic is served. */
export interface Options<in Key, out R> {
  /**
   * Runs before a subscription, with the identity of the subscriber among its services; it may take 30 seconds.
   * {@link forbidden} refuses.
   */
  readonly authorize: (request: { readonly key: Key }) => Effect.Effect<unknown, Forbidden, R>
}

/** The subscriber may not have what it asked for. `detail` is told to the client. */
export class Forbidden extends /* @__PURE__ */ Data.TaggedError("Forbidden")<{ readonly detail: string }> {}

/** Refuses a subscription. */
export const forbidden = (detail: string): Effect.Effect<never, Forbidden> => Effect.fail(new Forbidden({ detail }))

/** Provided by `toLayer`, required by `Engine.layer`. */
export interface Behavior<in out Name extends string> {
  readonly "~heddle/Topic/Behavior": Name
}

/** What a topic's layer holds: contract, who may subscribe, and the services for that. */
export interface BehaviorService {
  readonly contract: Any
  /** Lets a subscriber in, or fails with {@link Forbidden}. */
  readonly authorize: (request: { readonly key: never }) => Effect.Effect<unknown, Forbidden>
  readonly context: Context.Context<never>
}

/** Each topic's layer is built on its own, so one key serves all of them. */
export const BehaviorKey: Context.Service<Behavior<any>, BehaviorService> = /* @__PURE__ */ Context.Service<
  Behavior<any>,
  BehaviorService
>("heddle/Topic/Behavior")

/** Any topic contract. */
export interface Any {
  readonly [TypeId]: Definition
  readonly topicName: string
}

type Def<T> = T extends { readonly [TypeId]: infer D } ? D : never
/** The key of a topic; a string unless its contract says otherwise. */
export type Key<T> = Def<T> extends { readonly key: infer K } ? Room.TypeOf<K> : string
type PayloadOf<T> = Def<T> extends { readonly payload: infer P } ? Room.EventFields<P> : never
/** What a subscriber receives. */
export type Payload<T> = Room.TypeOf<PayloadOf<T>>
/** What a publisher writes: fields with a constructor default are optional. */
export type Input<T> = Room.InputOf<PayloadOf<T>>

/**
 * Defines a topic.
 *
 * What is published reaches those who are subscribed at that moment; with `latest: true` the newest also those who come.
 *
 * @example
 * ```ts
 * class Prices extends Topic.make("prices", { payload: { symbol: Schema.String, price: Schema.Number } }) {}
 * ```
 */
export const make = <const Name extends string, const D extends Definition>(
  name: Name,
  definition: D & Check<D>
): Topic<Name, D> =>
  class {
    static readonly [TypeId]: D = definition
    static readonly topicName = name
    static toLayer(this: Any, { authorize }: Pick<BehaviorService, "authorize">): Layer.Layer<Behavior<Name>> {
      return Layer.effect(
        BehaviorKey,
        Effect.contextWith((context: Context.Context<never>) => Effect.succeed({ contract: this, authorize, context }))
      )
    }
  } as never
