/**
 * Logs in memory: they count reliable events and keep the newest of them.
 *
 * A log outlives its room's actor: a restart or an idle stop changes neither epoch nor offsets. Of all logs together so
 * many bytes are kept; past it the oldest events leave, whichever log they are in.
 */
import type * as Codec from "../wire/Codec.ts"
import type * as Frame from "../wire/Frame.ts"
import type { Entry, Log, LogStore, Page, Retention } from "./LogStore.ts"

/** Keeps no events: a log that only counts. */
export const nothing: Retention = { capacity: 0, timeToLive: Infinity }

/** The position of the next reader that missed nothing. */
export const position = ({ epoch, head, term }: Log): Frame.Position => [epoch, term, head]

/** Whether a position is of this log, and every event behind it is still kept. */
export const canContinue = (log: Log, [epoch, term, offset]: Frame.Position, now: number): boolean => {
  if (epoch !== log.epoch) return false
  const end = log.endOf(term)
  return end !== undefined && offset <= end && (offset === log.head || offset + 1 >= log.first(now))
}

/** An event in memory, linked in the order of appending to those of all logs. */
class Kept implements Entry {
  readonly offset: number
  readonly encoded: Codec.Encoded
  readonly at: number
  readonly log: MemoryLog
  older: Kept | undefined
  newer: Kept | undefined

  constructor(log: MemoryLog, offset: number, encoded: Codec.Encoded, at: number) {
    this.log = log
    this.offset = offset
    this.encoded = encoded
    this.at = at
  }
}

/** The logs of one engine in memory. */
export class MemoryLogs implements LogStore {
  readonly transaction = undefined
  private readonly maxBytes: number
  private retained = 0
  private oldest: Kept | undefined
  private newest: Kept | undefined

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  /** Bytes of all events that are kept. */
  get bytes(): number {
    return this.retained
  }

  open(_: string, retention: Retention, nextEpoch: () => string): MemoryLog {
    return new MemoryLog(this, nextEpoch(), retention)
  }

  add(kept: Kept): void {
    kept.older = this.newest
    if (this.newest === undefined) this.oldest = kept
    else this.newest.newer = kept
    this.newest = kept
    this.retained += kept.encoded.bytes
    while (this.retained > this.maxBytes) this.oldest!.log.dropOldest()
  }

  remove({ encoded, newer, older }: Kept): void {
    if (older === undefined) this.oldest = newer
    else older.newer = newer
    if (newer === undefined) this.newest = older
    else newer.older = older
    this.retained -= encoded.bytes
  }
}

export class MemoryLog implements Log {
  readonly epoch: string
  /** A log in memory is opened once. */
  readonly term = 1
  head = 0
  private readonly all: MemoryLogs
  private readonly retention: Retention
  /** Kept are the entries from `start` on; the ones before are let go of together, so that appending stays cheap. */
  private entries: Array<Kept | undefined> = []
  private start = 0

  constructor(all: MemoryLogs, epoch: string, retention: Retention) {
    this.all = all
    this.epoch = epoch
    this.retention = retention
  }

  /** How many events are kept. */
  get size(): number {
    return this.entries.length - this.start
  }

  endOf(term: number): number | undefined {
    return term === this.term ? this.head : undefined
  }

  first(now: number): number {
    // What is too old leaves with the next append; until then it is there and does not count.
    let [low, high] = [this.start, this.entries.length]
    while (low < high) {
      const middle = low === this.start ? low : (low + high) >> 1
      if (this.isOld(middle, now)) low = middle + 1
      else high = middle
    }
    return this.head + 1 - (this.entries.length - low)
  }

  append(encoded: Codec.Encoded, now: number): void {
    this.head++
    const { capacity } = this.retention
    if (capacity === 0) return
    while (this.size > 0 && (this.size >= capacity || this.isOld(this.start, now))) this.dropOldest()
    const kept = new Kept(this, this.head, encoded, now)
    this.entries.push(kept)
    this.all.add(kept)
  }

  dropOldest(): void {
    this.all.remove(this.entries[this.start]!)
    this.entries[this.start++] = undefined
    if (this.start > 32 && this.start > this.entries.length / 2) {
      this.entries = this.entries.slice(this.start)
      this.start = 0
    }
  }

  read(after: number, page: Page): ReadonlyArray<Entry> {
    const index = this.indexOf(after + 1)
    return index < this.start ? [] : this.collect(index, 1, page)
  }

  readBefore(before: number, from: number, page: Page): ReadonlyArray<Entry> {
    const last = Math.min(this.indexOf(before) - 1, this.entries.length - 1)
    const lowest = Math.max(this.start, this.indexOf(from))
    return last < lowest ? [] : this.collect(last, -1, { ...page, events: Math.min(page.events, last - lowest + 1) })
      .reverse()
  }

  close(): void {
    while (this.size > 0) this.dropOldest()
  }

  private isOld(index: number, now: number): boolean {
    return this.entries[index]!.at + this.retention.timeToLive <= now
  }

  private indexOf(offset: number): number {
    return this.entries.length - 1 - (this.head - offset)
  }

  private collect(from: number, step: 1 | -1, { bytes, events }: Page): Array<Entry> {
    const taken: Array<Entry> = []
    let left = bytes
    for (let index = from; taken.length < events; index += step) {
      const entry = this.entries[index]
      if (entry === undefined) break
      left -= entry.encoded.bytes
      if (left < 0 && taken.length > 0) break
      taken.push(entry)
    }
    return taken
  }
}
