/**
 * What waits to be sent: for a connection, for a room, for the pace, for an answer to make room.
 */
import * as RequestError from "../contract/RequestError.ts"
import type * as Frame from "../wire/Frame.ts"
import type { Pending } from "./Answers.ts"
import type { Call, Channel } from "./Channel.ts"
import type { Link } from "./Link.ts"

interface Departure {
  readonly address: string
  readonly tag: Channel["leaveTag"]
  readonly number: number
}

export interface Options {
  /** Requests and notices that may wait. */
  readonly capacity: number
  readonly now: () => number
  readonly after: (task: () => void) => void
  /** Asks for a `drain` soon. */
  readonly schedule: () => void
  readonly wakeBy: (at: number) => void
  /** A channel has the number of its answer from now on, or loses it. */
  readonly onOpen: (channel: Channel, number: number) => void
  readonly onLeft: (channel: Channel) => void
}

/**
 * Sends in this order: cancellations, leaves, joins, then requests and notices in the order they were made for each
 * room. Only the last are of a number that a user decides; `capacity` bounds them.
 */
export class Outgoing {
  private readonly options: Options
  private calls: Array<Call> = []
  private cancels: Array<number> = []
  private departures: Array<Departure> = []
  private readonly wanted = new Set<Channel>()
  private readonly renewals = new Set<Channel>()
  /** Channels that were asked for, with the reference. */
  private readonly opening = new Map<Channel, number>()
  /** Addresses that the server may still take for joined: they are not asked for before it says otherwise. */
  private readonly departing = new Set<string>()

  constructor(options: Options) {
    this.options = options
  }

  // ------------------------------------------------------------- what is to be sent

  /** Whether one more call may wait; tries to send some before it says no. */
  hasPlace(link: Link | undefined): boolean {
    if (this.calls.length >= this.options.capacity && link !== undefined) this.drain(link)
    return this.calls.length < this.options.capacity
  }

  add(call: Call): void {
    this.calls.push(call)
    this.options.schedule()
  }

  /** Nobody waits for the answer any more. */
  cancel(call: Call, link: Link | undefined): void {
    if (!call.settle()) return
    if (call.ref === undefined) this.calls = this.calls.filter((other) => other !== call)
    else if (link !== undefined) this.forget(call.ref, link)
    this.options.schedule()
  }

  want(channel: Channel): void {
    this.wanted.add(channel)
    this.options.schedule()
  }

  renew(channel: Channel): void {
    if (channel.status !== "open") return
    channel.status = "renewing"
    this.renewals.add(channel)
    this.options.schedule()
  }

  /** Ends a channel: what waits for it fails, and the server is told if it takes the channel for joined. */
  close(channel: Channel, link: Link | undefined): void {
    const { status } = channel
    channel.status = "closed"
    this.wanted.delete(channel)
    this.renewals.delete(channel)
    if (status === "open" || status === "renewing") this.depart(channel)
    const ref = this.opening.get(channel)
    if (ref !== undefined && link !== undefined) {
      this.opening.delete(channel)
      this.departing.add(channel.address)
      this.forget(ref, link)
    }
    this.reject(new RequestError.NotJoined(), (call) => call.channel === channel)
    this.options.schedule()
  }

  /** The server ended the channel itself. */
  closed(channel: Channel): void {
    channel.status = "waiting"
    this.close(channel, undefined)
  }

  reject(reason: RequestError.RequestError["reason"], matches: (call: Call) => boolean): void {
    const rejected = this.calls.filter(matches)
    if (rejected.length === 0) return
    this.calls = this.calls.filter((call) => !matches(call))
    for (const call of rejected) this.fail(call, reason)
  }

  /** The connection is gone, and with it everything that was about it. */
  reset(): void {
    this.cancels = []
    this.departures = []
    this.wanted.clear()
    this.renewals.clear()
    this.opening.clear()
    this.departing.clear()
  }

  private fail(call: Call, reason: RequestError.RequestError["reason"]): void {
    if (call.settle()) this.options.after(() => call.onFailure(reason))
  }

  private forget(ref: number, link: Link): void {
    link.abandon(ref)
    this.cancels.push(ref)
  }

  private depart(channel: Channel): void {
    this.departing.add(channel.address)
    this.departures.push({ address: channel.address, tag: channel.leaveTag, number: channel.number })
    this.options.onLeft(channel)
  }

  private departed(address: string): void {
    this.departing.delete(address)
    this.options.schedule()
  }

