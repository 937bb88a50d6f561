/**
 * All rooms of one contract: one actor for each key, started by the first join and stopped when idle.
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Actor from "../actor/Actor.ts"
import { defaultIntensity } from "../actor/Supervision.ts"
import * as RequestError from "../contract/RequestError.ts"
import type { BehaviorService } from "../contract/Room.ts"
import * as Contract from "../wire/Contract.ts"
import type * as Frame from "../wire/Frame.ts"
import * as Json from "../wire/Json.ts"
import type { Channel } from "./Channel.ts"
import type { Core } from "./Core.ts"
import { logError } from "./Core.ts"
import * as Log from "./Log.ts"
import type { Retention } from "./LogStore.ts"
import { Room } from "./Room.ts"
import { RoomHandle } from "./RoomHandle.ts"
import { makeInstance } from "./RoomInstance.ts"
import { offer } from "./RoomMembership.ts"
import type { Control, Message } from "./RoomMessage.ts"
import { Join } from "./RoomMessage.ts"
import type { Session } from "./Session.ts"

const millis = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))

const retentionOf = ({ history }: BehaviorService["options"]): Retention =>
  history === undefined ? Log.nothing : {
    capacity: history.capacity,
    timeToLive: history.timeToLive === undefined ? Infinity : millis(history.timeToLive)
  }

/** How often a room without members that is at work is looked at again. */
const busyMillis = 1_000

export class RoomHost {
  readonly contract: Contract.CompiledRoom
  /** Running rooms by the encoded form of their key. */
  readonly rooms = new Map<string, Room>()
  private readonly core: Core
  private readonly behavior: BehaviorService
  private readonly context: Context.Context<Scope.Scope>
  private readonly idleMillis: number
  private readonly deadline: number
  private readonly retention: Retention
  private readonly crashMillis: number
  /** Why no room is started any more, once that is so. */
  private closed: string | undefined

  constructor(core: Core, behavior: BehaviorService) {
    this.core = core
    this.behavior = behavior
    this.contract = Contract.compileRoom(behavior.contract)
    this.context = Context.add(Context.merge(core.context, behavior.context), Scope.Scope, core.scope)
    this.idleMillis = millis(behavior.options.idleTimeout ?? "1 minute")
    this.deadline = millis(behavior.options.deadline ?? core.limits.handler)
    this.crashMillis = millis((behavior.options.supervision?.intensity ?? defaultIntensity).within)
    this.retention = retentionOf(behavior.options)
    if (this.contract.catchesUp && this.retention.capacity === 0) {
      throw new Error(
        `heddle: room "${this.contract.name}" has slow members catch up, so its toLayer needs the option history`
      )
    }
  }

  /** Routes a join to its room, starting the room if need be. Everything that is wrong with it is answered. */
  join(session: Session, frame: Frame.ClientFrames["join"]): void {
    const { key, payload, ref } = frame
    const decodedKey = this.contract.key.decode(key)
    if (Result.isFailure(decodedKey)) return session.refuse(ref, decodedKey.failure)
    const max = this.core.limits.joinBytes
    if (Json.exceeds(payload, max)) {
      return session.refuse(ref, new RequestError.LimitExceeded({ limit: "join payload", max }))
    }
    const decoded = this.contract.join.decode(payload)
    if (Result.isFailure(decoded)) return session.refuse(ref, decoded.failure)
    if (this.closed !== undefined) return session.refuse(ref, new RequestError.RoomStopped({ detail: this.closed }))
    const room = this.rooms.get(key) ?? this.start(key, decodedKey.success)
    if (room === undefined) {
      return session.refuse(ref, new RequestError.LimitExceeded({ limit: "rooms", max: this.core.limits.rooms }))
    }
    const known = room.memberOf(session)
    const returns = known?.subscription === undefined ? known : undefined
    const message = new Join(room, session, returns, this.core.nextId(), { ...frame, payload: decoded.success })
    session.owe(message)
    const refused = offer(room, message)
    if (refused !== undefined) session.reject(message, refused)
  }

  /** Whether a session is a member of a room by this key. */
  hasMember(session: Session, key: string): boolean {
    return this.rooms.get(key)?.memberOf(session) !== undefined
  }

