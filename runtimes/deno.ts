/**
 * The transport on Deno: `Deno.serve` and `Deno.upgradeWebSocket`.
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import { constVoid } from "effect/Function"
import * as Layer from "effect/Layer"
import process from "node:process"
import { setTimeout } from "node:timers"
import * as Transport from "../src/engine/Transport.ts"
import { makeRunMain } from "./process.ts"
import * as Shim from "./shim.ts"
import * as Web from "./web.ts"

/** What Deno's transport can do. */
export const capabilities: Transport.Capabilities = {
  runtime: "deno",
  pause: false,
  terminate: false,
  drain: false,
  limitsMessages: false,
  closesOnInvalidFrames: false,
  refusesUnmaskedFrames: false,
  strictFrames: false
}

interface DenoServer {
  readonly addr: { readonly port: number }
  readonly finished: Promise<void>
}
/** What is used of what Deno tells about a request. */
export interface DenoInfo {
  readonly remoteAddr: object
}
declare const Deno: {
  readonly serve: (
    options: {
      readonly port: number
      readonly hostname: string
      readonly cert?: string
      readonly key?: string
      readonly signal: AbortSignal
      readonly onListen: () => void
      readonly onError: () => Response
    },
    handler: (request: Request, info: DenoInfo) => Response | Promise<Response>
  ) => DenoServer
  readonly upgradeWebSocket: (
    request: Request,
    options: { readonly idleTimeout: number; readonly protocol?: string }
  ) => { readonly socket: WebSocket; readonly response: Response }
}

/** Absent where the server listens on a path of the file system. */
const addressOf = (_request: Request, { remoteAddr }: DenoInfo): string =>
  (remoteAddr as { readonly hostname?: string }).hostname ?? ""

/** One socket, as the engine sees it. A class, since what each would close over is the same for all. */
class Socket implements Transport.Socket {
  readonly tickEnd = Shim.tickEnd
  private readonly ws: WebSocket
  constructor(ws: WebSocket) {
    this.ws = ws
  }
  send(data: string | Uint8Array<ArrayBuffer>): void {
    if (this.ws.readyState === WebSocket.OPEN) this.ws.send(data)
  }
  bufferedAmount(): number {
    return this.ws.bufferedAmount
  }
  close(code: number, reason: string): void {
    if (this.ws.readyState === WebSocket.OPEN) this.ws.close(code, reason)
  }
}

/** Whether sockets were dropped. Deno waits for those whose peer does not read, whatever is closed or aborted. */
let dropped = false

/** As on the other runtimes; a peer that does not read can hold the process for half a second. */
export const runMain = makeRunMain(() => {
  if (dropped) setTimeout(() => process.exit(), 500).unref()
})

const opened = (ws: WebSocket, accepted: Transport.Accepted, sockets: Set<Shim.Open>): void => {
  ws.binaryType = "arraybuffer"
  ws.onopen = () => {
    // It holds what was accepted, and that the request.
    ws.onopen = null
    const socket = new Shim.Open(sockets, accepted.open(new Socket(ws)), { terminate: () => ws.close(1001, "") })
    ws.onmessage = ({ data }) => socket.handler.message(typeof data === "string" ? data : new Uint8Array(data))
    ws.onclose = ({ code, reason }) => socket.close(code || 1006, reason) // 0 when there was no close frame.
  }
  // A reset before the socket is open.
  ws.onerror = constVoid
}

/** Deno finds a protocol only in a list with a blank behind every comma, which clients need not send. */
const offer = (protocol: string, request: Request): void => {
  if (request.headers.get("sec-websocket-protocol")!.split(", ").includes(protocol)) return
  const headers = new Headers(request.headers)
  headers.set("sec-websocket-protocol", protocol)
  Object.defineProperty(request, "headers", { value: headers })
}

const upgrade = ({ acceptor, sockets }: Shim.Serving, request: Request, info: DenoInfo): Response => {
  const verdict = acceptor.upgrade(new Web.Upgrade(request, info, addressOf))
  if (verdict._tag === "Refusal") return Web.toResponse(verdict)
  if (verdict.protocol !== undefined) offer(verdict.protocol, request)
  try {
    const { response, socket } = Deno.upgradeWebSocket(request, {
      idleTimeout: 0,
      ...(verdict.protocol === undefined ? {} : { protocol: verdict.protocol })
    })
    opened(socket, verdict, sockets)
    return response
  } catch {
    return new Response(null, { status: 400 }) // A handshake without its headers.
  }
}

const serve = ({ hostname, port, tls }: Shim.Where, acceptor: Transport.Acceptor) => {
  const serving: Shim.Serving = { acceptor, sockets: new Set() }
  const stop = new AbortController()
  const server = Deno.serve(
    {
      hostname,
      port,
      ...tls,
      signal: stop.signal,
      onListen: constVoid,
      onError: () => new Response(null, { status: 500 })
    },
    (request, info) =>
      Web.isUpgrade(request)
        ? upgrade(serving, request, info)
        : acceptor.fetch(request, addressOf(request, info))
  )
  return { server, serving, stop }
}

/**
 * Serves on Deno.
 *
 * **Details**
 *
 * Listens on port 3000 of 127.0.0.1 unless told otherwise; port 0 takes a free one.
 */
export const layer = (options?: Shim.Options): Layer.Layer<Transport.Transport> => {
  const where = Shim.resolve(options)
  return Layer.succeed(Transport.Transport)({
    capabilities,
    listen: (acceptor) =>
      Effect.acquireRelease(
        Effect.try({
          try: () => serve(where, acceptor),
          catch: (cause) => Shim.listenError(where, cause)
        }),
        ({ server, serving, stop }) =>
          Effect.promise(() => {
            dropped ||= serving.sockets.size > 0
            Shim.closeAll(serving)
            stop.abort()
            return server.finished
          })
      ).pipe(Effect.map(({ server }) => Shim.addressOf(where, server.addr.port)))
  })
}

/** What goes into the user's own `Deno.serve`, and the transport that takes its part of it. */
export interface Attachment {
  /** Serves an engine on the user's server. */
  readonly layer: Layer.Layer<Transport.Transport>
  /** Wraps the handler of the server: what is not an upgrade to a path of the engine's is left to it. */
  readonly fetch: <I extends DenoInfo, A>(
    handler: (request: Request, info: I) => A
  ) => (request: Request, info: I) => A | Response
}

/**
 * Attaches to the user's own `Deno.serve`.
 *
 * **Details**
 *
 * Takes the upgrades to the paths of the engine and nothing else, as long as the engine runs; closing it closes its own
 * sockets and never the server.
 *
 * @example
 * ```ts
 * const heddle = attach()
 * Deno.serve(heddle.fetch(app.fetch))
 * Engine.layer({ path: "/live", rooms: [ChatLive] }).pipe(Layer.provide(heddle.layer), Layer.launch, runMain)
 * ```
 */
export const attach = (): Attachment => {
  const engines = new Web.Attachments()
  return {
    layer: Shim.layerAttached(capabilities, (serving) => {
      const detach = engines.add(serving)
      return () => {
        dropped ||= serving.sockets.size > 0
        detach()
      }
    }),
    fetch: (handler) => (request, info) => {
      const engine = engines.find(request)
      return engine === undefined ? handler(request, info) : upgrade(engine, request, info)
    }
  }
}

/**
 * Serves where the environment says: on port `PORT` (3000 unless set) of the address `HOST` (127.0.0.1 unless set).
 */
export const layerConfig: Layer.Layer<Transport.Transport, Config.ConfigError> = Layer.unwrap(
  Effect.map(Shim.config, layer)
)
