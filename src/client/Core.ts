/**
 * The state of one client: its channels, what waits to be sent, and the connection of the moment.
 *
 * Everything in it is a synchronous call, from a callback of the socket, from the timer, or from a fiber of the user.
 * Fibers are resumed at the end of such a call, when the state is whole again.
 */
import type * as Clock from "effect/Clock"
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
import type { Ended } from "./Link.ts"
import { Link, unannounced } from "./Link.ts"
import { Outgoing } from "./Outgoing.ts"
import * as Watched from "./Watched.ts"

export interface Options {
  readonly url: string
  readonly connect: Connect
  readonly codec: Codec.Codec
  readonly clock: Clock.Clock
  readonly dispatcher: Scheduler.SchedulerDispatcher
  readonly state: SubscriptionRef.SubscriptionRef<ConnectionState>
  readonly offlineQueue: number
  readonly eventBuffer: number
  readonly answerMillis: number
}

export class Core implements Owner {
  readonly options: Options
  readonly alarm = new Alarm()
  private readonly channels = new Map<string, Channel>()
  private readonly byNumber = new Map<number, Channel>()
  private readonly outgoing: Outgoing
  private tasks: Array<() => void> = []
  private link: Link | undefined
  private limits: Frame.Announced = unannounced
  private isScheduled = false
  /** The close code once the client has stopped. */
  private stoppedWith: number | undefined

  constructor(options: Options) {
    this.options = options
    this.outgoing = new Outgoing({
      capacity: options.offlineQueue,
      now: this.now,
      after: this.after,
      schedule: this.schedule,
      wakeBy: (at) => this.alarm.by(at),
      onOpen: (channel, number) => {
        channel.number = number
        this.byNumber.set(number, channel)
      },
      onLeft: (channel) => this.byNumber.delete(channel.number)
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
    if (this.link === undefined) return
    this.outgoing.drain(this.link)
    this.settle()
  }

  /** Takes a request or notice, or says why not. */
  call(call: Call): RequestError.RequestError["reason"] | undefined {
    if (this.stoppedWith !== undefined) return new RequestError.ClientClosed({ code: this.stoppedWith })
    if (call.channel.status === "closed") return new RequestError.NotJoined()
    if (call.onAnswer === undefined) {
      const { name, payload } = call
      const max = this.limits.message
      const { bytes } = this.options.codec.encode({ _tag: "notice", channel: call.channel.number, name, payload })
      if (bytes > max) return new RequestError.LimitExceeded({ limit: "message", max })
    }
    const hasPlace = this.outgoing.hasPlace(this.link)
    if (hasPlace) this.outgoing.add(call)
    this.settle()
    return hasPlace ? undefined : new RequestError.QueueFull({ capacity: this.options.offlineQueue })
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
    this.outgoing.want(channel)
    return undefined
  }

  readonly want = (channel: Channel): void => this.outgoing.want(channel)

  readonly renew = (channel: Channel): void => this.outgoing.renew(channel)

  readonly leave = (channel: Channel): void => {
    if (channel.status === "closed") return
    this.channels.delete(channel.address)
    this.outgoing.close(channel, this.link)
    channel.finish(null)
  }

  /** Leaves as a user's wish. */
  quit(channel: Channel): void {
    this.leave(channel)
    this.settle()
  }

  readonly drop = (channel: Channel, error: RequestError.RequestError): void => {
    if (channel.status === "closed") return
    this.channels.delete(channel.address)
    if (this.byNumber.get(channel.number) === channel) this.byNumber.delete(channel.number)
    this.outgoing.closed(channel)
    channel.finish(error)
  }

  // ------------------------------------------------------------- the connection

  /** Opens a connection; `onEnd` is called once, in the end. */
  connect(token: string | null, onEnd: (ended: Ended) => void): Link {
    const { answerMillis, codec, connect, url } = this.options
    return this.link = new Link({
      connect,
      url,
      token,
      codec,
      now: this.now,
      answerMillis,
      wakeBy: (at) => this.alarm.by(at),
      onWelcome: this.onWelcome,
      onFrame: this.onFrame,
      onHandled: this.settle,
      onEnd: (ended) => {
        this.onEnd()
        this.settle()
        onEnd(ended)
      }
    })
  }

  /** Does what is due, and answers when the next thing is. */
  readonly tick = (): number => {
    if (this.link === undefined) return Infinity
    this.outgoing.drain(this.link)
    const next = this.link?.tick() ?? Infinity
    this.settle()
    return next
  }

  private readonly onWelcome = (limits: Frame.Announced): void => {
    this.limits = limits
    Watched.set(this.options.state, { _tag: "online" })
    for (const channel of this.channels.values()) this.outgoing.want(channel)
    this.outgoing.drain(this.link!)
  }

  private readonly onFrame = (frame: Delivery): void => {
    const channel = this.byNumber.get(frame.channel)
    if (channel === undefined) return
    // The connection is about to end, and so is every membership: they begin again with the next one.
    if (frame._tag === "left" && (frame.reason === "lost" || this.link!.isDraining)) return
    channel.receive(frame)
  }

  private onEnd(): void {
    this.link = undefined
    this.byNumber.clear()
    this.outgoing.reset()
    for (const channel of this.channels.values()) {
      channel.status = "waiting"
      channel.retryAt = 0
    }
  }

  /** Ends the client for good: sends what may still be sent, then everything that waits fails. Idempotent. */
  stop(code: number, reason: string): void {
    if (this.stoppedWith !== undefined) return
    this.stoppedWith = code
    if (this.link !== undefined) {
      this.outgoing.drain(this.link)
      this.link.close(CloseCode.normal.code, "closed")
    }
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
