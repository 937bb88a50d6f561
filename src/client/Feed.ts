/**
 * What came in and may still be read: one bounded log for all readers of a room or topic.
 */
import * as Effect from "effect/Effect"
import type { RequestError } from "../contract/RequestError.ts"

/** One run of a stream. */
export interface Reader {
  /** The index of what it reads next. */
  cursor: number
  wake: (() => void) | undefined
}

/** The most that is handed to a stream at once. */
const batch = 64

/**
 * Holds the newest elements; the oldest leave, whoever has not read them.
 *
 * An element has an index that never changes. A reader whose cursor is before `start` has missed something.
 */
export class Feed<A> {
  readonly capacity: number
  private readonly readers = new Set<Reader>()
  private readonly slots: Array<A> = []
  /** The index of the oldest element that is still there. */
  start = 0
  /** The index that the next element gets. */
  end = 0
  /** Set once nothing more comes: the error that readers meet after the last element, or null for a plain end. */
  ended: RequestError | null | undefined

  constructor(capacity: number) {
    this.capacity = Math.max(1, capacity)
  }

  push(element: A): void {
    this.slots[this.end % this.capacity] = element
    this.end++
    if (this.end - this.start > this.capacity) this.start = this.end - this.capacity
  }

  /** The first call counts. Readers that wait are still to be woken. */
  finish(error: RequestError | null): void {
    if (this.ended === undefined) this.ended = error
  }

  /** Lets readers that wait look again. */
  wake(): void {
    for (const reader of [...this.readers]) reader.wake?.()
  }

  /** Whether some reader is half the capacity behind; without readers, whether so much is kept for the first. */
  isCrowded(keptFrom: number): boolean {
    const half = this.capacity / 2
    if (this.end - this.start < half) return false
    if (this.readers.size === 0) return this.end - keptFrom >= half
    for (const reader of this.readers) if (this.end - reader.cursor >= half) return true
    return false
  }

  add(cursor: number): Reader {
    const reader: Reader = { cursor, wake: undefined }
    this.readers.add(reader)
    return reader
  }

  remove(reader: Reader): void {
    this.readers.delete(reader)
  }

  /** The next elements of a reader that has missed nothing, at most so many; empty when there are none yet. */
  take(reader: Reader, most: number = batch): Array<A> {
    const elements: Array<A> = []
    const last = Math.min(this.end, reader.cursor + most)
    while (reader.cursor < last) elements.push(this.slots[reader.cursor++ % this.capacity])
    return elements
  }

  /** Suspends a reader until there may be something to read. */
  wait(reader: Reader): Effect.Effect<void> {
    return Effect.callback((resume) => {
      reader.wake = () => {
        reader.wake = undefined
        resume(Effect.void)
      }
      return Effect.sync(() => {
        reader.wake = undefined
      })
    })
  }
}
