/**
 * The engine: serves rooms and topics on a transport, and lets the rest of the application publish to them.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { EmitError, Emitted } from "../contract/Behavior.ts"
import type * as Definition from "../contract/Definition.ts"
import * as Identity from "../contract/Identity.ts"
import * as Room from "../contract/Room.ts"
import * as Topic from "../contract/Topic.ts"
import type * as Contract from "../wire/Contract.ts"
import * as Acceptor from "./Acceptor.ts"
import { Addresses, Connections } from "./Addresses.ts"
import type { Connection, Shared } from "./Connection.ts"
import * as Core from "./Core.ts"
import { Deadlines } from "./Deadlines.ts"
import * as Drain from "./Drain.ts"
import * as DrainPoll from "./DrainPoll.ts"
import type * as Endpoint from "./EndpointDefinition.ts"
import { EndpointHost } from "./EndpointHost.ts"
import type * as Fate from "./Fate.ts"
import * as Gauges from "./Gauges.ts"
import * as Heartbeat from "./Heartbeat.ts"
import * as Limits from "./Limits.ts"
import type { Options as OutboxOptions } from "./Outbox.ts"
import * as Probes from "./Probes.ts"
import * as Publish from "./Publish.ts"
import type { RawGroups } from "./RawGroups.ts"
import { RoomHost } from "./RoomHost.ts"
import { makeSessions } from "./Sessions.ts"
import type { Resumes } from "./Sessions.ts"
import { eventName, TopicHost } from "./TopicHost.ts"
import type { Address, ListenError } from "./Transport.ts"
import { Transport } from "./Transport.ts"
import { Users } from "./Users.ts"

/** A running room, as {@link Engine} lists it. */
export interface RoomInfo {
  readonly room: string
  readonly key: string
  readonly members: number
}

/** What an engine counts. */
export interface Stats {
  /**
   * Frames dropped since it started, for all receivers together, by what became of them: the fates that contracts
   * choose, and `disconnect` for everything that waited for a peer that was closed with 4409.
   */
  readonly drops: Readonly<Fate.Drops>
  /** Sessions at this moment; those without a connection wait for their clients to come back. None with a window of 0. */
  readonly sessions: { readonly attached: number; readonly detached: number }
  /** Clients that came back since it started, by whether their session went on. */
  readonly resumes: Readonly<Resumes>
}

/** A running engine. */
export class Engine extends Context.Service<Engine, {
  /** Where it listens. */
  readonly address: Address
  /** Open connections at this moment. */
  readonly connections: Effect.Effect<number>
  /** Rooms that run at this moment. */
  readonly rooms: Effect.Effect<ReadonlyArray<RoomInfo>>
  /** See {@link drain}. */
  readonly drain: Effect.Effect<void>
  /** Whether nobody is let in any more: red for whoever asks whether the server is ready. */
  readonly isDraining: Effect.Effect<boolean>
  /** What it counted up to this moment. */
  readonly stats: Effect.Effect<Stats>
  /** @internal */
  readonly groups: RawGroups
  /** @internal */
  readonly http: (fetch: Acceptor.Fetch) => Effect.Effect<void, never, Scope.Scope>
  /** @internal */
  readonly emit: (
    room: Definition.Any,
    key: unknown,
    event: string,
    payload: unknown
  ) => Effect.Effect<Emitted, EmitError>
  /** @internal */
  readonly publish: (topic: Topic.Any, key: unknown, payload: unknown) => Effect.Effect<Emitted, EmitError>
}>()("heddle/Engine") {}

/** What is served, and how. */
export interface Options<
  Served extends ReadonlyArray<ServedLayer | Topic.Any>,
  Endpoints extends ReadonlyArray<Endpoint.Any> = []
