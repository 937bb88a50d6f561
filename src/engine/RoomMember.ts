/**
 * A session in a room, as the engine keeps it and as handlers see it.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { EmitError, LeaveReason } from "../contract/Behavior.ts"
import * as Identity from "../contract/Identity.ts"
import type { Encoded } from "../wire/Codec.ts"
import type * as Contract from "../wire/Contract.ts"
import type { Channel } from "./Channel.ts"
import * as Fate from "./Fate.ts"
import * as Publish from "./Publish.ts"
import type { Join } from "./RoomMessage.ts"
import type { Session } from "./Session.ts"
import type { Subscription } from "./Subscription.ts"

export class RoomMember {
  readonly id: string
  readonly session: Session
  readonly channelId: number
  presence: unknown
  /** What it joined with, for the `join` of the next instance. */
  joinPayload: unknown
  /** The presence in the form of the wire. */
  wirePresence: unknown
  /** Who is there, as far as that is still being told. */
  roll: object | undefined
  /** Undefined while its client is away: nothing is queued for it. */
  subscription: Subscription | undefined
  /** The join with which its client comes back, until that is answered. */
  returning: Join | undefined
  /** The head of the log when it joined. */
  since = 0
  /** Set once, by the turn that runs its `leave` handler. */
  left: LeaveReason | undefined
  private readonly contract: Contract.CompiledRoom
  private readonly eventBytes: number

  constructor(id: string, session: Session, channelId: number, contract: Contract.CompiledRoom, eventBytes: number) {
    this.id = id
    this.session = session
    this.channelId = channelId
    this.contract = contract
    this.eventBytes = eventBytes
  }

  get sessionId(): string {
    return this.session.id
  }

  get [Identity.Identified](): Identity.Identities {
    return this.session.identities
  }

  send(name: string, payload?: unknown): Effect.Effect<void, EmitError> {
    return Effect.suspend((): Effect.Effect<void, EmitError> => {
      if (this.left !== undefined) return Effect.void
      const event = this.contract.events.get(name)
      if (event === undefined) return Effect.die(new Error(`room ${this.contract.name} has no event ${name}`))
      const wire = Publish.encodePayload(name, event, payload)
      if (Result.isFailure(wire)) return Effect.fail(wire.failure)
      const { outbox } = this.session
      const frame = { _tag: "direct", channel: this.channelId, name, payload: wire.success } as const
      const encoded = Publish.encodeFrame(name, frame, outbox.codec, this.eventBytes)
      if (Result.isFailure(encoded)) return Effect.fail(encoded.failure)
      // Of a reliable event too: it is in no log from which the member could catch up.
      const fate = event.volatile ? Fate.of(event.fate, this.channelId, name, payload, null) : undefined
      this.subscription?.deliver(Fate.withFate(encoded.success, fate), 0)
      return Effect.void
    })
  }

  /** Sends the answer to a request: after the events that it comes after, also where those are told again. */
  respond(answer: Encoded): void {
    if (this.returning !== undefined) this.returning.hold(answer)
    else if (this.subscription?.outbox === this.session.outbox) this.subscription.push(answer)
    // Its client is away, or was since it left.
    else this.session.outbox.push(answer)
  }

  /** The connection of its client is lost. */
  detach(channel: Channel): void {
    this.returning = undefined
    if (this.subscription === undefined) return
    channel.unsubscribe(this.subscription)
    this.subscription = undefined
  }
}
