/**
 * The state of one client: its channels, what waits to be sent, and the connection of the moment.
 *
 * Everything in it is a synchronous call, from a callback of the socket, from the timer, or from a fiber of the user.
 * Fibers are resumed at the end of such a call, when the state is whole again.
 */
import type * as Clock from "effect/Clock"
import * as Latch from "effect/Latch"
import type * as Scheduler from "effect/Scheduler"
import type * as SubscriptionRef from "effect/SubscriptionRef"
import * as CloseCode from "../contract/CloseCode.ts"
import * as RequestError from "../contract/RequestError.ts"
import type * as Codec from "../wire/Codec.ts"
import type * as Frame from "../wire/Frame.ts"
import { Alarm } from "./Alarm.ts"
import type { Call, Channel, Delivery, Owner } from "./Channel.ts"
import type { ConnectionState } from "./ConnectionState.ts"
import type { Connect } from "./Connector.ts"
import type { Ended, Welcome } from "./Link.ts"
import { Link, unannounced } from "./Link.ts"
import { Memberships } from "./Memberships.ts"
import { Outgoing } from "./Outgoing.ts"
import { Requests } from "./Requests.ts"
import type { Session } from "./Session.ts"
import * as Watched from "./Watched.ts"

export interface Options {
  readonly url: string
  readonly connect: Connect
  readonly codec: Codec.Codec
  readonly clock: Clock.Clock
  readonly dispatcher: Scheduler.SchedulerDispatcher
  readonly state: SubscriptionRef.SubscriptionRef<ConnectionState>
  readonly session: Session
  readonly offlineQueue: number
  readonly eventBuffer: number
  readonly answerMillis: number
}

export class Core implements Owner {
  readonly options: Options
  readonly alarm = new Alarm()
  /** Closed while the next attempt to connect is waited for. */
  readonly waiting = Latch.makeUnsafe(true)
  private readonly channels = new Map<string, Channel>()
  private readonly byNumber = new Map<number, Channel>()
  private readonly memberships: Memberships
  private readonly requests: Requests
  private readonly outgoing: Outgoing
  private tasks: Array<() => void> = []
  private link: Link | undefined
  private limits: Frame.Announced = unannounced
  private isScheduled = false
  /** The close code once the client has stopped. */
  private stoppedWith: number | undefined

  constructor(options: Options) {
    this.options = options
    const { after, now, schedule } = this
    const wakeBy = (at: number) => this.alarm.by(at)
    this.requests = new Requests({ millis: options.answerMillis, now, after, schedule, wakeBy })
    this.outgoing = new Outgoing({ capacity: options.offlineQueue, requests: this.requests, after, schedule })
    this.memberships = new Memberships({
      now,
      schedule,
      wakeBy,
      onOpen: (channel) => this.byNumber.set(channel.number!, channel),
      onLeft: (channel) => this.forget(channel)
    })
  }

  readonly now = (): number => Number(this.options.clock.monotonicTimeNanosUnsafe()) / 1e6

  readonly after = (task: () => void): void => {
    this.tasks.push(task)
  }

  /** Resumes the fibers that what has just been handled is for. */
  private readonly settle = (): void => {
    while (this.tasks.length > 0) {
      const tasks = this.tasks
      this.tasks = []
      for (const task of tasks) task()
    }
  }

  // ------------------------------------------------------------- sending

  /** What is sent in one tick leaves in one message. */
  private readonly schedule = (): void => {
    if (this.isScheduled || this.link?.isOnline !== true) return
    this.isScheduled = true
    this.options.dispatcher.scheduleTask(this.flush, 0)
  }

  private readonly flush = (): void => {
    this.isScheduled = false
    this.drain()
    this.settle()
  }

  /** Sends what may be sent now. */
  private drain(): void {
    const { link } = this
    if (link?.isOnline !== true) return
    link.sendCancels()
    this.memberships.sendDepartures(link)
    // A server that goes away begins nothing any more: the next one will.
    if (!link.isDraining) {
      this.memberships.sendWanted(link)
      this.outgoing.drain(link)
    }
    link.flush()
  }

  /** Takes a request or notice, or says why not. */
  call(call: Call): RequestError.RequestError["reason"] | undefined {
    if (this.stoppedWith !== undefined) return new RequestError.ClientClosed({ code: this.stoppedWith })
    if (call.channel.status === "closed") return new RequestError.NotJoined()
    const { channel: { number: channel = 0 }, message } = call
    if (message._tag === "notice") {
      const max = this.limits.message
      if (this.options.codec.encode({ ...message, channel }).bytes > max) {
        return new RequestError.LimitExceeded({ limit: "message", max })
      }
    }
    // There may be place for some of those that wait.
    if (this.outgoing.isFull) this.drain()
    const { isFull } = this.outgoing
    if (!isFull) this.outgoing.add(call)
    this.settle()
    return isFull ? new RequestError.QueueFull({ capacity: this.options.offlineQueue }) : undefined
  }

  cancel(call: Call): void {
    this.outgoing.cancel(call, this.link)
    this.settle()
  }

  // ------------------------------------------------------------- channels

  find(address: string): Channel | undefined {
    return this.channels.get(address)
  }

