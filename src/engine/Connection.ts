/**
 * The actor of one transport: handshake, limits, heartbeat, and the way of frames to the router.
 *
 * It never waits for a room. What it does wait for is the check of credentials; meanwhile frames collect in its
 * bounded mailbox and the transport is paused. A connection that fails is closed with 1011 and never restarted.
 */
import * as Effect from "effect/Effect"
import * as Actor from "../actor/Actor.ts"
import { isExit } from "../actor/Ended.ts"
import * as CloseCode from "../contract/CloseCode.ts"
import type * as Identity from "../contract/Identity.ts"
import * as RequestError from "../contract/RequestError.ts"
import type * as Frame from "../wire/Frame.ts"
import * as Utf8 from "../wire/Utf8.ts"
import type { Connections } from "./Addresses.ts"
import type * as Authentication from "./Authentication.ts"
import { Backpressure } from "./Backpressure.ts"
import type { Core } from "./Core.ts"
import type { Credentials, Peer } from "./Credentials.ts"
import type { Deadlines } from "./Deadlines.ts"
import { FrameRate } from "./FrameRate.ts"
import type { Beating } from "./Heartbeat.ts"
import type { Options as OutboxOptions, Owner } from "./Outbox.ts"
import { Outbox } from "./Outbox.ts"
import type { Joiner } from "./Packing.ts"
import type { Served } from "./Router.ts"
import { route } from "./Router.ts"
import type { Holder, Session } from "./Session.ts"
import type { Sessions } from "./Sessions.ts"
import type * as Transport from "./Transport.ts"
import type { Users } from "./Users.ts"
import * as Welcome from "./Welcome.ts"

/** What all connections of an engine share. */
export interface Shared {
  readonly core: Core
  readonly served: Served
  readonly authenticators: Authentication.Authenticators
  readonly fingerprints: { readonly [name: string]: string }
  readonly connections: Connections<Connection>
  readonly sessions: Sessions
  readonly users: Users
  /** Connections whose first frame or credentials are still awaited. */
  readonly handshakes: Deadlines<Connection>
  /** Connections whose peer has not taken everything yet, while the server stops. */
  readonly retiring: Deadlines<Connection>
  /** Connections whose peer has not answered the close frame yet. */
  readonly closing: Deadlines<Connection>
  readonly outboxes: OutboxOptions
}

type Inbound = Frame.ClientFrame | Frame.Malformed

/** Malformed frames after which the peer is taken not to speak the protocol. */
const maxMalformed = 3

/** One that fails is closed. */
const unsupervised: Actor.Supervision = { intensity: { restarts: 0, within: "1 minute" } }

/**
 * It is its actor's behavior and its outbox's owner as well, since there are many: objects and closures of their own for
 * these would be a tenth of what an idle connection costs.
 */
export class Connection implements Transport.SocketHandler, Beating, Holder, Owner {
  readonly id = "connection"
  readonly supervision = unsupervised
  quietSweeps = 0
  readonly outbox: Outbox
  readonly address: string
  private readonly shared: Shared
  private readonly socket: Transport.Socket
  private readonly credentials: Credentials
  private readonly replies: Backpressure
  private readonly actor: Actor.Actor<Inbound>
  private readonly rate: FrameRate
  private session: Session | undefined
  private malformed = 0
  private paused = false
  private retiring = false
  private closed = false

  constructor(shared: Shared, socket: Transport.Socket, joiner: Joiner, { address, credentials }: Peer) {
    const { core } = shared
    this.shared = shared
    this.socket = socket
    this.address = address
    this.credentials = credentials
    this.outbox = new Outbox(socket, joiner, shared.outboxes, this)
    this.replies = new Backpressure(this.outbox, core.limits)
    this.rate = new FrameRate(shared.users, core.now())
    this.actor = Actor.spawnIn<Inbound>(core.actors, core.context, this)
    shared.connections.add(this)
    shared.handshakes.add(this)
  }

