/**
 * What a member's connection can ask of its room.
 */
import * as Result from "effect/Result"
import * as RequestError from "../contract/RequestError.ts"
import type { Room } from "./Room.ts"
import type { RoomMember } from "./RoomMember.ts"
import type { Control, Join, Message } from "./RoomMessage.ts"
import { Leave, Notice, Request } from "./RoomMessage.ts"
import type { Membership, Pending } from "./Session.ts"

/** How long a client should wait before it tries a full room again. */
const retryAfter = 1_000

/** Offers a message; says what to answer when the room does not take it. */
export const offer = (room: Room, message: Message): RequestError.ProtocolError | undefined => {
  switch (room.actor.tellUnsafe(message)) {
    case "accepted":
      return undefined
    case "full":
      return new RequestError.Overloaded({ retryAfter })
    case "stopped":
      return new RequestError.RoomStopped({ detail: "it is stopping" })
  }
}

/** Cancelling keeps a waiting message from running and interrupts a running one; either way it is answered. */
export const makePending = (room: Room, message: Join | Request): Pending => ({
  cancel: (reason) => {
    message.cancelled = reason
    room.actor.interruptCurrent((current) => current === message, reason)
  }
})

export const makeRoomMembership = (room: Room, member: RoomMember): Membership => {
  const { session } = member
  const isMine = (current: Message | Control): boolean =>
    current._tag === "Request" || current._tag === "Notice" ?
      current.member === member
      : current._tag === "Join" && current.member === member
  return {
    leave: (ref) => {
      const leave = new Leave(member, "left", "", ref)
      // What the member sent before is handled first, except for what is suspended: leaving interrupts it.
      room.actor.interruptCurrent(isMine, "the member left")
      if (room.actor.tellUnsafe(leave) !== "accepted" && !room.actor.controlUnsafe(leave)) {
        session.answer({ _tag: "ok", ref, value: null })
      }
    },
    end: (reason) => {
      room.actor.interruptCurrent(isMine, `the session ended: ${reason}`)
      room.actor.controlUnsafe(new Leave(member, reason, ""))
    },
    room: {
      request: ({ name, payload, ref }) => {
        const definition = room.contract.requests.get(name)
        if (definition === undefined) {
          return session.refuse(
            ref,
            new RequestError.NotServed({ detail: `${room.contract.name} has no such request` })
          )
        }
        const decoded = definition.payload.decode(payload)
        if (Result.isFailure(decoded)) return session.refuse(ref, decoded.failure)
        const message = new Request(member, ref, name, decoded.success)
        session.pending.set(ref, makePending(room, message))
        const refused = offer(room, message)
        if (refused !== undefined) session.refuse(ref, refused)
      },
      notice: ({ name, payload }) => {
        const definition = room.contract.notices.get(name)
        const error = definition === undefined
          ? new RequestError.NotServed({ detail: `${room.contract.name} has no such notice` })
          : undefined
        if (definition === undefined) return session.complain(error!)
        const decoded = definition.decode(payload)
        if (Result.isFailure(decoded)) return session.complain(decoded.failure)
        const refused = offer(room, new Notice(member, name, decoded.success))
        if (refused !== undefined) session.complain(refused)
      }
    }
  }
}