  /** Begins to join, or says why not. */
  enter(channel: Channel): RequestError.RequestError["reason"] | undefined {
    if (this.stoppedWith !== undefined) return new RequestError.ClientClosed({ code: this.stoppedWith })
    if (this.channels.has(channel.address)) return new RequestError.AlreadyJoined()
    const capacity = this.options.offlineQueue
    if (this.link?.isOnline !== true && this.channels.size >= capacity) return new RequestError.QueueFull({ capacity })
    this.channels.set(channel.address, channel)
    this.memberships.want(channel)
    return undefined
  }

  readonly want = (channel: Channel): void => this.memberships.want(channel)

  readonly renew = (channel: Channel): void => this.memberships.renew(channel)

  readonly leave = (channel: Channel): void => {
    if (channel.status === "closed") return
    this.channels.delete(channel.address)
    this.memberships.close(channel, this.link)
    this.end(channel, null)
  }

  /** Leaves as a user's wish. */
  quit(channel: Channel): void {
    this.leave(channel)
    this.settle()
  }

  readonly drop = (channel: Channel, error: RequestError.RequestError): void => {
    if (channel.status === "closed") return
    this.channels.delete(channel.address)
    this.forget(channel)
    this.memberships.closed(channel)
    this.end(channel, error)
  }

  /** What waits for it fails, and so do its readers. */
  private end(channel: Channel, error: RequestError.RequestError | null): void {
    this.outgoing.reject(new RequestError.NotJoined(), (call) => call.channel === channel)
    channel.finish(error)
  }

  private forget(channel: Channel): void {
    if (this.byNumber.get(channel.number!) === channel) this.byNumber.delete(channel.number!)
  }

  // ------------------------------------------------------------- the connection

  /** Ends the wait for the next attempt to connect. */
  readonly hurry = (): void => {
    this.waiting.openUnsafe()
  }

  /** Opens a connection; `onEnd` is called once, in the end. */
  connect(token: string | null, onEnd: (ended: Ended) => void): Link {
    const { answerMillis, codec, connect, session, url } = this.options
    return this.link = new Link({
      connect,
      url,
      token,
      resume: session.resume,
      codec,
      now: this.now,
      limits: this.limits,
      answerMillis,
      wakeBy: (at) => this.alarm.by(at),
      onGreeting: (link) => this.memberships.sendWanted(link),
      onWelcome: this.onWelcome,
      onFrame: this.onFrame,
      onHandled: this.settle,
      onEnd: (ended) => {
        this.onEnd(ended)
        this.settle()
        onEnd(ended)
      }
    })
  }

  /** Does what is due, and answers when the next thing is. */
  readonly tick = (): number => {
    this.drain()
    const next = Math.min(this.requests.expire(this.now(), this.link), this.link?.tick() ?? Infinity)
    this.settle()
    return next
  }

  private readonly onWelcome = (welcome: Welcome): void => {
    this.limits = welcome.limits
    Watched.set(this.options.state, { _tag: "online" })
    const { session } = this.options
    // Without one before there is nothing to begin again, and what is wanted may have been asked for with the hello.
    const wasNone = session.resume === null
    if (session.welcome(welcome)) {
      this.requests.resume(welcome.seq ?? 0)
      for (const channel of this.channels.values()) this.memberships.want(channel)
    } else if (!wasNone) this.restart()
    this.drain()
  }

  private readonly onFrame = (frame: Delivery): void => {
    const channel = this.byNumber.get(frame.channel)
    if (channel === undefined) return
    // The connection is about to end, and so is every membership: they begin again with the next one.
    if (frame._tag === "left" && (frame.reason === "lost" || this.link!.isDraining)) return
    channel.receive(frame)
  }

  private onEnd({ code, wasOnline }: Ended): void {
    const { session } = this.options
    this.link = undefined
    if (wasOnline) {
      this.byNumber.clear()
      this.requests.lose(code)
      this.memberships.lose()
      this.outgoing.lose()
      for (const channel of this.channels.values()) {
        if (channel.leaveTag === "unsubscribe") channel.status = "waiting"
        else if (channel.status !== "waiting") channel.status = "away"
      }
    } else if (code === CloseCode.tooLarge.code || code === CloseCode.tooManyFrames.code) {
      // Perhaps for what came with the hello: the next one goes alone, and its welcome says what is allowed.
      this.limits = { ...this.limits, burst: 1 }
    }
    if (code === CloseCode.replaced.code) session.forget()
    if (session.resume === null) this.restart()
  }

  /** There is no session any more, or another one: nothing of the one before goes on, and all channels are wanted. */
  private restart(): void {
    this.requests.restart()
    this.memberships.restart()
    for (const channel of this.channels.values()) {
      channel.status = "waiting"
      channel.number = undefined
      this.memberships.want(channel)
    }
  }

  /** Ends the client for good: sends what may still be sent, then everything that waits fails. Idempotent. */
  stop(code: number, reason: string): void {
    if (this.stoppedWith !== undefined) return
    this.stoppedWith = code
    this.drain()
    this.link?.close(CloseCode.normal.code, "closed")
    this.options.session.close()
    this.requests.restart()
    const closed = new RequestError.ClientClosed({ code })
    this.outgoing.reject(closed, () => true)
    for (const channel of this.channels.values()) {
      channel.status = "closed"
      channel.finish(new RequestError.RequestError({ reason: closed }))
    }
    this.channels.clear()
    Watched.set(this.options.state, { _tag: "stopped", code, reason })
    this.settle()
  }
}
