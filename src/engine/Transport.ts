/**
 * The seam between the engine and the WebSocket server of a runtime.
 *
 * Plain synchronous callbacks: no promises, no JSON, no timers, no policy. The engine decides about a request
 * before the runtime upgrades it; then `message`, `drain` and `close` come up, and `send`, `close`,
 * `bufferedAmount` and `tickEnd` go down. What a runtime cannot do is declared in {@link Capabilities}.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** A request to upgrade, copied so that it outlives the runtime's own request object. */
export interface UpgradeRequest {
  readonly method: string
  /** Path and query as the client sent them, for example `/live?room=1`. */
  readonly url: string
  /** Lower-case names; several values of one name are joined with `, `. */
  readonly headers: { readonly [name: string]: string | undefined }
  /** The subprotocols the client offered, in its order. */
  readonly protocols: ReadonlyArray<string>
  /** Address of the peer of the TCP connection. */
  readonly address: string
  /** The connection is encrypted. */
  readonly secure?: boolean
}

/**
 * The same while it is decided about: what is read is asked of the runtime, until `Acceptor.upgrade` returns. Most of it
 * is never asked for.
 */
export interface Upgrade extends Pick<UpgradeRequest, "method" | "url" | "protocols"> {
  /** By its name in lower case; several values are joined with `, `. */
  readonly header: (name: string) => string | undefined
  /** Address of the peer of the TCP connection. */
  readonly address: () => string
  /** All of it, to be kept. */
  readonly copy: () => UpgradeRequest
}

/** An answer instead of an upgrade. */
export interface Refusal {
  readonly _tag: "Refusal"
  readonly status: number
  readonly headers?: { readonly [name: string]: string }
  readonly body?: string
}

/** Goes ahead with the upgrade. */
export interface Accepted {
  readonly _tag: "Accepted"
  /** The one subprotocol to answer with. Nothing is echoed when it is undefined. */
  readonly protocol: string | undefined
  /**
   * Called once the socket is open; what it returns receives the socket's callbacks. Never called when the handshake
   * fails after all: the peer may be gone, or its request incomplete.
   */
  readonly open: (socket: Socket) => SocketHandler
}

/** What the engine gives to a transport. */
export interface Acceptor {
  /** Decides about an upgrade, synchronously. Must not throw. */
  readonly upgrade: (request: Upgrade) => Refusal | Accepted
  /** Answers a plain HTTP request from the peer with this address. */
  readonly fetch: (request: Request, address?: string) => Promise<Response>
  /**
   * Whether an upgrade to this path and query is for the engine: on a server that is not its own, every other request
   * is left to the owner. Absent: all are.
   */
  readonly owns?: (url: string) => boolean
  /** Largest inbound message in bytes: where the runtime has such a limit it closes with 1009 past it. */
  readonly maxMessageBytes: number
}

/** What sends at the end of a tick. An object, since sockets are many and a function each is memory to go through. */
export interface Flusher {
  /** Sends what it has. */
  readonly flush: () => void
}

/** One open socket, as the runtime gives it. */
export interface Socket {
  /**
   * Hands one message to the runtime: a string as text, bytes as binary. Ignored once the socket is closing. Bytes may
   * be read after the call returns, so they must never change again. Bounds are the caller's: stop while
   * `bufferedAmount` is 64 KiB or more.
   */
  readonly send: (data: string | Uint8Array<ArrayBuffer>) => void
  /** Bytes handed over with `send` that the operating system has not taken. */
  readonly bufferedAmount: () => number
  /**
   * Starts the closing handshake, and resumes reading if it was paused. Idempotent: the first call counts.
   * `SocketHandler.close` follows, never before this returns: at once, or when the peer has answered, or when the
   * connection has ended. A peer that neither reads nor answers can hold it open, so whoever needs an end calls
   * `terminate` where there is one. Messages that were under way may still come.
   */
  readonly close: (code: number, reason: string) => void
  /**
   * Calls `flush` once, when the runtime's current tick is over for this socket. Never calls it before it returns; may
   * call it after `SocketHandler.close`, when sending does nothing.
   */
  readonly tickEnd: (flusher: Flusher) => void
  /** Stops reading from the peer, which also hides that it has gone; present if `capabilities.pause`. */
  readonly pause?: () => void
  /** Reads again; present if `capabilities.pause`. */
  readonly resume?: () => void
  /**
   * Drops the connection without a handshake; `SocketHandler.close` follows, never before this returns. Present if
   * `capabilities.terminate`.
   */
  readonly terminate?: () => void
}

/** What receives the callbacks of one socket. None of them may throw. */
export interface SocketHandler {
  /** One whole message: a string if it was text, bytes if it was binary. */
  readonly message: (data: string | Uint8Array) => void
  /**
   * The runtime's buffer has room again, after `bufferedAmount` had reached 64 KiB: it may be called more often than
   * that, but not for less. Never called if `capabilities.drain` is false.
   */
  readonly drain: () => void
  /** The socket is gone: called exactly once, after which no other callback comes. 1006 if there was no close frame. */
  readonly close: (code: number, reason: string) => void
}

/** What a runtime can and cannot do. Each field is a row of the README's table and a case of the contract suite. */
export interface Capabilities {
  readonly runtime: string
  /** `pause` and `resume` stop and restart reading. */
  readonly pause: boolean
  /** `terminate` drops the connection at once. */
  readonly terminate: boolean
  /** `SocketHandler.drain` is called. Where it is not, `bufferedAmount` must be polled. */
  readonly drain: boolean
  /** A message larger than `maxMessageBytes` is refused before it is received whole. */
  readonly limitsMessages: boolean
  /** Invalid input is answered with a close frame (1002, 1007); otherwise the socket just ends. */
  readonly closesOnInvalidFrames: boolean
  /** An unmasked frame from a client is a protocol error (RFC 6455 section 5.1). */
  readonly refusesUnmaskedFrames: boolean
  /**
   * Nothing else that RFC 6455 forbids is let pass; otherwise a pong or close of more than 125 bytes is, a fragmented
   * message within another, which takes its place, and a fragmented text whose last character is incomplete.
   */
  readonly strictFrames: boolean
}

/** Where a transport listens; one attached to a server that is not its own: port 0, and empty otherwise. */
export interface Address {
  readonly hostname: string
  readonly port: number
  /** For example `http://127.0.0.1:3000`. */
  readonly url: string
}

/** The transport could not listen. */
export class ListenError extends Data.TaggedError("ListenError")<{
  readonly reason: "AddressInUse" | "AccessDenied" | "AddressNotAvailable" | "Other"
  readonly hostname: string
  readonly port: number
  readonly detail: string
}> {
  override get message() {
    const where = `${this.hostname}:${this.port}`
    switch (this.reason) {
      case "AddressInUse":
        return `cannot listen on ${where}: the port is taken`
      case "AccessDenied":
        return `cannot listen on ${where}: permission denied`
      case "AddressNotAvailable":
        return `cannot listen on ${where}: this machine does not have that address`
      case "Other":
        return `cannot listen on ${where}: ${this.detail}`
    }
  }
}

/** The WebSocket server of a runtime. Implementations: `heddle/node`, `heddle/bun`, `heddle/deno`, `heddle/testing`. */
export class Transport extends Context.Service<Transport, {
  readonly capabilities: Capabilities
  /**
   * Listens until the scope closes. Closing it stops accepting and drops what is still open, so that nothing of the
   * transport keeps the process alive.
   */
  readonly listen: (acceptor: Acceptor) => Effect.Effect<Address, ListenError, Scope.Scope>
}>()("heddle/Transport") {}
