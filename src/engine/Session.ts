/**
 * A client's identity: what it is a member of, and what became of its requests.
 *
 * Membership belongs to the session, not to its connection. A connection that is lost detaches the session: members stay
 * what they are, but nothing is queued for them; requests go on, and their answers are kept. Whoever takes the session up
 * again joins its rooms again, each at its own position.
 */
import * as Context from "effect/Context"
import type { LeaveReason } from "../contract/Behavior.ts"
import type * as Identity from "../contract/Identity.ts"
import * as RequestError from "../contract/RequestError.ts"
import type { Encoded } from "../wire/Codec.ts"
import type * as Frame from "../wire/Frame.ts"
import type { Commits, Party } from "./Commits.ts"
import { Few } from "./Few.ts"
import * as Limits from "./Limits.ts"
import type { Outbox } from "./Outbox.ts"
import { Requests } from "./Requests.ts"
import type { SessionStore } from "./SessionStore.ts"
import type { Stats } from "./Stats.ts"

/** A room or topic that a session is in. */
export interface Membership {
  /** The client's own wish; answered with `ok`. */
  readonly leave: (ref: number) => void
  /** The session is over. */
  readonly end: (reason: LeaveReason) => void
  /** The connection is lost: nothing is delivered any more. A subscription ends. */
  readonly detach: () => void
  /** Requests and notices; undefined for a topic. */
  readonly room: RoomMembership | undefined
}

/** What a member of a room may ask for. */
export interface RoomMembership {
  /** Whether its client has joined it, on the connection of now. */
  readonly isJoined: boolean
  readonly request: (frame: Frame.ClientFrames["request"]) => void
  readonly notice: (frame: Frame.ClientFrames["notice"]) => void
  readonly history: (frame: Frame.ClientFrames["history"]) => void
  /** Sends an answer in its place among the events of the room. */
  readonly respond: (answer: Encoded) => void
}

/** A join, subscription or request whose answer is owed. */
export interface Pending {
  /** Interrupts its handler, or keeps it from running; it is answered all the same. */
  readonly cancel: (reason: string) => void
  /** Whether a membership may come of it that is not there yet. */
  readonly joins: boolean
}

/** What is asked of a room: answered under its reference, if the connection it came on still stands. */
export interface Asked {
  readonly ref: number
  readonly to: Outbox
  /** The number of a request, whose answer is kept. */
  readonly seq?: number
  /** Sends the answer in its place; without it, it is sent at once. */
  readonly respond?: (answer: Encoded) => void
}

/** A request while it runs. What awaits its answer changes when it is sent again. */
export interface Call extends Asked, Pending {
  readonly seq: number
  ref: number
  to: Outbox
}

/** The services that differ from caller to caller. */
export const identityContext = (identities: Identity.Identities): Context.Context<never> =>
  identities.size === 0 ? Context.empty() : Context.makeUnsafe(new Map(identities))

/** What a session is made of. */
export interface Options {
  readonly id: string
  readonly outbox: Outbox
  readonly identities: Identity.Identities
  /** Whether it may outlive its connection. */
  readonly keeps?: boolean
  readonly stats?: Stats | undefined
  readonly store?: SessionStore | undefined
  /** There if the store has transactions. */
  readonly commits?: Commits | undefined
  /** What it was to write was not written. */
  readonly onRevoked?: ((session: Session) => void) | undefined
}

/** A connection, as far as its session knows it. */
export interface Holder {
  readonly outbox: Outbox
  /** A newer connection has its session now. */
  readonly replace: () => void
  /** The client is to stay away. */
  readonly expel: () => void
}

const none: ReadonlyArray<number> = []

