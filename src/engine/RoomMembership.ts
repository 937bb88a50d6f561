/**
 * What a member's connection can ask of its room.
 */
import * as Result from "effect/Result"
import * as Actor from "../actor/Actor.ts"
import type { LeaveReason } from "../contract/Behavior.ts"
import * as RequestError from "../contract/RequestError.ts"
import type { Encoded } from "../wire/Codec.ts"
import type * as Frame from "../wire/Frame.ts"
import * as History from "./History.ts"
import * as Limits from "./Limits.ts"
import { overloaded } from "./Overloaded.ts"
import type { Room } from "./Room.ts"
import type { RoomMember } from "./RoomMember.ts"
import type { Message } from "./RoomMessage.ts"
import { Leave, Notice, Request } from "./RoomMessage.ts"
import type { Membership } from "./Session.ts"

/** Offers a message; says what to answer when the room does not take it. */
export const offer = (room: Room, message: Message): RequestError.ProtocolError | undefined => {
  const { stats } = room.core
  if (stats !== undefined && message._tag !== "Leave") message.since = stats.seconds()
  switch (Actor.offer(room.actor, message)) {
    case "accepted":
      return undefined
    case "full":
      return overloaded
    case "stopped":
      return new RequestError.RoomStopped({ detail: "it is stopping" })
  }
}

/** Interrupts what the room does for a member, if it is suspended. */
export const interruptFor = (room: Room, member: RoomMember, reason: string): void => {
  room.actor.interruptCurrent(
    (current) => current._tag !== "Leave" && current._tag !== "Task" && current.member === member,
    reason
  )
}

/** A member's place in its session. */
export class RoomMembership implements Membership {
  readonly member: RoomMember
  private readonly to: Room

  constructor(room: Room, member: RoomMember) {
    this.to = room
    this.member = member
  }

  get room(): this {
    return this
  }

  get isJoined(): boolean {
    return this.member.subscription !== undefined
  }

  leave(ref: number): void {
    const leave = new Leave(this.member, "left", "", ref)
    // What the member sent before is handled first, except for what is suspended: leaving interrupts it.
    this.interrupt("the member left")
    if (Actor.offer<Message>(this.to.actor, leave) !== "accepted" && !this.to.actor.controlUnsafe(leave)) {
      this.to.bidFarewell(leave, ref)
    }
  }

  end(reason: LeaveReason): void {
    this.interrupt(`the session ended: ${reason}`)
    this.to.actor.controlUnsafe(new Leave(this.member, reason, ""))
  }

  detach(): void {
    this.member.detach(this.to.channel)
  }

  respond(answer: Encoded): void {
    this.member.respond(answer)
  }

  request(frame: Frame.ClientFrames["request"]): void {
    const { name, payload, ref } = frame
    const { session } = this.member
    const { contract } = this.to
    const definition = contract.requests.get(name)
    if (definition === undefined) {
      return session.refuse(ref, new RequestError.NotServed({ detail: `${contract.name} has no such request` }))
    }
    const decoded = definition.payload.decode(payload)
    if (Result.isFailure(decoded)) return session.refuse(ref, decoded.failure)
    const message = new Request(this.to, this.member, frame, definition, decoded.success)
    session.run(message)
    const refused = offer(this.to, message)
    if (refused !== undefined) session.reject(message, refused)
  }

  notice({ name, payload }: Frame.ClientFrames["notice"]): void {
    const { session } = this.member
    const { contract } = this.to
    const definition = contract.notices.get(name)
    if (definition === undefined) {
      return session.complain(new RequestError.NotServed({ detail: `${contract.name} has no such notice` }))
    }
    const decoded = definition.decode(payload)
    if (Result.isFailure(decoded)) return session.complain(decoded.failure)
    const refused = offer(this.to, new Notice(this.member, name, decoded.success))
    if (refused !== undefined) session.complain(refused)
  }

  history({ before, channel, limit, ref }: Frame.ClientFrames["history"]): void {
    const page = History.read(this.to, {
      before,
      floor: this.to.floorOf(this.member),
      limit: Math.min(limit, Limits.pageEvents),
      bytes: Limits.pageBytes
    })
    this.member.session.answer({ _tag: "page", ref, channel, ...page })
  }

  private interrupt(reason: string): void {
    interruptFor(this.to, this.member, reason)
  }
}
