/**
 * Which answers a connection owes: references, and how long each may take.
 */
import type { Answer } from "./Channel.ts"

/** What is owed an answer. */
export interface Pending {
  /** Called with the one answer, unless the connection ends first. */
  readonly answered: (frame: Answer) => void
  /** The answer did not come in time, and may still come. Without it somebody else keeps the time. */
  readonly timedOut?: () => void
}

interface Owed {
  readonly pending: Pending
  deadline: number
  isAbandoned: boolean
}

export class Answers {
  /** How long each may take, in milliseconds. */
  private readonly millis: number
  /** By reference, and so in the order of their deadlines. */
  private readonly owed = new Map<number, Owed>()
  private lastRef = 0

  constructor(millis: number) {
    this.millis = millis
  }

  get size(): number {
    return this.owed.size
  }

  get nextRef(): number {
    return this.lastRef + 1
  }

  /** The next reference was sent; answers until when it may take. Sent at Infinity, its time has yet to begin. */
  owe(pending: Pending, now: number): number {
    const deadline = now + this.millis
    this.owed.set(++this.lastRef, { pending, deadline, isAbandoned: pending.timedOut === undefined })
    return deadline
  }

  /** The time of all that is owed begins; answers until when it may take. */
  begin(now: number): number {
    const deadline = now + this.millis
    for (const owed of this.owed.values()) owed.deadline = deadline
    return deadline
  }

  /** Nobody waits for this answer any more. It is still owed, and counted. */
  abandon(ref: number): void {
    const owed = this.owed.get(ref)
    if (owed !== undefined) owed.isAbandoned = true
  }

  answered(ref: number, frame: Answer): void {
    const owed = this.owed.get(ref)
    if (owed === undefined) return
    this.owed.delete(ref)
    owed.pending.answered(frame)
  }

  /** Gives up what has taken too long, and answers when the next one will have. */
  expire(now: number): number {
    for (const owed of this.owed.values()) {
      if (owed.isAbandoned) continue
      if (owed.deadline > now) return owed.deadline
      owed.isAbandoned = true
      owed.pending.timedOut!()
    }
    return Infinity
  }
}