export class Session implements Party {
  readonly id: string
  /** That of its connection; one that takes nothing while it has none. */
  outbox: Outbox
  /** Replaced when the client renews its credentials, or comes back. */
  identities: Identity.Identities
  readonly requests: Requests
  ended = false
  /** Its connection; undefined while it has none. */
  holder: Holder | undefined
  /** It crashed rooms too often. */
  isExpelled = false
  /** Until when each crash counts that its messages caused. */
  private crashes = none
  /** Nothing has come over the connection that was given the newest token. */
  isUnconfirmed = false
  /** By the number of the channel. */
  readonly memberships = new Few<Membership>()
  /** What this connection is owed, by reference. */
  readonly pending = new Few<Pending>()
  /** What goes on, of those who asked on a connection that is no more. */
  private orphans: Set<Asked & Pending> | undefined
  private readonly stats: Stats | undefined
  private readonly store: SessionStore | undefined
  private isErased = false
  private readonly commits: Commits | undefined
  private readonly onRevoked: ((session: Session) => void) | undefined
  /** What was answered in a transaction, and which that was. */
  private answered: Array<number> | undefined
  private transaction = 0

  constructor({ commits, id, identities, keeps = false, onRevoked, outbox, stats, store }: Options) {
    this.commits = commits
    this.onRevoked = onRevoked
    this.id = id
    this.outbox = outbox
    this.identities = identities
    this.stats = stats
    this.store = store
    this.requests = new Requests(keeps)
  }

  /** How many answers are owed, to this connection and to those before it. */
  get open(): number {
    return (this.pending.size) + (this.orphans?.size ?? 0)
  }

  /** Rooms and topics that it is in, or may soon be. */
  get places(): number {
    let places = this.memberships.size
    for (const { joins } of this.pending.values()) if (joins) places++
    for (const { joins } of this.orphans ?? []) if (joins) places++
    return places
  }

  /** Whether there is anything to come back for. */
  get isWorthKeeping(): boolean {
    return this.identities.size > 0 || this.open > 0 || !this.requests.isEmpty || this.memberships.size > 0
  }

  // ------------------------------------------------------------- answers

  send(frame: Frame.ServerFrame): void {
    this.outbox.push(this.outbox.codec.encode(frame))
  }

  /** Gives the one answer to a reference of this connection. */
  answer(frame: Frame.ServerFrame & { readonly ref: number }): void {
    this.pending.delete(frame.ref)
    this.send(frame)
  }

  refuse(ref: number, error: RequestError.ProtocolError): void {
    this.pending.delete(ref)
    this.stats?.refused(error._tag)
    this.send({ _tag: "error", ref, error: RequestError.encode(error) })
  }

  /** Reports what was wrong with a frame that has no answer. */
  complain(error: RequestError.ProtocolError): void {
    this.stats?.refused(error._tag)
    this.send({ _tag: "error", ref: null, error: RequestError.encode(error) })
  }

  /** Takes note that a room crashed on a message of this client. One that does so too often is sent away. */
  charge(now: number, millis: number): void {
    this.crashes = [...this.crashes.filter((end) => end > now), now + millis]
    if (this.crashes.length < Limits.chargedCrashes || this.ended) return
    this.isExpelled = true
    this.end("kicked")
    this.holder?.expel()
  }

  /** A room is asked for this. */
  owe(asked: Asked & Pending): void {
    this.pending.set(asked.ref, asked)
  }

  /** The same for a request, which runs this once. */
  run(call: Call): void {
    this.pending.set(call.ref, call)
    this.requests.began(call)
  }

  /** Gives what was asked of a room its one answer: keeps it, and sends it to whoever waits for it now. */
  settle(asked: Asked, answer: Encoded): void {
    if (asked.seq !== undefined) this.keep(asked.seq, answer)
    if (!this.forget(asked)) return
    if (asked.respond === undefined) this.outbox.push(answer)
    else asked.respond(answer)
  }

  reject(asked: Asked, error: RequestError.ProtocolError): void {
    this.stats?.refused(error._tag)
    this.settle(asked, this.outbox.codec.encode({ _tag: "error", ref: asked.ref, error: RequestError.encode(error) }))
  }

  /** What was asked is over. Answers whether somebody waits for it. */
  forget(asked: Asked): boolean {
    if (asked.to === this.outbox) {
      this.pending.delete(asked.ref)
      return true
    }
    this.orphans?.delete(asked as Asked & Pending)
    return false
  }

  // ------------------------------------------------------------- requests that are sent again

