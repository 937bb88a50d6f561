/**
 * From what a publisher writes to a frame in the hub: encoding, bounds, and the errors of `emit`.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { EmitError, Emitted, Taken } from "../contract/Behavior.ts"
import { EventInvalid, EventTooLarge } from "../contract/Behavior.ts"
import type * as Codec from "../wire/Codec.ts"
import type * as Contract from "../wire/Contract.ts"
import type * as Frame from "../wire/Frame.ts"
import { json } from "../wire/Json.ts"
import type { Channel } from "./Channel.ts"
import * as Fate from "./Fate.ts"
import { Delivery } from "./Followed.ts"

/** The payload in the form of the wire. */
export const encodePayload = (
  name: string,
  event: Contract.CompiledEvent,
  payload: unknown
): Result.Result<Frame.Json, EventInvalid> =>
  Result.mapError(event.payload.encode(payload), (error) => new EventInvalid({ event: name, detail: error.message }))

/** The frame in the form of the wire, unless it is too large. */
export const encodeFrame = (
  name: string,
  frame: Frame.ServerFrame,
  codec: Codec.Codec,
  limit: number
): Result.Result<Codec.Encoded, EventTooLarge> => {
  const encoded = codec.encode(frame)
  return encoded.bytes > limit
    ? Result.fail(new EventTooLarge({ event: name, bytes: encoded.bytes, limit }))
    : Result.succeed(encoded)
}

/** Publishes to all subscribers of a channel: see `Handle.emit` for what holds. */
export const publish = (
  channel: Channel,
  name: string,
  event: Contract.CompiledEvent,
  payload: unknown,
  except: ReadonlyArray<string> | null,
  limit: number,
  delivery?: Delivery
): Effect.Effect<Emitted, EmitError> => {
  const wire = encodePayload(name, event, payload)
  if (Result.isFailure(wire)) return Effect.fail(wire.failure)
  const frame = event.volatile
    ? { _tag: "volatile", channel: channel.id, name, payload: wire.success, except } as const
    : channel.event(name, wire.success, except)
  const encoded = encodeFrame(name, frame, json, limit)
  if (Result.isFailure(encoded)) return Effect.fail(encoded.failure)
  const outgoing = Fate.withFate(encoded.success, Fate.of(event.fate, channel.id, name, payload, except))
  const dropped = frame._tag === "event"
    ? channel.publish(frame, outgoing, delivery)
    : channel.deliver(frame, outgoing, undefined, delivery)
  return Effect.succeed({ offset: channel.head, dropped })
}

/** Publishes, and waits until every outbox has handed it over, but not for longer than `millis`. */
export const publishAndWait = (
  channel: Channel,
  name: string,
  event: Contract.CompiledEvent,
  payload: unknown,
  except: ReadonlyArray<string> | null,
  limit: number,
  millis: number
): Effect.Effect<Taken, EmitError> => {
  const delivery = new Delivery()
  return publish(channel, name, event, payload, except, limit, delivery).pipe(
    Effect.tap(Effect.timeoutOption(taken(delivery), millis)),
    Effect.map((emitted) => ({ ...emitted, behind: delivery.behind }))
  )
}

const taken = (delivery: Delivery): Effect.Effect<void> =>
  Effect.suspend(() =>
    delivery.behind === 0 ? Effect.void : Effect.andThen(
      Effect.callback<void>((resume) => delivery.whenTaken(() => resume(Effect.void))),
      // Called back from within an outbox, perhaps in the middle of another publish: nothing else may run there.
      Effect.yieldNow
    )
  )
