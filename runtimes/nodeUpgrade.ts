/**
 * The opening handshake on Node: RFC 6455 section 4.2, on the requests of `node:http`.
 */
import { hash } from "node:crypto"
import * as Http from "node:http"
import type { Socket as RawSocket } from "node:net"
import type { Duplex } from "node:stream"
import type * as Transport from "../src/engine/Transport.ts"
import * as NodeHttp from "./nodeHttp.ts"
import * as NodeSocket from "./nodeSocket.ts"
import * as Shim from "./shim.ts"

/** Looked for in the list as it came: Node makes its objects of headers only when they are asked for. */
export const isUpgrade = ({ method, rawHeaders }: Http.IncomingMessage): boolean => {
  if (method !== "GET") return false
  const index = rawHeaders.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === "upgrade")
  return index >= 0 && rawHeaders[index + 1]!.toLowerCase() === "websocket"
}

/** All of them; Node's own objects drop some. */
const headersOf = ({ rawHeaders }: Http.IncomingMessage): Record<string, string> => {
  const headers: Record<string, string> = Object.create(null)
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!.toLowerCase()
    const value = rawHeaders[index + 1]!
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`
  }
  return headers
}

class Upgrade implements Transport.Upgrade {
  readonly method: string
  readonly url: string
  readonly headers: Record<string, string>
  readonly protocols: ReadonlyArray<string>
  readonly #request: Http.IncomingMessage

  constructor(request: Http.IncomingMessage) {
    this.method = request.method!
    this.url = request.url!
    this.headers = headersOf(request)
    this.protocols = Shim.offered(this.headers["sec-websocket-protocol"])
    this.#request = request
  }

  header(name: string): string | undefined {
    return this.headers[name]
  }

  address(): string {
    return NodeHttp.addressOf(this.#request)
  }

  copy(): Transport.UpgradeRequest {
    const { headers, method, protocols, url } = this
    return { method, url, headers, protocols, address: this.address(), secure: NodeHttp.isSecure(this.#request) }
  }
}

const refuse = (refusal: Omit<Transport.Refusal, "_tag">, request: Http.IncomingMessage, raw: RawSocket) => {
  const out = new Http.ServerResponse(request)
  out.shouldKeepAlive = false
  out.assignSocket(raw)
  out.on("finish", () => raw.destroySoon())
  const body = refusal.body ?? ""
  out.writeHead(refusal.status, { ...refusal.headers, "content-length": Buffer.byteLength(body) })
  out.end(body)
}

const version = "13"
const isKey = /^[+/0-9A-Za-z]{22}==$/
/** Section 1.3. */
const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

/** What is wrong with the handshake itself, if anything is. */
const mistake = ({ headers }: Upgrade): Omit<Transport.Refusal, "_tag"> | undefined => {
  if (headers["sec-websocket-version"] !== version) {
    return { status: 426, headers: { "sec-websocket-version": version }, body: "the version of WebSocket is 13\n" }
  }
  if (!isKey.test(headers["sec-websocket-key"] ?? "")) return { status: 400, body: "no valid Sec-WebSocket-Key\n" }
  return undefined
}

const answer = ({ headers }: Upgrade, protocol: string | undefined): string => {
  const accept = hash("sha1", headers["sec-websocket-key"] + guid, "base64")
  const chosen = protocol === undefined ? "" : `Sec-WebSocket-Protocol: ${protocol}\r\n`
  return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    `Sec-WebSocket-Accept: ${accept}\r\n${chosen}\r\n`
}

/** The response that is being sent over a connection; of Node, but not of its types. */
interface Answering extends RawSocket {
  readonly _httpMessage?: unknown
}

/** What a server calls for an upgrade. */
export type OnUpgrade = (request: Http.IncomingMessage, raw: Duplex, head: Buffer) => void

/** Makes what handles the upgrades of one engine. Somebody else must listen for the errors of the connection. */
export const make = (serving: Shim.Serving): OnUpgrade => (incoming, stream, head) => {
  const raw = stream as Answering
  // A request before this one has no answer yet. Node hands the connection over all the same, and would write it later.
  if (raw._httpMessage instanceof Http.OutgoingMessage) return void raw.destroy()
  const request = new Upgrade(incoming)
  const verdict = serving.acceptor.upgrade(request)
  if (verdict._tag === "Refusal") return refuse(verdict, incoming, raw)
  const wrong = mistake(request)
  if (wrong !== undefined) return refuse(wrong, incoming, raw)
  // The peer has gone meanwhile.
  if (!raw.readable || !raw.writable) return void raw.destroy()
  // All that are let in within a turn are answered together: to wake a peer for each costs more than the answer.
  raw.cork()
  raw.write(answer(request, verdict.protocol), "latin1")
  NodeSocket.open(raw, head, verdict, serving)
  Shim.tickEnd({ flush: () => raw.uncork() })
}
