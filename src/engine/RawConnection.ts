/**
 * One connection of an endpoint: its handler's fiber, what came and is not read, what is sent and not taken.
 *
 * The handler's end closes the connection, and the end of the connection ends the handler: at once if it reads no
 * messages at that moment, otherwise it sees their end and has 5 seconds to finish.
 */
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as CloseCode from "../contract/CloseCode.ts"
import * as Identity from "../contract/Identity.ts"
import type * as Codec from "../wire/Codec.ts"
import * as Utf8 from "../wire/Utf8.ts"
import type { Core } from "./Core.ts"
import { logError } from "./Core.ts"
import type { Deadlines } from "./Deadlines.ts"
import type { CloseEvent, Failure, Message } from "./EndpointDefinition.ts"
import { Closed, Reject } from "./EndpointDefinition.ts"
import * as Limits from "./Limits.ts"
import type { Options as OutboxOptions, Owner } from "./Outbox.ts"
import { Outbox } from "./Outbox.ts"
import { separately } from "./Packing.ts"
import * as CloseFrame from "./RawCloseFrame.ts"
import type { Grouped, RawGroups } from "./RawGroups.ts"
import { encode } from "./RawGroups.ts"
import { RawInbox } from "./RawInbox.ts"
import type * as Transport from "./Transport.ts"

/** What all raw connections of an engine share. */
export interface RawShared {
  readonly core: Core
  readonly context: Context.Context<never>
  readonly groups: RawGroups
  /** Connections that are open or whose handler still runs. */
  readonly connections: Set<RawConnection>
  /** Connections whose services are being made. */
  readonly starting: Deadlines<RawConnection>
  /** Connections for which somebody waits until the client takes what was sent. */
  readonly stuck: Deadlines<RawConnection>
  /** Connections that have ended, and whose handler may finish. */
  readonly finishing: Deadlines<RawConnection>
  /** Connections whose peer has not answered the close frame yet. */
  readonly closing: Deadlines<RawConnection>
  readonly outboxes: OutboxOptions
  /** A connection has ended, and its handler too. */
  readonly onGone: () => void
}

interface Waiting {
  readonly frame: Codec.Encoded
  readonly resume: (effect: Effect.Effect<void, Closed>) => void
}

export class RawConnection implements Transport.SocketHandler, Grouped, Owner {
  readonly id: string
  readonly address: string
  readonly outbox: Outbox<undefined>
  readonly inbox: RawInbox
  /** How it ended, once it has. */
  readonly closed = Deferred.makeUnsafe<CloseEvent>()
  over = false
  private readonly shared: RawShared
  private readonly socket: Transport.Socket
  private readonly path: string
  private readonly groups = new Set<string>()
  private readonly sends: Array<Waiting> = []
  /** The close that follows once everything was handed over. */
  private last: CloseEvent | undefined
  private fiber: Fiber.Fiber<unknown, Failure> | undefined
  private running = false
  private retiring = false

  constructor(shared: RawShared, socket: Transport.Socket, id: string, path: string, address: string) {
    this.shared = shared
    this.socket = socket
    this.id = id
    this.path = path
    this.address = address
    this.inbox = new RawInbox(shared.core, socket)
    this.outbox = new Outbox(socket, separately, shared.outboxes, this)
    shared.connections.add(this)
  }

  /** Starts the handler. It calls `started` once its services are there, within the handshake time. */
  run(handler: (started: () => void) => Effect.Effect<unknown, Failure, any>): void {
    const { context, core, starting } = this.shared
    this.running = true
    starting.add(this)
    const fiber = Effect.runForkWith(context as Context.Context<any>)(handler(() => starting.remove(this)))
    this.fiber = Fiber.runIn(fiber, core.scope)
    this.fiber.addObserver((exit) => this.handled(exit))
  }

  // ------------------------------------------------------------- the transport's callbacks

