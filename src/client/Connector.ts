/**
 * The seam between the client and a WebSocket: the platform's own by default, the in-memory one in tests.
 */
import * as Context from "effect/Context"

/** What receives the callbacks of one client socket. */
export interface SocketEvents {
  /** The handshake is done; `protocol` is the subprotocol the server chose, or empty. */
  readonly open: (protocol: string) => void
  readonly message: (data: string | Uint8Array) => void
  /** The socket is gone, or never opened: called exactly once, after which no other callback comes. */
  readonly close: (code: number, reason: string) => void
}

/** One socket of a client. */
export interface ClientSocket {
  /** Ignored once the socket is closing. */
  readonly send: (data: string | Uint8Array<ArrayBuffer>) => void
  readonly close: (code: number, reason: string) => void
  readonly bufferedAmount: () => number
}

/** Opens a socket; callbacks never come before it returns. */
export type Connect = (url: string, protocols: ReadonlyArray<string>, events: SocketEvents) => ClientSocket

const platform: Connect = (url, protocols, events) => {
  const socket = new WebSocket(url, [...protocols])
  socket.binaryType = "arraybuffer"
  socket.onopen = () => events.open(socket.protocol)
  socket.onmessage = ({ data }) => events.message(typeof data === "string" ? data : new Uint8Array(data))
  socket.onclose = ({ code, reason }) => {
    // Deno may say it again, and then tell of an empty message, where the server was gone when the close frame was sent.
    socket.onclose = socket.onmessage = null
    // Deno says 0 where there was no close frame.
    events.close(code || 1006, reason)
  }
  return {
    send: (data) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(data)
    },
    close: (code, reason) => socket.close(code, reason),
    bufferedAmount: () => socket.bufferedAmount
  }
}

/** How clients open sockets. The default is the `WebSocket` of the platform. */
export const Connector = Context.Reference<Connect>("heddle/client/Connector", { defaultValue: () => platform })