> {
  /** Rooms and topics, as the layers that `toLayer` makes; a topic alone is open to everybody. */
  readonly rooms?: Served
  /** Paths that speak plain WebSocket. */
  readonly endpoints?: Endpoints
  /** Path of rooms and topics; `/` unless said. */
  readonly path?: string
  /** Origins of browsers that may connect, beside the server's own. */
  readonly origins?: ReadonlyArray<string> | "any"
  /**
   * How many proxies stand in front of the server, each of which appends to `X-Forwarded-For`; 0 unless said.
   *
   * The address of a client is then the one that the outermost of them wrote, its scheme and host those of
   * `X-Forwarded-Proto` and `X-Forwarded-Host`. With 0 these headers are ignored: anybody can send them.
   */
  readonly trustedHops?: number
  /**
   * Answers plain HTTP requests to other paths: a web handler, as the `fetch` of Hono; 404 unless said. For an
   * `effect/http` router see `heddle/http`. Never called where the engine is attached to somebody else's server.
   */
  readonly fetch?: (request: Request) => Response | Promise<Response>
  /** How it drains: when clients come back, and how long handlers may still run. */
  readonly drain?: Drain.Options
  /**
   * Paths for an orchestrator and a monitor: `/healthz`, `/readyz`, `/metrics`. They go before the application's own;
   * there are none where the engine is attached to somebody else's server.
   */
  readonly http?: Probes.Options
  /** Bounds that differ from the defaults. */
  readonly limits?: Partial<Limits.Limits>
}

/** Says nothing about its parameters: they would be inferred from here for a layer that is made in the list. */
type ServedLayer = Layer.Any

/** What in the list is neither a topic nor made by `toLayer`. */
type CheckServed<Served> = {
  readonly [I in keyof Served]: Served[I] extends Topic.Any ? unknown
    : Served[I] extends Layer.Layer<infer ROut, infer _E, infer _RIn>
      ? ROut extends Room.Behavior<any> | Topic.Behavior<any> ? unknown
      : "heddle: a room or topic is served by the layer that its `toLayer` makes"
    : unknown
}

/**
 * Serves rooms and topics on the transport, once every room's layer is built.
 *
 * Closing its scope drains it, see {@link drain}, and leaves nothing behind.
 *
 * @example
 * ```ts
 * Engine.layer({ path: "/live", rooms: [ChatLive, Prices] }).pipe(
 *   Layer.provide(Runtime.layer({ port: 3000 })),
 *   Layer.launch,
 *   Runtime.runMain
 * )
 * ```
 */
export const layer = <
  const Served extends ReadonlyArray<ServedLayer | Topic.Any> = [],
  const Endpoints extends ReadonlyArray<Endpoint.Any> = []
>(
  options: Options<Served & CheckServed<Served>, Endpoints>
): Layer.Layer<
  Engine,
  Layer.Error<Extract<Served[number], ServedLayer>> | ListenError,
  Layer.Services<Extract<Served[number], ServedLayer>> | Endpoint.Services<Endpoints[number]> | Transport
> => Layer.effect(Engine, make(options as AnyOptions)) as never

type AnyOptions = Options<ReadonlyArray<ServedLayer | Topic.Any>, ReadonlyArray<Endpoint.Any>>

