/**
 * The one table of close codes: what each means and what the client does about it.
 */

/** What a client does after a close. */
export type Action = "reconnect" | "reauthenticate" | "stop"

/** One row of the table. */
export interface CloseCode {
  readonly code: number
  readonly name: string
  readonly action: Action
}

const define = (code: number, name: string, action: Action): CloseCode => ({ code, name, action })

/** The connection did what it was for (RFC 6455 section 7.4.1). */
export const normal = define(1000, "Normal", "stop")
/** The server goes away, or the browser leaves the page. */
export const goingAway = define(1001, "GoingAway", "reconnect")
/** The peer does not keep to the protocol. */
export const protocolError = define(1002, "ProtocolError", "stop")
/** The close frame had no code. */
export const noStatus = define(1005, "NoStatus", "reconnect")
/** The connection ended without a close frame. */
export const abnormal = define(1006, "Abnormal", "reconnect")
/** Text that is not UTF-8. */
export const invalidData = define(1007, "InvalidData", "stop")
/** A message beyond the announced bounds. */
export const tooLarge = define(1009, "TooLarge", "reconnect")
/** The server failed while it served this connection. */
export const internalError = define(1011, "InternalError", "reconnect")
/** The server restarts or is deployed. */
export const serviceRestart = define(1012, "ServiceRestart", "reconnect")
/** The server has no room for this connection now. */
export const tryAgainLater = define(1013, "TryAgainLater", "reconnect")
/** The credentials are missing, wrong or expired. */
export const unauthorized = define(4401, "Unauthorized", "reauthenticate")
/** No valid frame within the handshake time, or silence for longer than was announced. */
export const timeout = define(4408, "Timeout", "reconnect")
/** The peer did not read what was sent to it fast enough, and its outbox reached its bound. */
export const slowConsumer = define(4409, "SlowConsumer", "reconnect")
/** Its session goes on over a newer connection. */
export const replaced = define(4410, "Replaced", "reconnect")
/** The peer kept sending more than was announced. */
export const tooManyFrames = define(4429, "TooManyFrames", "reconnect")
/** The server wants this client to stay away. */
export const rejected = define(4500, "Rejected", "stop")

/** Every close code heddle sends or interprets. */
export const all: ReadonlyArray<CloseCode> = [
  normal,
  goingAway,
  protocolError,
  noStatus,
  abnormal,
  invalidData,
  tooLarge,
  internalError,
  serviceRestart,
  tryAgainLater,
  unauthorized,
  timeout,
  slowConsumer,
  replaced,
  tooManyFrames,
  rejected
]

/**
 * What a client does after a close with this code.
 *
 * Of the codes not in the table, 4500 to 4999 mean "stop"; all others mean "reconnect".
 */
export const action = (code: number): Action =>
  all.find((entry) => entry.code === code)?.action ?? (code >= 4500 && code <= 4999 ? "stop" : "reconnect")
