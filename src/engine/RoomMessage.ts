/**
 * What a room's actor finds in its mailbox.
 */
import type * as Deferred from "effect/Deferred"
import type * as Effect from "effect/Effect"
import type { EmitError, LeaveReason } from "../contract/Behavior.ts"
import type { Encoded } from "../wire/Codec.ts"
import type { CompiledRequest } from "../wire/Contract.ts"
import type * as Frame from "../wire/Frame.ts"
import type { Outbox } from "./Outbox.ts"
import type { Room } from "./Room.ts"
import type { RoomMember } from "./RoomMember.ts"
import type { Asked, Call, Pending, Session } from "./Session.ts"

/** Keeps a waiting message from running and interrupts a running one; either way it is answered. */
const cancel = (room: Room, message: { cancelled: string | undefined }, reason: string): void => {
  message.cancelled = reason
  room.actor.interruptCurrent((current) => current === message, reason)
}

/** A session wants to become a member, or a member whose connection was lost wants to hear from the room again. */
export class Join implements Asked, Pending {
  readonly _tag = "Join"
  readonly session: Session
  readonly ref: number
  readonly to: Outbox
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
  /** Its session was a member already, when this was handled. */
  isReturn = false
  /** The member that comes back, as far as was known when it came. */
  private readonly known: RoomMember | undefined
  private readonly room: Room
  /** Answers to the member's requests, whose events are still to come. */
  private held: Array<Encoded> | undefined

  constructor(
    room: Room,
    session: Session,
    known: RoomMember | undefined,
    memberId: string,
    { last, payload, position, ref }: Pick<Frame.ClientFrames["join"], "last" | "payload" | "position" | "ref">
  ) {
    this.room = room
    this.session = session
    this.to = session.outbox
    this.ref = ref
    this.known = known
    this.memberId = memberId
    this.payload = payload
    this.position = position
    this.last = last
    if (known !== undefined) known.returning = this
  }

  get joins(): boolean {
    return this.known === undefined && this.member === undefined
  }

  cancel(reason: string): void {
    cancel(this.room, this, reason)
  }

  hold(answer: Encoded): void {
    this.held ??= []
    this.held.push(answer)
  }

  /** The member is there, or it is not: what was held follows. */
  release(): void {
    const { held, known, session, to } = this
    if (known?.returning === this) known.returning = undefined
    this.held = undefined
    if (held === undefined || to !== session.outbox) return
    for (const answer of held) known!.respond(answer)
  }

  respond(answer: Encoded): void {
    this.to.push(answer)
    this.release()
  }
}

/** A message of a member that is owed an answer. */
export class Request implements Call {
  readonly _tag = "Request"
  readonly joins = false
  readonly member: RoomMember
  readonly seq: number
  ref: number
  to: Outbox
  readonly name: string
  readonly definition: CompiledRequest
  readonly payload: unknown
  cancelled: string | undefined
  /** When it came, in seconds; 0 unless metrics are on. */
  since = 0
  private readonly room: Room

  constructor(
    room: Room,
    member: RoomMember,
    { name, ref, seq }: Pick<Frame.ClientFrames["request"], "name" | "ref" | "seq">,
    definition: CompiledRequest,
    payload: unknown
  ) {
    this.room = room
    this.member = member
    this.seq = seq
    this.ref = ref
    this.to = member.session.outbox
    this.name = name
    this.definition = definition
    this.payload = payload
  }

  cancel(reason: string): void {
    cancel(this.room, this, reason)
  }

  respond(answer: Encoded): void {
    this.member.respond(answer)
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
  readonly to: Outbox

  constructor(member: RoomMember, reason: LeaveReason, detail: string, ref?: number) {
    this.to = member.session.outbox
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
