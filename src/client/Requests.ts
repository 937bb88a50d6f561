/**
 * The requests of one session: their numbers, which of them are answered, and which are to be sent again.
 */
import * as RequestError from "../contract/RequestError.ts"
import type { Answer, RequestCall } from "./Channel.ts"
import { isSettled } from "./Channel.ts"
import type { Link } from "./Link.ts"

interface Sent {
  readonly call: RequestCall
  readonly seq: number
  readonly deadline: number
}

export interface Options {
  /** How long an answer may take from when the request was first sent, in milliseconds. */
  readonly millis: number
  readonly now: () => number
  readonly after: (task: () => void) => void
  /** Asks for a `drain` soon. */
  readonly schedule: () => void
  readonly wakeBy: (at: number) => void
}

/**
 * Keeps what was sent until it is answered, whatever becomes of the connection.
 *
 * A request of a lost connection is sent again with the same number, and only in the session that it belongs to: the
 * server knows by the number whether it has run. One that nobody waits for any more is sent again too, and cancelled:
 * without its answer the acknowledgement, and with it the session, would stand still.
 */
export class Requests {
  private readonly options: Options
  /** Sent and not answered, by number and so in the order of their deadlines. */
  private readonly open = new Map<number, Sent>()
  /** Those among them that the connection of the moment has not sent, by number. */
  private again: Array<Sent> = []
  private readonly answeredAhead = new Set<number>()
  private lastSeq = 0
  /** The highest number up to which all have been answered. */
  private ack = 0
  /** The highest number that the server had when the connection began. */
  private accepted = 0
  private lostWith = 0

  constructor(options: Options) {
    this.options = options
  }

  // ------------------------------------------------------------- sending

  /** Whether the next number may be used: numbers that the server has not seen reach it in their order. */
  canSend(link: Link): boolean {
    const hasOlder = (this.again.at(-1)?.seq ?? 0) > this.accepted
    return !hasOlder && this.lastSeq - this.ack < link.openRequests && link.canAsk
  }

  /** Sends a request for the first time, or says what is wrong with it. */
  send(call: RequestCall, link: Link): RequestError.LimitExceeded | undefined {
    const sent = { call, seq: this.lastSeq + 1, deadline: this.options.now() + this.options.millis }
    const refused = this.put(sent, link, null)
    if (refused !== undefined) return refused
    this.lastSeq++
    this.open.set(sent.seq, sent)
    this.options.wakeBy(sent.deadline)
    return undefined
  }

  /**
   * Sends again what is still to be, in the order of the numbers.
   *
   * A request waits until its room has been joined, so that what its handler emitted is told before its answer. Until
   * then it holds back those of other rooms only where the server has not seen it.
   */
  sendAgain(link: Link): void {
    const rest: Array<Sent> = []
    let isHeld = false
    for (const sent of this.again) {
      const isNew = sent.seq > this.accepted
      if ((isHeld && isNew) || !isSettled(sent.call.channel) || !link.canAsk || !link.canSend()) {
        rest.push(sent)
        isHeld ||= isNew
      } else this.resend(sent, link)
    }
    this.again = rest
  }

  private resend(sent: Sent, link: Link): void {
    const { call } = sent
    if (this.put(sent, link, true) !== undefined) {
      // It may have just fitted the first time.
      this.conclude(sent)
      return this.fail(call, this.lost)
    }
    if (call.isSettled) link.giveUp(call.ref!)
  }

  private put(sent: Sent, link: Link, again: true | null): RequestError.LimitExceeded | undefined {
    const { call, seq } = sent
    const frame = { ...call.message, channel: call.channel.number!, seq, ack: this.ack, again }
    const ref = link.ask((ref) => ({ ...frame, ref }), {
      answered: (answer) => {
        this.conclude(sent)
        this.options.schedule()
        // That "nothing ran" is true of this frame, and not of the one before.
        if (again !== null && seq <= this.accepted && isRateLimited(answer)) return this.fail(call, this.lost)
        if (call.settle()) this.options.after(() => call.onAnswer(answer))
      }
    })
    if (typeof ref !== "number") return ref
    call.sent(ref)
    return undefined
  }

  private conclude({ seq }: Sent): void {
    this.open.delete(seq)
    this.answeredAhead.add(seq)
    while (this.answeredAhead.delete(this.ack + 1)) this.ack++
  }

  // ------------------------------------------------------------- from one connection to the next

  /** The connection ended: what was sent is kept for the session to go on. */
  lose(code: number): void {
    this.lostWith = code
    this.again = [...this.open.values()]
    for (const { call } of this.again) call.ref = undefined
  }

  /** The session goes on, and the server has seen the numbers up to `accepted`. */
  resume(accepted: number): void {
    this.accepted = accepted
    // What sent the others is gone, as a page that was loaded again: nobody waits for their answers.
    if (this.lastSeq === 0) this.lastSeq = this.ack = accepted
  }

  /** There is no session any more, or another one: what was sent in it must not be sent again. */
  restart(): void {
    const all = [...this.open.values()]
    this.open.clear()
    this.answeredAhead.clear()
    this.again = []
    this.lastSeq = this.ack = this.accepted = 0
    for (const { call } of all) this.fail(call, this.lost)
  }

  private get lost(): RequestError.ConnectionLost {
    return new RequestError.ConnectionLost({ code: this.lostWith, mayHaveRun: true })
  }

  private fail(call: RequestCall, reason: RequestError.RequestError["reason"]): void {
    if (call.settle()) this.options.after(() => call.onFailure(reason))
  }

  // ------------------------------------------------------------- time

  /** Gives up what has taken too long, and answers when the next one will have. */
  expire(now: number, link: Link | undefined): number {
    for (const { call, deadline } of this.open.values()) {
      if (call.isSettled) continue
      if (deadline > now) return deadline
      const { ref } = call
      this.fail(call, ref === undefined ? this.lost : new RequestError.HandlerTimeout({ millis: this.options.millis }))
      if (ref !== undefined) link?.giveUp(ref)
      this.options.schedule()
    }
    return Infinity
  }
}

const isRateLimited = (answer: Answer): boolean => answer._tag === "error" && answer.error._tag === "RateLimited"
