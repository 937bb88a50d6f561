/**
 * What an endpoint is made of: its socket as a handler sees it, what ends it, what it needs.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Pipeable from "effect/Pipeable"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as Types from "effect/Types"
import type { Codec, Fields } from "../contract/Definition.ts"
import type * as Identity from "../contract/Identity.ts"
import type { Engine } from "./Engine.ts"
import * as CloseFrame from "./RawCloseFrame.ts"

export const TypeId = "~heddle/Endpoint"
export type TypeId = typeof TypeId

/** One WebSocket message: text, or bytes. */
export type Message = string | Uint8Array

/** How a connection ended: the code of RFC 6455, 1006 if there was no close frame, and the reason. */
export interface CloseEvent {
  readonly code: number
  readonly reason: string
}

/** The connection is closed, or closing: nothing can be sent any more. */
export class Closed extends Data.TaggedError("Closed")<CloseEvent> {
  override get message() {
    return `the connection is closed (${this.code})`
  }
}

/**
 * Ends the connection with a close code and a reason that the client sees.
 *
 * Codes are 1000 to 1003, 1007 to 1009, 1011 to 1013 and 3000 to 4999; another one is a defect. A reason longer than
 * the 123 bytes of a close frame is cut.
 *
 * @example
 * ```ts
 * if (!isOpen(room)) return yield* new Endpoint.Reject({ code: 4404, reason: "there is no such room" })
 * ```
 */
export class Reject extends Data.TaggedError("Reject")<CloseEvent> {
  constructor(options: { readonly code: number; readonly reason?: string }) {
    super(CloseFrame.make(options.code, options.reason ?? ""))
  }
  override get message() {
    return `rejected with ${this.code}: ${this.reason}`
  }
}

/** Why a handler may fail: it rejects, nobody is authorised, or the connection is no more. */
export type Failure = Reject | Identity.Unauthorized | Closed

/** Why a service of one connection may not come about. */
export type Refusal = Reject | Identity.Unauthorized

/** The upgrade request of a connection, decoded. */
export interface RequestOf<out Params, out Query> {
  /** Unique in this engine. */
  readonly id: string
  readonly params: Params
  readonly query: Query
  /** Path and query as the client sent them; a query may hold secrets, so it is not for logs. */
  readonly url: URL
  readonly headers: Headers
  /** Address of the peer of the TCP connection. */
  readonly address: string
  /** The subprotocol that was chosen. */
  readonly protocol: string | undefined
  /** The token of `Authorization: Bearer …`, or of an offered subprotocol `bearer.…`; never logged, never echoed. */
  readonly token: string | undefined
}

/** The upgrade request, for the services of one connection; see {@link Endpoint}. */
export class Request extends Context.Service<
  Request,
  RequestOf<{ readonly [name: string]: unknown }, { readonly [name: string]: unknown }>
>()("heddle/Endpoint/Request") {}

/** Options of a publish to a group. */
export interface PublishOptions {
  /** Connections that do not get the message. */
  readonly except?: AnySocket | ReadonlyArray<AnySocket>
}

/** A connection, as others refer to it. */
export interface AnySocket {
  readonly id: string
}