const make = Effect.fnUntraced(function*(options: AnyOptions) {
  const transport = yield* Transport
  const limits = { ...Limits.defaults, ...options.limits }
  const addresses = new Addresses(limits.connectionsPerAddress)
  const connections = new Connections<Connection>(addresses)
  let doubt = (): void => {}
  const core = yield* Core.make(limits, options.http?.metrics === true, connections, () => doubt())
  const rooms = new Map<string, RoomHost>()
  const topics = new Map<string, TopicHost>()
  const authenticators = new Map<string, Identity.AuthenticatorService>()
  const fingerprints: Record<string, string> = {}
  const add = <A extends RoomHost | TopicHost>(hosts: Map<string, A>, host: A): void => {
    const { fingerprint, name } = host.contract
    if (Object.hasOwn(fingerprints, name)) throw new Error(`heddle: "${name}" is served twice`)
    fingerprints[name] = fingerprint
    hosts.set(name, host)
  }
  for (const served of options.rooms ?? []) {
    if (Topic.TypeId in served) {
      add(topics, new TopicHost(core, { contract: served }))
      continue
    }
    const built = yield* Layer.build(served as Layer.Layer<Room.Behavior<any> | Topic.Behavior<any>>)
    const room = Context.getOption(built, Room.BehaviorKey)
    const { context } = Option.getOrElse(room, () => Context.get(built, Topic.BehaviorKey))
    if (Option.isSome(room)) add(rooms, new RoomHost(core, room.value))
    else add(topics, new TopicHost(core, Context.get(built, Topic.BehaviorKey)))
    for (const [key, authenticator] of Identity.authenticatorsIn(context)) {
      authenticators.set(key, authenticator)
    }
  }
  const users = new Users(core.limits, authenticators, core.now)
  const drain = new Drain.Drain(core, options.drain ?? {})
  const outboxes: OutboxOptions = {
    maxBytes: core.limits.outboxBytes,
    maxFrames: core.limits.outboxFrames,
    maxTickBytes: core.limits.outboxTickBytes,
    drops: core.drops,
    stats: core.stats,
    beforeHandOver: core.hub.commits?.commit,
    // Where the runtime does not tell when it has room, it is asked.
    onStalled: transport.capabilities.drain ? () => {} : DrainPoll.make(core)
  }
  const sessions = yield* makeSessions(core)
  doubt = sessions.doubt
  const shared: Shared = {
    core,
    served: { rooms, topics, isDraining: () => drain.isDraining() },
    authenticators,
    fingerprints,
    connections,
    users,
    sessions,
    handshakes: new Deadlines(core, core.limits.handshake, (connection) => connection.late()),
    retiring: new Deadlines(core, Limits.closeMillis, (connection) => connection.expire()),
    closing: new Deadlines(core, Limits.closeMillis, (connection) => connection.abandon()),
    outboxes
  }
  const path = options.rooms === undefined ? undefined : options.path ?? "/"
  const endpoints = new EndpointHost(core, options.endpoints ?? [], path, addresses, outboxes)
  drain.of(shared, endpoints)
  if (core.stats !== undefined) Gauges.register(core.stats, shared, endpoints)
  const probe = Probes.make(options.http ?? {}, () => drain.isDraining(), core.context)
  // The newest answers.
  const fetches: Array<Acceptor.Fetch> = [options.fetch === undefined ? Acceptor.notFound : webHandler(options.fetch)]
  const address = yield* transport.listen(
    Acceptor.make(shared, {
      path,
      endpoints,
      origins: options.origins ?? [],
      trustedHops: options.trustedHops ?? 0,
      retryAfter: drain.retryAfter,
      fetch: (request, origin) => probe(request) ?? fetches.at(-1)!(request, origin)
    })
  )
  // Before the drain, so that it goes on until everybody is gone.
  const also = () => {
    users.sweep()
    Core.repair(core)
  }
  yield* Effect.forkScoped(Heartbeat.sweep(connections, core.limits.heartbeat, also))
  yield* Effect.addFinalizer(() => drain.run)
  yield* Effect.logInfo(
    (address.url === "" ? "attached" : `listening on ${address.url}`) + (path === undefined ? "" : `, rooms at ${path}`)
  )

  /** Whoever publishes from outside is answered once it is durable, if it is to be. */
  const kept = <A, E>(published: Effect.Effect<A, E>): Effect.Effect<A, E> => {
    const { commits } = core.hub
    return commits === undefined ? published : Effect.tap(published, () => commits.commit() ? Effect.void : notKept)
  }

  const engine = Engine.of({
    address,
    connections: Effect.sync(() => connections.size + endpoints.size),
    drain: drain.run,
    isDraining: Effect.sync(() => drain.isDraining()),
    groups: endpoints.groups,
    rooms: Effect.sync(() =>
      [...rooms.values()].flatMap((host) =>
        [...host.rooms].map(([key, room]) => ({ room: host.contract.name, key, members: room.members.size }))
      )
    ),
    stats: Effect.sync(() => ({
      drops: { ...core.drops },
      sessions: { attached: shared.sessions.attachedCount, detached: shared.sessions.detachedCount },
      resumes: { ...shared.sessions.resumes }
    })),
    http: (fetch) =>
      Effect.acquireRelease(
        Effect.sync(() => void fetches.push(fetch)),
        () => Effect.sync(() => void fetches.splice(fetches.lastIndexOf(fetch), 1))
      ),
    emit: (room, key, event, payload) =>
      Effect.suspend(() => {
        const host = rooms.get(room.roomName)
        const compiled = host?.contract.events.get(event)
        if (host === undefined || compiled === undefined) {
          return Effect.die(new Error(`heddle: the engine does not serve event ${event} of room ${room.roomName}`))
        }
        const channel = host.channel(encodedKey(host.contract, key))
        return channel === undefined
          ? full
          : kept(Publish.publish(channel, event, compiled, payload, null, core.limits.eventBytes))
      }),
    publish: (topic, key, payload) =>
      Effect.suspend(() => {
        const host = topics.get(topic.topicName)
        if (host === undefined) {
          return Effect.die(new Error(`heddle: the engine does not serve topic ${topic.topicName}`))
        }
        const channel = host.channel(encodedKey(host.contract, key))
        return channel === undefined
          ? full
          : kept(Publish.publish(channel, eventName, host.contract, payload, null, core.limits.eventBytes))
      })
  })
  endpoints.provide(Context.add(yield* Effect.context<never>(), Engine, engine))
  return engine
})

