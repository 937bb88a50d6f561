/**
 * A joined room for callers that know promises and callbacks only.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Room from "../contract/Definition.ts"
import type { RequestError } from "../contract/RequestError.ts"
import type { HistoryOptions, Page, Past } from "./History.ts"
import type { Joined } from "./Joined.ts"
import { PromiseEvents } from "./PromiseEvents.ts"
import type { CallOptions, Run, Watchable } from "./PromiseRun.ts"
import { watchable } from "./PromiseRun.ts"
import type { Element } from "./RoomReader.ts"

/**
 * A method for each request and each notice of the contract.
 *
 * **Details**
 *
 * A request resolves with its answer and rejects with the contract's own error or with a `RequestError`. A notice
 * resolves once it is on its way or waits to be sent, and rejects with a `RequestError`; its promise need not be
 * awaited, and is never an unhandled rejection.
 *
 * @category models
 * @since 0.1.0
 */
export type PromiseMethods<R> =
  & {
    readonly [N in keyof Room.Requests<R>]: (
      ...payload: Room.ArgsWith<Room.RequestInput<Room.Requests<R>[N]>, CallOptions>
    ) => Promise<Room.RequestSuccess<Room.Requests<R>[N]>>
  }
  & {
    readonly [N in keyof Room.Notices<R>]: (...payload: Room.Args<Room.InputOf<Room.Notices<R>[N]>>) => Promise<void>
  }

/**
 * A room this client is a member of, until it leaves.
 *
 * @category models
 * @since 0.1.0
 */
export type PromiseJoined<R> = PromiseMethods<R> & PromiseJoinedRoom<R>

/**
 * What every joined room has.
 *
 * @category models
 * @since 0.1.0
 */
export interface PromiseJoinedRoom<R> {
  readonly key: Room.Key<R>
  /** The id by which other members know this one: the same after a reconnect if the session went on, else another. */
  readonly memberId: string
  /** Handles one kind of event, or `synced`, until the returned function is called or the room ends. */
  readonly on: PromiseOn<R>
  /**
   * What happens in the room, in one order for all members.
   *
   * Each loop begins with the newest `synced` and everything after it, and yields `synced` again wherever events could
   * not stay contiguous. At most 1,024 events (`eventBuffer`) wait for the slowest loop; one that is further behind
   * skips them and gets a fresh snapshot, for which the client leaves the room and joins it again. Ends when the room is
   * left, and throws the `RequestError` that `closed` resolves with.
   *
   * @example
   * ```ts
   * for await (const event of room.events) {
   *   if (event._tag === "synced") show(event.snapshot)
   *   else if (event._tag === "Said") add(event.payload, event.offset)
   * }
   * ```
   */
  readonly events: AsyncIterable<Room.Event<R>>
  /** Who is in the room, by member id: a new map after each change. Told until the room ends. */
  readonly presence: Watchable<ReadonlyMap<string, Room.Presence<R>>>
  /**
   * Looks back into the events that the room has kept, whatever this member has been told of them.
   *
   * Changes nothing: it waits for a connection as a request does, and is asked again if that is lost.
   *
   * @example
   * ```ts
   * const newest = await room.history({ limit: 50 })
   * const older = newest.more ? await room.history({ before: newest.before, limit: 50 }) : undefined
   * ```
   */
  readonly history: (options: HistoryOptions) => Promise<Page<Past<R>>>
  /**
   * Resolves when this client is no longer in the room, after the last event: with nothing when it left, else with the
   * reason. Never rejects.
   *
   * That is `Interrupted` when it was removed, `RoomStopped` when the room stopped or did not take it back after a
   * reconnect, `ClientClosed` when the client was closed. A lost connection ends nothing.
   */
  readonly closed: Promise<RequestError | undefined>
  /**
   * Leaves without waiting for the server. Idempotent, and never rejects.
   *
   * From the call on no handler of events is called; requests and notices fail with `NotJoined`.
   */
  readonly leave: () => Promise<void>
}

/**
 * Adds a handler of one kind of event, and returns the function that takes it off.
 *
 * **Details**
 *
 * Handlers are called in the order of the events, one after the other, each in the order in which they were added. One
 * that throws, or whose promise rejects, is reported (`reportError` in a page, else `console.error`) and disturbs
 * nothing; a promise is not waited for.
 *
 * The first handlers of a room, as many as are added in one turn, are told the newest `synced` and everything since,
 * volatile events excepted; so it does not matter how long after the join that is. Handlers that are added later are
 * told the same if a handler of `synced` is among those of their turn, else what happens from then on. If more than
 * 1,024 events (`eventBuffer`) have happened since the newest `synced`, a fresh one is asked for, for which the client
 * leaves the room and joins it again.
 *
 * Handle `synced` by replacing what is known, since it comes again wherever events could not stay contiguous.
 *
 * @example
 * ```ts
 * room.on("synced", ({ snapshot }) => show(snapshot))
 * const off = room.on("Said", ({ from, text }, { offset }) => add(offset, from, text))
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface PromiseOn<R> {
  <N extends keyof Room.Events<R>>(
    event: N,
    f: (payload: Room.EventPayload<R, N>, event: Room.EventOf<N, Room.EventPayload<R, N>>) => unknown
  ): () => void
  (event: "synced", f: (synced: Room.Synced<Room.Snapshot<R>>) => unknown): () => void
}

export interface Options {
  readonly contract: Room.Any
  /** What the client knows of the room. */
  readonly joined: Joined<unknown>
  /** The scope of the join. */
  readonly scope: Scope.Closeable
  readonly context: Context.Context<never>
  readonly run: Run
  readonly eventBuffer: number
}

type Method = (payload?: unknown) => Effect.Effect<unknown, unknown>

const ignore = () => {}

/** Makes the methods of a room, and reads its events from now on; the types are those of its contract. */
export const make = ({ context, contract, eventBuffer, joined, run, scope }: Options): PromiseJoinedRoom<unknown> => {
  const { notices = {}, requests = {} } = contract[Room.TypeId]
  const effects = joined as unknown as Record<string, Method>
  const methods: Record<string, (payload?: unknown, options?: CallOptions) => Promise<unknown>> = {}
  for (const name of Object.keys(requests)) {
    methods[name] = (payload, options) => run(effects[name]!(payload), options?.signal)
  }
  for (const name of Object.keys(notices)) {
    methods[name] = (payload) => {
      const sent = run(effects[name]!(payload))
      sent.catch(ignore)
      return sent
    }
  }
  const stream = joined.events as Stream.Stream<Element, RequestError>
  const fork = Effect.runForkWith(context)
  const handlers = new PromiseEvents({
    contract,
    capacity: eventBuffer,
    // A run that is too far behind asks for it, and need not go on.
    renew: () => fork(Stream.runForEach(stream, () => Effect.interrupt))
  })
  const reading = Stream.runForEach(stream, (element) => Effect.sync(() => handlers.push(element)))
  const closed = run(Effect.ensuring(reading, Scope.close(scope, Exit.void))).then(
    () => undefined,
    (error: RequestError) => error
  )
  return {
    ...methods,
    key: joined.key,
    get memberId() {
      return joined.memberId
    },
    on: handlers.on as PromiseOn<unknown>,
    events: Stream.toAsyncIterableWith(joined.events, context),
    presence: watchable(joined.presence, (effect) => Fiber.runIn(fork(effect), scope)),
    history: (options) => run(joined.history(options)),
    closed,
    leave: () => {
      handlers.stop()
      return run(joined.leave).then(() => closed).then(ignore)
    }
  }
}
