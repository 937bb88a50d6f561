/**
 * Raw endpoints: paths that speak plain WebSocket, for clients that know nothing of heddle.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Pipeable from "effect/Pipeable"
import type { Fields } from "../contract/Definition.ts"
import * as Identity from "../contract/Identity.ts"
import type {
  CheckParams,
  Definition,
  Endpoint,
  Failure,
  Message,
  OfConnection,
  ParamsOf,
  PublishOptions,
  QueryOf,
  Refusal,
  Socket
} from "./EndpointDefinition.ts"
import { DefinitionKey, definitionOf, Request, TypeId } from "./EndpointDefinition.ts"
import { Engine } from "./Engine.ts"

export type {
  Any,
  AnySocket,
  CloseEvent,
  Endpoint,
  Failure,
  Message,
  NotAuthenticated,
  PublishOptions,
  Refusal,
  RequestOf,
  Services,
  Socket
} from "./EndpointDefinition.ts"
export { Closed, Reject, Request } from "./EndpointDefinition.ts"

/** What an endpoint takes, and what it does with a connection. */
export interface Options<Path extends string, P extends Fields, Q extends Fields, R> {
  /** Schemas of parameters in the path; a parameter without one is text. They decode text: `Schema.Int` takes `42`. */
  readonly params?: P & CheckParams<Path, P>
  /** Schemas of parameters in the query; others are ignored. An array takes a parameter as often as it comes. */
  readonly query?: Q
  /**
   * Subprotocols: the first that the client offers and that is listed here is chosen.
   *
   * A client that offers only others is refused with 400, as a browser would refuse a server that chose none. An
   * offered `bearer.…` carries a token, as browsers cannot set headers; it is never chosen, so offer another too.
   */
  readonly protocols?: ReadonlyArray<string>
  /**
   * Serves one connection, in a fiber of its own; its scope is that of the connection.
   *
   * Its end closes the connection: with 1000 when it succeeds, the code of a `Reject`, 4401 of an
   * `Identity.Unauthorized`, 1011 and a line in the log for a defect. What it had sent before is delivered first, unless
   * the client takes nothing of it for 62.5 seconds.
   *
   * When the connection ends, `messages` ends, and the handler has 5 seconds to finish. One that reads no messages at
   * that moment is interrupted at once. Finalizers run either way. When the server stops, `messages` ends first, the
   * connection stays until the handler does, and both have the time of `Engine.layer({ drain })`.
   */
  readonly handle: (socket: Socket<ParamsOf<Path, P>, QueryOf<Q>>) => Effect.Effect<unknown, Failure, R>
}

/**
 * Defines an endpoint at a path of its own, served by `Engine.layer({ endpoints })`.
 *
 * **Details**
 *
 * Messages go one by one in WebSocket messages of their own, at most once and in order. A request whose parameters do
 * not fit is answered 400 with the name of the parameter, never its value; origin, method and the number of
 * connections are bounded as for the engine's own path. Where two endpoints match, the more literal path has it.
 *
 * **Gotchas**
 *
 * There is no heartbeat: an idle connection is never closed for its silence. A handler that only sends should still
 * read, with `Stream.runDrain`: messages that nobody reads fill 256 places, then reading pauses, and a connection that
 * is not read from is not seen to end.
 *
 * @example
 * ```ts
 * const Echo = Endpoint.make("/echo", {
 *   handle: (socket) => socket.messages.pipe(Stream.runForEach(socket.send))
 * })
 *
 * const Feed = Endpoint.make("/rooms/:room", {
 *   query: { since: Schema.optionalKey(Schema.Int) },
 *   handle: Effect.fnUntraced(function*(socket) {
 *     const group = `room:${socket.params.room}`
 *     yield* socket.join(group)
 *     yield* socket.messages.pipe(
 *       Stream.runForEach((message) => socket.publish(group, message, { except: socket }))
 *     )
 *   })
 * })
 * ```
 */