/** Given the request and no more: a web handler may take a second argument for something else. */
const webHandler = (fetch: (request: Request) => Response | Promise<Response>): Acceptor.Fetch => (request) =>
  fetch(request)

const notKept = Effect.die(new Error("heddle: the event could not be kept, and was not delivered"))

const full = Effect.die(new Error("heddle: as many rooms and topics are in use as the limit `rooms` allows"))

const encodedKey = (contract: Contract.CompiledRoom | Contract.CompiledTopic, key: unknown): string =>
  Result.getOrThrow(contract.key.encode(key))

/**
 * Emits an event of a room from outside of it, as from an HTTP handler or a job; see `Handle.emit`.
 *
 * It reaches the members of this moment, and the log if the room keeps one; it does not start the room.
 */
export const emit = <R extends Definition.Any, N extends keyof Definition.Events<R> & string>(
  room: R,
  key: Definition.Key<R>,
  event: N,
  ...payload: Definition.Args<Definition.EventInput<R, N>>
): Effect.Effect<Emitted, EmitError, Engine> =>
  Effect.flatMap(Effect.service(Engine), (engine) => engine.emit(room, key, event, payload[0]))

/**
 * Publishes to a topic: at most once to everybody who is subscribed at this moment.
 *
 * Subscribers that do not read meet the fate that the contract chose; `dropped` in the answer says how many did.
 */
export const publish = <T extends Topic.Any>(
  topic: T,
  key: Topic.Key<T>,
  payload: Topic.Input<T>
): Effect.Effect<Emitted, EmitError, Engine> =>
  Effect.flatMap(Effect.service(Engine), (engine) => engine.publish(topic, key, payload))

/**
 * Takes the engine out of service without hurting anybody, and returns when its last connection is gone.
 *
 * **Details**
 *
 * From its first moment on nothing new begins: newcomers are answered 503 with `Retry-After`, requests, notices, joins
 * and subscriptions of those who are connected with `RoomStopped`. Each client is told a moment of its own at which
 * to come back. What was accepted before runs to its end and is answered, at most until the deadline, when it is
 * interrupted: its answer is `Interrupted`. Then every member leaves with `"stopped"`, and every connection is closed
 * with 1012. The handler of an endpoint sees the end of its messages at once and has the same deadline. Where nothing
 * runs, nothing is waited for. The server still listens afterwards, and answers plain HTTP.
 *
 * Closing the engine's scope does the same first, so that a process which `runMain` runs drains on SIGTERM. It happens
 * once: whoever asks again waits for the same end.
 *
 * @see {@link Options} for `drain`: the deadline, and the time over which clients come back
 */
export const drain: Effect.Effect<void, never, Engine> = Effect.flatMap(Effect.service(Engine), ({ drain }) => drain)
