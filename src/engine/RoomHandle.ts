/**
 * A room from within: what one instance of it is given.
 */
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { EmitError, EmitOptions, Emitted, Taken } from "../contract/Behavior.ts"
import { EventInvalid } from "../contract/Behavior.ts"
import type { HistoryOptions } from "../contract/Definition.ts"
import * as History from "./History.ts"
import * as Publish from "./Publish.ts"
import type { Room } from "./Room.ts"
import type { RoomMember } from "./RoomMember.ts"
import { interruptFor } from "./RoomMembership.ts"
import { Leave } from "./RoomMessage.ts"

/** Member ids that skip an event, in the form of the wire. */
const exceptIds = (options: EmitOptions<RoomMember> | undefined): ReadonlyArray<string> | null => {
  const except = options?.except
  if (except === undefined) return null
  return "id" in except ? [except.id] : except.map((member) => member.id)
}

/** The untyped form of `Handle`, for the instance whose scope is given. */
export class RoomHandle {
  readonly key: unknown
  readonly members: ReadonlyMap<string, RoomMember>
  readonly scope: Scope.Scope
  private readonly room: Room

  constructor(room: Room, scope: Scope.Scope) {
    this.room = room
    this.key = room.key
    this.members = room.members
    this.scope = scope
  }

  readonly emit = (
    name: string,
    payload?: unknown,
    options?: EmitOptions<RoomMember>
  ): Effect.Effect<Emitted | Taken, EmitError> =>
    Effect.suspend(() => {
      const { channel, contract, core } = this.room
      const event = contract.events.get(name)
      if (event === undefined) return Effect.die(new Error(`room ${contract.name} has no event ${name}`))
      const { emitWait, eventBytes } = core.limits
      const except = exceptIds(options)
      return options?.wait === true
        ? Publish.publishAndWait(channel, name, event, payload, except, eventBytes, emitWait)
        : Publish.publish(channel, name, event, payload, except, eventBytes)
    })

  readonly history = ({ before, limit }: HistoryOptions): Effect.Effect<object> =>
    Effect.sync(() => {
      const { events: definitions } = this.room.contract
      const { events, more } = History.read(this.room, { before, floor: 0, limit, bytes: Infinity })
      return {
        more,
        events: events.flatMap(([offset, name, wire]) => {
          const payload = definitions.get(name)?.payload.decode(wire)
          return payload === undefined || Result.isFailure(payload)
            ? []
            : [{ _tag: name, payload: payload.success, offset }]
        })
      }
    })

  readonly kick = (member: RoomMember, reason = "kicked"): Effect.Effect<void> =>
    Effect.sync(() => {
      interruptFor(this.room, member, "the member was kicked")
      this.room.actor.controlUnsafe(new Leave(member, "kicked", reason))
    })

  readonly setPresence = (member: RoomMember, presence: unknown): Effect.Effect<void, EventInvalid> =>
    Effect.suspend(() => {
      if (member.left !== undefined) return Effect.void
      const wire = this.room.encodePresence(presence)
      if (Result.isFailure(wire)) {
        return Effect.fail(new EventInvalid({ event: "presence", detail: wire.failure.message }))
      }
      member.presence = presence
      member.wirePresence = wire.success
      this.room.announce(member)
      return Effect.void
    })

  readonly after = (delay: Duration.Input, effect: Effect.Effect<void, EmitError>): Effect.Effect<void> =>
    Effect.asVoid(Effect.forkIn(Effect.andThen(Effect.sleep(delay), this.turn(effect)), this.scope))

  readonly every = (interval: Duration.Input, effect: Effect.Effect<void, EmitError>): Effect.Effect<void> =>
    Effect.asVoid(
      Effect.forkIn(Effect.forever(Effect.andThen(Effect.sleep(interval), this.turn(effect))), this.scope)
    )

  /** Runs an effect as a turn of the room, and waits until it has ended. */
  private turn(effect: Effect.Effect<void, EmitError>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const done = Deferred.makeUnsafe<void>()
      this.room.actor.controlUnsafe({ _tag: "Task", instance: this, effect, done })
      return Deferred.await(done)
    })
  }
}
