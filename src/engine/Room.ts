/**
 * A room for as long as its key is in use: members and log outlive the instances of its actor.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Abandoned, Actor, StopReason } from "../actor/ActorRef.ts"
import * as RequestError from "../contract/RequestError.ts"
import type * as Contract from "../wire/Contract.ts"
import type * as Frame from "../wire/Frame.ts"
import * as Json from "../wire/Json.ts"
import { errorOf } from "./Abandonment.ts"
import type { Channel } from "./Channel.ts"
import type { Core } from "./Core.ts"
import { logError } from "./Core.ts"
import { StoreFailed } from "./LogStore.ts"
import * as Presence from "./Presence.ts"
import * as Recovery from "./Recovery.ts"
import type { RoomMember } from "./RoomMember.ts"
import { RoomMembership } from "./RoomMembership.ts"
import { Leave, senderOf } from "./RoomMessage.ts"
import type { Control, Join, Message, Request } from "./RoomMessage.ts"
import type { Session } from "./Session.ts"
import type { Owed, Subscription } from "./Subscription.ts"

/** What a room is made for. */
export interface Options {
  readonly core: Core
  readonly contract: Contract.CompiledRoom
  readonly channel: Channel
  readonly key: unknown
  readonly deadline: number
  /** How long a crash counts against the member that caused it, in milliseconds. */
  readonly crashMillis: number
  /** Which of the events that are kept a member may see: all, or those since it joined. */
  readonly visible: "all" | "sinceJoin"
  /** The last member left, or the first join was refused. */
  readonly onEmpty: () => void
}

export class Room {
  readonly core: Core
  readonly contract: Contract.CompiledRoom
  readonly channel: Channel
  readonly key: unknown
  /** By id, in the order of joining. */
  readonly members = new Map<string, RoomMember>()
  /** Set right after the actor was spawned, before its first message. */
  declare actor: Actor<Message, Control>
  /** Why nothing but leaving is done any more, once that is so. */
  late: string | undefined
  /** What members are told when it stops without having been spent. */
  farewellDetail = "the server stopped it"
  private readonly options: Options

  constructor(options: Options) {
    this.options = options
    this.core = options.core
    this.contract = options.contract
    this.channel = options.channel
    this.key = options.key
    this.channel.holders++
  }

  // ------------------------------------------------------------- answers

  reply(request: Request, value: unknown): void {
    const { definition, member: { session }, name, ref } = request
    const wire = definition.success.encode(value)
    if (Result.isFailure(wire)) {
      this.report(`${name} answered with something that is not in the contract`, wire.failure)
      return session.reject(request, new RequestError.HandlerFailed())
    }
    const encoded = session.outbox.codec.encode({ _tag: "ok", ref, value: wire.success })
    const max = this.core.limits.replyBytes
    if (encoded.bytes > max) return session.reject(request, new RequestError.LimitExceeded({ limit: "reply", max }))
    session.settle(request, encoded)
  }

  replyFailure(request: Request, error: unknown): void {
    const { definition, member: { session }, name, ref } = request
    const wire = definition.error?.encode(error)
    if (wire !== undefined && Result.isSuccess(wire)) {
      return session.settle(request, session.outbox.codec.encode({ _tag: "failed", ref, error: wire.success }))
    }
    this.report(`${name} failed with something that is not in the contract`, error)
    session.reject(request, new RequestError.HandlerFailed())
  }

  /** A join that came to nothing: a room without members is idle. */
  declineJoin(join: Join, error: RequestError.ProtocolError): void {
    if (this.members.size === 0) this.options.onEmpty()
    join.session.reject(join, error)
  }

  refuseJoin(join: Join, error: unknown): void {
    const { ref, session } = join
    if (error instanceof RequestError.LimitExceeded) return this.declineJoin(join, error)
    if (this.members.size === 0) this.options.onEmpty()
    const wire = this.contract.joinError?.encode(error)
    if (wire !== undefined && Result.isSuccess(wire)) {
      return session.settle(join, session.outbox.codec.encode({ _tag: "failed", ref, error: wire.success }))
    }
    this.report("join failed with something that is not in the contract", error)
    session.reject(join, new RequestError.HandlerFailed())
  }