export const make = <const Path extends `/${string}`, R, const P extends Fields = {}, const Q extends Fields = {}>(
  path: Path,
  options: Options<Path, P, Q, R>
): Endpoint<Exclude<R, OfConnection>> => {
  const { handle, params = {}, protocols = [], query = {} } = options
  return fromDefinition({ path, params: params as Fields, query, protocols, handle, services: undefined })
}

const fromDefinition = <R>(definition: Definition): Endpoint<R> => {
  const endpoint = Object.create(prototype)
  return Object.assign(endpoint, { path: definition.path, [DefinitionKey]: definition })
}

const covariant = { _R: (_: never) => _ }
const prototype = { ...Pipeable.Prototype, [TypeId]: covariant }

/**
 * Gives the handler services of its own for each connection: built before it starts, released when it ends.
 *
 * **Details**
 *
 * The layer may use {@link Request}, services of the application, and what is provided after it in the pipe. It is
 * built anew for every connection, within the handshake time of 10 seconds, or else the connection is closed with
 * 4408. Failing with `Reject` closes with its code, with `Identity.Unauthorized` with 4401. What the client sends
 * meanwhile waits.
 *
 * @example
 * ```ts
 * const Feed = Endpoint.make("/feed", { handle: (socket) => Effect.flatMap(Transaction, …) }).pipe(
 *   Endpoint.provide(Layer.effect(Transaction, Effect.acquireRelease(begin, commit))),
 *   Endpoint.authenticate(CurrentUser)
 * )
 * ```
 */
export const provide: {
  <A, RL>(
    layer: Layer.Layer<A, Refusal, RL>
  ): <R>(self: Endpoint<R>) => Endpoint<Exclude<R, A> | Exclude<RL, OfConnection>>
  <R, A, RL>(
    self: Endpoint<R>,
    layer: Layer.Layer<A, Refusal, RL>
  ): Endpoint<Exclude<R, A> | Exclude<RL, OfConnection>>
} = dual(2, (self: Endpoint<any>, layer: Layer.Layer<any, Refusal, any>): Endpoint<any> => {
  const definition = definitionOf(self)
  const services = definition.services === undefined ? layer : Layer.provideMerge(definition.services, layer)
  return fromDefinition({ ...definition, services })
})

/**
 * Asks who is there, before the handler starts: its `Identity.layer` is run once per connection.
 *
 * The token it is given is that of `Authorization: Bearer …`, or of an offered subprotocol `bearer.…`. It is never
 * chosen, echoed or logged. Who is not authorised is closed with 4401 and the detail as the reason.
 *
 * @example
 * ```ts
 * Endpoint.make("/feed", { handle: () => Effect.flatMap(CurrentUser, ({ id }) => …) }).pipe(
 *   Endpoint.authenticate(CurrentUser)
 * )
 * ```
 */
export const authenticate = <I extends Identity.Any, S>(
  identity: Context.Key<I, S>
): <R>(self: Endpoint<R>) => Endpoint<Exclude<R, I> | Identity.Authenticator<I>> =>
  provide(Layer.effectContext(Effect.contextWith((context: Context.Context<Request | Identity.Authenticator<I>>) => {
    const authenticator = Identity.authenticatorsIn(context).get(identity.key)!
    const { address, headers, token, url } = Context.get(context, Request)
    return Effect.map(
      authenticator.authenticate({ address, headers, token, url }),
      (value) => Context.make(identity, value as S)
    )
  }))) as never

/**
 * Sends a message to every connection in a group, from anywhere in the application; answers how many there were.
 *
 * Synchronous and at most once: it is in the outbox of each when this returns. A client that does not read is closed
 * with 4409 once its outbox of 1 MiB or 1,024 messages is full.
 *
 * @example
 * ```ts
 * yield* Endpoint.publish("room:lobby", "the door opens")
 * ```
 */
export const publish = (
  group: string,
  message: Message,
  options?: PublishOptions
): Effect.Effect<number, never, Engine> =>
  Effect.map(Effect.service(Engine), (engine) => engine.groups.publish(group, message, options?.except))
