/**
 * One WebSocket on Node, over the socket that an upgrade handed over: sending, closing (RFC 6455 section 7), pausing.
 */
import type { Socket as RawSocket } from "node:net"
import type * as Transport from "../src/engine/Transport.ts"
import * as NodeFrame from "./nodeFrame.ts"
import { NodeReader } from "./nodeReader.ts"
import * as Shim from "./shim.ts"

/** A peer has so long to end its connection too, once this end has. */
const endMillis = 30_000

/** So much may wait for a peer that does not read before pings of it are answered with one pong for all. */
const pongBytes = 64 * 1024

/** How the connection ended when there was no close frame (section 7.4.1). */
const lost = { code: 1006, reason: "" }

const key = Symbol("heddle/NodeSocket")

/** A raw socket that belongs to a WebSocket: a listener finds it there, so that all sockets share the same ones. */
interface Owned extends RawSocket {
  [key]: NodeSocket
}

function onData(this: Owned, bytes: Buffer): void {
  this[key].read(bytes)
}

function onDrain(this: Owned): void {
  this[key].drained()
}

function onEnd(this: Owned): void {
  this[key].peerEnded()
}

function onClose(this: Owned): void {
  this[key].gone()
}

class NodeSocket extends NodeReader implements Transport.Socket {
  readonly tickEnd = Shim.tickEnd
  private readonly raw: RawSocket
  private readonly open: Shim.Open
  /** A close frame was sent, or none can be any more. */
  private isClosing = false
  private ended = lost
  private hasPeerEnded = false
  /** The newest ping that was not answered. */
  private pinged: Uint8Array | undefined = undefined
  private timer: NodeJS.Timeout | undefined = undefined

  constructor(raw: RawSocket, accepted: Transport.Accepted, { acceptor, sockets }: Shim.Serving) {
    super(acceptor.maxMessageBytes)
    this.raw = raw
    this.open = new Shim.Open(sockets, accepted.open(this), this)
  }

  // ------------------------------------------------------------- the seam

  send(data: string | Uint8Array<ArrayBuffer>): void {
    if (!this.isClosing && this.raw.writable) this.raw.write(NodeFrame.of(data))
  }

  bufferedAmount(): number {
    return this.raw.writableLength
  }

  close(code: number, reason: string): void {
    this.sendClose(code, reason)
    this.resume() // The answer to the close frame must be read.
  }

  pause(): void {
    if (this.isClosing) return
    this.hold()
    this.raw.pause()
  }

  resume(): void {
    this.release()
    // After what is read now.
    if (this.hasPeerEnded) process.nextTick(() => this.peerEnded())
    this.raw.resume()
  }

  terminate(): void {
    this.raw.destroy()
  }

  // ------------------------------------------------------------- what the raw socket tells

  drained(): void {
    if (this.pinged !== undefined) this.onPing(this.pinged)
    this.open.handler.drain()
  }

  /** The peer sends no more. What it has sent is read first, should that be held. */
  peerEnded(): void {
    this.hasPeerEnded = true
    if (!this.isBehind) this.finish()
  }

  gone(): void {
    clearTimeout(this.timer)
    this.isClosing = true
    this.open.close(this.ended.code, this.ended.reason)
  }

  // ------------------------------------------------------------- what comes from the peer

  protected onMessage(data: string | Uint8Array): void {
    this.open.handler.message(data)
  }

  protected onPing(payload: Uint8Array): void {
    const mayWait = this.raw.writableLength >= pongBytes
    this.pinged = mayWait ? new Uint8Array(payload) : undefined
    if (!mayWait && !this.isClosing) this.raw.write(NodeFrame.pong(payload))
  }

  protected onClose(code: number, reason: string): void {
    this.ended = { code, reason }
    this.sendClose(code, reason)
    this.finish()
  }

  protected onInvalid(code: number): void {
    this.sendClose(code, "")
    this.finish()
  }

  /** Nothing is left to say (section 7.1.1). What still comes is read and dropped: unread, it would reset the connection. */
  private finish(): void {
    // What was held can be read later than that.
    if (this.raw.destroyed) return
    this.raw.end()
    this.timer ??= setTimeout(() => this.raw.destroy(), endMillis)
  }

  private sendClose(code: number, reason: string): void {
    if (this.isClosing) return
    this.isClosing = true
    if (this.raw.writable) this.raw.write(NodeFrame.close(code, reason))
  }
}

/** Opens a WebSocket on a raw socket; `head` is what came behind the handshake. */
export const open = (raw: RawSocket, head: Buffer, accepted: Transport.Accepted, serving: Shim.Serving): void => {
  raw.setTimeout(0)
  raw.setNoDelay(true)
  ;(raw as Owned)[key] = new NodeSocket(raw, accepted, serving)
  if (head.length > 0) raw.unshift(head)
  raw.on("close", onClose).on("drain", onDrain).on("end", onEnd).on("data", onData)
}