  /** Logs what a handler did wrong. */
  report(message: string, error: unknown): void {
    logError(this.core, `room ${this.channel.address}: ${message}`, Cause.fail(error))
  }

  // ------------------------------------------------------------- members

  /** The presence in the form of the wire, unless it does not fit its schema or has more bytes than it may. */
  encodePresence(
    presence: unknown
  ): Result.Result<Frame.Json, RequestError.InvalidPayload | RequestError.LimitExceeded> {
    const { presence: payload } = this.contract
    if (payload === undefined) return Result.succeed(undefined)
    const max = this.core.limits.joinBytes
    return Result.flatMap(
      payload.encode(presence),
      (wire) =>
        Json.exceeds(wire, max)
          ? Result.fail(new RequestError.LimitExceeded({ limit: "presence", max }))
          : Result.succeed(wire)
    )
  }

  /** The member that a session is, whether or not its client is there. */
  memberOf(session: Session): RoomMember | undefined {
    const membership = session.memberships.get(this.channel.id)
    return membership instanceof RoomMembership ? membership.member : undefined
  }

  /**
   * The member is told what happens from this moment on, once it is welcomed; not if its connection is gone by now: then
   * its client joins again with the next one.
   */
  subscribe(join: Join, member: RoomMember): void {
    if (join.to !== join.session.outbox) return
    member.subscription = this.channel.subscribe(join.to)
    member.subscription.owner = member
  }

  /** From here on the member is owed a leave. */
  admit(member: RoomMember): void {
    this.members.set(member.id, member)
    member.session.memberships.set(this.channel.id, new RoomMembership(this, member))
  }

  /** Answers a join: the member's state at its position, then everything after it. */
  welcome(join: Join, member: RoomMember, position: Frame.Position, snapshot: unknown): void {
    const { ref, session } = join
    const { subscription } = member
    if (!session.forget(join) || subscription === undefined) {
      // The connection that asked is lost: its client comes back with another join. Others see who is new.
      if (!join.isReturn) this.announce(member)
      return this.removeUnwanted(join, member)
    }
    const start = Recovery.begin(this.channel.log, join, position, this.core.now(), this.floorOf(member))
    const joined = session.outbox.codec.encode({
      _tag: "joined",
      ref,
      channel: this.channel.id,
      memberId: member.id,
      ...start,
      snapshot
    })
    const max = this.core.limits.replyBytes
    if (joined.bytes > max) {
      this.actor.controlUnsafe(new Leave(member, "lost", "its snapshot is too large"))
      return session.reject(join, new RequestError.LimitExceeded({ limit: "snapshot", max }))
    }
    session.outbox.push(joined)
    if (!join.isReturn) this.announce(member, subscription)
    subscription.rewind(start.position[2])
    Presence.sendAll(this, member, false, () => {
      subscription.release()
      join.release()
    })
    this.removeUnwanted(join, member)
  }

  private removeUnwanted(join: Join, member: RoomMember): void {
    if (!join.session.ended && join.cancelled === undefined) return
    this.actor.controlUnsafe(new Leave(member, "lost", "the session ended"))
  }

  /** Tells a member its state again, after which it sees every event behind the position. */
  resync(member: RoomMember, position: Frame.Position, snapshot: unknown, reason: Owed): void {
    const { session: { outbox }, subscription } = member
    // Its client is away, and gets a snapshot when it comes back.
    if (subscription === undefined) return
    const synced = outbox.codec.encode({ _tag: "synced", channel: this.channel.id, position, reason, snapshot })
    if (synced.bytes > this.core.limits.replyBytes) {
      this.actor.controlUnsafe(new Leave(member, "kicked", "its snapshot is too large"))
      return
    }
    outbox.push(synced)
    Presence.sendAll(this, member, true, () => {
      subscription.release()
      // Where its client had just come back, and was not told everything yet.
      member.returning?.release()
    })
  }

  /** The last offset of what a member may not see. */
  floorOf(member: RoomMember): number {
    return this.options.visible === "sinceJoin" ? member.since : 0
  }

