/**
 * One subscriber of one channel: live, held back, or replaying the log.
 *
 * - Live, everything goes into its outbox as it comes.
 * - Held back, while the answer of its join or its new state is being made, everything waits and then follows.
 * - Replaying, it is fed the events of the log behind its cursor as its outbox drains, so that they never meet a fate. What
 *   has no offset waits meanwhile and keeps its place between them. At the head of the log it is live again.
 *
 * One that missed something joins so, one whose outbox was full catches up so, and one that was not delivered what it
 * should have been is repaired so. If the log loses the next event first, it is owed its whole state.
 */
import type * as Codec from "../wire/Codec.ts"
import type { Outgoing } from "./Fate.ts"
import type { Feed } from "./Feeds.ts"
import type { Outbox } from "./Outbox.ts"
import { dropped, refused } from "./Outbox.ts"
import { Waiting } from "./Waiting.ts"

/** Why the whole state is owed. */
export type Owed = "gap" | "restarted"

/** Events of a channel's log, in the form of a codec. */
export interface Source {
  readonly head: number
  /** The events behind an offset, so many at once; empty where the next one is not kept. */
  readonly replay: (after: number, codec: Codec.Codec) => ReadonlyArray<Codec.Encoded>
  /** The subscriber is owed its state, and there is room for it. */
  readonly onOwed: (subscription: Subscription, owed: Owed) => void
}

export class Subscription implements Feed {
  readonly outbox: Outbox
  /** Where it stands among the subscribers; -1 once it has ended. */
  index: number
  /** Who is subscribed, for whoever makes its state. */
  owner: object | undefined
  private readonly source: Source
  /** The last reliable event that went into its outbox. */
  private cursor: number
  /** Undefined while it is live. */
  private waiting: Waiting | undefined = new Waiting()
  private isReplaying = false
  /** It replayed, and its state is being made. */
  private isSuspended = false
  private isFed = false
  private owed: Owed | undefined

  constructor(source: Source, outbox: Outbox, index: number) {
    this.source = source
    this.outbox = outbox
    this.index = index
    this.cursor = source.head
  }

  /** Delivers an event, or with offset 0 what has none. Answers whether something was dropped for it. */
  deliver(frame: Outgoing, offset: number): boolean {
    if (this.waiting !== undefined) return this.hold(this.waiting, frame, offset)
    const pushed = this.outbox.push(frame)
    if (pushed === refused) {
      this.replay(this.cursor)
      return false
    }
    if (offset > 0) this.cursor = offset
    return pushed === dropped
  }

  private hold(waiting: Waiting, frame: Outgoing, offset: number, isAnswer = false): boolean {
    // It is in the log.
    if (this.isReplaying && offset > 0) return false
    return waiting.add(this.outbox, { frame, offset, after: this.source.head, isAnswer })
  }

  /** Sends an answer behind the events that came before it. */
  push(frame: Outgoing): void {
    if (this.waiting !== undefined) this.hold(this.waiting, frame, 0, true)
    else this.outbox.push(frame)
  }

  // ------------------------------------------------------------- held back

  /** From here on what comes waits, until `release`: it follows the state of this moment. */
  suspend(): void {
    if (this.waiting === undefined || !this.isReplaying) {
      if (this.waiting !== undefined) this.flush(this.waiting)
      this.waiting = new Waiting()
    } else {
      // What it was not told yet follows the state, but for presence, which is told again with it.
      this.waiting.remove(({ frame: { kind } }) => kind === "present" || kind === "absent")
      this.isSuspended = true
    }
    this.owed = undefined
    this.cursor = this.source.head
  }

  /** Told that it stands at an offset: the events behind it come from the log, once it is released. */
  rewind(from: number): void {
    if (this.waiting === undefined || from >= this.cursor) return
    this.waiting.remove(({ offset }) => offset > 0)
    this.isReplaying = true
    this.isSuspended = true
    this.cursor = from
  }

  /** Lets events follow: those of the log behind an offset, if it is given, then what waited and what comes. */
  release(from = this.cursor): void {
    const { waiting } = this
    if (waiting === undefined || this.index < 0) return
    this.isSuspended = false
    if (from < this.cursor || this.isReplaying) this.replay(Math.min(from, this.cursor))
    else if (this.flush(waiting)) this.waiting = undefined
    else this.replay(this.cursor)
  }

  /** Pushes what waited. Answers whether everything was taken. */
  private flush(waiting: Waiting): boolean {
    for (let held = waiting.first; held !== undefined; held = waiting.first) {
      if (this.outbox.push(held.frame) === refused) return false
      // It was too much: the connection is closed, and this has ended.
      if (waiting.first !== held) return true
      waiting.shift()
      if (held.offset > 0) this.cursor = held.offset
    }
    return true
  }

  /** The channel has no place for it any more: nothing but answers follows. */
  end(): void {
    this.index = -1
    this.waiting?.remove(({ isAnswer }) => !isAnswer)
    if (this.waiting !== undefined) this.flush(this.waiting)
    this.waiting = undefined
  }

  // ------------------------------------------------------------- replaying

  /** Feeds the events behind an offset, then goes on live. */
  private replay(from: number): void {
    this.waiting ??= new Waiting()
    this.waiting.remove(({ offset }) => offset > 0)
    this.isReplaying = true
    this.cursor = from
    this.go()
  }

  /** Owes it the whole state, if it replays; else its state can be told at once. */
  owe(owed: Owed): boolean {
    if (this.waiting === undefined || !this.isReplaying) return false
    this.owed = owed
    this.isSuspended = false
    this.go()
    return true
  }

  /** Replays, should it be live and not have had every event. Answers whether that was so. */
  repair(): boolean {
    if (this.waiting !== undefined || this.cursor === this.source.head) return false
    this.replay(this.cursor)
    return true
  }

  private go(): void {
    if (this.isFed) return
    this.isFed = true
    if (!this.pull()) this.outbox.feed(this)
  }

  pull(): boolean {
    const isDone = this.advance()
    this.isFed = !isDone
    return isDone
  }

  private advance(): boolean {
    const { outbox, source } = this
    for (;;) {
      const { waiting } = this
      if (waiting === undefined || !this.isReplaying || this.isSuspended || outbox.isClosed) return true
      if (this.owed !== undefined) {
        // The state may be large, and must not meet a fate.
        if (!outbox.takes(Infinity)) return false
        source.onOwed(this, this.owed)
        // Else it has its state already, and what came after it may be replayed.
        if (this.owed !== undefined) return true
        continue
      }
      if (!this.follow(waiting)) return false
      if (this.cursor === source.head) {
        this.waiting = undefined
        this.isReplaying = false
        return true
      }
      const events = source.replay(this.cursor, outbox.codec)
      if (events.length === 0) this.owed = "gap"
      for (const event of events) {
        if (!this.follow(waiting) || !outbox.takes(event.bytes)) return false
        if (outbox.push(event) === refused) return false
        this.cursor++
      }
    }
  }

  /** Pushes what waited for the events that went. Answers false where the outbox has no room for it. */
  private follow(waiting: Waiting): boolean {
    for (let held = waiting.first; held !== undefined && held.after <= this.cursor; held = waiting.first) {
      if (!this.outbox.takes(held.frame.bytes)) return false
      waiting.shift()
      this.outbox.push(held.frame)
    }
    return true
  }
}
