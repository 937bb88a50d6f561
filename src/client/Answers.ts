/**
 * Which answers a connection owes: references, the sequence of requests, and how long each may take.
 */
import type { Answer } from "./Channel.ts"

/** What is owed an answer. */
export interface Pending {
  /** Called with the one answer, unless the connection ends first. */
  readonly answered: (frame: Answer) => void
  /** The answer did not come in time. It may still come. */
  readonly timedOut: () => void
  /** The connection ended first. */
  readonly lost: (code: number) => void
}

interface Owed {
  readonly pending: Pending
  readonly deadline: number
  /** 0 for what has no sequence number. */
  readonly seq: number
  isAbandoned: boolean
}

export class Answers {
  /** How long each may take, in milliseconds. */
  private readonly millis: number
  /** By reference, and so in the order of their deadlines. */
  private readonly owed = new Map<number, Owed>()
  private readonly answeredAhead = new Set<number>()
  private lastRef = 0
  private lastSeq = 0
  /** The highest number of the sequence up to which every answer has come. */
  ack = 0

  constructor(millis: number) {
    this.millis = millis
  }

  get size(): number {
    return this.owed.size
  }

  get nextRef(): number {
    return this.lastRef + 1
  }

  get nextSeq(): number {
    return this.lastSeq + 1
  }

  /** The next reference was sent, as a request or not; answers until when it may take. */
  owe(pending: Pending, isRequest: boolean, now: number): number {
    const deadline = now + this.millis
    this.owed.set(++this.lastRef, { pending, deadline, seq: isRequest ? ++this.lastSeq : 0, isAbandoned: false })
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
    if (owed.seq !== 0) this.answeredAhead.add(owed.seq)
    while (this.answeredAhead.delete(this.ack + 1)) this.ack++
    owed.pending.answered(frame)
  }

  /** Gives up what has taken too long, and answers when the next one will have. */
  expire(now: number): number {
    for (const owed of this.owed.values()) {
      if (owed.isAbandoned) continue
      if (owed.deadline > now) return owed.deadline
      owed.isAbandoned = true
      owed.pending.timedOut()
    }
    return Infinity
  }

  /** The connection ended: no answer comes any more. */
  lose(code: number): void {
    const all = [...this.owed.values()]
    this.owed.clear()
    for (const { isAbandoned, pending } of all) if (!isAbandoned) pending.lost(code)
  }
}