  message(data: Message): void {
    if (this.over) return
    const { messageBytes } = this.shared.core.limits
    if (typeof data === "string" ? Utf8.exceeds(data, messageBytes) : data.length > messageBytes) {
      return this.shut(CloseCode.tooLarge, `a message has at most ${messageBytes} bytes`)
    }
    this.shared.core.stats?.received(data)
    if (!this.inbox.offer(data)) this.shut(CloseCode.tooManyFrames)
  }

  drain(): void {
    this.outbox.drained()
  }

  close(code: number, reason: string): void {
    this.finish({ code, reason }, false)
    this.shared.closing.remove(this)
  }

  // ------------------------------------------------------------- sending

  readonly send = (message: Message): Effect.Effect<void, Closed> =>
    Effect.suspend(() => {
      if (this.over || this.last !== undefined) return this.refusal
      const frame = encode(message, this.shared.core.limits.outboxTickBytes)
      if (this.sends.length === 0 && this.fits(frame)) {
        this.outbox.push(frame)
        return Effect.void
      }
      return Effect.callback<void, Closed>((resume) => {
        const waiting = { frame, resume }
        if (this.sends.push(waiting) === 1) this.await()
        return Effect.sync(() => {
          const index = this.sends.indexOf(waiting)
          if (index >= 0) this.sends.splice(index, 1)
          if (this.sends.length === 0 && this.last === undefined) this.shared.stuck.remove(this)
        })
      })
    })

  /** Sends what was sent before, then the close frame. The first close counts. */
  leave(event: CloseEvent): void {
    if (this.over || this.last !== undefined) return
    this.last = event
    this.inbox.end("discard")
    this.leaveGroups()
    this.outbox.handOver()
    if (this.sends.length === 0 && this.outbox.queuedFrames === 0) this.farewell(event)
    else this.await()
  }

  /** Something has to leave the outbox, before it is too late. */
  private await(): void {
    this.shared.stuck.add(this)
    this.outbox.awaitRoom()
  }

  private get refusal(): Effect.Effect<never, Closed> {
    const event = this.last
    return event === undefined
      ? Effect.flatMap(Deferred.await(this.closed), (event) => Effect.fail(new Closed(event)))
      : Effect.fail(new Closed(event))
  }

  /** Half of the outbox is for whoever can wait, the rest for what cannot. A large message goes when nothing waits. */
  private fits({ bytes }: Codec.Encoded): boolean {
    const { outbox } = this
    const { outboxBytes, outboxFrames } = this.shared.core.limits
    const isRoom = () =>
      outbox.queuedFrames === 0 ||
      (outbox.queuedBytes + bytes <= outboxBytes / 2 && outbox.queuedFrames < outboxFrames / 2)
    return isRoom() || (outbox.handOver(), isRoom())
  }

  onOverflow(): void {
    this.shut(CloseCode.slowConsumer)
  }

  /** Something has left the outbox. */
  onRoom(): void {
    while (this.sends.length > 0 && this.fits(this.sends[0]!.frame)) {
      const { frame, resume } = this.sends.shift()!
      this.outbox.push(frame)
      resume(Effect.void)
    }
    if (this.over) return
    this.shared.stuck.remove(this)
    if (this.last !== undefined && this.sends.length === 0 && this.outbox.queuedFrames === 0) this.farewell(this.last)
    else if (this.last !== undefined || this.sends.length > 0) this.await()
  }

  private farewell(event: CloseEvent): void {
    if (this.over) return
    this.shared.closing.add(this)
    this.finish(event, true)
    this.socket.close(event.code, event.reason)
  }

  // ------------------------------------------------------------- groups

  join(name: string): Effect.Effect<void, Reject> {
    const { core: { limits: { roomsPerSession } }, groups } = this.shared
    if (this.over || this.last !== undefined) return Effect.void
    if (Utf8.exceeds(name, Limits.keyBytes)) return Effect.fail(tooLong)
    if (!this.groups.has(name) && this.groups.size >= roomsPerSession) return Effect.fail(tooMany(roomsPerSession))
    this.groups.add(name)
    groups.join(name, this)
    return Effect.void
  }

