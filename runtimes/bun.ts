/**
 * The transport on Bun: `Bun.serve`.
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Transport from "../src/engine/Transport.ts"
import * as Shim from "./shim.ts"

export { runMain } from "./process.ts"

/** What Bun's transport can do. */
export const capabilities: Transport.Capabilities = {
  runtime: "bun",
  pause: true,
  terminate: true,
  drain: true,
  limitsMessages: true,
  closesOnInvalidFrames: true,
  refusesUnmaskedFrames: true
}

interface BunSocket {
  readonly data: Data
  readonly readyState: number
  binaryType: "uint8array"
  send(data: string | Uint8Array<ArrayBuffer>): number
  getBufferedAmount(): number
  close(code: number, reason: string): void
  cork(callback: () => void): void
  pause(): void
  resume(): void
  terminate(): void
}
interface BunServer {
  readonly port: number
  upgrade(request: Request, options: { readonly data: Data; readonly headers: Record<string, string> }): boolean
  requestIP(request: Request): { readonly address: string } | null
  stop(closeActiveConnections: boolean): Promise<void>
}
interface BunOptions {
  readonly port: number
  readonly hostname: string
  readonly idleTimeout: number
  readonly fetch: (request: Request, server: BunServer) => Response | undefined | Promise<Response>
  readonly error: () => Response
  readonly websocket: {
    readonly idleTimeout: number
    readonly sendPings: boolean
    readonly perMessageDeflate: boolean
    readonly maxPayloadLength: number
    readonly backpressureLimit: number
    readonly closeOnBackpressureLimit: boolean
    readonly open: (ws: BunSocket) => void
    readonly message: (ws: BunSocket, data: string | Uint8Array) => void
    readonly drain: (ws: BunSocket) => void
    readonly close: (ws: BunSocket, code: number, reason: string) => void
  }
}
declare const Bun: { readonly serve: (options: BunOptions) => BunServer }

/** The socket whose `message` callback runs, and what to call when it ends. */
let current: BunSocket | undefined
const flushes: Array<() => void> = []

interface Data {
  readonly accepted: Transport.Accepted
  socket: Shim.Attached | undefined
  leaving: boolean
}

const toUpgradeRequest = (request: Request, server: BunServer): Transport.UpgradeRequest => {
  const headers = Object.assign(Object.create(null), Object.fromEntries(request.headers))
  return {
    method: request.method,
    url: request.url.slice(request.url.indexOf("/", request.url.indexOf("//") + 2)),
    headers,
    protocols: Shim.offered(headers["sec-websocket-protocol"]),
    address: server.requestIP(request)?.address ?? ""
  }
}

/** Bun calls the `close` callback from within `close` and `terminate`; the seam promises it later. */
const leaving = ({ data }: BunSocket, leave: () => void): void => {
  data.leaving = true
  leave()
  data.leaving = false
}

const toSocket = (ws: BunSocket): Transport.Socket => ({
  send: (data) => {
    if (ws.readyState === WebSocket.OPEN) ws.send(data)
  },
  bufferedAmount: () => ws.getBufferedAmount(),
  close: (code, reason) => leaving(ws, () => ws.close(code, reason)),
  tickEnd: (flush) => {
    // Inside its own callback a socket is corked: what is sent there leaves in one write.
    if (current === ws) flushes.push(flush)
    else Shim.tickEnd(() => ws.cork(flush))
  },
  pause: () => ws.pause(),
  resume: () => ws.resume(),
  terminate: () => leaving(ws, () => ws.terminate())
})

const serve = (where: Required<Shim.Options>, acceptor: Transport.Acceptor) => {
  const sockets = new Set<Shim.Attached>()
  const server = Bun.serve({
    ...where,
    idleTimeout: 255, // The longest there is: long polls wait.
    fetch: (request, server) => {
      if (request.method !== "GET" || request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
        return acceptor.fetch(request)
      }
      const verdict = acceptor.upgrade(toUpgradeRequest(request, server))
      if (verdict._tag === "Refusal") {
        return new Response(verdict.body, {
          status: verdict.status,
          headers: { ...verdict.headers, connection: "close" }
        })
      }
      return server.upgrade(request, {
          data: { accepted: verdict, socket: undefined, leaving: false },
          // Empty: nothing. Without the header Bun echoes the first protocol offered, which may be a token.
          headers: { "Sec-WebSocket-Protocol": verdict.protocol ?? "" }
        })
        ? undefined
        : new Response(null, { status: 400 })
    },
    error: () => new Response(null, { status: 500 }),
    websocket: {
      idleTimeout: 0,
      sendPings: false,
      perMessageDeflate: false,
      maxPayloadLength: acceptor.maxMessageBytes,
      backpressureLimit: 2 ** 30,
      closeOnBackpressureLimit: false,
      open: (ws) => {
        ws.binaryType = "uint8array"
        ws.data.socket = new Shim.Attached(sockets, ws.data.accepted.open(toSocket(ws)))
      },
      message: (ws, data) => {
        current = ws
        ws.data.socket!.handler.message(data)
        current = undefined
        for (const flush of flushes) flush()
        flushes.length = 0
      },
      drain: ({ data }) => data.socket!.handler.drain(),
      close: ({ data: { leaving, socket } }, code, reason) => {
        if (leaving) queueMicrotask(() => socket!.close(code, reason))
        else socket!.close(code, reason)
      }
    }
  })
  return { server, sockets }
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
        ({ server, sockets }) =>
          Effect.promise(() => {
            Shim.closeAll(sockets)
            return server.stop(true)
          })
      ).pipe(Effect.map(({ server }) => Shim.addressOf(where.hostname, server.port)))
  })
}

/**
 * Serves where the environment says: on port `PORT` (3000 unless set) of the address `HOST` (127.0.0.1 unless set).
 */
export const layerConfig: Layer.Layer<Transport.Transport, Config.ConfigError> = Layer.unwrap(
  Effect.map(Shim.config, layer)
)
