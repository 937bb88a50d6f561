/**
 * A WebSocket client down to the bytes, for what a well-behaved client cannot do: it stops reading, resets, and
 * writes what no specification allows.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import * as Net from "node:net"
import * as Tls from "node:tls"
import type { Address } from "../../src/engine/Transport.ts"

/** Waits until something holds; a failure of the test's own time limit names what did not. */
export const until = (what: string, holds: () => boolean, millis = 15_000): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const end = performance.now() + millis
    const look = () => {
      if (holds()) resume(Effect.void)
      else if (performance.now() > end) resume(Effect.die(new Error(`never happened: ${what}`)))
      else timer = setTimeout(look, 1)
    }
    let timer: ReturnType<typeof setTimeout> | undefined
    look()
    return Effect.sync(() => clearTimeout(timer))
  })

/** A client that a test has in its hand: enough for every transport, in memory or not. */
export interface Peer {
  readonly messages: ReadonlyArray<string | Uint8Array>
  readonly send: (text: string) => void
  readonly stall: () => void
  readonly unstall: () => void
  /** Ends the connection without a close frame. */
  readonly cut: () => void
  readonly gone: () => boolean
}

export interface FrameOptions {
  readonly fin?: boolean
  readonly masked?: boolean
  readonly reserved?: number
}

/** The bytes of one frame. */
export const frame = (opcode: number, payload: string | Uint8Array, options?: FrameOptions): Buffer => {
  const body = Buffer.from(payload as string)
  const first = ((options?.fin ?? true) ? 0x80 : 0) | (options?.reserved ?? 0) | opcode
  const mask = options?.masked ?? true
  const head = body.length < 126
    ? Buffer.from([first, body.length])
    : body.length < 65_536
    ? Buffer.from([first, 126, body.length >> 8, body.length & 255])
    : Buffer.concat([Buffer.from([first, 127, 0, 0, 0, 0]), Buffer.alloc(4)])
  if (body.length >= 65_536) head.writeUInt32BE(body.length, 6)
  if (!mask) return Buffer.concat([head, body])
  head[1]! |= 0x80
  const key = Buffer.from([1, 2, 3, 4])
  return Buffer.concat([head, key, body.map((byte, index) => byte ^ key[index & 3]!)])
}

/** The bytes of an upgrade request. */
export const upgradeRequest = (path: string, headers: Readonly<Record<string, string | undefined>> = {}): string =>
  [
    `GET ${path} HTTP/1.1`,
    "Host: test",
    ...Object.entries({
      "Upgrade": "websocket",
      "Connection": "Upgrade",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
      ...headers
    }).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}: ${value}`),
    "\r\n"
  ].join("\r\n")

/** One TCP connection. What it receives is parsed as an HTTP response, and as frames after a 101. */
export class RawClient implements Peer {
  status = 0
  /** Head of the response as it came. */
  head = ""
  body = ""
  readonly headers = new Map<string, string>()
  readonly messages: Array<string | Uint8Array> = []
  readonly pongs: Array<string> = []
  close: { readonly code: number; readonly reason: string } | undefined
  connected = false
  readonly socket: Net.Socket
  readonly #tcp: Net.Socket
  #gone = false
  #buffer: Buffer = Buffer.alloc(0)

  constructor(address: Address, onConnect: (client: RawClient) => void) {
    const opened = () => {
      this.connected = true
      onConnect(this)
    }
    const secure = address.url.startsWith("https:")
    this.#tcp = Net.connect({ port: address.port, host: address.hostname }, secure ? undefined : opened)
    this.#tcp.on("error", () => {})
    this.socket = secure ? Tls.connect({ socket: this.#tcp, rejectUnauthorized: false }, opened) : this.#tcp
    this.socket.on("error", () => {})
    this.socket.on("close", () => this.#gone = true)
    this.socket.on("end", () => this.socket.end())
    this.socket.on("data", (chunk: Buffer) => {
      this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk])
      this.#parse()
    })
  }

  gone = (): boolean => this.#gone
  write = (data: string | Uint8Array): void => void this.socket.write(data)
  send = (text: string): void => this.write(frame(1, text))
  stall = (): void => void this.socket.pause()
  unstall = (): void => void this.socket.resume()
  cut = (): void => void this.#tcp.resetAndDestroy()

  #parse(): void {
    if (this.status === 0) {
      const end = this.#buffer.indexOf("\r\n\r\n")
      if (end < 0) return
      this.head = this.#buffer.toString("latin1", 0, end)
      this.#buffer = this.#buffer.subarray(end + 4)
      const [first, ...lines] = this.head.split("\r\n")
      this.status = Number(first!.split(" ")[1])
      for (const line of lines) {
        const colon = line.indexOf(":")
        this.headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim())
      }
    }
    if (this.status !== 101) {
      this.body += this.#buffer.toString()
      this.#buffer = Buffer.alloc(0)
      return
    }
    let at = 0
    const buffer = this.#buffer
    while (buffer.length >= at + 2) {
      const short = buffer[at + 1]!
      const start = at + (short === 126 ? 4 : short === 127 ? 10 : 2)
      if (buffer.length < start) break
      const length = short === 126
        ? buffer.readUInt16BE(at + 2)
        : short === 127
        ? buffer.readUInt32BE(at + 6)
        : short
      if (buffer.length < start + length) break
      this.#frame(buffer[at]! & 15, buffer.subarray(start, start + length))
      at = start + length
    }
    this.#buffer = buffer.subarray(at)
  }

  #frame(opcode: number, payload: Buffer): void {
    if (opcode === 1) this.messages.push(payload.toString())
    else if (opcode === 2) this.messages.push(new Uint8Array(payload))
    else if (opcode === 10) this.pongs.push(payload.toString())
    else if (opcode === 8) {
      this.close = payload.length < 2
        ? { code: 1005, reason: "" }
        : { code: payload.readUInt16BE(0), reason: payload.toString("utf8", 2) }
      this.write(frame(8, payload))
    }
  }
}

/** Connects; the connection ends with the scope. */
export const connectRaw = (
  address: Address,
  onConnect: (client: RawClient) => void = () => {}
): Effect.Effect<RawClient, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new RawClient(address, onConnect)),
    (client) => Effect.sync(() => client.socket.destroy())
  )

/** Connects and upgrades. */
export const openRaw = Effect.fnUntraced(
  function*(address: Address, path = "/", headers: Readonly<Record<string, string | undefined>> = {}) {
    const client = yield* connectRaw(address, (client) => client.write(upgradeRequest(path, headers)))
    yield* until("the upgrade is answered", () => client.status !== 0)
    return client
  }
)
