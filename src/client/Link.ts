/**
 * One connection: handshake, heartbeat, pace, references, and frames to messages and back.
 *
 * It begins with a socket and ends once, with a close code. It knows nothing of rooms but their numbers.
 */
import * as CloseCode from "../contract/CloseCode.ts"
import * as RequestError from "../contract/RequestError.ts"
import type * as Codec from "../wire/Codec.ts"
import type * as Frame from "../wire/Frame.ts"
import * as Greeting from "../wire/Greeting.ts"
import type { Pending } from "./Answers.ts"
import { Answers } from "./Answers.ts"
import { Batch } from "./Batch.ts"
import type { Delivery } from "./Channel.ts"
import type { ClientSocket, Connect } from "./Connector.ts"
import { Pacer } from "./Pacer.ts"

/** How a connection ended. */
export interface Ended {
  readonly code: number
  readonly reason: string
  /** The server had welcomed the client. */
  readonly wasOnline: boolean
  /** Milliseconds since the welcome; 0 without one. */
  readonly onlineFor: number
  /** The server asked to come back after so many milliseconds. */
  readonly drain: number | undefined
}

export type Welcome = Frame.ServerFrames["welcome"]

export interface Options {
  readonly connect: Connect
  readonly url: string
  readonly token: string | null
  /** The token of the session that is to go on. */
  readonly resume: string | null
  readonly codec: Codec.Codec
  readonly now: () => number
  /** What the server is taken to allow until its welcome says. */
  readonly limits: Frame.Announced
  /** How long an answer may take. */
  readonly answerMillis: number
  /** There is no session to go on with: what is asked now need not wait for the welcome. */
  readonly onGreeting: (link: Link) => void
  /** The limits are complete. */
  readonly onWelcome: (welcome: Welcome) => void
  readonly onFrame: (frame: Delivery) => void
  /** All frames of a message were handled. */
  readonly onHandled: () => void
  /** Asks for a `tick` by then. */
  readonly wakeBy: (at: number) => void
  readonly onEnd: (ended: Ended) => void
}

/** From the opening of the socket to the welcome. */
export const handshakeMillis = 10_000
/** The most that is handed to the socket before it has sent what it has; what comes then waits where it is bounded. */
const socketBytes = 64 * 1024
/** How often a full socket is looked at. */
const fullMillis = 20
/** Malformed frames after which the peer is taken not to speak the protocol. */
const maxMalformed = 16
/** The close code for that; browsers do not let a page send 1002. */
const malformedCode = 4400
/** What the welcome does not say. */
export const unannounced: Frame.Announced = {
  message: 64 * 1024,
  frames: 256,
  payload: 4 * 1024,
  openRequests: 256,
  rooms: 100,
  rate: 100,
  burst: 200
}
/** A server may put as many frames in a message as it likes: its own bound is its outbox. */
const maxFrames = Infinity

export class Link {
  private readonly options: Options
  private readonly answers: Answers
  private limits: Frame.Announced
  private pacer: Pacer
  /** Undefined while what goes with the upgrade is collected. */
  private socket: ClientSocket | undefined
  /** `greeting` only for as long as what goes before the welcome is collected. */
  private phase: "opening" | "greeting" | "online" | "ended" = "opening"
  private onlineAt = 0
  private heardAt: number
  private silence = handshakeMillis
  private drain: number | undefined
  private malformed = 0
  private readonly batch: Batch
  private cancels: Array<number> = []

  constructor(options: Options) {
    this.options = options
    this.batch = new Batch(options.codec)
    this.answers = new Answers(options.answerMillis)
    this.limits = options.limits
    this.heardAt = options.now()
    this.pacer = new Pacer(this.limits.rate, this.limits.burst, this.heardAt)
    this.socket = options.connect(options.url, this.offers(), {
      open: this.onOpen,
      message: this.onMessage,
      close: (code, reason) => this.end(code, reason)
    })
  }