  // ------------------------------------------------------------- sending

  /** Sends what may be sent now. */
  drain(link: Link): void {
    if (!link.isOnline) return
    this.sendCancels(link)
    this.sendDepartures(link)
    // A server that goes away begins nothing any more: the next one will.
    if (!link.isDraining) {
      this.sendWanted(link)
      this.sendCalls(link)
    }
    link.flush()
  }

  private sendCancels(link: Link): void {
    while (this.cancels.length > 0 && link.canSend()) link.tell({ _tag: "cancel", ref: this.cancels.shift()! })
  }

  private sendDepartures(link: Link): void {
    for (const channel of [...this.renewals]) {
      if (channel.inFlight > 0) continue
      this.renewals.delete(channel)
      channel.status = "waiting"
      this.depart(channel)
      this.wanted.add(channel)
    }
    while (this.departures.length > 0 && link.canAsk && link.canSend()) {
      const { address, number, tag } = this.departures.shift()!
      const answered = () => this.departed(address)
      link.ask((ref) => ({ _tag: tag, ref, channel: number }), { answered, timedOut: answered, lost: () => {} })
    }
  }

  private sendWanted(link: Link): void {
    for (const channel of [...this.wanted]) {
      if (this.departing.has(channel.address)) continue
      if (channel.retryAt > this.options.now()) {
        this.options.wakeBy(channel.retryAt)
        continue
      }
      if (!link.canAsk || !link.canSend()) return
      this.wanted.delete(channel)
      const ref = link.ask(channel.askFrame, this.openPending(channel, link))
      if (typeof ref !== "number") {
        channel.answered(errorFrame(ref))
        continue
      }
      channel.status = "opening"
      this.opening.set(channel, ref)
    }
  }

  private openPending(channel: Channel, link: Link): Pending {
    return {
      answered: (frame) => {
        const isGiven = frame._tag === "joined" || frame._tag === "subscribed"
        if (this.opening.delete(channel)) {
          if (frame._tag === "error" && link.isDraining) {
            channel.status = "waiting"
            return
          }
          channel.status = isGiven ? "open" : "waiting"
          if (isGiven) this.options.onOpen(channel, frame.channel)
          channel.answered(frame)
          this.options.schedule()
        } else if (isGiven) {
          // It was given up before the answer came, and the address is departing since.
          this.departures.push({ address: channel.address, tag: channel.leaveTag, number: frame.channel })
          this.options.schedule()
        } else this.departed(channel.address)
      },
      timedOut: () => {
        const ref = this.opening.get(channel)
        if (ref === undefined) return
        this.opening.delete(channel)
        this.departing.add(channel.address)
        this.forget(ref, link)
        channel.status = "waiting"
        channel.answered(errorFrame(new RequestError.HandlerTimeout({ millis: link.answerMillis })))
        this.options.schedule()
      },
      lost: () => {}
    }
  }

  private sendCalls(link: Link): void {
    const blocked = new Set<Channel>()
    const rest: Array<Call> = []
    let index = 0
    for (; index < this.calls.length; index++) {
      const call = this.calls[index]!
      const { channel } = call
      if (blocked.has(channel) || channel.status !== "open" || (call.onAnswer !== undefined && !link.canAsk)) {
        blocked.add(channel)
        rest.push(call)
      } else if (link.canSend()) this.sendCall(link, call)
      else break
    }
    this.calls = [...rest, ...this.calls.slice(index)]
  }

  private sendCall(link: Link, call: Call): void {
    const { channel: { number: channel }, name, payload } = call
    if (call.onAnswer === undefined) {
      call.settle()
      link.tell({ _tag: "notice", channel, name, payload })
      return
    }
    const onAnswer = call.onAnswer
    const ref = link.request({ channel, name, payload }, {
      answered: (frame) => {
        if (call.settle()) this.options.after(() => onAnswer(frame))
        this.options.schedule()
      },
      timedOut: () => {
        this.fail(call, new RequestError.HandlerTimeout({ millis: link.answerMillis }))
        this.forget(call.ref!, link)
        this.options.schedule()
      },
      lost: (code) => this.fail(call, new RequestError.ConnectionLost({ code, mayHaveRun: true }))
    })
    if (typeof ref === "number") call.sent(ref)
    else this.fail(call, ref)
  }
}

const errorFrame = (error: RequestError.ProtocolError): Frame.ServerFrames["error"] => ({
  _tag: "error",
  ref: null,
  error: RequestError.encode(error)
})
