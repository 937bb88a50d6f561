/**
 * The typed client for front ends without Effect: promises and callbacks, with the same contract and guarantees.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Room from "../contract/Definition.ts"
import type { RequestError } from "../contract/RequestError.ts"
import type * as Topic from "../contract/Topic.ts"
import * as Backoff from "./Backoff.ts"
import * as Client from "./Client.ts"
import type { ConnectionState } from "./ConnectionState.ts"
import type { Joined } from "./Joined.ts"
import type { PromiseJoined } from "./PromiseRoom.ts"
import * as PromiseRoom from "./PromiseRoom.ts"
import type { CallOptions, Watchable } from "./PromiseRun.ts"
import { call, makeRun, report, watchable } from "./PromiseRun.ts"

export type { PromiseJoined, PromiseJoinedRoom, PromiseMethods, PromiseOn } from "./PromiseRoom.ts"
export type { CallOptions, Watchable } from "./PromiseRun.ts"

/**
 * A connection to one server that comes back by itself, and the rooms and topics that are used through it.
 *
 * @category models
 * @since 0.1.0
 */
export interface PromiseClient {
  /** How it is connected. */
  readonly state: Watchable<ConnectionState>
  /**
   * Joins a room until it is left; after each reconnect the client takes its place in it again by itself.
   *
   * Waits for a connection if there is none. Rejects with the contract's own error of `join`, or with a `RequestError`:
   * `AlreadyJoined` if this client is in the room already.
   */
  readonly join: <R extends Room.Any>(
    room: R,
    key: Room.Key<R>,
    ...payload: Room.ArgsWith<Room.JoinInput<R>, CallOptions & Client.JoinOptions>
  ) => Promise<PromiseJoined<R>>
  /** What is published to a topic, from when the server has the subscription. */
  readonly subscribe: PromiseSubscribe
  /** Tries to connect at once where it waits for the next attempt, as it does by itself when a page is online again. */
  readonly reconnect: () => void
  /**
   * Closes the connection and ends everything: what is used afterwards fails with `ClientClosed`. Idempotent.
   *
   * Never rejects. Once it resolves every room has ended, and nothing of the client keeps a process running.
   */
  readonly close: () => Promise<void>
}

/**
 * Subscribes to a topic: with a callback, or as the iterable of a loop.
 *
 * **Details**
 *
 * At most once: what is published while there is no connection may be missing. A callback is told everything else, in
 * order, until the returned function is called. For a loop at most 1,024 payloads (`eventBuffer`) wait, of more the
 * oldest are dropped; it begins when the loop does.
 *
 * A subscription ends when the server refuses or stops the topic, or the client is closed. The loop throws that
 * `RequestError`; `onError` is called with it, and without `onError` all but `ClientClosed` is reported (`reportError`
 * in a page, else `console.error`), as is what a callback throws.
 *
 * @example
 * ```ts
 * const off = client.subscribe(Prices, "AAPL", ({ price }) => show(price))
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface PromiseSubscribe {
  <T extends Topic.Any>(topic: T, key: Topic.Key<T>): AsyncIterable<Topic.Payload<T>>
  <T extends Topic.Any>(
    topic: T,
    key: Topic.Key<T>,
    f: (payload: Topic.Payload<T>) => unknown,
    onError?: (error: RequestError) => unknown
  ): () => void
}

/**
 * How a client connects, and what it may keep. Durations are milliseconds, or text such as `"5 seconds"`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectOptions extends Omit<Client.Options, "token"> {
  /**
   * The credentials. A function is asked again before each connection; only then does the client come back after the
   * server refused the credentials (4401).
   *
   * A function that throws or rejects is reported and asked again after a wait as between two connections.
   */
  readonly token?: string | (() => string | Promise<string>) | undefined
}

const millis = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))

const ask = (token: () => string | Promise<string>, bounds: Backoff.Bounds, attempt: number): Effect.Effect<string> =>
  Effect.tryPromise({ try: async () => token(), catch: (error) => error }).pipe(
    Effect.catch((error) => {
      report(error)
      return Backoff.delay(bounds, attempt).pipe(
        Effect.flatMap(Effect.sleep),
        Effect.andThen(Effect.suspend(() => ask(token, bounds, attempt + 1)))
      )
    })
  )

const toClientOptions = ({ token, ...options }: ConnectOptions): Client.Options => {
  if (token === undefined) return options
  if (typeof token === "string") return { ...options, token }
  const bounds = { base: millis(options.reconnect?.base ?? 500), max: millis(options.reconnect?.max ?? 30_000) }
  return { ...options, token: Effect.suspend(() => ask(token, bounds, 0)) }
}

