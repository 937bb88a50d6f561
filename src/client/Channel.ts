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
 * `waiting`: not asked for on this connection. `away`: the same, but the server takes it for joined, or may, from a
 * connection before. `opening`: asked for, not answered. `open`: a member. `renewing`: a member that will leave and come
 * back for a fresh snapshot. `closed`: over for good.
 */
export type Status = "waiting" | "away" | "opening" | "open" | "renewing" | "closed"

/** A room or topic, from the first wish to join until it is left. */
export interface Channel {
  /** Kind, name and key: unique in a client. */
  readonly address: string
  /** A membership goes on with the session, a subscription ends with its connection. */
  readonly leaveTag: "leave" | "unsubscribe"
  status: Status
  /** The number the server gave it; undefined as long as it is not known to this session. */
  number: number | undefined
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

/** Whether what is answered on this connection may come: it was joined on it, or never will be. */
export const isSettled = ({ status }: Channel): boolean =>
  status === "open" || status === "renewing" || status === "closed"

/** What a call says, but for what it is given when it is sent. */
export type Message =
  | Pick<Frame.ClientFrames["request"], "_tag" | "name" | "payload">
  | Pick<Frame.ClientFrames["notice"], "_tag" | "name" | "payload">
  | Pick<Frame.ClientFrames["history"], "_tag" | "before" | "limit">

/** A request, a notice or a look into the history, on its way to a room. */
export class Call<M extends Message = Message> {
  readonly channel: Channel
  readonly message: M
  /** Never called for a notice. */
  readonly onAnswer: (frame: Answer) => void
  readonly onFailure: (reason: RequestError["reason"]) => void
  /** The reference it has on the connection of the moment; undefined as long as it is to be sent. */
  ref: number | undefined
  private state: "waiting" | "sent" | "settled" = "waiting"

  constructor(
    channel: Channel,
    message: M,
    onAnswer: (frame: Answer) => void,
    onFailure: (reason: RequestError["reason"]) => void
  ) {
    this.channel = channel
    this.message = message
    this.onAnswer = onAnswer
    this.onFailure = onFailure
  }

  /** It was sent, perhaps not for the first time. */
  sent(ref: number): void {
    this.ref = ref
    if (this.state !== "waiting") return
    this.state = "sent"
    this.channel.inFlight++
  }

  /** Nobody waits for an answer. */
  get isSettled(): boolean {
    return this.state === "settled"
  }

  /** True the first time: from then on nobody waits for an answer. */
  settle(): boolean {
    if (this.state === "settled") return false
    if (this.state === "sent") this.channel.inFlight--
    this.state = "settled"
    return true
  }
}

export type RequestCall = Call<Extract<Message, { readonly _tag: "request" }>>

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
