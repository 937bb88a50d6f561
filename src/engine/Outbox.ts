/**
 * The bounded, ordered send buffer of one connection.
 *
 * Frames collect during a tick and leave in as few messages as possible when it ends. Not more than 64 KiB is handed
 * to the runtime at a time; the rest waits here, where a bound applies to what was queued while the transport was full,
 * and past it a fate:
 *
 * - `dropOldest`: waiting events of this fate leave, the oldest first, until the new one fits. Where all of them are not
 *   enough the new one is dropped instead.
 * - `dropNewest`: the new event is dropped.
 * - `conflate`: a newer event of the same key takes the place of the one that waits, whether or not the bound is reached.
 *   It goes to the end, so that no event overtakes another; the newest of each key is never dropped.
 * - `catchUp`: the new event is refused, once waiting events of the first two fates have left: its receiver gets it from the
 *   log, as all that is fed to an outbox, and that is never more than there is room for.
 * - Everything else, replies, presence and control among it, is never dropped. For it, and for the newest of a key, waiting
 *   events of the first two fates leave, the oldest first; if that is not enough the peer is disconnected with 4409.
 *
 * What is not dropped keeps its order, and what is dropped is counted. A peer that does read has until the end of a tick;
 * of what may collect by then there is a bound too, past which it is disconnected.
 */
import type * as Codec from "../wire/Codec.ts"
import { Chain } from "./Chain.ts"
import * as Fate from "./Fate.ts"
import type { Outgoing } from "./Fate.ts"
import { type Feed, Feeds } from "./Feeds.ts"
import { type Delivery, Followed } from "./Followed.ts"
import * as Limits from "./Limits.ts"
import type { Options, Owner, Stalled } from "./OutboxOptions.ts"
import { countOf, type Packing } from "./Packing.ts"
import type * as Transport from "./Transport.ts"

export type { Options, Owner, Stalled } from "./OutboxOptions.ts"

/** What became of a frame: it waits for the end of the tick, something was dropped for it, or it was not taken. */
export type Pushed = typeof queued | typeof dropped | typeof refused
export const queued = 0
export const dropped = 1
/** Only of frames that catch up. */
export const refused = 2

export class Outbox<out C = Codec.Codec> implements Stalled, Transport.Flusher {
  readonly codec: C
  /** Sweeps of the heartbeat since something was last sent. */
  idleSweeps = 0
  private readonly socket: Transport.Socket
  private readonly packing: Packing<C>
  private readonly options: Options
  private readonly owner: Owner
  private readonly drops: Fate.Drops
  /** What was pushed since nothing waited, unless it is in `frames`. */
  private tick = Chain.empty
  /** What waits: everything, as soon as some of it may be taken out. */
  private frames: Array<Outgoing> = none
  private bytes = 0
  private scheduled = false
  /** The runtime was still full when a tick ended; from then on what is queued counts against the bounds. */
  private stalled = false
  private countedBytes = 0
  private countedFrames = 0
  private droppedFrames = 0
  private followed: Followed | undefined
  private feeds: Feeds | undefined
  private closed = false
  private isAwaited = false

  constructor(socket: Transport.Socket, packing: Packing<C>, options: Options, owner: Owner) {
    this.socket = socket
    this.packing = packing
    this.codec = packing.codec
    this.options = options
    this.owner = owner
    this.drops = options.drops ?? Fate.noDrops()
  }

  /** Frames that were dropped here, by whatever fate. */
  get dropped(): number {
    return this.droppedFrames
  }

  /** Bytes that wait here, not counting what the runtime has. */
  get queuedBytes(): number {
    return this.bytes
  }

  get queuedFrames(): number {
    return this.tick.length + this.frames.length
  }

  get isClosed(): boolean {
    return this.closed
  }

