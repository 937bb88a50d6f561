/**
 * What a room's actor finds in its mailbox.
 */
import type * as Deferred from "effect/Deferred"
import type * as Effect from "effect/Effect"
import type { EmitError, LeaveReason } from "../contract/Behavior.ts"
import type * as Frame from "../wire/Frame.ts"
import type { RoomMember } from "./RoomMember.ts"
import type { Session } from "./Session.ts"

/** A session wants to become a member. */
export class Join {
  readonly _tag = "Join"
  readonly session: Session
  readonly ref: number
  readonly memberId: string
  readonly payload: unknown
  readonly position: Frame.Position | null
  /** How many events back it begins, where it cannot continue. */
  readonly last: number | null
  /** Set when nobody waits for it any more. */
  cancelled: string | undefined
  /** When it came, in seconds; 0 unless metrics are on. */
  since = 0
  /** Set once it was admitted: from then on it is owed a leave. */
  member: RoomMember | undefined

  constructor(
    session: Session,
    memberId: string,
    payload: unknown,
    { last, position, ref }: Pick<Frame.ClientFrames["join"], "last" | "position" | "ref">
  ) {
    this.session = session
    this.ref = ref
    this.memberId = memberId
    this.payload = payload
    this.position = position
    this.last = last
  }
}

/** A message of a member that is owed an answer. */
export class Request {
  readonly _tag = "Request"
  readonly member: RoomMember
  readonly ref: number
  readonly name: string
  readonly payload: unknown
  cancelled: string | undefined
  /** When it came, in seconds; 0 unless metrics are on. */
  since = 0

  constructor(member: RoomMember, ref: number, name: string, payload: unknown) {
    this.member = member
    this.ref = ref
    this.name = name
    this.payload = payload
  }
}

/** A message of a member without an answer. */
export class Notice {
  readonly _tag = "Notice"
  readonly member: RoomMember
  readonly name: string
  readonly payload: unknown
  /** When it came, in seconds; 0 unless metrics are on. */
  since = 0

  constructor(member: RoomMember, name: string, payload: unknown) {
    this.member = member
    this.name = name
    this.payload = payload
  }
}

/** A member is to leave. Runs its `leave` handler unless another one came first. */
export class Leave {
  readonly _tag = "Leave"
  readonly member: RoomMember
  readonly reason: LeaveReason
  readonly detail: string
  /** The reference to answer, when the client asked for it. */
  readonly ref: number | undefined

  constructor(member: RoomMember, reason: LeaveReason, detail: string, ref?: number) {
    this.member = member
    this.reason = reason
    this.detail = detail
    this.ref = ref
  }
}

/** Work that the room gave itself: a timer, the check for idleness. `instance` is the one that asked for it. */
export interface Task {
  readonly _tag: "Task"
  readonly instance: object
  readonly effect: Effect.Effect<void, EmitError>
  readonly done: Deferred.Deferred<void>
}

/** The data lane: refused when the mailbox is full. */
export type Message = Join | Request | Notice | Leave

/** The control lane: always enters. */
export type Control = Leave | Task

/** The session whose client sent it; undefined for what the server gave itself. */
export const senderOf = (message: Message | Control): Session | undefined => {
  switch (message._tag) {
    case "Join":
      return message.session
    case "Request":
    case "Notice":
      return message.member.session
    case "Leave":
      return message.ref === undefined ? undefined : message.member.session
    case "Task":
      return undefined
  }
}
