/**
 * One connection of the in-memory network: two links, a server's end and a client's end.
 */
import type * as Scheduler from "effect/Scheduler"
import type { ClientSocket, SocketEvents } from "../client/Connector.ts"
import type { Acceptor, Socket, SocketHandler, Upgrade, UpgradeRequest } from "../engine/Transport.ts"
import * as MemoryLink from "./MemoryLink.ts"

/** What a client sends besides the URL. */
export interface Client {
  /** Headers of the upgrade; names in lower case. */
  readonly headers?: { readonly [name: string]: string }
  /** The client's address, `127.0.0.1` by default. */
  readonly address?: string
}

/** One connection, as a test sees it. */
export interface MemoryConnection {
  readonly url: string
  readonly port: number | undefined
  /** What `connect` returned for it. */
  readonly socket: ClientSocket
  /** Breaks the connection: what is under way is lost and both ends see 1006. */
  readonly cut: () => void
  /** The client stops reading: what the server sends stays in its `bufferedAmount`. */
  readonly stall: () => void
  /** The client reads again. */
  readonly unstall: () => void
  /** The server's end goes at once and the client sees 1006, as when its listener's scope closes. */
  readonly drop: () => void
}

interface Options {
  readonly url: string
  readonly port: number | undefined
  readonly client: Client
  readonly protocols: ReadonlyArray<string>
  readonly events: SocketEvents
  readonly scheduler: Scheduler.Scheduler
  readonly acceptor: () => Acceptor | undefined
  readonly onEnd: () => void
}

const requestOf = ({ client, protocols, url }: Options) => {
  const { host, pathname, search } = new URL(url)
  return {
    method: "GET",
    url: pathname + search,
    headers: Object.assign(
      Object.create(null),
      { host, upgrade: "websocket", connection: "Upgrade" },
      protocols.length > 0 ? { "sec-websocket-protocol": protocols.join(", ") } : {},
      client.headers
    ),
    protocols: [...protocols],
    address: client.address ?? "127.0.0.1"
  }
}

/** What a transport asks an engine about a request. */
export const upgradeOf = (request: UpgradeRequest): Upgrade => ({
  ...request,
  header: (name) => request.headers[name],
  address: () => request.address,
  copy: () => request
})

/** Opens a connection: its handshake is the first task of the link to the server. */
export const make = (options: Options): MemoryConnection => {
  const { events, protocols } = options
  let maxMessageBytes = Infinity
  let handler: SocketHandler | undefined
  let clientState: "opening" | "open" | "closing" | "closed" = "opening"
  let serverState: "opening" | "open" | "closing" | "closed" = "opening"

  const end = () => {
    if (clientState === "closed" && serverState === "closed") options.onEnd()
  }
  const endClient = (code: number, reason: string) => {
    if (clientState === "closed") return
    clientState = "closed"
    toClient.clear()
    end()
    events.close(code, reason)
  }
  const endServer = (code: number, reason: string) => {
    if (serverState === "closed") return
    serverState = "closed"
    toServer.clear()
    end()
    handler?.close(code, reason)
  }
  /** The connection breaks; each end learns of it in a task of its own. */
  const reset = () => {
    toClient.break(() => endClient(1006, ""))
    toServer.break(() => endServer(1006, ""))
  }
  const closeServer = (code: number, reason: string) => {
    if (serverState !== "open") return
    serverState = "closing"
    toServer.resume()
    toClient.send({ _tag: "Close", code, reason })
  }

  const toClient = MemoryLink.make(options.scheduler, {
    message: (data) => clientState === "open" && events.message(data),
    close: (code, reason) => {
      if (clientState === "open") toServer.send({ _tag: "Close", code, reason })
      endClient(code, reason)
    },
    drain: () => serverState === "open" && handler!.drain()
  })
  const toServer = MemoryLink.make(options.scheduler, {
    message: (data, bytes) => {
      if (bytes > maxMessageBytes) closeServer(1009, "message too large")
      else if (serverState !== "closed") handler!.message(data)
    },
    close: (code, reason) => {
      if (serverState === "open") toClient.send({ _tag: "Close", code, reason })
      endServer(code, reason)
    },
    drain: () => {}
  })

  const server: Socket = {
    send: (data) => serverState === "open" && toClient.send({ _tag: "Message", data }),
    bufferedAmount: toClient.bytes,
    close: closeServer,
    tickEnd: (flusher) => toClient.schedule(() => flusher.flush()),
    pause: toServer.pause,
    resume: toServer.resume,
    terminate: reset
  }

  const handshake = () => {
    if (clientState === "closed" || serverState === "closed") return endServer(1006, "")
    const acceptor = options.acceptor()
    const verdict = acceptor?.upgrade(upgradeOf(requestOf(options)))
    if (verdict?._tag !== "Accepted") {
      serverState = "closed"
      return toClient.schedule(() => endClient(1006, ""))
    }
    maxMessageBytes = acceptor!.maxMessageBytes
    serverState = "open"
    toClient.schedule(() => {
      if (clientState !== "opening") return
      // A browser fails a connection whose server chose none of the offered subprotocols, or another.
      if (protocols.length > 0 ? !protocols.includes(verdict.protocol ?? "") : verdict.protocol !== undefined) {
        endClient(1006, "")
        return toServer.break(() => endServer(1006, ""))
      }
      clientState = "open"
      events.open(verdict.protocol ?? "")
    })
    handler = verdict.open(server)
  }
  toServer.schedule(handshake)

  return {
    url: options.url,
    port: options.port,
    socket: {
      send: (data) => clientState === "open" && toServer.send({ _tag: "Message", data }),
      bufferedAmount: toServer.bytes,
      close: (code, reason) => {
        if (clientState === "opening") return reset()
        if (clientState !== "open") return
        clientState = "closing"
        toServer.send({ _tag: "Close", code, reason })
      }
    },
    cut: reset,
    stall: toClient.pause,
    unstall: toClient.resume,
    drop: () => {
      toClient.break(() => endClient(1006, ""))
      endServer(1006, "")
    }
  }
}
