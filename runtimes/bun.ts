/**
 * The transport on Bun: `Bun.serve`.
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Transport from "../src/engine/Transport.ts"
import * as BunSocket from "./bunSocket.ts"
import * as Shim from "./shim.ts"
import * as Web from "./web.ts"

export { runMain } from "./process.ts"

/** What Bun's transport can do. */
export const capabilities: Transport.Capabilities = {
  runtime: "bun",
  pause: true,
  terminate: true,
  drain: true,
  limitsMessages: true,
  closesOnInvalidFrames: true,
  refusesUnmaskedFrames: true,
  strictFrames: true
}

/** What is used of Bun's `Server`. */
export interface BunServer {
  /** Takes the request over as a WebSocket. */
  upgrade(request: Request, options: any): boolean
  /** The address of the peer. */
  requestIP(request: Request): { readonly address: string } | null
}
interface Listening extends BunServer {
  readonly port: number
  stop(closeActiveConnections: boolean): Promise<void>
}
interface BunOptions extends Shim.Where {
  readonly idleTimeout: number
  readonly fetch: (request: Request, server: BunServer) => Response | undefined | Promise<Response>
  readonly error: () => Response
  readonly websocket: BunWebSocket
}
/** What is used of the `websocket` of `Bun.serve`. */
export interface BunWebSocket {
  /** A socket is open. */
  readonly open: (ws: any) => void
  /** One whole message came. */
  readonly message: (ws: any, data: any) => void
  /** What was handed over has left. */
  readonly drain: (ws: any) => void
  /** A socket is gone. */
  readonly close: (ws: any, code: number, reason: string) => void
  readonly [setting: string]: any
}
declare const Bun: { readonly serve: (options: BunOptions) => Listening }

const upgrade = ({ acceptor, sockets }: Shim.Serving, request: Request, server: BunServer): Response | undefined => {
  const verdict = acceptor.upgrade(new Web.Upgrade(request, server, addressOf))
  if (verdict._tag === "Refusal") return Web.toResponse(verdict)
  return server.upgrade(request, {
      data: new BunSocket.Socket(verdict, sockets),
      // Empty: nothing. Without the header Bun echoes the first protocol offered, which may be a token.
      headers: { "Sec-WebSocket-Protocol": verdict.protocol ?? "" }
    })
    ? undefined
    : new Response(null, { status: 400 })
}

const addressOf = (request: Request, server: BunServer): string => server.requestIP(request)?.address ?? ""

const websocket = {
  idleTimeout: 0,
  sendPings: false,
  perMessageDeflate: false,
  backpressureLimit: 2 ** 30,
  closeOnBackpressureLimit: false,
  ...BunSocket.callbacks
}

const serve = (where: Shim.Where, acceptor: Transport.Acceptor) => {
  const serving: Shim.Serving = { acceptor, sockets: new Set() }
  const server = Bun.serve({
    ...where,
    idleTimeout: 255, // The longest there is: long polls wait.
    fetch: (request, server) =>
      Web.isUpgrade(request)
        ? upgrade(serving, request, server)
        : acceptor.fetch(request, addressOf(request, server)),
    error: () => new Response(null, { status: 500 }),
    websocket: { ...websocket, maxPayloadLength: acceptor.maxMessageBytes }
  })
  return { server, serving }
}

/**
 * Serves on Bun.
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
        ({ server, serving }) =>
          Effect.promise(() => {
            Shim.closeAll(serving)
            return server.stop(true)
          })
      ).pipe(Effect.map(({ server }) => Shim.addressOf(where, server.port)))
  })
}

/** What goes into the user's own `Bun.serve`, and the transport that takes its part of it. */
export interface Attachment {
  /** Serves an engine on the user's server. */
  readonly layer: Layer.Layer<Transport.Transport>
  /** Wraps the `fetch` of the server: what is not an upgrade to a path of the engine's is left to it. */
  readonly fetch: <S extends BunServer, A>(
    fetch: (request: Request, server: S) => A
  ) => (request: Request, server: S) => A | Response | undefined
  /** Wraps the `websocket` of the server, if it has one of its own: sockets that are not the engine's are left to it. */
  readonly websocket: (websocket?: object) => BunWebSocket
}

const callbacks = ["open", "message", "drain", "close", "ping", "pong"] as const

/** Bun drops what is sent past this limit, without a word: it stays above all that is ever handed over. */
const leastBackpressureLimit = 2 ** 23

const merge = (theirs: { readonly [name: string]: any }): BunWebSocket => {
  const merged: Record<string, any> = { ...websocket, ...theirs }
  merged["backpressureLimit"] = Math.max(merged["backpressureLimit"], leastBackpressureLimit)
  for (const name of callbacks) {
    const ours: ((...args: any) => void) | undefined = (websocket as Record<string, any>)[name]
    merged[name] = (ws: { readonly data: unknown }, ...args: ReadonlyArray<unknown>) =>
      ws.data instanceof BunSocket.Socket ? ours?.(ws, ...args) : theirs[name]?.(ws, ...args)
  }
  return merged as BunWebSocket
}

/**
 * Attaches to the user's own `Bun.serve`.
 *
 * **Details**
 *
 * Takes the upgrades to the paths of the engine and nothing else, as long as the engine runs; closing it closes its own
 * sockets and never the server. The settings of `websocket` are the user's, as `maxPayloadLength`; `idleTimeout` is 0
 * unless set, since the engine has a heartbeat of its own.
 *
 * @example
 * ```ts
 * const heddle = attach()
 * Bun.serve({ fetch: heddle.fetch(app.fetch), websocket: heddle.websocket() })
 * Engine.layer({ path: "/live", rooms: [ChatLive] }).pipe(Layer.provide(heddle.layer), Layer.launch, runMain)
 * ```
 */
export const attach = (): Attachment => {
  const engines = new Web.Attachments()
  return {
    layer: Shim.layerAttached({ ...capabilities, limitsMessages: false }, engines.add),
    fetch: (fetch) => (request, server) => {
      const engine = engines.find(request)
      return engine === undefined ? fetch(request, server) : upgrade(engine, request, server)
    },
    websocket: (theirs = {}) => merge(theirs as {})
  }
}

/**
 * Serves where the environment says: on port `PORT` (3000 unless set) of the address `HOST` (127.0.0.1 unless set).
 */
export const layerConfig: Layer.Layer<Transport.Transport, Config.ConfigError> = Layer.unwrap(
  Effect.map(Shim.config, layer)
)
