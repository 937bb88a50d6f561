/**
 * The typed client of heddle, for browsers, Node, Bun and Deno.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as SubscriptionRef from "effect/SubscriptionRef"
import type * as Room from "../contract/Definition.ts"
import * as RequestError from "../contract/RequestError.ts"
import type * as Topic from "../contract/Topic.ts"
import type { Codec } from "../wire/Codec.ts"
import * as Contract from "../wire/Contract.ts"
import { json } from "../wire/Json.ts"
import type { Channel } from "./Channel.ts"
import type { ConnectionState } from "./ConnectionState.ts"
import { Connector } from "./Connector.ts"
import { Core } from "./Core.ts"
import type { Joined } from "./Joined.ts"
import * as Methods from "./Joined.ts"
import * as Reconnect from "./Reconnect.ts"
import { RoomChannel } from "./RoomChannel.ts"
import { Session } from "./Session.ts"
import type { SessionStore } from "./SessionStore.ts"
import { TopicChannel } from "./TopicChannel.ts"
import * as Watched from "./Watched.ts"

export { RequestError } from "../contract/RequestError.ts"
export type { Connecting, ConnectionState, Online, Stopped, Waiting } from "./ConnectionState.ts"
export type { HistoryOptions, Page, Past } from "./History.ts"
export type { Joined, JoinedRoom, Methods, On } from "./Joined.ts"
export { sessionStorage } from "./SessionStore.ts"
export type { SessionStore } from "./SessionStore.ts"

/**
 * How a room is joined.
 *
 * @category models
 * @since 0.1.0
 */
export interface JoinOptions {
  /**
   * Begins so many reliable events back, as far as the room keeps them, and at most half of `eventBuffer`. They follow
   * the first `synced`, whose snapshot is of the moment of joining and so includes them; and they follow again where the
   * client comes back and could not continue.
   */
  readonly last?: number | undefined
}

/**
 * A connection to one server that comes back by itself, and the rooms and topics that are used through it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Client {
  /** How it is connected. A slow watcher misses the oldest of more than 16 changes. */
  readonly state: SubscriptionRef.SubscriptionRef<ConnectionState>
  /**
   * Joins a room until the scope closes; after each reconnect the client takes its place in it again by itself.
   *
   * Waits for a connection if there is none. Fails with the contract's own error of `join`, or with a `RequestError`:
   * `AlreadyJoined` if this client is in the room already.
   */
  readonly join: <R extends Room.Any>(
    room: R,
    key: Room.Key<R>,
    ...payload: Room.ArgsWith<Room.JoinInput<R>, JoinOptions>
  ) => Effect.Effect<Joined<R>, Room.JoinError<R> | RequestError.RequestError, Scope.Scope>
  /**
   * What is published to a topic, from the moment the server has the subscription and as long as the stream runs.
   *
   * At most once: what is published while there is no connection may be missing, and of more than 1,024
   * (`eventBuffer`) that wait for a slow stream the oldest are dropped. Fails when the server refuses the topic or the
   * client is closed.
   */
  readonly subscribe: <T extends Topic.Any>(
    topic: T,
    key: Topic.Key<T>
  ) => Stream.Stream<Topic.Payload<T>, RequestError.RequestError>
  /** Tries to connect at once where it waits for the next attempt; otherwise does nothing. */
  readonly reconnect: Effect.Effect<void>
  /** Closes the connection and ends everything: what is used afterwards fails with `ClientClosed`. Idempotent. */
  readonly close: Effect.Effect<void>
}

/**
 * How a client connects, and what it may keep.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Where the engine listens: `ws:` or `wss:`. */
  readonly url: string
  /**
   * The credentials, sent in a header of the upgrade, or in a message where they are long. An effect is asked again before
   * each connection; only then does the client come back after the server refused the credentials (4401).
   */
  readonly token?: string | Effect.Effect<string>
  /** The wait before each attempt is random, up to `base · 2^attempt` (500 ms) and at most `max` (30 seconds). */
  readonly reconnect?: { readonly base?: Duration.Input; readonly max?: Duration.Input }
  /** Requests and notices that may wait to be sent, and rooms that may wait to be joined: 256. */
  readonly offlineQueue?: number
  /** How it speaks with the server: JSON unless said; `msgpack` of `heddle/msgpack` for binary messages. */
  readonly codec?: Codec
  /** Events of one room that may wait to be read, and payloads of one topic: 1,024. */
  readonly eventBuffer?: number
  /**
   * How long the answer to a request may take once it was sent: 35 seconds, which is five more than the server gives its
   * handlers. Then it fails with `HandlerTimeout`, and the server is told to cancel it.
   */
  readonly requestTimeout?: Duration.Input
  /**
   * Keeps the session when the client is made again: `sessionStorage()` for a page that is loaded again. In the rooms that
   * it joins again in time, the client is then the member it was before, whatever the payload of the join.
   */
  readonly session?: SessionStore
}

const millis = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))