/** One open connection of an endpoint, given to its handler. */
export interface Socket<out Params = {}, out Query = {}> extends RequestOf<Params, Query> {
  /**
   * The messages of the client in their order, each given to one reader; ends when the connection does, after what
   * had come by then.
   *
   * May be run again to go on reading. At most 256 messages or one message's bytes wait here; then the client is not
   * read, or closed with 4429 where the runtime cannot pause. Past the frame rate of `Limits` a reader waits.
   */
  readonly messages: Stream.Stream<Message>
  /**
   * Sends one message, in the order of the calls; at most once. Bytes must not change afterwards; more than 16 MiB
   * are a defect.
   *
   * Suspends while half of the outbox (1 MiB, 1,024 messages) waits for the client. When the client takes nothing for
   * 62.5 seconds meanwhile, the connection is closed with 4409.
   */
  readonly send: (message: Message) => Effect.Effect<void, Closed>
  /**
   * Closes with a code and a reason, after everything that was sent before; waits until the close frame is sent.
   *
   * The codes are those of {@link Reject}; 1000 unless said.
   */
  readonly close: (code?: number, reason?: string) => Effect.Effect<void>
  /** Waits for the end of the connection, and tells the code: the first of either side. */
  readonly closed: Effect.Effect<CloseEvent>
  /**
   * Joins a group, until `leave` or the end of the connection.
   *
   * Groups belong to the engine: endpoints share them by name. At most 100 for a connection, of at most 256 bytes, or
   * else the connection is rejected with 1008.
   */
  readonly join: (group: string) => Effect.Effect<void, Reject>
  /** Leaves a group; nothing happens if it is in none of that name. */
  readonly leave: (group: string) => Effect.Effect<void>
  /**
   * Sends a message to every connection in a group, itself included; it need not be in the group. Answers how many.
   *
   * Synchronous and at most once. A client that does not read is closed with 4409 once its outbox is full.
   */
  readonly publish: (group: string, message: Message, options?: PublishOptions) => Effect.Effect<number>
}

/**
 * An endpoint: a path that speaks plain WebSocket, and the services that its handler and they themselves need.
 *
 * Served by `Engine.layer({ endpoints })`, which requires `R`.
 */
export interface Endpoint<out R> extends Pipeable.Pipeable {
  readonly [TypeId]: Types.Covariant<R>
  readonly path: string
}

/** Any endpoint. */
export type Any = Endpoint<any>

/** What an endpoint holds. */
export interface Definition {
  readonly path: string
  readonly params: Fields
  readonly query: Fields
  readonly protocols: ReadonlyArray<string>
  readonly handle: (socket: Socket<any, any>) => Effect.Effect<unknown, Failure, any>
  /** Built anew for each connection. */
  readonly services: Layer.Layer<any, Refusal, any> | undefined
}

/** Where an endpoint keeps its definition. */
export const DefinitionKey = "~heddle/Endpoint/Definition"

/** Reads what `make` put there; the types of an endpoint do not show it to users. */
export const definitionOf = (endpoint: Any): Definition =>
  (endpoint as Any & { readonly [DefinitionKey]: Definition })[DefinitionKey]

/** An identity that the handler needs and the endpoint does not ask for: `Endpoint.authenticate` does. */
export interface NotAuthenticated<out I> {
  readonly "~heddle/Endpoint/NotAuthenticated": I
}

/** What an engine must have to serve an endpoint. */
export type Services<E> = E extends Endpoint<infer R> ? R extends Identity.Any ? NotAuthenticated<R> : R : never

/** Services that every connection has: its request, a scope that ends with it, and the engine that serves it. */
export type OfConnection = Request | Scope.Scope | Engine

type Names<Path extends string> = Path extends `${string}/:${infer Rest}`
  ? Rest extends `${infer Name}/${infer More}` ? Name | Names<`/${More}`> : Rest
  : never

/** While TypeScript infers a handler made by `Effect.fnUntraced`, fields that nobody gave are `never`. */
type Given<F extends Fields> = [F] extends [never] ? {} : F

/** Parameters of a path: text, unless a schema says otherwise. */
export type ParamsOf<Path extends string, P extends Fields> = Types.Simplify<
  { readonly [K in Names<Path>]: K extends keyof Given<P> ? P[K]["Type"] : string }
>

type OptionalKeys<Q extends Fields> = {
  [K in keyof Q]: Q[K] extends { readonly "~type.optionality": "optional" } ? K : never
}[keyof Q]

/** Parameters of a query, as its fields decode. */
export type QueryOf<Q extends Fields> = Types.Simplify<
  & { readonly [K in Exclude<keyof Given<Q>, OptionalKeys<Given<Q>>>]: Q[K]["Type"] }
  & { readonly [K in OptionalKeys<Given<Q>>]?: Q[K]["Type"] }
>

/** Schemas for parameters that are in the path, and for no others. */
export type CheckParams<Path extends string, P> = {
  readonly [K in keyof P]: K extends Names<Path> ? Codec : `heddle: the path has no parameter ":${K & string}"`
}