  /** How long an answer may take, in milliseconds. */
  get answerMillis(): number {
    return this.options.answerMillis
  }

  get isOnline(): boolean {
    return this.phase === "online"
  }

  /** The server goes away: what it says about rooms from now on is about this connection only. */
  get isDraining(): boolean {
    return this.drain !== undefined
  }

  // ------------------------------------------------------------- sending

  /** Whether one more frame may be sent now. Otherwise a `tick` comes when it may. */
  canSend(): boolean {
    if (this.phase !== "online" && this.phase !== "greeting") return false
    const now = this.options.now()
    if (!this.pacer.ready(now)) {
      this.options.wakeBy(this.pacer.readyAt)
      return false
    }
    if ((this.socket?.bufferedAmount() ?? 0) + this.batch.bytes < socketBytes) return true
    this.options.wakeBy(now + fullMillis)
    return false
  }

  /** How many requests the server takes beyond what is acknowledged. */
  get openRequests(): number {
    return Math.max(1, this.limits.openRequests)
  }

  /** Whether one more answer may be owed. */
  get canAsk(): boolean {
    return this.answers.size < this.openRequests
  }

  /** Sends a frame without an answer; says what is wrong with it, if anything is. */
  tell(frame: Frame.ClientFrame): RequestError.LimitExceeded | undefined {
    return this.put(this.options.codec.encode(frame))
  }

  /**
   * Sends a frame that is answered; gives its reference, or what is wrong with it. Its time to be answered begins with
   * the welcome.
   */
  ask(frame: (ref: number) => Frame.ClientFrame, pending: Pending): number | RequestError.LimitExceeded {
    const ref = this.answers.nextRef
    const refused = this.tell(frame(ref))
    if (refused !== undefined) return refused
    this.options.wakeBy(this.answers.owe(pending, this.isOnline ? this.options.now() : Infinity))
    return ref
  }

  /** Nobody waits for this answer any more: it is still owed, and cancelled at the next `sendCancels`. */
  giveUp(ref: number): void {
    this.answers.abandon(ref)
    this.cancels.push(ref)
  }

  sendCancels(): void {
    while (this.cancels.length > 0 && this.canSend()) this.tell({ _tag: "cancel", ref: this.cancels.shift()! })
  }

  /** Hands everything over that was put since the last flush. */
  flush(): void {
    if (!this.batch.isEmpty) this.socket!.send(this.batch.take())
  }

  /** Collects what need not wait for the welcome. */
  private greet(): void {
    if (this.options.resume !== null) return
    this.phase = "greeting"
    this.options.onGreeting(this)
    this.phase = "opening"
  }

  /** The subprotocols to offer; with them goes the hello, and as much behind it as there is room for. */
  private offers(): ReadonlyArray<string> {
    const { codec, resume, token } = this.options
    this.append(codec.encode({ _tag: "hello", token, resume }))
    // Too large, it is sent as soon as the socket is open.
    if (this.batch.bytes > Greeting.maxBytes) return [codec.subprotocol]
    this.greet()
    return [codec.subprotocol, Greeting.offer(this.batch.take())]
  }

  private put(encoded: Codec.Encoded): RequestError.LimitExceeded | undefined {
    const max = this.socket === undefined ? Greeting.maxBytes : this.limits.message
    const isFull = !this.batch.fits(encoded, max, this.limits.frames)
    // Before the welcome there is one message at a time, and what it has no room for is refused as well.
    if (encoded.bytes > max || (isFull && !this.isOnline)) {
      return new RequestError.LimitExceeded({ limit: "message", max })
    }
    if (isFull) this.flush()
    this.append(encoded)
    return undefined
  }

  private append(encoded: Codec.Encoded): void {
    this.batch.add(encoded)
    this.pacer.take()
  }

  // ------------------------------------------------------------- time

