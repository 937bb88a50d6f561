/**
 * WebSockets on Node: from an upgrade to an open socket, with `ws`.
 */
import { constVoid } from "effect/Function"
import * as Http from "node:http"
import type { Socket as RawSocket } from "node:net"
import type { Duplex } from "node:stream"
import { WebSocket, WebSocketServer } from "ws"
import type * as Transport from "../src/engine/Transport.ts"
import * as NodeFrame from "./nodeFrame.ts"
import * as NodeHttp from "./nodeHttp.ts"
import * as Shim from "./shim.ts"

export const isUpgrade = (request: Http.IncomingMessage): boolean =>
  request.method === "GET" && request.headers.upgrade?.toLowerCase() === "websocket"

const toUpgradeRequest = (request: Http.IncomingMessage): Transport.UpgradeRequest => {
  const headers: Record<string, string> = Object.create(null)
  for (const [name, values] of Object.entries(request.headersDistinct)) headers[name] = values!.join(", ")
  return {
    method: request.method!,
    url: request.url!,
    headers,
    protocols: Shim.offered(headers["sec-websocket-protocol"]),
    address: NodeHttp.addressOf(request),
    secure: NodeHttp.isSecure(request)
  }
}

/** One socket. A class, since what each would close over is the same for all. */
class NodeSocket implements Transport.Socket {
  readonly tickEnd = Shim.tickEnd
  private readonly ws: WebSocket
  private readonly raw: RawSocket
  constructor(ws: WebSocket, raw: RawSocket) {
    this.ws = ws
    this.raw = raw
  }
  send(data: string | Uint8Array<ArrayBuffer>): void {
    // Beside `ws`, which has no queue of its own without compression, and writes the header of a frame on its own.
    if (this.ws.readyState === WebSocket.OPEN) this.raw.write(NodeFrame.of(data))
  }
  bufferedAmount(): number {
    return this.raw.writableLength
  }
  close(code: number, reason: string): void {
    this.ws.close(code, reason)
    this.ws.resume() // The answer to the close frame must be read.
  }
  pause(): void {
    this.ws.pause()
  }
  resume(): void {
    this.ws.resume()
  }
  terminate(): void {
    this.ws.terminate()
  }
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
const opened = (ws: WebSocket, raw: RawSocket, socket: Shim.Open) => {
  ws.on(
    "message",
    (data: Buffer, isBinary) =>
      socket.handler.message(isBinary ? new Uint8Array(data.buffer, data.byteOffset, data.length) : data.toString())
  )
  ws.on("close", (code, reason) => socket.close(code, reason.toString()))
  ws.on("error", constVoid)
  raw.on("drain", () => socket.handler.drain())
}

/** What a server calls for an upgrade. */
export type OnUpgrade = (request: Http.IncomingMessage, raw: Duplex, head: Buffer) => void

/** Makes what handles the upgrades of one engine. Somebody else must listen for the errors of the connection. */
export const make = ({ acceptor, sockets }: Shim.Serving): OnUpgrade => {
  let protocol: string | undefined
  const wss = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: acceptor.maxMessageBytes,
    // Called synchronously by `handleUpgrade`, and only if the client offered any.
    handleProtocols: () => protocol ?? false
  })
  return (request, stream, head) => {
    const raw = stream as RawSocket
    const verdict = acceptor.upgrade(toUpgradeRequest(request))
    if (verdict._tag === "Refusal") return refuse(verdict, request, raw)
    protocol = verdict.protocol
    wss.handleUpgrade(request, raw, head, (ws) => {
      const socket = new NodeSocket(ws, raw)
      opened(ws, raw, new Shim.Open(sockets, verdict.open(socket), socket))
    })
  }
}
