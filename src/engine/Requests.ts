/**
 * What became of the requests of one session: each runs at most once, and its answer is kept until the client has it.
 */
import type { Encoded } from "../wire/Codec.ts"
import type { Call } from "./Session.ts"

export class Requests {
  /** The highest number that was accepted. */
  last = 0
  /** Up to here the client has every answer. */
  private acked = 0
  /** Below this, what is not known may have run: a store did not have all, or could not keep all. */
  private doubtful = 0
  private bytes = 0
  private readonly keeps: boolean
  /**
   * What runs, or its answer, and its number, in the order in which they came. Not a map: entries come and go with every
   * request, and are few.
   */
  private kept: Array<Call | Encoded> = none
  private numbers: Array<number> = none

  /** Keeps answers only if somebody may come back for them. */
  constructor(keeps: boolean) {
    this.keeps = keeps
  }

  /** Takes up what a former process left. */
  restore(last: number, answers: Iterable<readonly [seq: number, answer: Encoded]>): void {
    this.last = last
    this.doubtful = Infinity
    for (const [seq, answer] of answers) {
      this.add(seq, answer)
      this.bytes += answer.bytes
    }
  }

  /**
   * What was done of late is undone: whether these were answered is as unknown as what runs, which may be about to
   * answer with what it did then.
   */
  revoke(answered: ReadonlyArray<number>): void {
    this.doubtful = Math.max(this.doubtful, this.last + 1)
    const before = this.kept.map((entry, index) => [this.numbers[index]!, entry] as const)
    const known = before.filter(([seq, entry]) => isAnswer(entry) && !answered.includes(seq))
    this.numbers = known.map(([seq]) => seq)
    this.kept = known.map(([, entry]) => entry)
    this.bytes = 0
    for (const [, entry] of known) if (isAnswer(entry)) this.bytes += entry.bytes
  }

  /** Whether nothing is kept for the client. */
  get isEmpty(): boolean {
    return this.kept.length === 0
  }

  /** Whether as much is kept as may be: nothing is ever dropped, so no more may run until the client acknowledges. */
  isFull(maxAnswers: number, maxBytes: number): boolean {
    return this.kept.length >= maxAnswers || this.bytes >= maxBytes
  }

  find(seq: number): Call | Encoded | undefined {
    return this.kept[this.numbers.indexOf(seq)]
  }

  /** Whether a number that is sent again, and of which nothing is kept, has never run. */
  isUnseen(seq: number): boolean {
    return seq > (this.keeps ? this.acked : this.last)
  }

  isDoubtful(seq: number): boolean {
    return seq < this.doubtful
  }

  /** A number is sent for the first time, or again: what is sent first from now on was sent to this process only. */
  accept(seq: number, isAgain: boolean): void {
    if (!isAgain && this.doubtful === Infinity) this.doubtful = seq
    if (seq > this.last) this.last = seq
  }

  /** One runs of which nothing is kept. */
  began(call: Call): void {
    if (this.keeps) this.add(call.seq, call)
  }

  /** Keeps the answer, unless the client says that it has it. */
  answered(seq: number, answer: Encoded): boolean {
    const index = this.numbers.indexOf(seq)
    if (index < 0) return false
    this.kept[index] = answer
    this.bytes += answer.bytes
    return true
  }

  /** Forgets what the client has. Answers whether that was news. */
  acknowledge(ack: number): boolean {
    if (ack <= this.acked) return false
    this.acked = Math.min(ack, this.last)
    // In the order of numbers, but for those that were sent again: these wait for the next time.
    const { kept, numbers } = this
    let count = 0
    for (; count < numbers.length && numbers[count]! <= this.acked; count++) {
      const entry = kept[count]!
      if (isAnswer(entry)) this.bytes -= entry.bytes
    }
    dropFirst(numbers, count)
    dropFirst(kept, count)
    return true
  }

  private add(seq: number, entry: Call | Encoded): void {
    if (this.numbers === none) {
      this.numbers = [seq]
      this.kept = [entry]
    } else {
      this.numbers.push(seq)
      this.kept.push(entry)
    }
  }
}

/** All at once, since each `shift` moves the rest. */
const dropFirst = (list: Array<unknown>, count: number): void => {
  if (count === 1) list.shift()
  else if (count > 0) list.splice(0, count)
}

/** Not with `in`, which searches where there are many kinds of objects. */
const isAnswer = (entry: Call | Encoded): entry is Encoded => (entry as Encoded).data !== undefined

/** Of all who keep nothing; never written to. */
const none: Array<never> = []