  /** Takes a number that was not sent before, or that did not arrive. */
  accept(seq: number, isAgain: boolean): void {
    this.requests.accept(seq, isAgain)
  }

  /** The client has every answer up to this. */
  acknowledge(ack: number): void {
    if (this.requests.acknowledge(ack)) this.write((store) => store.acknowledge(this.id, ack))
  }

  /** Answers a request as it was answered before, under its new reference. */
  repeat(ref: number, channel: number, { data }: Encoded): void {
    const { codec } = this.outbox
    const [frame] = codec.decodeServer(data, 1)!
    const answer = codec.encode({ ...(frame as Frame.ServerFrames["ok"]), ref })
    const room = this.memberships.get(channel)?.room
    if (room === undefined) this.outbox.push(answer)
    else room.respond(answer)
  }

  /** Who waits for a running request waits under another reference, on the connection of now. */
  move(call: Call, ref: number): void {
    this.orphans?.delete(call)
    call.to = this.outbox
    call.ref = ref
    this.pending.set(ref, call)
  }

  /** Answers what may have run in a process that is no more. Not kept: the same number is answered the same again. */
  isLost(ref: number, seq: number): void {
    const error = new RequestError.ConnectionLost({ code: 1006, mayHaveRun: true })
    const answer = this.outbox.codec.encode({ _tag: "error", ref, error: RequestError.encode(error) })
    this.stats?.refused(error._tag)
    this.requests.accept(seq, true)
    this.outbox.push(answer)
  }

  private keep(seq: number, answer: Encoded): void {
    if (this.requests.answered(seq, answer)) this.record(seq, answer)
  }

  /** Writes an answer, and remembers it as long as it may be undone. */
  private record(seq: number, answer: Encoded): void {
    const { commits, store } = this
    if (commits !== undefined) {
      // What it follows from may be in a log.
      if (store === undefined) commits.join(this)
      if (this.transaction !== commits.number || this.answered === undefined) this.answered = []
      this.transaction = commits.number
      this.answered.push(seq)
    }
    if (!this.isErased) this.write((store) => store.answer(this.id, seq, answer))
  }

  /** Writes to the store, if there is one, in the transaction of this tick: without it nobody is told anything. */
  write(change: (store: SessionStore) => void): void {
    const { commits, store } = this
    if (store === undefined) return
    try {
      commits?.begin(this)
      change(store)
    } catch (error) {
      if (commits === undefined) throw error
      commits.fail(error, this)
    }
  }

  /** Takes it out of the store, for good: what is interrupted now is still answered. */
  erase(): void {
    this.isErased = true
    this.write((store) => store.remove(this.id))
  }

  revoke(): ReadonlyArray<Outbox> {
    this.onRevoked?.(this)
    return [this.outbox]
  }

  /** A commit failed: what was answered in it, or is about to be, is not known any more. */
  doubt(): void {
    const isOpen = this.transaction === this.commits?.number
    this.requests.revoke((isOpen ? this.answered : undefined) ?? none)
    this.answered = undefined
  }

  // ------------------------------------------------------------- coming and going

  /** The connection is lost. What was begun goes on, without anybody who waits for it. */
  detach(nowhere: Outbox): void {
    this.outbox = nowhere
    for (const asked of this.pending.values()) {
      if (!("to" in asked)) asked.cancel("the connection was lost")
      else (this.orphans ??= new Set()).add(asked as Asked & Pending)
    }
    this.pending.clear()
    for (const membership of this.memberships.values()) membership.detach()
  }

  /** Ends every membership of the session that its client has not come back to. */
  endAbsent(): void {
    for (const membership of this.memberships.values()) {
      if (membership.room?.isJoined === false) membership.end("lost")
    }
  }

  /** Ends every membership and interrupts what runs for this session. Idempotent. */
  end(reason: LeaveReason): void {
    if (this.ended) return
    this.ended = true
    for (const pending of [...this.pending.values(), ...this.orphans ?? []]) pending.cancel("the session ended")
    this.pending.clear()
    this.orphans = undefined
    for (const membership of this.memberships.values()) membership.end(reason)
    this.memberships.clear()
  }
}
