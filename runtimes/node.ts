/**
 * The transport on Node: `node:http`, and `ws` for the WebSockets.
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import { constVoid } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Http from "node:http"
import type { AddressInfo, Socket as RawSocket } from "node:net"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { type WebSocket, WebSocketServer } from "ws"
import * as Transport from "../src/engine/Transport.ts"
import * as Shim from "./shim.ts"

export { runMain } from "./process.ts"

/** What Node's transport can do. */
export const capabilities: Transport.Capabilities = {
  runtime: "node",
  pause: true,
  terminate: true,
  drain: true,
  limitsMessages: true,
  closesOnInvalidFrames: true,
  refusesUnmaskedFrames: true
}

const isUpgrade = (request: Http.IncomingMessage) =>
  request.method === "GET" && request.headers.upgrade?.toLowerCase() === "websocket"

const toUpgradeRequest = (request: Http.IncomingMessage): Transport.UpgradeRequest => {
  const headers: Record<string, string> = Object.create(null)
  for (const [name, values] of Object.entries(request.headersDistinct)) headers[name] = values!.join(", ")
  return {
    method: request.method!,
    url: request.url!,
    headers,
    protocols: Shim.offered(headers["sec-websocket-protocol"]),
    address: request.socket.remoteAddress ?? ""
  }
}

const toSocket = (ws: WebSocket, raw: RawSocket): Transport.Socket => ({
  send: (data) => ws.send(data), // Ignored by `ws` once it is closing.
  bufferedAmount: () => raw.writableLength,
  close: (code, reason) => {
    ws.close(code, reason)
    ws.resume() // The answer to the close frame must be read.
  },
  tickEnd: Shim.tickEnd,
  pause: () => ws.pause(),
  resume: () => ws.resume(),
  terminate: () => ws.terminate()
})

const toRequest = (incoming: Http.IncomingMessage, signal: AbortSignal): Request => {
  const { headers, headersDistinct, method = "GET", url = "/" } = incoming
  const bodiless = method === "GET" || method === "HEAD"
  return new Request(url.startsWith("/") ? `http://${headers.host ?? "localhost"}${url}` : url, {
    method,
    headers: Object.entries(headersDistinct).flatMap(([name, values]) =>
      values!.map((value): [string, string] => [name, value])
    ),
    signal,
    ...(bodiless ? {} : { body: Readable.toWeb(incoming) as ReadableStream<Uint8Array>, duplex: "half" })
  })
}

const respond = async (response: Response, request: Http.IncomingMessage, out: Http.ServerResponse) => {
  out.statusCode = response.status
  out.setHeaders(response.headers)
  if (response.body === null) out.end()
  else if (request.method === "HEAD") await Promise.all([response.body.cancel(), out.end()])
  else await pipeline(response.body as any, out)
}

const refuse = (refusal: Transport.Refusal, request: Http.IncomingMessage, raw: RawSocket) => {
  const out = new Http.ServerResponse(request)
  out.shouldKeepAlive = false
  out.assignSocket(raw)
  out.on("finish", () => raw.destroySoon())
  const body = refusal.body ?? ""
  out.writeHead(refusal.status, { ...refusal.headers, "content-length": Buffer.byteLength(body) })
  out.end(body)
}

/** A function of its own, so that what listens for the life of a socket does not keep its upgrade request alive. */
const attach = (ws: WebSocket, raw: RawSocket, socket: Shim.Attached) => {
  ws.on(
    "message",
    (data: Buffer, isBinary) =>
      socket.handler.message(isBinary ? new Uint8Array(data.buffer, data.byteOffset, data.length) : data.toString())
  )
  ws.on("close", (code, reason) => socket.close(code, reason.toString()))
  ws.on("error", constVoid)
  raw.on("drain", () => socket.handler.drain())
}

const serve = (acceptor: Transport.Acceptor) => {
  const connections = new Set<RawSocket>()
  const sockets = new Set<Shim.Attached>()
  let protocol: string | undefined
  const wss = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: acceptor.maxMessageBytes,
    // Called synchronously by `handleUpgrade`, and only if the client offered any.
    handleProtocols: () => protocol ?? false
  })
  const server = Http.createServer({ shouldUpgradeCallback: isUpgrade }, (request, out) => {
    const aborted = new AbortController()
    out.on("close", () => out.writableFinished || aborted.abort())
    Promise.resolve().then(() => acceptor.fetch(toRequest(request, aborted.signal)))
      .then((response) => respond(response, request, out))
      .catch(() => out.headersSent ? out.destroy() : out.writeHead(500).end())
  })
  server.on("connection", (raw: RawSocket) => {
    connections.add(raw)
    // From the start: between `upgrade` and the end of the handshake a reset would find no listener and end the process.
    raw.on("error", constVoid)
    raw.on("close", () => connections.delete(raw))
  })
  server.on("upgrade", (request, stream, head) => {
    const raw = stream as RawSocket
    const verdict = acceptor.upgrade(toUpgradeRequest(request))
    if (verdict._tag === "Refusal") return refuse(verdict, request, raw)
    protocol = verdict.protocol
    wss.handleUpgrade(
      request,
      raw,
      head,
      (ws) => attach(ws, raw, new Shim.Attached(sockets, verdict.open(toSocket(ws, raw))))
    )
  })
  return { server, connections, sockets }
}

/**
 * Serves on Node.
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
        Effect.callback<ReturnType<typeof serve>, Transport.ListenError>((resume) => {
          const serving = serve(acceptor)
          const fail = (cause: unknown) => resume(Effect.fail(Shim.listenError(where, cause)))
          try {
            // Stays: an accept that fails later, for want of descriptors, must not end the process.
            serving.server.on("error", fail)
            serving.server.listen(where.port, where.hostname, () => resume(Effect.succeed(serving)))
          } catch (cause) {
            fail(cause)
          }
        }),
        ({ connections, server, sockets }) =>
          Effect.callback<void>((resume) => {
            server.close(() => resume(Effect.void))
            Shim.closeAll(sockets)
            for (const raw of connections) raw.destroy()
          })
      ).pipe(Effect.map(({ server }) => Shim.addressOf(where.hostname, (server.address() as AddressInfo).port)))
  })
}

/**
 * Serves where the environment says: on port `PORT` (3000 unless set) of the address `HOST` (127.0.0.1 unless set).
 */
export const layerConfig: Layer.Layer<Transport.Transport, Config.ConfigError> = Layer.unwrap(
  Effect.map(Shim.config, layer)
)
