/**
 * The bounded, ordered send buffer of one connection.
 *
 * Frames collect during a tick and leave in as few messages as possible when it ends. Not more than 64 KiB is handed
 * to the runtime at a time; the rest waits here, where a bound and a fate apply to it: a peer that does not read is
 * disconnected with 4409 once what was queued while its transport was full passes the bound. A peer that does read has
 * until the end of a tick; of what may collect by then there is a bound too.
 */
import type * as Codec from "../wire/Codec.ts"
import * as Limits from "./Limits.ts"
import type { Stats } from "./Stats.ts"
import type * as Transport from "./Transport.ts"

/** What waits until the runtime has room. */
export interface Stalled {
  /** The runtime may have room again. Answers whether nothing waits any more. */
  readonly drained: () => boolean
}

/** The bounds of an outbox, and what happens past them. */
export interface Options {
  readonly maxBytes: number
  readonly maxFrames: number
  /** What may collect in all, whether or not the runtime is full. */
  readonly maxTickBytes: number
  /** The peer did not read fast enough. Called once; the outbox is closed by then. */
  readonly onOverflow: () => void
  /** The runtime is full and something waits: `drained` must be called when it may have room again. */
  readonly onStalled: (outbox: Stalled) => void
  /** Counts what is sent. */
  readonly stats?: Stats | undefined
  /** A tick has ended, or the runtime had room: some of what waited may have left. For who waits until it has. */
  readonly onRoom?: () => void
}

/** How frames become messages. */
export interface Packing<out C> {
  readonly codec: C
  /** Bytes between two frames of one message; infinite where every frame is a message of its own. */
  readonly separatorBytes: number
  /** Makes one message of at least one frame. */
  readonly join: (frames: ReadonlyArray<Codec.Encoded>) => string | Uint8Array<ArrayBuffer>
}

/** Every frame is a message of its own, as it is. */
export const separately: Packing<undefined> = {
  codec: undefined,
  separatorBytes: Infinity,
  join: (frames) => frames[0]!.data
}

/**
 * Joins frames into one message, remembering the last result: in a fan-out all outboxes of a tick hold the same frames.
 */
export class Joiner implements Packing<Codec.Codec> {
  readonly codec: Codec.Codec
  private frames: ReadonlyArray<Codec.Encoded> = []
  private message: string | Uint8Array<ArrayBuffer> = ""

  constructor(codec: Codec.Codec) {
    this.codec = codec
  }

  get separatorBytes(): number {
    return this.codec.separatorBytes
  }

  join(frames: ReadonlyArray<Codec.Encoded>): string | Uint8Array<ArrayBuffer> {
    if (frames.length === 1) return frames[0]!.data
    if (!sameFrames(frames, this.frames)) {
      this.message = this.codec.concat(frames)
      this.frames = frames
    }
    return this.message
  }
}

const sameFrames = (left: ReadonlyArray<Codec.Encoded>, right: ReadonlyArray<Codec.Encoded>): boolean => {
  if (left.length !== right.length) return false
  for (let i = 0; i < left.length; i++) {
    if (left[i] !== right[i]) return false
  }
  return true
}

export class Outbox<out C = Codec.Codec> implements Stalled {
  readonly codec: C
  /** Sweeps of the heartbeat since something was last sent. */
  idleSweeps = 0
  private readonly socket: Transport.Socket
  private readonly packing: Packing<C>
  private readonly options: Options
  private frames: Array<Codec.Encoded> = []
  private bytes = 0
  private scheduled = false
  /** The runtime was still full when a tick ended; from then on what is queued counts against the bounds. */
  private stalled = false
  private countedBytes = 0
  private countedFrames = 0
  private closed = false

  constructor(socket: Transport.Socket, packing: Packing<C>, options: Options) {
    this.socket = socket
    this.packing = packing
    this.codec = packing.codec
    this.options = options
  }

  /** Bytes that wait here, not counting what the runtime has. */
  get queuedBytes(): number {
    return this.bytes
  }

  get queuedFrames(): number {
    return this.frames.length
  }

  /** Appends a frame; it leaves when the tick ends. Nothing happens once the outbox is closed. */
  push(frame: Codec.Encoded): void {
    if (this.closed) return
    this.frames.push(frame)
    this.bytes += frame.bytes
    this.options.stats?.sent(frame)
    if (this.bytes > this.options.maxTickBytes) return this.overflow()
    if (this.stalled) {
      this.countedBytes += frame.bytes
      this.countedFrames++
      if (this.countedBytes > this.options.maxBytes || this.countedFrames > this.options.maxFrames) this.overflow()
      return
    }
    if (this.scheduled) {
      // Half full within one tick: what the runtime can take now need not wait for the end of it.
      if (this.bytes > this.options.maxBytes / 2 || this.frames.length > this.options.maxFrames / 2) this.handOver()
    } else {
      this.scheduled = true
      this.socket.tickEnd(this.flush)
    }
  }

  /** Sends a frame at once, before what waits: for heartbeat and drain, which are about the connection itself. */
  jump(frame: Codec.Encoded): void {
    if (this.closed) return
    this.idleSweeps = 0
    this.options.stats?.sent(frame)
    this.socket.send(frame.data)
  }

  private readonly flush = (): void => {
    this.scheduled = false
    if (this.closed) return
    this.handOver()
    if (this.frames.length > 0 && !this.stalled) {
      this.stalled = true
      this.options.onStalled(this)
    }
    this.options.onRoom?.()
  }

  /** The runtime may have room again. Answers whether nothing waits any more. */
  drained(): boolean {
    if (this.closed) return true
    this.handOver()
    const isEmpty = this.frames.length === 0
    if (!isEmpty) {
      this.countedFrames = Math.min(this.countedFrames, this.frames.length)
      this.countedBytes = Math.min(this.countedBytes, this.bytes)
    } else {
      this.stalled = false
      this.countedBytes = 0
      this.countedFrames = 0
    }
    this.options.onRoom?.()
    return isEmpty
  }

  /** Hands over what still fits, then drops the rest: the last word before a close frame. */
  close(): void {
    if (this.closed) return
    this.handOver()
    this.discard()
  }

  /** Drops everything: more is waiting than may wait. */
  overflow(): void {
    if (this.closed) return
    this.discard()
    this.options.stats?.overflowed(this.codec === undefined ? "endpoint" : "protocol")
    this.options.onOverflow()
  }

  private discard(): void {
    this.closed = true
    this.frames = []
    this.bytes = 0
  }

  /** Gives the runtime what it can take now. */
  handOver(): void {
    while (this.frames.length > 0 && this.socket.bufferedAmount() < Limits.handOverBytes) {
      this.idleSweeps = 0
      this.socket.send(this.packing.join(this.nextMessage()))
    }
  }

  /** Takes the frames of one message: as many as fit 64 KiB, at least one. */
  private nextMessage(): ReadonlyArray<Codec.Encoded> {
    const frames = this.frames
    if (this.bytes + frames.length * this.packing.separatorBytes <= Limits.outboundMessageBytes) {
      this.frames = []
      this.bytes = 0
      return frames
    }
    let bytes = frames[0]!.bytes
    let count = 1
    while (count < frames.length) {
      const more = frames[count]!.bytes + this.packing.separatorBytes
      if (bytes + more > Limits.outboundMessageBytes) break
      bytes += more
      count++
    }
    const taken = frames.splice(0, count)
    for (const frame of taken) this.bytes -= frame.bytes
    return taken
  }
}