/**
 * Makes a client and connects in the background, until the scope closes.
 *
 * **Details**
 *
 * A request runs at most once. One that is made without a connection waits in a bounded queue and is sent once its room
 * is joined again; one more than fit fails with `QueueFull`. One that was sent when the connection ended is asked about in
 * the next, by its number, so that it runs once and its answer is told; this holds as long as the server keeps the
 * session, which is a window of its own after each loss, and on the same server. Where the session did not go on, and
 * where the answer did not come within `requestTimeout`, it fails with `ConnectionLost({ mayHaveRun: true })`. A notice
 * succeeds when it is on its way or waits, and may be lost with a connection. A reply that does not fit the contract is
 * `InvalidPayload`. Interrupting a request cancels it on the server.
 *
 * The client keeps to half the burst and the full rate of frames that the server announces, so that it is not
 * rate-limited even where the network delivers late; what is made faster waits in the same queue.
 *
 * **Gotchas**
 *
 * Requests that were sent when the client stops fail with `ConnectionLost` as well, those that wait with
 * `ClientClosed`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (options: Options) => Effect.Effect<Client, never, Scope.Scope> = Effect.fnUntraced(function*(
  options: Options
) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const state = yield* Watched.make<ConnectionState>({ _tag: "connecting" }, 16)
  const scheduler = yield* Scheduler.Scheduler
  const core = new Core({
    url: options.url,
    connect: yield* Connector,
    codec: options.codec ?? json,
    clock: yield* Clock.Clock,
    dispatcher: scheduler.makeDispatcher(),
    state,
    session: new Session(options.session),
    offlineQueue: options.offlineQueue ?? 256,
    eventBuffer: options.eventBuffer ?? 1_024,
    answerMillis: millis(options.requestTimeout ?? 35_000)
  })
  yield* Reconnect.run(core, options.token, {
    base: millis(options.reconnect?.base ?? 500),
    max: millis(options.reconnect?.max ?? 30_000)
  }).pipe(
    Effect.raceFirst(core.alarm.run(core.now, core.tick)),
    // A token effect or a connector that dies is not asked again.
    Effect.onExit((exit) =>
      Effect.sync(() => {
        if (Exit.isFailure(exit) && !Cause.hasInterrupts(exit.cause)) core.stop(1006, String(Cause.squash(exit.cause)))
      })
    ),
    Effect.forkIn(scope)
  )
  yield* Scope.addFinalizer(scope, Effect.sync(() => core.stop(1000, "closed")))
  return {
    state,
    join: join(core) as Client["join"],
    subscribe: subscribe(core) as Client["subscribe"],
    reconnect: Effect.sync(core.hurry),
    close: Scope.close(scope, Exit.void)
  }
})

const join = (core: Core) =>
  Effect.fnUntraced(function*(room: Room.Any, key: unknown, payload?: unknown, options?: JoinOptions) {
    const contract = Contract.compileRoom(room)
    const encodedKey = yield* required(contract.key.encode(key))
    const encodedPayload = yield* required(contract.join.encode(payload))
    const presence = yield* Watched.make<ReadonlyMap<string, unknown>>(new Map(), 1)
    const { eventBuffer } = core.options
    const last = options?.last ?? 0
    const channel = new RoomChannel(core, contract, encodedKey, encodedPayload, last, presence, eventBuffer)
    const parent = yield* Effect.scope
    return yield* Effect.uninterruptibleMask(Effect.fnUntraced(function*(restore) {
      yield* enter(core, channel)
      const scope = yield* Scope.fork(parent)
      yield* Scope.addFinalizer(scope, Effect.sync(() => core.quit(channel)))
      const leave = Scope.close(scope, Exit.void)
      yield* Effect.onError(restore(channel.joined), () => leave)
      return Methods.make(core, channel, key, leave)
    }))
  })

const subscribe = (core: Core) => (topic: Topic.Any, key: unknown) =>
  Stream.unwrap(Effect.gen(function*() {
    const contract = Contract.compileTopic(topic)
    const encodedKey = yield* required(contract.key.encode(key))
    const subscription = Effect.suspend(() => {
      const found = core.find(TopicChannel.address(contract, encodedKey)) as TopicChannel | undefined
      return Effect.map(
        found === undefined
          ? enter(core, new TopicChannel(core, contract, encodedKey, core.options.eventBuffer))
          : Effect.succeed(found),
        (channel) => channel.subscribe()
      )
    })
    const { pull } = yield* Effect.acquireRelease(subscription, ({ channel, close }) =>
      Effect.sync(() => {
        if (close() === 0) core.quit(channel)
      }))
    return Stream.fromPull(Effect.succeed(pull))
  }))

const enter = <C extends Channel>(core: Core, channel: C): Effect.Effect<C, RequestError.RequestError> =>
  Effect.suspend(() => {
    const refused = core.enter(channel)
    return refused === undefined ? Effect.succeed(channel) : fail(refused)
  })

const fail = (reason: RequestError.RequestError["reason"]) => Effect.fail(new RequestError.RequestError({ reason }))

const required = <A>(result: Result.Result<A, RequestError.RequestError["reason"]>) =>
  Result.isSuccess(result) ? Effect.succeed(result.success) : fail(result.failure)
