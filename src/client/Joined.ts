/**
 * A joined room as its user sees it: a method for each request and notice, events, presence.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as SubscriptionRef from "effect/SubscriptionRef"
import type * as Room from "../contract/Definition.ts"
import * as RequestError from "../contract/RequestError.ts"
import type * as Contract from "../wire/Contract.ts"
import type * as Payload from "../wire/Payload.ts"
import { Call } from "./Channel.ts"
import type { Answer, Message } from "./Channel.ts"
import type { Core } from "./Core.ts"
import type { HistoryOptions, Page, Past } from "./History.ts"
import * as History from "./History.ts"
import type { RoomChannel } from "./RoomChannel.ts"
import type { Element } from "./RoomReader.ts"

/** A method for each request and each notice of the contract. */
export type Methods<R> =
  & {
    readonly [N in keyof Room.Requests<R>]: (
      ...payload: Room.Args<Room.RequestInput<Room.Requests<R>[N]>>
    ) => Effect.Effect<
      Room.RequestSuccess<Room.Requests<R>[N]>,
      Room.RequestFailure<Room.Requests<R>[N]> | RequestError.RequestError
    >
  }
  & {
    readonly [N in keyof Room.Notices<R>]: (
      ...payload: Room.Args<Room.InputOf<Room.Notices<R>[N]>>
    ) => Effect.Effect<void, RequestError.RequestError>
  }

/** A room this client is a member of, until the scope of its `join` closes. */
export type Joined<R> = Methods<R> & JoinedRoom<R>

/** What every joined room has. */
export interface JoinedRoom<R> {
  readonly key: Room.Key<R>
  /** The id by which other members know this one: the same after a reconnect if the session went on, else another. */
  readonly memberId: string
  /**
   * What happens in the room, in one order for all members.
   *
   * A run begins with `synced` and everything after it, and yields `synced` again wherever events could not stay
   * contiguous: there is never a gap without it. At most 1,024 events (`eventBuffer`) wait for the slowest run; one that
   * is further behind skips them and gets a fresh snapshot, for which the client leaves the room and joins it again once
   * it has no request open there; what is sent meanwhile waits. Half full, volatile events are dropped first. Events of an unknown name or form are skipped. Ends when the room is
   * left, and fails when this client is removed (`Interrupted`), the room stops or refuses to take it back after a
   * reconnect (`RoomStopped`), or the client is closed (`ClientClosed`). May be run any number of times.
   */
  readonly events: Stream.Stream<Room.Event<R>, RequestError.RequestError>
  /**
   * Handles one kind of event, one at a time, until the scope closes or the room ends. As `events`, which it runs: a
   * handler that falls behind, or comes back after a gap, misses events; a handler of `synced` is told.
   */
  readonly on: On<R>
  /** Who is in the room, by member id. A slow watcher sees the latest state, not each. */
  readonly presence: SubscriptionRef.SubscriptionRef<ReadonlyMap<string, Room.Presence<R>>>
  /**
   * Looks back into the events that the room has kept, whatever this member has been told of them.
   *
   * Changes nothing: it waits for a connection as a request does, and is asked again if that is lost. Fails with
   * `HandlerTimeout` if the answer takes as long as `requestTimeout`.
   */
  readonly history: (options: HistoryOptions) => Effect.Effect<Page<Past<R>>, RequestError.RequestError>
  /** Leaves without waiting for the server. Idempotent; afterwards requests and notices fail with `NotJoined`. */
  readonly leave: Effect.Effect<void>
}

/** Handlers of one kind of event. */
export interface On<R> {
  <N extends keyof Room.Events<R>, X = never>(
    event: N,
    f: (payload: Room.EventPayload<R, N>, offset: number | undefined) => Effect.Effect<unknown, never, X>
  ): Effect.Effect<void, never, X | Scope.Scope>
  <X = never>(
    event: "synced",
    f: (synced: Room.Synced<Room.Snapshot<R>>) => Effect.Effect<unknown, never, X>
  ): Effect.Effect<void, never, X | Scope.Scope>
}

type Method = (payload?: unknown) => Effect.Effect<unknown, unknown>

