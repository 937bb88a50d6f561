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
import { json } from "../wire/Json.ts"
import type { Channel } from "./Channel.ts"
import type { Core } from "./Core.ts"
import { logError } from "./Core.ts"
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

  reply({ member, name, ref }: Request, value: unknown): void {
    const wire = this.contract.requests.get(name)!.success.encode(value)
    if (Result.isFailure(wire)) {
      this.report(`${name} answered with something that is not in the contract`, wire.failure)
      return member.session.refuse(ref, new RequestError.HandlerFailed(), member.answers)
    }
    const { codec } = member.session.outbox
    const encoded = codec.encode({ _tag: "ok", ref, value: wire.success })
    const max = this.core.limits.replyBytes
    if (encoded.bytes > max) {
      return member.session.refuse(ref, new RequestError.LimitExceeded({ limit: "reply", max }), member.answers)
    }
    member.session.pending.delete(ref)
    member.answers.push(encoded)
  }

  replyFailure({ member, name, ref }: Request, error: unknown): void {
    const wire = this.contract.requests.get(name)!.error?.encode(error)
    if (wire !== undefined && Result.isSuccess(wire)) {
      return member.session.answer({ _tag: "failed", ref, error: wire.success }, member.answers)
    }
    this.report(`${name} failed with something that is not in the contract`, error)
    member.session.refuse(ref, new RequestError.HandlerFailed(), member.answers)
  }

  /** A join that came to nothing: a room without members is idle. */
  declineJoin({ ref, session }: Join, error: RequestError.ProtocolError): void {
    if (this.members.size === 0) this.options.onEmpty()
    session.refuse(ref, error)
  }

  refuseJoin(join: Join, error: unknown): void {
    const { ref, session } = join
    if (error instanceof RequestError.LimitExceeded) return this.declineJoin(join, error)
    if (this.members.size === 0) this.options.onEmpty()
    const wire = this.contract.joinError?.encode(error)
    if (wire !== undefined && Result.isSuccess(wire)) {
      return session.answer({ _tag: "failed", ref, error: wire.success })
    }
    this.report("join failed with something that is not in the contract", error)
    session.refuse(ref, new RequestError.HandlerFailed())
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
        json.encode({ _tag: "ok", ref: 0, value: wire }).bytes > max
          ? Result.fail(new RequestError.LimitExceeded({ limit: "presence", max }))
          : Result.succeed(wire)
    )
  }

  /** From here on the member is owed a leave. */
  admit(member: RoomMember): void {
    this.members.set(member.id, member)
    member.session.memberships.set(this.channel.id, new RoomMembership(this, member))
  }

  /** Answers a join: the member's state at its position, then everything after it. */
  welcome(join: Join, member: RoomMember, position: Frame.Position, snapshot: unknown): void {
    const { ref, session } = join
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
      return session.refuse(ref, new RequestError.LimitExceeded({ limit: "snapshot", max }))
    }
    session.pending.delete(ref)
    session.outbox.push(joined)
    this.announce(member, member.subscription)
    Presence.sendAll(this, member)
    member.subscription!.release(start.position[2])
    if (session.ended || join.cancelled !== undefined) {
      this.actor.controlUnsafe(new Leave(member, "lost", "the session ended"))
    }
  }

  /** Tells a member its state again, after which it sees every event behind the position. */
  resync(member: RoomMember, position: Frame.Position, snapshot: unknown, reason: Owed): void {
    const { outbox } = member.session
    const synced = outbox.codec.encode({
      _tag: "synced",
      channel: this.channel.id,
      position,
      reason,
      snapshot
    })
    if (synced.bytes > this.core.limits.replyBytes) {
      this.actor.controlUnsafe(new Leave(member, "kicked", "its snapshot is too large"))
      return
    }
    outbox.push(synced)
    Presence.sendAll(this, member, true)
    member.subscription?.release()
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
  farewell({ member, reason, ref }: Leave, detail: string): void {
    if (ref !== undefined) member.session.answer({ _tag: "ok", ref, value: null })
    else member.session.send({ _tag: "left", channel: this.channel.id, reason, detail })
  }

  /** The new instance did not take the member back. */
  rejected(member: RoomMember): Leave {
    return new Leave(member, "kicked", "not admitted after a restart of the room")
  }

  private deliver(frame: Frame.ServerFrame, except?: Subscription): void {
    this.channel.deliver(frame, json.encode(frame), except)
  }

  // ------------------------------------------------------------- the actor's hooks

  readonly onAbandoned = (message: Message | Control, why: Abandoned): void => {
    this.giveUp(message, why)
    // After its answer, since its connection may be closed now.
    if (why._tag === "Crashed") this.charge(senderOf(message))
  }

  /** The room crashed on what a client sent, or on joining it to a new instance. */
  charge(session: Session | undefined): void {
    const now = this.core.now()
    session?.charge(now, now + this.options.crashMillis)
  }

  private giveUp(message: Message | Control, why: Abandoned): void {
    switch (message._tag) {
      case "Request":
        return message.member.session.refuse(message.ref, this.abandonment(why), message.member.answers)
      case "Join": {
        const { member } = message
        if (member !== undefined && member.left === undefined) {
          if (why._tag === "Crashed") this.remove(member, "stopped")
          else this.actor.controlUnsafe(new Leave(member, "lost", "the join was given up"))
        } else if (this.members.size === 0) this.options.onEmpty()
        return message.session.refuse(message.ref, this.abandonment(why))
      }
      case "Leave":
        return this.farewell(message, message.detail)
      case "Task":
        Deferred.doneUnsafe(message.done, Effect.void)
        return
      case "Notice":
        return
    }
  }

  readonly onDiscarded = (message: Message | Control): void => {
    const stopped = new RequestError.RoomStopped({ detail: "it stopped before the message was handled" })
    if (message._tag === "Request") message.member.session.refuse(message.ref, stopped)
    else if (message._tag === "Join") message.session.refuse(message.ref, stopped)
    else if (message._tag === "Leave" && message.ref !== undefined) {
      message.member.session.answer({ _tag: "ok", ref: message.ref, value: null })
    }
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

  private abandonment(why: Abandoned): RequestError.ProtocolError {
    switch (why._tag) {
      case "Crashed":
        return new RequestError.HandlerFailed()
      case "Interrupted":
        return new RequestError.Interrupted({ detail: why.reason })
      case "Deadline":
        return new RequestError.HandlerTimeout({ millis: this.options.deadline })
    }
  }
}