  /** Tells everybody a member's presence, but for one who is told in another way. */
  announce(member: RoomMember, except?: Subscription): void {
    if (this.contract.presence === undefined) return
    this.deliver(
      { _tag: "present", channel: this.channel.id, members: [[member.id, member.wirePresence]], all: null },
      except
    )
  }

  /** Takes a member out, once; nothing is delivered to it any more. */
  remove(member: RoomMember, reason: Leave["reason"]): void {
    member.left = reason
    this.members.delete(member.id)
    member.session.memberships.delete(this.channel.id)
    if (member.subscription !== undefined) this.channel.unsubscribe(member.subscription)
    if (this.contract.presence !== undefined) {
      this.deliver({ _tag: "absent", channel: this.channel.id, memberId: member.id })
    }
    if (this.members.size === 0) this.options.onEmpty()
  }

  /** The last word to a member that left: the answer to its wish, or why it is out. */
  farewell(leave: Leave, detail: string): void {
    const { member, reason } = leave
    if (leave.ref !== undefined) this.bidFarewell(leave, leave.ref)
    else if (member.subscription !== undefined) {
      member.session.send({ _tag: "left", channel: this.channel.id, reason, detail })
    }
  }

  /** Answers a client that wants to leave, unless its connection is gone. */
  bidFarewell({ member, to }: Leave, ref: number): void {
    if (member.session.outbox === to) member.session.answer({ _tag: "ok", ref, value: null })
  }

  private deliver(frame: Frame.ServerFrame, except?: Subscription): void {
    this.channel.deliver(frame, Json.json.encode(frame), except)
  }

  // ------------------------------------------------------------- the actor's hooks

  readonly onAbandoned = (message: Message | Control, why: Abandoned): void => {
    this.giveUp(message, why)
    // After its answer, since its connection may be closed now.
    if (why._tag === "Crashed" && !StoreFailed.isIn(why.cause)) this.charge(senderOf(message))
  }

  /** The room crashed on what a client sent, or on joining it to a new instance. */
  charge(session: Session | undefined): void {
    session?.charge(this.core.now(), this.options.crashMillis)
  }

  private giveUp(message: Message | Control, why: Abandoned): void {
    switch (message._tag) {
      case "Request":
        return message.member.session.reject(message, errorOf(why, this.options.deadline))
      case "Join":
        this.giveUpJoin(message, why)
        return message.session.reject(message, errorOf(why, this.options.deadline))
      case "Leave":
        return this.farewell(message, message.detail)
      case "Task":
        Deferred.doneUnsafe(message.done, Effect.void)
        return
      case "Notice":
        return
    }
  }

  /** A join was not handled to its end. */
  private giveUpJoin({ cancelled, isReturn, member }: Join, why: Abandoned): void {
    if (member === undefined || member.left !== undefined) {
      if (this.members.size === 0) this.options.onEmpty()
    } else if (isReturn && (cancelled === undefined || member.session.ended)) {
      // It was a member before, and is one still: its client may come back once more, or its session sees it out.
      member.detach(this.channel)
    } else if (why._tag === "Crashed" && !isReturn) this.remove(member, "stopped")
    else this.actor.controlUnsafe(new Leave(member, "lost", "the join was given up"))
  }

  readonly onDiscarded = (message: Message | Control): void => {
    const stopped = new RequestError.RoomStopped({ detail: "it stopped before the message was handled" })
    if (message._tag === "Request") message.member.session.reject(message, stopped)
    else if (message._tag === "Join") message.session.reject(message, stopped)
    else if (message._tag === "Leave" && message.ref !== undefined) this.bidFarewell(message, message.ref)
  }

  /** What was accepted is done: the members leave. */
  onDrained(): void {
    for (const member of this.members.values()) {
      this.actor.controlUnsafe(new Leave(member, "stopped", this.farewellDetail))
    }
  }

  readonly onStopped = (reason: StopReason): void => {
    const detail = reason._tag === "Spent" ? "it crashed too often" : this.farewellDetail
    for (const member of [...this.members.values()]) {
      this.remove(member, "stopped")
      this.farewell(new Leave(member, "stopped", detail), detail)
    }
    this.channel.holders--
  }
}
