/**
 * The log of one room or topic: counts its reliable events and keeps the newest of them.
 *
 * It outlives the room's actor: a restart or an idle stop changes neither epoch nor offsets.
 */
import type * as Frame from "../wire/Frame.ts"

/** One retained event. */
export interface Entry {
  readonly frame: Frame.ServerFrames["event"]
  readonly bytes: number
  readonly at: number
}

/** What is kept: at most `capacity` events, none older than `timeToLive` milliseconds. */
export interface Retention {
  readonly capacity: number
  readonly timeToLive: number
}

export const nothing: Retention = { capacity: 0, timeToLive: Infinity }

export class Log {
  readonly epoch: string
  /** Which opening of this log: a log in memory is opened once. */
  readonly term = 1
  private readonly retention: Retention
  /** Retained are the entries from `first` on; the ones before are let go of together, so that appending stays cheap. */
  private entries: Array<Entry | undefined> = []
  private first = 0
  private head = 0
  private retained = 0

  constructor(epoch: string, retention: Retention) {
    this.epoch = epoch
    this.retention = retention
  }

  /** The offset of the last event; 0 before the first. */
  get offset(): number {
    return this.head
  }

  get position(): Frame.Position {
    return [this.epoch, this.term, this.head]
  }

  /** How many events are retained. */
  get size(): number {
    return this.entries.length - this.first
  }

  /** Bytes of the retained events. */
  get bytes(): number {
    return this.retained
  }

  /** When the oldest retained event was appended; `Infinity` if there is none. */
  get oldest(): number {
    return this.entries[this.first]?.at ?? Infinity
  }

  /** Appends the event with the next offset. */
  append(frame: Frame.ServerFrames["event"], bytes: number, now: number): void {
    this.head = frame.offset
    if (this.retention.capacity === 0) return
    this.entries.push({ frame, bytes, at: now })
    this.retained += bytes
    this.trim(now)
  }

  /** Drops what is past the retention. */
  private trim(now: number): void {
    while (this.size > this.retention.capacity || this.oldest + this.retention.timeToLive <= now) this.dropOldest()
  }

  /** Drops the oldest retained event. */
  dropOldest(): void {
    const entry = this.entries[this.first]
    if (entry === undefined) return
    this.retained -= entry.bytes
    this.entries[this.first++] = undefined
    if (this.first > 32 && this.first > this.entries.length / 2) {
      this.entries = this.entries.slice(this.first)
      this.first = 0
    }
  }

  /** The events after a position, if it belongs to this log and not one of them has left; else undefined. */
  since(position: Frame.Position, now: number): ReadonlyArray<Entry> | undefined {
    const [epoch, term, offset] = position
    if (epoch !== this.epoch || term !== this.term || offset > this.head) return undefined
    const missed = this.head - offset
    if (missed > this.size) return undefined
    const entries = this.entries.slice(this.entries.length - missed) as Array<Entry>
    // What is too old leaves with the next append, where the hub counts it.
    return missed > 0 && entries[0]!.at + this.retention.timeToLive <= now ? undefined : entries
  }
}