  /**
   * Appends a frame; it leaves when the tick ends. Answers whether something was dropped for it: the frame itself, what
   * waited, or the connection. Nothing happens once the outbox is closed.
   */
  push(frame: Outgoing): Pushed {
    if (this.closed) return queued
    if (this.stalled) return this.wait(frame)
    if (this.bytes + frame.bytes > this.options.maxTickBytes) {
      if (frame.fate?._tag === "catchUp") return refused
      this.append(frame)
      this.overflow()
      return dropped
    }
    this.append(frame)
    this.bytes += frame.bytes
    this.options.stats?.sent(frame)
    if (this.scheduled) {
      // Half full within one tick: what the runtime can take now need not wait for the end of it.
      if (this.bytes > this.options.maxBytes / 2 || this.queuedFrames > this.options.maxFrames / 2) this.handOver()
    } else {
      this.scheduled = true
      this.socket.tickEnd(this)
    }
    return queued
  }

  private append(frame: Outgoing): void {
    if (this.frames === none) this.tick = this.tick.add(frame)
    else this.frames.push(frame)
  }

  /** All that waits, in a list of which some may be taken out. */
  private spill(): Array<Outgoing> {
    if (this.frames === none) {
      this.frames = this.tick.frames
      this.tick = Chain.empty
    }
    return this.frames
  }

  /** Whether a feed may push so many bytes: a quarter is for feeds, so that there is room for what cannot wait. */
  takes(bytes: number): boolean {
    const { queuedFrames } = this
    return queuedFrames === 0 ||
      (this.bytes + bytes <= this.options.maxBytes / 4 && queuedFrames < this.options.maxFrames / 4)
  }

  /** Has a feed pull whenever there may be room, until it has pushed everything. */
  feed(feed: Feed): void {
    this.feeds ??= new Feeds()
    this.feeds.add(feed)
  }

  /** Has the owner's `onRoom` called once, when some of what waits may have left. */
  awaitRoom(): void {
    this.isAwaited = true
  }

  /** There may be room. Who has asked is told only: the owners of a fan-out are cold memory. */
  private pull(): void {
    if (this.feeds?.pull() === true) this.feeds = undefined
    if (!this.isAwaited) return
    this.isAwaited = false
    this.owner.onRoom?.()
  }

  /** Tells a delivery when the frame that was just pushed has left, unless it has already. */
  follow(frame: Outgoing, delivery: Delivery): void {
    if ((this.frames === none ? this.tick.last : this.frames.at(-1)) !== frame) return
    this.followed ??= new Followed()
    this.followed.follow(frame, delivery)
  }

  // ------------------------------------------------------------- while the runtime is full

  private wait(frame: Outgoing): Pushed {
    const { fate } = frame
    const before = this.droppedFrames
    this.spill()
    if (fate?._tag === "conflate") this.conflate(fate.slot, frame)
    if (!this.fits(frame) && (fate?._tag === "dropNewest" || !this.makeRoom(frame))) {
      if (fate?._tag === "catchUp") return refused
      if (fate?._tag === "dropOldest" || fate?._tag === "dropNewest") this.drop([frame], fate._tag)
      else {
        this.append(frame)
        this.overflow()
      }
      return dropped
    }
    this.append(frame)
    this.bytes += frame.bytes
    this.countedBytes += frame.bytes
    this.countedFrames++
    this.options.stats?.sent(frame)
    return this.droppedFrames === before ? queued : dropped
  }

  private fits({ bytes }: Outgoing): boolean {
    return this.countedFrames < this.options.maxFrames && this.countedBytes + bytes <= this.options.maxBytes &&
      this.bytes + bytes <= this.options.maxTickBytes
  }

  /** The frame takes the place of the one that waits for its slot. */
  private conflate(slot: string, frame: Outgoing): void {
    this.followed ??= new Followed()
    const older = this.followed.waiting(slot)
    if (older !== undefined) {
      this.frames.splice(this.frames.lastIndexOf(older), 1)
      this.uncount(older)
      this.drop([older], "conflate")
    }
    this.followed.replace(slot, frame)
  }

  /** Drops waiting frames, the oldest first, until another fits; none, if all that may be dropped are not enough. */
  private makeRoom(frame: Outgoing): boolean {
    const { countedBytes, countedFrames, frames, options } = this
    const victims = Fate.takeOldest(frames, frames.length - countedFrames, {
      bytes: Math.max(countedBytes - options.maxBytes, this.bytes - options.maxTickBytes) + frame.bytes,
      frames: countedFrames + 1 - options.maxFrames,
      only: frame.fate?._tag
    })
    if (victims === undefined) return false
    for (const victim of victims) this.uncount(victim)
    this.lose(victims)
    return true
  }