  // ------------------------------------------------------------- its actor, and its outbox

  get mailbox(): number {
    // A whole message may follow the one that filled the mailbox, before the transport has paused.
    return this.shared.core.limits.connectionMailbox + this.shared.core.limits.messageFrames
  }

  init(): Effect.Effect<this> {
    return Effect.succeed(this)
  }

  onStopped(reason: Actor.StopReason): void {
    if (reason._tag === "Spent") this.shut(CloseCode.internalError)
  }

  onOverflow(): void {
    this.shut(CloseCode.slowConsumer)
  }

  onRoom(): void {
    if (this.retiring) {
      if (this.outbox.queuedFrames === 0) return this.expire()
      this.outbox.awaitRoom()
    }
    this.replies.goOn()
  }

  // ------------------------------------------------------------- the transport's callbacks

  message(data: string | Uint8Array): void {
    if (this.closed) return
    this.quietSweeps = 0
    if (this.session?.isUnconfirmed === true) this.shared.sessions.confirm(this.session)
    const { limits, stats } = this.shared.core
    if (typeof data === "string" ? Utf8.exceeds(data, limits.messageBytes) : data.length > limits.messageBytes) {
      return this.shut(CloseCode.tooLarge, `a message has at most ${limits.messageBytes} bytes`)
    }
    const frames = this.outbox.codec.decodeClient(data, limits.messageFrames)
    if (frames === undefined) {
      return this.shut(CloseCode.tooLarge, `a message has at most ${limits.messageFrames} frames`)
    }
    stats?.received(data, frames)
    const now = this.shared.core.now()
    for (const frame of frames) {
      const refusal = this.rate.take(frame, now)
      if (refusal === "goes on") return this.shut(CloseCode.tooManyFrames)
      if (refusal !== undefined) this.error("ref" in frame ? frame.ref : null, refusal)
      if (refusal !== undefined || frame._tag === "unknown") continue
      if (Actor.offer(this.actor, frame) === "full") return this.shut(CloseCode.tooManyFrames)
    }
    if (!this.paused && this.actor.pending >= limits.connectionMailbox) {
      this.paused = true
      this.socket.pause?.()
    }
  }

  drain(): void {
    this.outbox.drained()
  }

  close(code: number): void {
    if (!this.closed) this.shared.sessions.part(this.session, code)
    this.finish()
    this.shared.closing.remove(this)
  }

  // ------------------------------------------------------------- heartbeat

  get idleSweeps(): number {
    return this.outbox.idleSweeps
  }

  set idleSweeps(sweeps: number) {
    this.outbox.idleSweeps = sweeps
  }

  ping(): void {
    if (this.session !== undefined) this.outbox.jump(this.outbox.codec.encode({ _tag: "ping" }))
  }

  silent(): void {
    this.shut(CloseCode.timeout, "nothing was heard for too long")
  }

  /** The handshake took too long. */
  late(): void {
    this.shut(CloseCode.timeout, "no valid hello came in time")
  }

  // ------------------------------------------------------------- ending

  /** Leaves the session, sends what the outbox can still hand over, and closes. Idempotent. */
  shut({ code, name }: CloseCode.CloseCode, reason = name): void {
    if (this.closed) return
    this.shared.sessions.part(this.session, code)
    this.shared.closing.add(this)
    this.finish()
    this.socket.close(code, reason)
  }

  /** The server goes away: tells the client when to come back, or ends at once what never got as far as a session. */
  announceDrain(after: number): void {
    if (this.session === undefined) this.expire()
    else this.outbox.jump(this.outbox.codec.encode({ _tag: "drain", after }))
  }

  /** Closes, once everything that was sent is handed over. */
  retire(): void {
    if (this.closed) return
    this.retiring = true
    this.shared.retiring.add(this)
    this.outbox.handOver()
    this.onRoom()
  }

  /** The server has stopped. */
  expire(): void {
    this.shut(CloseCode.serviceRestart, "the server is stopping")
  }