const fail = (reason: RequestError.RequestError["reason"]) => Effect.fail(new RequestError.RequestError({ reason }))

/** Makes the methods of a room; the types are those of its contract. */
export const make = (core: Core, channel: RoomChannel, key: unknown, leave: Effect.Effect<void>): object => {
  const methods: Record<string, Method> = {}
  for (const [name, definition] of channel.contract.requests) methods[name] = request(core, channel, name, definition)
  for (const [name, definition] of channel.contract.notices) methods[name] = notice(core, channel, name, definition)
  const { events } = channel
  return Object.defineProperty(
    {
      ...methods,
      key,
      events,
      on: (name: string, f: (value: unknown, offset?: number) => Effect.Effect<unknown>) =>
        Stream.runForEach(events, handler(name, f)).pipe(
          // `Effect.ignore` would do, but can also log, and brings a page all of effect's loggers.
          Effect.catch(() => Effect.void),
          Effect.forkScoped,
          Effect.asVoid
        ),
      presence: channel.presence,
      history: (options: HistoryOptions) => history(core, channel, options),
      leave
    },
    "memberId",
    { get: () => channel.memberId, enumerable: true }
  )
}

const handler =
  (name: string, f: (value: unknown, offset?: number) => Effect.Effect<unknown>) =>
  (element: Element): Effect.Effect<unknown> => {
    if (element._tag !== name) return Effect.void
    return "offset" in element ? f(element.payload, element.offset) : f(element)
  }

const notice = (core: Core, channel: RoomChannel, name: string, definition: Payload.Payload): Method => (payload) =>
  Effect.suspend(() => {
    const wire = definition.encode(payload)
    if (Result.isFailure(wire)) return fail(wire.failure)
    const message = { _tag: "notice", name, payload: wire.success } as const
    const refused = core.call(new Call(channel, message, () => {}, () => {}))
    return refused === undefined ? Effect.void : fail(refused)
  })

const request =
  (core: Core, channel: RoomChannel, name: string, definition: Contract.CompiledRequest): Method => (payload) =>
    Effect.suspend((): Effect.Effect<unknown, unknown> => {
      const wire = definition.payload.encode(payload)
      if (Result.isFailure(wire)) return fail(wire.failure)
      const message = { _tag: "request", name, payload: wire.success } as const
      return ask(core, channel, message, (frame) => answer(definition, frame))
    })

const history = (core: Core, channel: RoomChannel, options: HistoryOptions) =>
  ask(core, channel, History.message(options), (frame) => {
    if (frame._tag === "page") return Effect.succeed(channel.page(frame))
    return fail(frame._tag === "error" ? RequestError.decode(frame.error) : unexpected("answer"))
  })

/** Sends it and waits for the answer; gives it up when it is interrupted. */
const ask = (
  core: Core,
  channel: RoomChannel,
  message: Message,
  answered: (frame: Answer) => Effect.Effect<unknown, unknown>
): Effect.Effect<unknown, unknown> =>
  Effect.callback((resume) => {
    const call = new Call(channel, message, (frame) => resume(answered(frame)), (reason) => resume(fail(reason)))
    const refused = core.call(call)
    if (refused !== undefined) return resume(fail(refused))
    return Effect.sync(() => core.cancel(call))
  })

/** What a frame means to the caller. One that does not fit the contract is `InvalidPayload`. */
const answer = (definition: Contract.CompiledRequest, frame: Answer): Effect.Effect<unknown, unknown> => {
  switch (frame._tag) {
    case "ok": {
      const value = definition.success.decode(frame.value)
      return Result.isSuccess(value) ? Effect.succeed(value.success) : fail(value.failure)
    }
    case "failed": {
      const error = definition.error?.decode(frame.error)
      if (error === undefined) return fail(unexpected("error"))
      return Effect.fail(
        Result.isSuccess(error) ? error.success : new RequestError.RequestError({ reason: error.failure })
      )
    }
    case "error":
      return fail(RequestError.decode(frame.error))
    default:
      return fail(unexpected("answer"))
  }
}

const unexpected = (field: string) => new RequestError.InvalidPayload({ field, detail: "Expected none of this form" })
