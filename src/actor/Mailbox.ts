/**
 * What waits for an actor: a bounded lane of messages, and a lane of control messages that goes first.
 */

/**
 * What `take` answers when nothing waits.
 *
 * @category models
 * @since 0.1.0
 */
export const Empty: unique symbol = Symbol.for("heddle/actor/Mailbox/Empty")

/**
 * A bounded first-in, first-out queue of messages, with a second lane for control messages.
 *
 * **Details**
 *
 * Order is kept within each lane. Every operation is synchronous and takes constant time. A mailbox with at most
 * one message waiting holds no memory for messages; it grows with what waits, and lets go of it when empty.
 *
 * @category models
 * @since 0.1.0
 */
export interface Mailbox<M, C = never> {
  /** The most data messages that may wait. */
  readonly capacity: number
  /** How many messages wait, in both lanes. */
  readonly size: number
  /** Whether the next message comes from the control lane. */
  readonly controlNext: boolean
  /** Adds a data message, or answers `false` when `capacity` of them wait. */
  readonly offer: (message: M) => boolean
  /** Adds a control message, always: whoever sends them bounds how many there can be. */
  readonly control: (message: C) => void
  /** Removes the next message, control before data, or answers `Empty`. */
  readonly take: () => M | C | typeof Empty
  /** Removes everything, and answers with it in the order in which it would have been taken. */
  readonly clear: () => Array<M | C>
}

const empties = (length: number): Array<typeof Empty> => Array<typeof Empty>(length).fill(Empty)

/** A ring that grows by doubling and is dropped when empty; the oldest element has a place of its own. */
class Lane<A> {
  count = 0
  private first: A | typeof Empty = Empty
  private ring: Array<A | typeof Empty> | undefined = undefined
  private head = 0

  push(message: A): void {
    if (this.count++ === 0) {
      this.first = message
      return
    }
    const queued = this.first === Empty ? this.count - 1 : this.count - 2
    let ring = this.ring
    if (ring === undefined) {
      ring = this.ring = empties(8)
    } else if (queued === ring.length) {
      ring = this.ring = [...ring.slice(this.head), ...ring.slice(0, this.head), ...empties(queued)]
      this.head = 0
    }
    ring[(this.head + queued) & (ring.length - 1)] = message
  }

  shift(): A | typeof Empty {
    if (this.count === 0) return Empty
    this.count--
    const first = this.first
    if (first !== Empty) {
      this.first = Empty
      return first
    }
    const ring = this.ring!
    const message = ring[this.head]!
    ring[this.head] = Empty
    this.head = (this.head + 1) & (ring.length - 1)
    if (this.count === 0) {
      this.ring = undefined
      this.head = 0
    }
    return message
  }
}

/**
 * Creates an empty mailbox for at most `capacity` data messages.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <M, C = never>(capacity: number): Mailbox<M, C> => new Lanes<M, C>(capacity)

/** The data lane, with the control lane beside it while something waits there. */
class Lanes<M, C> extends Lane<M> implements Mailbox<M, C> {
  readonly capacity: number
  private controls: Lane<C> | undefined = undefined

  constructor(capacity: number) {
    super()
    this.capacity = capacity
  }

  get size(): number {
    return this.controls === undefined ? this.count : this.count + this.controls.count
  }

  get controlNext(): boolean {
    return this.controls !== undefined
  }

  offer(message: M): boolean {
    if (this.count >= this.capacity) return false
    this.push(message)
    return true
  }

  control(message: C): void {
    this.controls ??= new Lane()
    this.controls.push(message)
  }

  take(): M | C | typeof Empty {
    const controls = this.controls
    if (controls === undefined) return this.shift()
    const message = controls.shift()
    if (controls.count === 0) this.controls = undefined
    return message
  }

  clear(): Array<M | C> {
    const cleared: Array<M | C> = []
    for (let message = this.take(); message !== Empty; message = this.take()) cleared.push(message)
    return cleared
  }
}
