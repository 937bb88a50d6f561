/**
 * How a client is connected, as its `state` tells it.
 */

/** A socket is being opened, or its handshake is under way. */
export interface Connecting {
  readonly _tag: "connecting"
}

/** The server has welcomed the client. */
export interface Online {
  readonly _tag: "online"
}

/** The connection was lost and the client will try again. */
export interface Waiting {
  readonly _tag: "waiting"
  /** How often it tried since it was last online for ten seconds, counting from 1. */
  readonly attempt: number
  /** Milliseconds from the beginning of this state to the next attempt. */
  readonly retryIn: number
  /** The close code of the connection that was lost. */
  readonly code: number
}

/** The client was closed, or the server told it to stay away. It never leaves this state. */
export interface Stopped {
  readonly _tag: "stopped"
  readonly code: number
  readonly reason: string
}

/** Where a client stands with its server. */
export type ConnectionState = Connecting | Online | Waiting | Stopped
