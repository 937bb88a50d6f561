/**
 * A client's identity: what it is a member of, and which of its requests are open.
 *
 * Membership belongs to the session, not to its connection. The window for which a session is kept after its
 * connection was lost is zero, so both end together.
 */
import * as Context from "effect/Context"
import type { LeaveReason } from "../contract/Behavior.ts"
import type * as Identity from "../contract/Identity.ts"
import * as RequestError from "../contract/RequestError.ts"
import type * as Codec from "../wire/Codec.ts"
import type * as Frame from "../wire/Frame.ts"
import * as Limits from "./Limits.ts"
import type { Outbox } from "./Outbox.ts"
import type { Stats } from "./Stats.ts"

/** A room or topic that a session is in. */
export interface Membership {
  /** The client's own wish; answered with `ok`. */
  readonly leave: (ref: number) => void
  /** The session is over. */
  readonly end: (reason: LeaveReason) => void
  /** Requests and notices; undefined for a topic. */
  readonly room: RoomMembership | undefined
}

/** What a member of a room may ask for. */
export interface RoomMembership {
  readonly request: (frame: Frame.ClientFrames["request"]) => void
  readonly notice: (frame: Frame.ClientFrames["notice"]) => void
  readonly history: (frame: Frame.ClientFrames["history"]) => void
}

/** A join or request whose answer is owed. */
export interface Pending {
  /** Interrupts its handler, or keeps it from running; it is answered all the same. */
  readonly cancel: (reason: string) => void
  /** Whether a membership may come of it. */
  readonly joins: boolean
}

/** Where an answer goes. */
export interface Answers {
  readonly push: (frame: Codec.Encoded) => unknown
}

/** The services that differ from caller to caller. */
export const identityContext = (identities: Identity.Identities): Context.Context<never> =>
  identities.size === 0 ? Context.empty() : Context.makeUnsafe(new Map(identities))

export class Session {
  readonly id: string
  readonly outbox: Outbox
  /** Replaced when the client renews its credentials. */
  identities: Identity.Identities
  /** By the number of the channel. */
  readonly memberships = new Map<number, Membership>()
  /** By reference. */
  readonly pending = new Map<number, Pending>()
  /** The highest sequence number that was accepted: a request runs at most once. */
  lastSequence = 0
  ended = false
  /** Closes its connection; set by the connection. */
  onExpelled: () => void = () => {}
  /** It crashed rooms too often. */
  isExpelled = false
  /** Until when each crash counts that its messages caused. */
  private crashes: ReadonlyArray<number> = []
  private readonly stats: Stats | undefined

  constructor(id: string, outbox: Outbox, identities: Identity.Identities, stats?: Stats) {
    this.stats = stats
    this.id = id
    this.outbox = outbox
    this.identities = identities
  }

  send(frame: Frame.ServerFrame): void {
    this.outbox.push(this.outbox.codec.encode(frame))
  }

  /** Gives the one answer to a reference. */
  answer(frame: Frame.ServerFrame & { readonly ref: number }, to: Answers = this.outbox): void {
    this.pending.delete(frame.ref)
    to.push(this.outbox.codec.encode(frame))
  }

  refuse(ref: number, error: RequestError.ProtocolError, to: Answers = this.outbox): void {
    this.pending.delete(ref)
    this.stats?.refused(error._tag)
    to.push(this.outbox.codec.encode({ _tag: "error", ref, error: RequestError.encode(error) }))
  }

  /** Reports what was wrong with a frame that has no answer. */
  complain(error: RequestError.ProtocolError): void {
    this.stats?.refused(error._tag)
    this.send({ _tag: "error", ref: null, error: RequestError.encode(error) })
  }

  /** Takes note that a room crashed on a message of this client. One that does so too often is sent away. */
  charge(now: number, until: number): void {
    this.crashes = [...this.crashes.filter((end) => end > now), until]
    if (this.crashes.length < Limits.chargedCrashes || this.ended) return
    this.isExpelled = true
    this.end("kicked")
    this.onExpelled()
  }

  /** Ends every membership and interrupts what runs for this session. Idempotent. */
  end(reason: LeaveReason): void {
    if (this.ended) return
    this.ended = true
    for (const pending of [...this.pending.values()]) pending.cancel("the session ended")
    this.pending.clear()
    for (const membership of [...this.memberships.values()]) membership.end(reason)
    this.memberships.clear()
  }
}
