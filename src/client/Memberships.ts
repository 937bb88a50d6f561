/**
 * Which rooms and topics the server is to be asked for, and which to be left.
 */
import * as RequestError from "../contract/RequestError.ts"
import type * as Frame from "../wire/Frame.ts"
import type { Pending } from "./Answers.ts"
import type { Channel } from "./Channel.ts"
import type { Link } from "./Link.ts"

interface Departure {
  readonly address: string
  readonly tag: Channel["leaveTag"]
  readonly number: number
}

export interface Options {
  readonly now: () => number
  /** Asks for a `drain` soon. */
  readonly schedule: () => void
  readonly wakeBy: (at: number) => void
  /** A channel has the number of its answer from now on, or loses it. */
  readonly onOpen: (channel: Channel) => void
  readonly onLeft: (channel: Channel) => void
}

/** Leaves before it asks, and asks for an address only once the server has let it go. */
export class Memberships {
  private readonly options: Options
  private departures: Array<Departure> = []
  /** Those that were sent and not answered. */
  private readonly leaving = new Set<Departure>()
  private readonly wanted = new Set<Channel>()
  private readonly renewals = new Set<Channel>()
  /** Channels that were asked for, with the reference. */
  private readonly opening = new Map<Channel, number>()
  /** Asked for and given up: what comes of it is left at once. */
  private readonly givenUp = new Set<Channel>()
  /** Given up on a connection that was lost: they are asked for once more, to learn by which number to leave. */
  private doubtful: Array<Channel> = []
  /** Addresses that the server may still take for joined: they are not asked for before it says otherwise. */
  private departing = new Set<string>()

  constructor(options: Options) {
    this.options = options
  }

  // ------------------------------------------------------------- what is wished for

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

  /** Ends a channel: the server is told if it takes the channel for joined. */
  close(channel: Channel, link: Link | undefined): void {
    const { number, status } = channel
    channel.status = "closed"
    this.wanted.delete(channel)
    this.renewals.delete(channel)
    const ref = this.opening.get(channel)
    if (ref !== undefined && link !== undefined) this.giveUp(channel, ref, link)
    else if (status === "away" && number === undefined) this.doubt(channel)
    else if (status === "open" || status === "renewing" || status === "away") this.depart(channel, number!)
    this.options.schedule()
  }

  /** The server ended the channel itself. */
  closed(channel: Channel): void {
    channel.status = "waiting"
    this.close(channel, undefined)
  }

  private giveUp(channel: Channel, ref: number, link: Link): void {
    this.opening.delete(channel)
    this.givenUp.add(channel)
    this.departing.add(channel.address)
    link.giveUp(ref)
  }

  private doubt(channel: Channel): void {
    this.departing.add(channel.address)
    this.doubtful.push(channel)
  }

  private depart(channel: Channel, number: number): void {
    this.departing.add(channel.address)
    this.departures.push({ address: channel.address, tag: channel.leaveTag, number })
    this.options.onLeft(channel)
  }

  private departed(address: string): void {
    this.departing.delete(address)
    this.options.schedule()
  }

  // ------------------------------------------------------------- from one connection to the next

  /** The connection ended: subscriptions end with it, memberships go on if the session does. */
  lose(): void {
    this.departures = [...this.leaving, ...this.departures].filter(({ tag }) => tag === "leave")
    this.doubtful = [...this.doubtful, ...this.givenUp].filter(({ leaveTag }) => leaveTag === "leave")
    this.departing = new Set([...this.departures, ...this.doubtful].map(({ address }) => address))
    this.leaving.clear()
    this.givenUp.clear()
    this.wanted.clear()
    this.renewals.clear()
    this.opening.clear()
  }

  /** There is no session any more, or another one: the server takes nothing for joined, and nothing for asked. */
  restart(): void {
    this.lose()
    this.departures = []
    this.doubtful = []
    this.departing.clear()
  }

  // ------------------------------------------------------------- sending

  sendDepartures(link: Link): void {
    for (const channel of [...this.renewals]) {
      if (channel.inFlight > 0) continue
      this.renewals.delete(channel)
      channel.status = "waiting"
      this.depart(channel, channel.number!)
      this.wanted.add(channel)
    }
    while (this.departures.length > 0 && link.canAsk && link.canSend()) {
      const departure = this.departures.shift()!
      const { address, number, tag } = departure
      const answered = () => {
        this.leaving.delete(departure)
        this.departed(address)
      }
      this.leaving.add(departure)
      link.ask((ref) => ({ _tag: tag, ref, channel: number }), { answered, timedOut: answered })
    }
  }

  sendWanted(link: Link): void {
    while (this.doubtful.length > 0 && link.canAsk && link.canSend()) {
      const channel = this.doubtful.shift()!
      this.givenUp.add(channel)
      if (typeof link.ask(channel.askFrame, this.pending(channel, link)) === "number") continue
      this.givenUp.delete(channel)
      this.departed(channel.address)
    }
    for (const channel of [...this.wanted]) {
      if (this.departing.has(channel.address)) continue
      if (channel.retryAt > this.options.now()) {
        this.options.wakeBy(channel.retryAt)
        continue
      }
      if (!link.canAsk || !link.canSend()) return
      const ref = link.ask(channel.askFrame, this.pending(channel, link))
      // It found no room beside the hello. Those behind it do not overtake it.
      if (typeof ref !== "number" && !link.isOnline) return
      this.wanted.delete(channel)
      if (typeof ref !== "number") {
        channel.answered(errorFrame(ref))
        continue
      }
      channel.status = "opening"
      this.opening.set(channel, ref)
    }
  }

  private pending(channel: Channel, link: Link): Pending {
    return {
      answered: (frame) => {
        const isGiven = frame._tag === "joined" || frame._tag === "subscribed"
        if (isGiven) channel.number = frame.channel
        if (this.givenUp.delete(channel)) {
          if (isGiven) this.depart(channel, frame.channel)
          return isGiven ? this.options.schedule() : this.departed(channel.address)
        }
        this.opening.delete(channel)
        channel.status = isGiven ? "open" : "waiting"
        // The next server is asked.
        if (frame._tag === "error" && link.isDraining) return
        if (isGiven) this.options.onOpen(channel)
        channel.answered(frame)
        this.options.schedule()
      },
      timedOut: () => {
        const ref = this.opening.get(channel)
        if (ref === undefined) return
        this.giveUp(channel, ref, link)
        channel.status = "waiting"
        channel.answered(errorFrame(new RequestError.HandlerTimeout({ millis: link.answerMillis })))
        this.options.schedule()
      }
    }
  }
}

const errorFrame = (error: RequestError.ProtocolError): Frame.ServerFrames["error"] => ({
  _tag: "error",
  ref: null,
  error: RequestError.encode(error)
})
