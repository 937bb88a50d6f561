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

/** What Deno's transport can do. */
export const capabilities: Transport.Capabilities = {
  runtime: "deno",
  pause: false,
  terminate: false,
  drain: false,
  limitsMessages: false,
  closesOnInvalidFrames: false,
  refusesUnmaskedFrames: false
}

interface DenoServer {
  readonly addr: { readonly port: number }
  readonly finished: Promise<void>
}
interface DenoInfo {
  readonly remoteAddr: { readonly hostname: string }
}
declare const Deno: {
  readonly serve: (
    options: Required<Shim.Options> & {
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

const toUpgradeRequest = (request: Request, info: DenoInfo): Transport.UpgradeRequest => {
  // Copied: after the upgrade the request's headers can no longer be read.
  const headers = Object.assign(Object.create(null), Object.fromEntries(request.headers))
  return {
    method: request.method,
    url: request.url.slice(request.url.indexOf("/", request.url.indexOf("//") + 2)),
    headers,
    protocols: Shim.offered(headers["sec-websocket-protocol"]),
    address: info.remoteAddr.hostname
  }
}

const toSocket = (ws: WebSocket): Transport.Socket => ({
  send: (data) => {
    if (ws.readyState === ws.OPEN) ws.send(data)
  },
  bufferedAmount: () => ws.bufferedAmount,
  close: (code, reason) => {
    if (ws.readyState === ws.OPEN) ws.close(code, reason)
  },
  tickEnd: Shim.tickEnd
})

/** Whether sockets were dropped. Deno waits for those whose peer does not read, whatever is closed or aborted. */
let dropped = false

/** As on the other runtimes; a peer that does not read can hold the process for half a second. */
export const runMain = makeRunMain(() => {
  if (dropped) setTimeout(() => process.exit(), 500).unref()
})

const serve = (where: Required<Shim.Options>, acceptor: Transport.Acceptor) => {
  const sockets = new Set<Shim.Attached>()
  const stop = new AbortController()
  const attach = (ws: WebSocket, accepted: Transport.Accepted) => {
    ws.binaryType = "arraybuffer"
    ws.onopen = () => {
      const socket = new Shim.Attached(sockets, accepted.open(toSocket(ws)))
      ws.onmessage = ({ data }) => socket.handler.message(typeof data === "string" ? data : new Uint8Array(data))
      ws.onclose = ({ code, reason }) => socket.close(code || 1006, reason) // 0 when there was no close frame.
    }
    // A reset before the socket is open.
    ws.onerror = constVoid
  }
  const server = Deno.serve({
    ...where,
    signal: stop.signal,
    onListen: constVoid,
    onError: () => new Response(null, { status: 500 })
  }, (request, info) => {
    if (request.method !== "GET" || request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      return acceptor.fetch(request)
    }
    const verdict = acceptor.upgrade(toUpgradeRequest(request, info))
    if (verdict._tag === "Refusal") {
      return new Response(verdict.body ?? null, {
        status: verdict.status,
        headers: { ...verdict.headers, connection: "close" }
      })
    }
    try {
      const { response, socket } = Deno.upgradeWebSocket(request, {
        idleTimeout: 0,
        ...(verdict.protocol === undefined ? {} : { protocol: verdict.protocol })
      })
      attach(socket, verdict)
      return response
    } catch {
      return new Response(null, { status: 400 }) // A handshake without its headers.
    }
  })
  return { server, sockets, stop }
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
        ({ server, sockets, stop }) =>
          Effect.promise(() => {
            dropped ||= sockets.size > 0
            Shim.closeAll(sockets)
            stop.abort()
            return server.finished
          })
      ).pipe(Effect.map(({ server }) => Shim.addressOf(where.hostname, server.addr.port)))
  })
}

/**
 * Serves where the environment says: on port `PORT` (3000 unless set) of the address `HOST` (127.0.0.1 unless set).
 */
export const layerConfig: Layer.Layer<Transport.Transport, Config.ConfigError> = Layer.unwrap(
  Effect.map(Shim.config, layer)
)
