/**
 * What a client knows of a room or topic that it is in, and of what is sent to it.
 */
import type { RequestError } from "../contract/RequestError.ts"
import type * as Frame from "../wire/Frame.ts"

/** The frames that answer a reference. */
export type Answer = Frame.ServerFrames["ok" | "failed" | "error" | "joined" | "subscribed" | "page"]

/** The frames that are about a channel. */
export type Delivery = Frame.ServerFrames["event" | "volatile" | "direct" | "present" | "absent" | "synced" | "left"]

/**
 * Where a channel stands with the server.
 *
 * `waiting`: not asked for on this connection. `opening`: asked for, not answered. `open`: a member. `renewing`: a
 * member that will leave and come back for a fresh snapshot. `closed`: over for good.
 */
export type Status = "waiting" | "opening" | "open" | "renewing" | "closed"

/** A room or topic, from the first wish to join until it is left. */
export interface Channel {
  /** Kind, name and key: unique in a client. */
  readonly address: string
  readonly leaveTag: "leave" | "unsubscribe"
  status: Status
  /** The number the server gave it on this connection. */
  number: number
  /** Requests that were sent and somebody waits for. */
  inFlight: number
  /** Not asked for before this moment. */
  retryAt: number
  readonly askFrame: (ref: number) => Frame.ClientFrames["join" | "subscribe"]
  /** The answer to `askFrame`. */
  readonly answered: (frame: Answer) => void
  readonly receive: (frame: Delivery) => void
  /** Nothing comes any more: readers meet this error, or a plain end. */
  readonly finish: (error: RequestError | null) => void
}

/** A request or notice on its way to a room. */
export class Call {
  readonly channel: Channel
  readonly name: string
  readonly payload: Frame.Json
  /** Undefined for a notice. */
  readonly onAnswer: ((frame: Answer) => void) | undefined
  readonly onFailure: (reason: RequestError["reason"]) => void
  /** The reference it was sent with; undefined while it waits. */
  ref: number | undefined
  private state: "waiting" | "sent" | "settled" = "waiting"

  constructor(
    channel: Channel,
    name: string,
    payload: Frame.Json,
    onAnswer: ((frame: Answer) => void) | undefined,
    onFailure: (reason: RequestError["reason"]) => void
  ) {
    this.channel = channel
    this.name = name
    this.payload = payload
    this.onAnswer = onAnswer
    this.onFailure = onFailure
  }

  sent(ref: number): void {
    this.ref = ref
    this.state = "sent"
    this.channel.inFlight++
  }

  /** True the first time: from then on nobody waits for an answer. */
  settle(): boolean {
    if (this.state === "settled") return false
    if (this.state === "sent") this.channel.inFlight--
    this.state = "settled"
    return true
  }
}

/** What a channel can ask of its client. */
export interface Owner {
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number
  /** Runs a task once what is being handled has been handled in full. */
  readonly after: (task: () => void) => void
  /** Leaves and joins again, once no request is open. */
  readonly renew: (channel: Channel) => void
  /** Asks for it, at `retryAt` at the earliest. */
  readonly want: (channel: Channel) => void
  /** Leaves: the channel gets nothing more, and what waits for it fails. Idempotent. */
  readonly leave: (channel: Channel) => void
  /** The server took it away, or did not give it. */
  readonly drop: (channel: Channel, error: RequestError) => void
}