  part(name: string): void {
    if (this.groups.delete(name)) this.shared.groups.leave(name, this)
  }

  private leaveGroups(): void {
    for (const name of this.groups) this.shared.groups.leave(name, this)
    this.groups.clear()
  }

  // ------------------------------------------------------------- ending

  /** Closes at once: what the runtime does not take is lost. Idempotent. */
  shut({ code, name }: CloseCode.CloseCode, reason: string = name): void {
    if (this.over) return
    this.outbox.close()
    this.shared.closing.add(this)
    this.finish({ code, reason }, false)
    this.socket.close(code, reason)
  }

  /** The peer did not answer the close frame in time. */
  abandon(): void {
    this.socket.terminate?.()
  }

  /** The server goes away: the handler sees the end of the messages, and its own end closes with 1012. */
  retire(): void {
    this.retiring = true
    if (this.last === undefined) this.inbox.end("keep")
  }

  /** The server has stopped. */
  expire(): void {
    this.shut(CloseCode.serviceRestart, restart.reason)
    this.interrupt()
  }

  /** The handler had its time. */
  interrupt(): void {
    this.fiber?.interruptUnsafe()
  }

  private finish(event: CloseEvent, isOwn: boolean): void {
    if (this.over) return
    this.over = true
    const { starting, stuck } = this.shared
    const mayFinish = isOwn || this.inbox.readers > 0
    this.outbox.close()
    this.leaveGroups()
    starting.remove(this)
    stuck.remove(this)
    Deferred.doneUnsafe(this.closed, Effect.succeed(event))
    this.inbox.end(isOwn ? "discard" : "keep")
    for (const { resume } of this.sends.splice(0)) resume(Effect.fail(new Closed(event)))
    if (!this.running) this.gone()
    // Without a fiber the handler is the one that brought this about, as it started.
    else if (mayFinish || this.fiber === undefined) this.shared.finishing.add(this)
    else this.interrupt()
  }

  private handled(exit: Exit.Exit<unknown, Failure>): void {
    this.running = false
    const event = endOf(exit)
    if (this.over ? Exit.hasDies(exit) : event === undefined) {
      logError(
        this.shared.core,
        `the handler of endpoint ${this.path} failed`,
        (exit as Exit.Failure<never, Failure>).cause
      )
    }
    if (this.over) this.gone()
    else this.leave(event === normal && this.retiring ? restart : event ?? crashed)
  }

  private gone(): void {
    const { connections, finishing, onGone } = this.shared
    finishing.remove(this)
    if (connections.delete(this)) onGone()
  }
}

/** How the handler's end closes the connection; undefined if it crashed. */
const endOf = (exit: Exit.Exit<unknown, Failure>): CloseEvent | undefined => {
  if (Exit.isSuccess(exit)) return normal
  const [reason, ...others] = exit.cause.reasons
  if (reason?._tag !== "Fail" || others.length > 0) return undefined
  const { error } = reason
  if (error instanceof Reject) return { code: error.code, reason: error.reason }
  if (!(error instanceof Identity.Unauthorized)) return undefined
  return { code: CloseCode.unauthorized.code, reason: CloseFrame.clip(error.detail) }
}

const normal: CloseEvent = { code: CloseCode.normal.code, reason: "" }
const restart: CloseEvent = { code: CloseCode.serviceRestart.code, reason: "the server is stopping" }
const crashed: CloseEvent = { code: CloseCode.internalError.code, reason: CloseCode.internalError.name }

const policyViolation = 1008
const tooMany = (most: number) => new Reject({ code: policyViolation, reason: `at most ${most} groups` })
const tooLong = new Reject({
  code: policyViolation,
  reason: `the name of a group has at most ${Limits.keyBytes} bytes`
})