  /** Does what is due, and answers when the next thing is. */
  tick(): number {
    if (this.phase === "ended") return Infinity
    const now = this.options.now()
    const silentAt = this.heardAt + this.silence
    if (now >= silentAt) {
      this.close(CloseCode.timeout.code, this.phase === "online" ? "the server was silent" : "no welcome")
      return Infinity
    }
    return Math.min(silentAt, this.answers.expire(now))
  }

  // ------------------------------------------------------------- ending

  /** Ends the connection from this side, without waiting for the other. */
  close(code: number, reason: string): void {
    if (this.phase === "ended") return
    this.end(code, reason, () => this.socket!.close(code, reason))
  }

  private end(code: number, reason: string, close?: () => void): void {
    if (this.phase === "ended") return
    const wasOnline = this.phase === "online"
    const onlineFor = wasOnline ? this.options.now() - this.onlineAt : 0
    this.phase = "ended"
    close?.()
    this.options.onEnd({ code, reason, wasOnline, onlineFor, drain: this.drain })
  }

  // ------------------------------------------------------------- the socket's callbacks

  private readonly onOpen = (protocol: string): void => {
    if (this.phase !== "opening") return
    const { codec, limits, now } = this.options
    if (protocol !== codec.subprotocol) return this.endAs(CloseCode.protocolError, `no ${codec.subprotocol}`)
    // To the server the time until now has not passed.
    this.pacer = new Pacer(limits.rate, limits.burst, now(), this.pacer.taken)
    this.greet()
    this.flush()
  }

  /** Ends with a code that a client may not send. */
  private endAs({ code }: CloseCode.CloseCode, reason: string): void {
    this.end(code, reason, () => this.socket!.close(malformedCode, reason))
  }

  private readonly onMessage = (data: string | Uint8Array): void => {
    if (this.phase === "ended") return
    if (this.phase === "online") this.heardAt = this.options.now()
    for (const frame of this.options.codec.decodeServer(data, maxFrames) ?? []) {
      if (this.isOver) break
      this.onFrame(frame)
    }
    this.options.onHandled()
  }

  private get isOver(): boolean {
    return this.phase === "ended"
  }

  private onFrame(frame: Frame.ServerFrame | Frame.Unknown | Frame.Malformed): void {
    switch (frame._tag) {
      case "unknown":
        return
      case "malformed":
        return this.onMalformed(frame)
      case "welcome":
        return this.onWelcome(frame)
      case "ping":
        return this.pong()
      case "drain":
        this.drain = frame.after
        return
      case "ok":
      case "failed":
      case "joined":
      case "subscribed":
      case "page":
        return this.answers.answered(frame.ref, frame)
      case "error":
        return frame.ref === null ? undefined : this.answers.answered(frame.ref, frame)
      default:
        return this.options.onFrame(frame)
    }
  }

  /** At once: in a page in the background every timer is late. */
  private pong(): void {
    this.pacer.take()
    this.socket!.send(this.options.codec.encode({ _tag: "pong" }).data)
  }

  /** Fails what it would have answered. */
  private onMalformed({ detail, field, ref }: Frame.Malformed): void {
    if (++this.malformed >= maxMalformed) return this.close(malformedCode, "too many malformed frames")
    const error = RequestError.encode(new RequestError.MalformedFrame({ field, detail }))
    if (ref !== null) this.answers.answered(ref, { _tag: "error", ref, error })
  }

  private onWelcome(welcome: Welcome): void {
    if (this.phase !== "opening") return
    const { resume, silence } = welcome
    const now = this.options.now()
    const limits = { ...unannounced, ...welcome.limits }
    this.phase = "online"
    this.limits = limits
    this.pacer = new Pacer(limits.rate, limits.burst, now, this.pacer.taken)
    this.onlineAt = now
    this.heardAt = now
    this.silence = silence > 0 ? silence : Infinity
    this.options.wakeBy(Math.min(now + this.silence, this.answers.begin(now)))
    // The token is in force once the server has heard of the connection it was given to.
    if (resume !== null) this.pong()
    this.options.onWelcome({ ...welcome, limits })
  }
}
