/**
 * What is held back for one member, in order: bounded, with the fates of an outbox.
 */
import type { Outgoing } from "./Fate.ts"
import * as Limits from "./Limits.ts"
import type { Outbox } from "./Outbox.ts"

/** A frame that is held back. */
export interface Held {
  readonly frame: Outgoing
  /** The head of the log when it came: it goes after that event. */
  readonly after: number
  /** Its own offset, if it is a reliable event; else 0. */
  readonly offset: number
  /** Somebody waits for it, member or not. */
  readonly isAnswer: boolean
}

export class Waiting {
  private held: Array<Held> = []
  private bytes = 0

  /** What goes next. */
  get first(): Held | undefined {
    return this.held[0]
  }

  shift(): void {
    this.bytes -= this.held.shift()!.frame.bytes
  }

  /**
   * Holds a frame back. Where that is too much, events that may be dropped are, the oldest first; where there are none the
   * peer counts as one that does not read. Answers whether something was dropped.
   */
  add(outbox: Outbox, held: Held): boolean {
    const { fate } = held.frame
    const before = outbox.dropped
    if (fate?._tag === "conflate") this.dropFirst(outbox, (one) => one?._tag === "conflate" && one.slot === fate.slot)
    while (this.held.length >= Limits.heldFrames || this.bytes + held.frame.bytes > Limits.heldBytes) {
      const isSparing = fate?._tag === "dropOldest"
      if (
        fate?._tag !== "dropNewest" &&
        this.dropFirst(outbox, (one) => one?._tag === "dropOldest" || (!isSparing && one?._tag === "dropNewest"))
      ) continue
      if (fate?._tag === "dropOldest" || fate?._tag === "dropNewest") outbox.lose([held.frame])
      else outbox.overflow([...this.held.map(({ frame }) => frame), held.frame])
      return true
    }
    this.held.push(held)
    this.bytes += held.frame.bytes
    return outbox.dropped !== before
  }

  /** Forgets those of which it holds. */
  remove(isWrong: (held: Held) => boolean): void {
    this.held = this.held.filter((held) => !isWrong(held))
    this.bytes = this.held.reduce((sum, { frame }) => sum + frame.bytes, 0)
  }

  private dropFirst(outbox: Outbox, isMeant: (fate: Outgoing["fate"]) => boolean): boolean {
    const index = this.held.findIndex(({ frame }) => isMeant(frame.fate))
    if (index === -1) return false
    const [{ frame }] = this.held.splice(index, 1) as [Held]
    this.bytes -= frame.bytes
    outbox.lose([frame])
    return true
  }
}