  /** The log and subscribers of a key, whether or not its room runs; undefined when the hub is full. */
  channel(key: string): Channel | undefined {
    return this.core.hub.open(`${this.contract.name}/${key}`, this.retention)
  }

  /**
   * Lets every room do what it accepted, then its members leave, and waits until all rooms have stopped. Joins are
   * refused from here on.
   */
  readonly drain: Effect.Effect<void> = Effect.suspend(() => {
    this.closed = "the server is stopping"
    return Effect.forEach([...this.rooms.values()], ({ actor }) => actor.stop("drain"), {
      concurrency: "unbounded",
      discard: true
    })
  })

  /** The rooms had their time: interrupts handlers and keeps what waits from running, but for the leaves. */
  expire(reason: string): void {
    for (const room of [...this.rooms.values()]) {
      room.late = reason
      room.actor.interruptCurrent((message) => message._tag !== "Leave", reason)
      // There is no instance that could say goodbye.
      if (room.actor.state !== "ready") room.actor.stopUnsafe("discard")
    }
  }

  /** A room was given up; with `"escalate"` all others of its contract are, too, and none is started any more. */
  private spent(address: string, cause: Cause.Cause<unknown>): void {
    if (this.behavior.options.supervision?.spent !== "escalate" || this.closed !== undefined) return
    this.closed = "a room of this kind crashed too often"
    logError(this.core, `room ${address} crashed too often: no room of ${this.contract.name} is served any more`, cause)
    for (const room of [...this.rooms.values()]) {
      room.farewellDetail = this.closed
      room.actor.stopUnsafe("drain")
    }
  }

  private start(keyText: string, key: unknown): Room | undefined {
    const channel = this.channel(keyText)
    if (channel === undefined) return undefined
    let idle: Fiber.Fiber<void> | undefined
    let emptySince = 0
    const stopWhenIdle: Effect.Effect<void> = Effect.suspend(() => {
      idle = undefined
      if (room.members.size > 0) return Effect.void
      const left = emptySince + this.idleMillis - this.core.now()
      if (left > 0 || !room.actor.isIdle) {
        watch(left > 0 ? left : busyMillis)
        return Effect.void
      }
      this.rooms.delete(keyText)
      room.actor.stopUnsafe("drain")
      return Effect.void
    })
    const watch = (after: number): void => {
      idle = Effect.runForkWith(this.context)(Effect.delay(stopWhenIdle, after))
    }
    const room: Room = new Room({
      core: this.core,
      contract: this.contract,
      channel,
      key,
      deadline: this.deadline,
      crashMillis: this.crashMillis,
      visible: this.behavior.options.history?.visible ?? "all",
      onEmpty: () => {
        emptySince = this.core.now()
        if (idle === undefined) watch(this.idleMillis)
      }
    })
    this.rooms.set(keyText, room)
    room.actor = Actor.spawnIn<Message, Control, unknown, Scope.Scope>(this.core.actors, this.context, {
      id: channel.address,
      mailbox: this.behavior.options.mailbox ?? this.core.limits.roomMailbox,
      deadline: this.deadline,
      supervision: this.behavior.options.supervision,
      init: (self) => {
        room.actor = self
        return Effect.timeout(this.init(room), this.deadline)
      },
      onAbandoned: room.onAbandoned,
      onDiscarded: room.onDiscarded,
      onRestarted: () => this.core.stats?.restarted(this.contract.name),
      onDrained: () => room.onDrained(),
      onStopped: (reason) => {
        if (this.rooms.get(keyText) === room) this.rooms.delete(keyText)
        room.onStopped(reason)
        // Last, since the room is told that it is empty when its members leave.
        idle?.interruptUnsafe()
        if (reason._tag === "Spent") this.spent(channel.address, reason.cause)
      }
    })
    return room
  }

  /** A fresh instance: the handlers of `init`, and every member joined to it again. */
  private readonly init = Effect.fnUntraced({ self: this }, function*(this: RoomHost, room: Room) {
    const handle = new RoomHandle(room, yield* Effect.scope)
    const built = this.behavior.init(handle as never)
    const handlers = Effect.isEffect(built) ? yield* built : built
    const instance = makeInstance(room, handle, handlers)
    yield* instance.rejoin
    return instance
  })
}