  /** The session goes on over a newer connection. */
  replace(): void {
    this.session = undefined
    this.shut(CloseCode.replaced)
  }

  /** Its messages crashed a room too often. */
  expel(): void {
    this.shut(CloseCode.rejected, "its messages crashed a room too often")
  }

  /** The peer did not answer the close frame in time. */
  abandon(): void {
    this.socket.terminate?.()
  }

  private finish(): void {
    if (this.closed) return
    this.closed = true
    this.outbox.close()
    this.rate.end()
    this.shared.connections.delete(this)
    this.shared.handshakes.remove(this)
    this.shared.retiring.remove(this)
    this.actor.stopUnsafe("discard")
  }

  // ------------------------------------------------------------- frames

  receive(frame: Inbound): Effect.Effect<void> | void {
    if (this.paused && this.actor.pending <= this.shared.core.limits.connectionMailbox / 2) {
      this.paused = false
      this.socket.resume?.()
    }
    if (frame._tag === "malformed") return this.refuse(frame)
    if (this.session !== undefined) {
      if (frame._tag === "renew") return this.renew(this.session, frame)
      // What is answered with much waits until there is room for it.
      const isLarge = frame._tag === "request" || frame._tag === "history"
      if (!isLarge || this.replies.hasRoom) return this.route(this.session, frame)
      const { session } = this
      return Effect.map(this.replies.room(), () => this.route(session, frame))
    }
    if (frame._tag !== "hello") {
      return this.refuse({ _tag: "malformed", field: "frame.kind", detail: "Expected hello first", ref: null })
    }
    return Effect.matchEager(this.credentials.check(frame.token), {
      onSuccess: (identities) => this.welcome(identities, frame.resume),
      onFailure: (error) => this.unauthorized(null, error)
    })
  }

  private route(session: Session, frame: Frame.ClientFrame): void {
    const wrong = route(this.shared.served, this.shared.core.limits, session, frame)
    if (wrong !== undefined) this.refuse(wrong)
  }

  private welcome(identities: Identity.Identities, resume: string | null): void {
    if (this.closed) return
    const { core, fingerprints, handshakes, sessions } = this.shared
    handshakes.remove(this)
    this.rate.of(identities)
    const { session, token } = sessions.enter({
      holder: this,
      identities,
      subject: this.credentials.subjectOf(identities),
      resume
    })
    this.session = session
    session.send(Welcome.make(session, token, core.limits, fingerprints))
  }

  private renew(session: Session, { ref, token }: Frame.ClientFrames["renew"]): Effect.Effect<void> | void {
    const renewed = Effect.matchEager(this.credentials.check(token), {
      onSuccess: (identities) => {
        this.shared.sessions.renew(session, identities, this.credentials.subjectOf(identities))
        this.rate.of(identities)
        session.answer({ _tag: "ok", ref, value: null })
      },
      onFailure: (error) => this.unauthorized(ref, error)
    })
    if (isExit(renewed)) return renewed
    // It holds up all other frames of this connection.
    return Effect.timeoutOrElse(renewed, {
      duration: this.shared.core.limits.handshake,
      orElse: () => Effect.sync(() => this.shut(CloseCode.timeout, "the credentials were not checked in time"))
    })
  }

  private unauthorized(ref: number | null, { detail }: Identity.Unauthorized): void {
    if (this.closed) return
    this.error(ref, new RequestError.Unauthorized({ detail }))
    this.shut(CloseCode.unauthorized)
  }

  private refuse({ detail, field, ref }: Frame.Malformed): void {
    this.error(ref, new RequestError.MalformedFrame({ field, detail }))
    if (++this.malformed >= maxMalformed) this.shut(CloseCode.protocolError, "too many malformed frames")
  }

  private error(ref: number | null, error: RequestError.ProtocolError): void {
    this.shared.core.stats?.refused(error._tag)
    this.outbox.push(this.outbox.codec.encode({ _tag: "error", ref, error: RequestError.encode(error) }))
  }
}
