/**
 * What the shims share: listen options, errors of listening, offered subprotocols, open sockets, ends of ticks.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import { constVoid } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Transport from "../src/engine/Transport.ts"

/** Where to listen. */
export interface Options {
  /** Port to listen on, 3000 by default; 0 takes a free one, which the address tells. */
  readonly port?: number
  /** Address to listen on. Default `127.0.0.1`, which only this machine reaches; `0.0.0.0` is every interface. */
  readonly hostname?: string
  /** Serves `https` and `wss`. */
  readonly tls?: Tls | undefined
}

/** A certificate, with those that vouch for it behind it, and its private key; both in PEM. */
export interface Tls {
  readonly cert: string
  readonly key: string
}

/** The options with their defaults. */
export interface Where {
  readonly port: number
  readonly hostname: string
  readonly tls: Tls | undefined
}

export const resolve = (options: Options | undefined): Where => ({
  port: options?.port ?? 3000,
  hostname: options?.hostname ?? "127.0.0.1",
  tls: options?.tls
})

const Port = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65_535 }))

/** The options as `PORT` and `HOST` set them. */
export const config: Config.Config<Options> = Config.all({
  port: Config.schema(Port, "PORT").pipe(Config.withDefault(3000)),
  hostname: Config.NonEmptyString("HOST").pipe(Config.withDefault("127.0.0.1"))
})

/** The address a listener got, with brackets around IPv6 in its URL. */
export const addressOf = ({ hostname, tls }: Where, port: number): Transport.Address => ({
  hostname,
  port,
  url: `${tls === undefined ? "http" : "https"}://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`
})

/** Names what a runtime threw when it could not listen. */
export const listenError = ({ hostname, port }: Where, cause: unknown): Transport.ListenError => {
  const { code, message = String(cause) } = cause as { readonly code?: unknown; readonly message?: string }
  const reason = code === "EADDRINUSE"
    ? "AddressInUse"
    : code === "EACCES"
    ? "AccessDenied"
    : code === "EADDRNOTAVAIL"
    ? "AddressNotAvailable"
    : "Other"
  return new Transport.ListenError({ reason, hostname, port, detail: message })
}

/** The subprotocols in a `Sec-WebSocket-Protocol` header, in the order of the client. */
export const offered = (header: string | null | undefined): ReadonlyArray<string> =>
  header ? header.split(",").map((token) => token.trim()).filter((token) => token !== "") : []

const silent: Transport.SocketHandler = { message: constVoid, drain: constVoid, close: constVoid }

/** What can be dropped without a handshake. */
export interface Droppable {
  readonly terminate: () => void
}

/** One open socket: its handler, until it has been told of the close, and how to drop it. */
export class Open {
  handler: Transport.SocketHandler
  readonly socket: Droppable
  readonly #all: Set<Open>
  constructor(all: Set<Open>, handler: Transport.SocketHandler, socket: Droppable) {
    this.#all = all
    this.handler = handler
    this.socket = socket
    all.add(this)
  }
  /** Tells the handler once that the socket is gone; it hears nothing after that. */
  close(code: number, reason: string): void {
    const { handler } = this
    this.handler = silent
    this.#all.delete(this)
    handler.close(code, reason)
  }
}

/** An engine and its open sockets. */
export interface Serving {
  readonly acceptor: Transport.Acceptor
  readonly sockets: Set<Open>
}

/** Ends every socket still open, as the scope of `listen` closes. */
export const closeAll = ({ sockets }: Serving): void => {
  for (const socket of [...sockets]) {
    socket.close(1006, "")
    socket.socket.terminate()
  }
}

/** A transport on a server that is the user's: `attach` answers with what detaches. */
export const layerAttached = (
  capabilities: Transport.Capabilities,
  attach: (serving: Serving) => () => void
): Layer.Layer<Transport.Transport> =>
  Layer.succeed(Transport.Transport)({
    capabilities,
    listen: (acceptor) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const serving: Serving = { acceptor, sockets: new Set() }
          return { serving, detach: attach(serving) }
        }),
        ({ detach, serving }) =>
          Effect.sync(() => {
            detach()
            closeAll(serving)
          })
      ).pipe(Effect.as({ hostname: "", port: 0, url: "" }))
  })

/**
 * Two lists in turn: who asks while one is called waits in the other. They keep their room, which they need again in the
 * next turn.
 */
let flushers: Array<Transport.Flusher> = []
let others: Array<Transport.Flusher> = []
let count = 0

/** Stands where somebody was: nobody is kept alive by having been here. */
const nobody: Transport.Flusher = { flush: constVoid }

const flushAll = (): void => {
  const [batch, length] = [flushers, count]
  flushers = others
  others = batch
  count = 0
  for (let index = 0; index < length; index++) {
    const flusher = batch[index]!
    batch[index] = nobody
    flusher.flush()
  }
}

/** Calls back once the current turn of the event loop is over: one `setImmediate` for all who ask in one turn. */
export const tickEnd = (flusher: Transport.Flusher): void => {
  flushers[count++] = flusher
  if (count === 1) setImmediate(flushAll)
}