/**
 * Makes a client in a scope, with the services around it: `connect` for tests in virtual time.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (options: ConnectOptions) => Effect.Effect<PromiseClient, never, Scope.Scope> = Effect.fnUntraced(
  function*(options: ConnectOptions) {
    const context = yield* Effect.context<never>()
    const scope = yield* Scope.fork(yield* Effect.scope)
    const client = yield* Scope.provide(Client.make(toClientOptions(options)), scope)
    const run = makeRun(context)
    const fork = Effect.runForkWith(context)
    const eventBuffer = Math.max(1, options.eventBuffer ?? 1_024)
    const rooms = new Set<Promise<unknown>>()
    const enter = client.join as (
      contract: Room.Any,
      key: unknown,
      payload: unknown,
      options: Client.JoinOptions | undefined
    ) => Effect.Effect<Joined<unknown>, unknown, Scope.Scope>

    const join = (
      contract: Room.Any,
      key: unknown,
      payload?: unknown,
      options?: CallOptions & Client.JoinOptions
    ) => {
      const scope = Scope.makeUnsafe()
      return run(
        enter(contract, key, payload, options).pipe(
          Scope.provide(scope),
          Effect.map((joined) => {
            const room = PromiseRoom.make({ contract, joined, scope, context, run, eventBuffer })
            rooms.add(room.closed)
            room.closed.then(() => rooms.delete(room.closed))
            return room
          }),
          Effect.onError(() => Scope.close(scope, Exit.void))
        ),
        options?.signal
      )
    }

    const subscribe = (
      topic: Topic.Any,
      key: never,
      f?: (payload: unknown) => unknown,
      onError: (error: RequestError) => unknown = reportUnlessClosed
    ) => {
      const stream = client.subscribe(topic, key)
      if (f === undefined) return Stream.toAsyncIterableWith(stream, context)
      const fiber = fork(Stream.runForEach(stream, (payload) => Effect.sync(() => call(f, payload))))
      fiber.addObserver((exit) => {
        if (Exit.isSuccess(exit) || Cause.hasInterrupts(exit.cause)) return
        call(onError, Cause.squash(exit.cause) as RequestError)
      })
      return () => fiber.interruptUnsafe()
    }

    const reconnect = () => void run(client.reconnect)
    // Of the runtimes only pages tell when the network is there again.
    yield* Effect.acquireRelease(
      Effect.sync(() => globalThis.addEventListener?.("online", reconnect)),
      () => Effect.sync(() => globalThis.removeEventListener?.("online", reconnect))
    ).pipe(Scope.provide(scope))

    return {
      reconnect,
      state: watchable(client.state, fork, ({ _tag }) => _tag === "stopped"),
      join: join as PromiseClient["join"],
      subscribe: subscribe as PromiseSubscribe,
      close: async () => {
        await run(Scope.close(scope, Exit.void))
        await Promise.all(rooms)
      }
    }
  }
)

const reportUnlessClosed = (error: RequestError): void => {
  if (error.reason?._tag !== "ClientClosed") report(error)
}

/**
 * Makes a client and connects in the background, until it is closed.
 *
 * **Details**
 *
 * A request runs at most once. One that is made without a connection waits in a bounded queue (256, `offlineQueue`)
 * and is sent once its room is joined again; one more than fit rejects with `QueueFull`. One that was sent when the
 * connection ended is answered after the next begins, as long as the server keeps the session; where it did not, it
 * rejects with `ConnectionLost({ mayHaveRun: true })`. Every rejection is an instance of the class that
 * the contract names, or a `RequestError` whose `reason` says more.
 *
 * @example
 * ```ts
 * const client = connect({ url: "ws://localhost:3000/live" })
 * const room = await client.join(Chat, "lobby", { name: "ada" })
 * room.on("Said", ({ from, text }) => console.log(from, text))
 * try {
 *   await room.Say({ text: "hello" })
 * } catch (error) {
 *   if (error instanceof Muted) console.log("muted until", error.until)
 * }
 * await client.close()
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const connect = (options: ConnectOptions): PromiseClient => {
  // Not `runSync`: what goes on in the background would keep its scheduler, which never lets other tasks in between.
  const exit = Effect.runFork(Scope.provide(make(options), Scope.makeUnsafe())).pollUnsafe()!
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  return exit.value
}
