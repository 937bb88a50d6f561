/**
 * What the shims share: listen options, errors of listening, offered subprotocols, ends of ticks.
 */
import * as Config from "effect/Config"
import { constVoid } from "effect/Function"
import * as Schema from "effect/Schema"
import { type Address, ListenError, type SocketHandler } from "../src/engine/Transport.ts"

/** Where to listen. */
export interface Options {
  /** Port to listen on, 3000 by default; 0 takes a free one, which the address tells. */
  readonly port?: number
  /** Address to listen on. Default `127.0.0.1`, which only this machine reaches; `0.0.0.0` is every interface. */
  readonly hostname?: string
}

/** The options with their defaults. */
export const resolve = (options: Options | undefined): Required<Options> => ({
  port: options?.port ?? 3000,
  hostname: options?.hostname ?? "127.0.0.1"
})

const Port = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65_535 }))

/** The options as `PORT` and `HOST` set them. */
export const config: Config.Config<Required<Options>> = Config.all({
  port: Config.schema(Port, "PORT").pipe(Config.withDefault(3000)),
  hostname: Config.NonEmptyString("HOST").pipe(Config.withDefault("127.0.0.1"))
})

/** The address a listener got, with brackets around IPv6 in its URL. */
export const addressOf = (hostname: string, port: number): Address => ({
  hostname,
  port,
  url: hostname.includes(":") ? `http://[${hostname}]:${port}` : `http://${hostname}:${port}`
})

/** Names what a runtime threw when it could not listen. */
export const listenError = ({ hostname, port }: Required<Options>, cause: unknown): ListenError => {
  const { code, message = String(cause) } = cause as { readonly code?: unknown; readonly message?: string }
  const reason = code === "EADDRINUSE"
    ? "AddressInUse"
    : code === "EACCES"
    ? "AccessDenied"
    : code === "EADDRNOTAVAIL"
    ? "AddressNotAvailable"
    : "Other"
  return new ListenError({ reason, hostname, port, detail: message })
}

/** The subprotocols in a `Sec-WebSocket-Protocol` header, in the order of the client. */
export const offered = (header: string | null | undefined): ReadonlyArray<string> =>
  header ? header.split(",").map((token) => token.trim()).filter((token) => token !== "") : []

const silent: SocketHandler = { message: constVoid, drain: constVoid, close: constVoid }

/** The handler of one open socket, until it has been told of the close. */
export class Attached {
  handler: SocketHandler
  readonly #all: Set<Attached>
  constructor(all: Set<Attached>, handler: SocketHandler) {
    this.#all = all
    this.handler = handler
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

/** Ends every socket still open, as the scope of `listen` closes. */
export const closeAll = (all: Set<Attached>): void => {
  for (const attached of [...all]) attached.close(1006, "")
}

let flushes: Array<() => void> = []

const flushAll = (): void => {
  const batch = flushes
  flushes = []
  for (const flush of batch) flush()
}

/** Calls back once the current turn of the event loop is over: one `setImmediate` for all who ask in one turn. */
export const tickEnd = (flush: () => void): void => {
  if (flushes.push(flush) === 1) setImmediate(flushAll)
}