  /** Counts frames that were dropped by their fate, here or while they were held back for this outbox. */
  lose(frames: ReadonlyArray<Outgoing>): void {
    for (const frame of frames) this.drop([frame], frame.fate!._tag as keyof Fate.Drops)
  }

  private uncount({ bytes }: Outgoing): void {
    this.bytes -= bytes
    this.countedBytes -= bytes
    this.countedFrames--
  }

  /** Counts what is no longer in the buffer, and tells who follows it. */
  private drop(frames: ReadonlyArray<Outgoing>, fate: keyof Fate.Drops): void {
    this.droppedFrames += frames.length
    this.drops[fate] += frames.length
    this.followed?.left(frames)
  }

  // ------------------------------------------------------------- handing over

  /** Sends a frame at once, before what waits: for heartbeat and drain, which are about the connection itself. */
  jump(frame: Codec.Encoded): void {
    if (this.closed) return
    this.idleSweeps = 0
    this.options.stats?.sent(frame)
    this.socket.send(frame.data)
  }

  /** The tick ends. */
  flush(): void {
    this.scheduled = false
    if (this.closed) return
    this.handOver()
    if (!this.stalled && this.queuedFrames > 0) {
      this.stalled = true
      this.options.onStalled(this)
    }
    this.pull()
  }

  /** The runtime may have room again. Answers whether nothing waits any more. */
  drained(): boolean {
    if (this.closed) return true
    this.handOver()
    const isEmpty = this.queuedFrames === 0
    if (isEmpty) this.stalled = false
    this.pull()
    return isEmpty
  }

  /** Hands over what still fits, then drops the rest: the last word before a close frame. */
  close(): void {
    if (this.closed) return
    this.handOver()
    this.abort()
  }

  /** Drops everything, and what was held back for it: more is waiting than may wait. */
  overflow(held: ReadonlyArray<Outgoing> = []): void {
    if (this.closed) return
    this.drop([...this.discard(), ...held], "disconnect")
    this.options.stats?.overflowed(this.codec === undefined ? "endpoint" : "protocol")
    this.owner.onOverflow()
  }

  /** Drops everything, for none of it may be sent. */
  abort(): void {
    if (this.closed) return
    const frames = this.discard()
    this.followed?.left(frames)
  }

  private discard(): ReadonlyArray<Outgoing> {
    const frames = this.spill()
    this.closed = true
    this.feeds = undefined
    this.frames = none
    this.bytes = 0
    return frames
  }

  /** Gives the runtime what it can take now. */
  handOver(): void {
    if (this.options.beforeHandOver !== undefined && this.queuedFrames > 0 && !this.options.beforeHandOver()) return
    while (this.queuedFrames > 0 && this.socket.bufferedAmount() < Limits.handOverBytes) {
      this.idleSweeps = 0
      const { tick } = this
      if (this.fitsMessage(tick)) {
        this.tick = Chain.empty
        this.bytes = 0
        this.socket.send(tick.join(this.packing))
        if (this.followed !== undefined) this.forget(this.followed, tick.frames)
      } else {
        const frames = this.spill().splice(0, countOf(this.frames, this.packing))
        for (const frame of frames) this.bytes -= frame.bytes
        if (this.frames.length === 0) this.frames = none
        this.socket.send(this.packing.join(frames))
        if (this.followed !== undefined) this.forget(this.followed, frames)
      }
    }
    if (this.countedFrames > this.queuedFrames) {
      // What was queued before is gone, and a part of what counts.
      this.countedFrames = this.queuedFrames
      this.countedBytes = this.bytes
    }
  }

  private forget(followed: Followed, frames: ReadonlyArray<Outgoing>): void {
    followed.left(frames)
    if (followed.isEmpty) this.followed = undefined
  }

  /** Whether all that waits is a chain that makes one message. */
  private fitsMessage({ length }: Chain): boolean {
    return length === 1 ||
      (length > 0 && this.bytes + length * this.packing.separatorBytes <= Limits.outboundMessageBytes)
  }
}

/** Of all that have nothing waiting; never written to. */
const none: Array<Outgoing> = []
