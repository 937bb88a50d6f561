/**
 * From the bytes of a client to messages: RFC 6455 sections 5 and 8, without extensions.
 *
 * Frames are read where they lie in what the socket gave, so that the messages of one packet cost no copy and no buffer
 * of their own. What is kept between packets is bounded by the largest message.
 */
import { isUtf8 } from "node:buffer"
import * as NodeFrame from "./nodeFrame.ts"
import { NodePile } from "./nodePile.ts"

const continuation = 0
const text = 1
const binary = 2
const close = 8
const ping = 9
const pong = 10

/** What is wrong with what came: the code that the connection fails with (section 7.4.1). */
const protocolError = 1002
const notUtf8 = 1007
const tooLarge = 1009

const nothing = Buffer.alloc(0)

/** Whether a peer may send this code (section 7.4, and what the registry has beyond it). */
const isSendable = (code: number): boolean =>
  code >= 3000 ? code < 5000 : code >= 1000 && code < 1015 && (code < 1004 || code > 1006)

/** Reads the frames of one connection. What reads them is the connection itself: there are many. */
export abstract class NodeReader {
  private readonly maxMessageBytes: number
  /** What came and is not read yet, and how much of it there must be before there is a point in trying. */
  private unread: NodePile | undefined = undefined
  private needed = 0
  /** The fragments of a message that is not complete, and whether it is text. */
  private fragments: NodePile | undefined = undefined
  private isText = false
  private isHeld = false
  private isOver = false

  constructor(maxMessageBytes: number) {
    this.maxMessageBytes = maxMessageBytes
  }

  /** One whole message. */
  protected abstract onMessage(data: string | Uint8Array): void
  protected abstract onPing(payload: Uint8Array): void
  /** A close frame; nothing is read after it. */
  protected abstract onClose(code: number, reason: string): void
  /** What came breaks the protocol; nothing is read after it. */
  protected abstract onInvalid(code: number): void

  /** Takes what the socket gave, which becomes the reader's. */
  read(bytes: Buffer): void {
    if (this.isOver) return
    if (this.unread !== undefined || this.isHeld) {
      this.unread ??= new NodePile()
      this.unread.add(bytes)
      if (this.isHeld || this.unread.bytes < this.needed) return
      bytes = this.unread.join()
      this.unread = undefined
      this.needed = 0
    }
    let at = 0
    while (at < bytes.length && !this.isOver) {
      const next = this.isHeld ? at : this.readFrame(bytes, at)
      if (next === at) {
        this.unread = new NodePile()
        return this.unread.add(bytes.subarray(at))
      }
      at = next
    }
  }

  /** Reads nothing until `release`: what is in the packet that is being read waits too. */
  protected hold(): void {
    this.isHeld = true
  }

  /** Goes on after this returns. */
  protected release(): void {
    this.isHeld = false
    if (this.unread !== undefined) process.nextTick(() => this.read(nothing))
  }

  /** What came is not read, since it is held. */
  protected get isBehind(): boolean {
    return this.isHeld && this.unread !== undefined
  }

  /** Reads one frame and answers where it ends; or with `at`, having said how much is needed to go on. */
  private readFrame(bytes: Buffer, at: number): number {
    const available = bytes.length - at
    if (available < 2) return this.wait(at, 2)
    const first = bytes[at]!
    const second = bytes[at + 1]!
    const opcode = first & 0x0f
    if (!this.isInOrder(first, second)) return this.fail(bytes, protocolError)
    let length = second & 0x7f
    let start = at + 6
    if (length === 126) {
      if (available < 4) return this.wait(at, 4)
      length = bytes.readUInt16BE(at + 2)
      start = at + 8
    } else if (length === 127) {
      if (available < 10) return this.wait(at, 10)
      length = bytes.readUInt32BE(at + 2) * 2 ** 32 + bytes.readUInt32BE(at + 6)
      start = at + 14
    }
    const end = start + length
    const { fragments } = this
    if (opcode < close && length + (fragments === undefined ? 0 : fragments.bytes) > this.maxMessageBytes) {
      return this.fail(bytes, tooLarge)
    }
    if (end > bytes.length) return this.wait(at, end - at)
    const isAscii = NodeFrame.unmask(bytes, start, end) < 128
    if (opcode >= close) this.control(opcode, bytes.subarray(start, end))
    else if (first < 0x80 || fragments !== undefined) this.fragment(first, bytes.subarray(start, end))
    else if (opcode === binary) this.onMessage(new Uint8Array(bytes.buffer, bytes.byteOffset + start, length))
    else if (isAscii) this.onMessage(bytes.toString("latin1", start, end))
    else this.text(bytes.subarray(start, end))
    return end
  }

  /** Whether a frame may begin like this, here (sections 5.1, 5.2, 5.4, 5.5). */
  private isInOrder(first: number, second: number): boolean {
    const opcode = first & 0x0f
    if ((first & 0x70) !== 0 || second < 0x80) return false
    if (opcode >= close) return opcode <= pong && first >= 0x80 && second <= 0x80 + 125
    return opcode <= binary && (opcode === continuation) === (this.fragments !== undefined)
  }

  private wait(at: number, needed: number): number {
    this.needed = needed
    return at
  }

  private fail(bytes: Buffer, code: number): number {
    this.isOver = true
    this.fragments = undefined
    this.onInvalid(code)
    return bytes.length
  }

  private fragment(first: number, payload: Buffer): void {
    if (this.fragments === undefined) {
      this.fragments = new NodePile()
      this.isText = (first & 0x0f) === text
    }
    const { fragments } = this
    fragments.add(payload)
    if (first < 0x80) return
    this.fragments = undefined
    const message = fragments.join()
    if (this.isText) this.text(message)
    else this.onMessage(new Uint8Array(message.buffer, message.byteOffset, message.length))
  }

  private text(message: Buffer): void {
    if (isUtf8(message)) this.onMessage(message.toString())
    else this.fail(message, notUtf8)
  }

  private control(opcode: number, payload: Buffer): void {
    if (opcode === ping) return this.onPing(payload)
    if (opcode === pong) return
    if (payload.length === 0) return this.end(NodeFrame.noCode, "")
    const code = payload.length === 1 ? 0 : payload.readUInt16BE()
    const reason = payload.subarray(2)
    if (!isSendable(code)) this.fail(payload, protocolError)
    else if (!isUtf8(reason)) this.fail(payload, notUtf8)
    else this.end(code, reason.toString())
  }

  private end(code: number, reason: string): void {
    this.isOver = true
    this.fragments = undefined
    this.onClose(code, reason)
  }
}
