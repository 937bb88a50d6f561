/**
 * Everything that can go wrong with a request, join or subscription and is not in the contract.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

const Detail = Schema.String
const Millis = Schema.Int

/** The room has more waiting than it may have, or the session more open requests. Nothing ran. */
export class Overloaded extends Schema.TaggedError<Overloaded>()("Overloaded", { retryAfter: Millis }) {
  override get message() {
    return `overloaded, try again in ${this.retryAfter} ms`
  }
}

/** The connection sent more frames than were announced. Nothing ran. */
export class RateLimited extends Schema.TaggedError<RateLimited>()("RateLimited", { retryAfter: Millis }) {
  override get message() {
    return `too many frames, try again in ${this.retryAfter} ms`
  }
}

/** The handler died, or answered with something that is not in the contract. What it did until then stands. */
export class HandlerFailed extends Schema.TaggedError<HandlerFailed>()("HandlerFailed", {}) {
  override get message() {
    return "the handler failed"
  }
}

/** The handler took longer than it may and was interrupted. What it did until then stands. */
export class HandlerTimeout extends Schema.TaggedError<HandlerTimeout>()("HandlerTimeout", { millis: Millis }) {
  override get message() {
    return `the handler took longer than ${this.millis} ms`
  }
}

/** The handler was interrupted: the request was cancelled, the member left or was removed, the room stopped. */
export class Interrupted extends Schema.TaggedError<Interrupted>()("Interrupted", { detail: Detail }) {
  override get message() {
    return `interrupted: ${this.detail}`
  }
}

/** The server does not know this room, topic or message. */
export class NotServed extends Schema.TaggedError<NotServed>()("NotServed", { detail: Detail }) {
  override get message() {
    return `not served: ${this.detail}`
  }
}

/** The session is not (or no longer) a member of the room. */
export class NotJoined extends Schema.TaggedError<NotJoined>()("NotJoined", {}) {
  override get message() {
    return "not a member of the room"
  }
}

/** The session is a member of this room already. */
export class AlreadyJoined extends Schema.TaggedError<AlreadyJoined>()("AlreadyJoined", {}) {
  override get message() {
    return "already a member of the room"
  }
}

/** The payload does not fit the contract. `field` is a path such as `payload.text`. */
export class InvalidPayload extends Schema.TaggedError<InvalidPayload>()("InvalidPayload", {
  field: Schema.String,
  detail: Detail
}) {
  override get message() {
    return `${this.field}: ${this.detail}`
  }
}

/** The key does not fit the contract, or has more than 256 bytes. */
export class InvalidKey extends Schema.TaggedError<InvalidKey>()("InvalidKey", { detail: Detail }) {
  override get message() {
    return `invalid key: ${this.detail}`
  }
}

/** A frame without meaning: `field` names what was wrong with it. */
export class MalformedFrame extends Schema.TaggedError<MalformedFrame>()("MalformedFrame", {
  field: Schema.String,
  detail: Detail
}) {
  override get message() {
    return `malformed frame: ${this.field}: ${this.detail}`
  }
}

/** A bound of the server is reached: rooms of a session, rooms of the server, bytes of a payload. */
export class LimitExceeded extends Schema.TaggedError<LimitExceeded>()("LimitExceeded", {
  limit: Schema.String,
  max: Schema.Int
}) {
  override get message() {
    return `${this.limit}: at most ${this.max}`
  }
}

/** The credentials were not accepted. */
export class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", { detail: Detail }) {
  override get message() {
    return `unauthorized: ${this.detail}`
  }
}

/** The client may not have what it asked for. */
export class Forbidden extends Schema.TaggedError<Forbidden>()("Forbidden", { detail: Detail }) {
  override get message() {
    return `forbidden: ${this.detail}`
  }
}

/** The room has stopped, or crashed more often than its supervision allows. */
export class RoomStopped extends Schema.TaggedError<RoomStopped>()("RoomStopped", { detail: Detail }) {
  override get message() {
    return `the room has stopped: ${this.detail}`
  }
}

/** The connection ended before the answer came, or the server has lost what became of the request. */
export class ConnectionLost extends Schema.TaggedError<ConnectionLost>()("ConnectionLost", {
  code: Schema.Int,
  mayHaveRun: Schema.Boolean
}) {
  override get message() {
    return `connection lost (${this.code}); the request ${this.mayHaveRun ? "may have run" : "did not run"}`
  }
}

/** Raised by the client: more waits to be sent than the offline queue holds. Nothing was sent. */
export class QueueFull extends Schema.TaggedError<QueueFull>()("QueueFull", { capacity: Schema.Int }) {
  override get message() {
    return `the offline queue is full (${this.capacity})`
  }
}

/** Raised by the client: it was closed, or the server told it to stay away. */
export class ClientClosed extends Schema.TaggedError<ClientClosed>()("ClientClosed", { code: Schema.Int }) {
  override get message() {
    return `the client is closed (${this.code})`
  }
}

/** The errors a server may answer with; a closed list in protocol version 1. */
export const ProtocolError = Schema.Union([
  Overloaded,
  RateLimited,
  HandlerFailed,
  HandlerTimeout,
  Interrupted,
  NotServed,
  NotJoined,
  AlreadyJoined,
  InvalidPayload,
  InvalidKey,
  MalformedFrame,
  LimitExceeded,
  Unauthorized,
  Forbidden,
  RoomStopped,
  ConnectionLost
])
export type ProtocolError = typeof ProtocolError.Type

/**
 * Wraps every reason for which a request, join or subscription did not get the answer of its contract.
 *
 * @example
 * ```ts
 * room.Say({ text }).pipe(
 *   Effect.catchReason("RequestError", "Overloaded", ({ retryAfter }) => Effect.sleep(retryAfter))
 * )
 * ```
 */
export class RequestError extends Schema.TaggedError<RequestError>()("RequestError", {
  reason: Schema.Union([...ProtocolError.members, QueueFull, ClientClosed])
}) {
  override get message() {
    return this.reason.message
  }
}

/** The form of an error on the wire. */
export type Encoded = { readonly _tag: string; readonly [name: string]: unknown }

/** An error in the form of the wire: its own fields beside its tag. They are plain values, and stay what they are. */
export const encode = (error: ProtocolError): Encoded => ({ ...error })

const decodeProtocolError = Schema.decodeUnknownOption(ProtocolError)

/** Reads an error off the wire; one that this version does not know is `HandlerFailed`. */
export const decode = (encoded: Encoded): ProtocolError =>
  Option.getOrElse(decodeProtocolError(encoded), () => new HandlerFailed({}))
