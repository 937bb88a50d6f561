/**
 * One instance of a room: from messages to handlers and from their results to answers.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Behavior } from "../actor/ActorRef.ts"
import { isExit } from "../actor/Ended.ts"
import * as RequestError from "../contract/RequestError.ts"
import type { AnyHandlers } from "../contract/Room.ts"
import { StoreFailed } from "./LogStore.ts"
import type { Room } from "./Room.ts"
import type { RoomHandle } from "./RoomHandle.ts"
import { RoomMember } from "./RoomMember.ts"
import type { Control, Join, Message, Notice, Request, Task } from "./RoomMessage.ts"
import { Leave } from "./RoomMessage.ts"
import type { Session } from "./Session.ts"
import { identityContext } from "./Session.ts"
import type { Stats } from "./Stats.ts"
import type { Owed } from "./Subscription.ts"

type Handler = (request: object) => Effect.Effect<unknown, unknown>

/** Makes the behavior of an instance out of the handlers its `init` gave. */
export const makeInstance = (
  room: Room,
  handle: RoomHandle,
  handlers: AnyHandlers
): Behavior<Message, Control> & { readonly rejoin: Effect.Effect<void> } => {
  const { contract } = room
  const handler = (name: string): Handler | undefined => handlers[name] as Handler | undefined

  /** Calls a handler. A promise where an effect should be, as an async function gives, is a defect of the handler. */
  const call = (name: string, handler: Handler, request: object): Effect.Effect<unknown, unknown> => {
    const effect: unknown = handler(request)
    if (isExit(effect) || Effect.isEffect(effect)) return effect as Effect.Effect<unknown, unknown>
    if (effect instanceof Promise) effect.catch(() => {})
    return Effect.die(new TypeError(`the handler of ${name} did not return an Effect`))
  }

  /** Gives an effect its caller's identity and a scope; what ended at once needs neither. */
  const provide = <A, E>(session: Session, effect: Effect.Effect<A, E>): Effect.Effect<A, E> => {
    if (isExit(effect)) return effect
    const scoped = Effect.scoped(effect)
    return session.identities.size === 0
      ? scoped
      : Effect.provideContext(scoped, identityContext(session.identities))
  }

  /** Measures how long a message waited, and how long its handler takes. */
  const timed = <A, E>(
    stats: Stats,
    { _tag, since }: Request | Notice | Join,
    name: string,
    handle: () => Effect.Effect<A, E>
  ): Effect.Effect<A, E> => {
    stats.waited(contract.name, _tag, since)
    const start = stats.seconds()
    const effect = handle()
    const end = () => stats.handled(contract.name, name, start)
    if (!isExit(effect)) return Effect.ensuring(effect, Effect.sync(end))
    end()
    return effect
  }

  /** Calls the handler of a member's message, measured if anything is. */
  const measured = (message: Request | Notice): Effect.Effect<unknown, unknown> => {
    const { member, name, payload } = message
    const { stats } = room.core
    const [run, request] = [handler(name)!, { payload, member }]
    return stats === undefined ? call(name, run, request) : timed(stats, message, name, () => call(name, run, request))
  }

  const request = (message: Request): Effect.Effect<void> | void => {
    const { member } = message
    const cancelled = message.cancelled ?? room.late
    if (cancelled !== undefined) {
      return member.session.reject(message, new RequestError.Interrupted({ detail: cancelled }))
    }
    if (member.left !== undefined) return member.session.reject(message, new RequestError.NotJoined())
    const handling = provide(member.session, measured(message))
    // Most have ended by now, and need no closures.
    if (isExit(handling) && handling._tag === "Success") return room.reply(message, handling.value)
    return Effect.matchEager(handling, {
      onSuccess: (value) => room.reply(message, value),
      onFailure: (error) => room.replyFailure(message, error)
    })
  }

  const notice = (message: Notice): Effect.Effect<void> | void => {
    const { member, name } = message
    if (member.left !== undefined || room.late !== undefined) return
    return Effect.matchEager(provide(member.session, measured(message)), {
      onSuccess: () => {},
      onFailure: (error) => room.report(`notice ${name} failed`, error)
    })
  }

  const presenceOf = Effect.fnUntracedEager(function*(
    session: Session,
    memberId: string,
    payload: unknown,
    cause: "join" | "restart"
  ) {
    const join = handler("join")
    if (join === undefined) return { presence: undefined, wirePresence: undefined }
    const identified = { payload, memberId, cause, "~heddle/Identity/identities": session.identities }
    const presence = yield* provide(session, call("join", join, identified))
    const wirePresence = yield* Effect.fromResult(room.encodePresence(presence))
    return { presence, wirePresence }
  })

  const snapshotFor = (member: RoomMember): Effect.Effect<unknown> => {
    const snapshot = handler("snapshot")
    if (snapshot === undefined || contract.snapshot === undefined) return Effect.succeed(null)
    const { encode } = contract.snapshot
    return provide(member.session, call("snapshot", snapshot, { member })).pipe(
      Effect.flatMapEager((value) => Effect.fromResult(encode(value))),
      Effect.catchEager(Effect.die)
    )
  }

  const welcome = Effect.fnUntracedEager(function*(message: Join, member: RoomMember) {
    // Taken before the snapshot is made: what is emitted meanwhile is held back and follows the answer.
    const { position } = room.channel
    room.subscribe(message, member)
    const snapshot = yield* snapshotFor(member)
    room.welcome(message, member, position, snapshot)
  })

  /** The client of a member was away: it is told what it missed, and nobody else notices. */
  const comeBack = (message: Join, member: RoomMember): Effect.Effect<void> => {
    const { session } = message
    if (member.subscription !== undefined || message.to !== session.outbox) {
      session.reject(message, new RequestError.AlreadyJoined())
      return Effect.void
    }
    message.isReturn = true
    message.member = member
    return welcome(message, member)
  }

  const join = Effect.fnUntracedEager(function*(message: Join) {
    const { memberId, payload, session } = message
    const cancelled = message.cancelled ?? room.late
    if (cancelled !== undefined) {
      return room.declineJoin(message, new RequestError.Interrupted({ detail: cancelled }))
    }
    const known = room.memberOf(session)
    if (known !== undefined) return yield* comeBack(message, known)
    const { stats } = room.core
    const asked = () => presenceOf(session, memberId, payload, "join")
    const admitted = yield* Effect.result(stats === undefined ? asked() : timed(stats, message, "join", asked))
    if (Result.isFailure(admitted)) return room.refuseJoin(message, admitted.failure)
    const member = new RoomMember(memberId, session, room.channel.id, contract, room.core.limits.eventBytes)
    member.presence = admitted.success.presence
    member.wirePresence = admitted.success.wirePresence
    member.joinPayload = payload
    message.member = member
    room.admit(member)
    member.since = room.channel.head
    yield* welcome(message, member)
  })

  const leave = (message: Leave): Effect.Effect<void> | void => {
    const { detail, member, reason, ref } = message
    if (member.left !== undefined) {
      if (ref === undefined) return
      // Kicked meanwhile, and in again by a join that was sent before this leave: the wish is to be out.
      const again = message.to === member.session.outbox && member.session.memberships.get(room.channel.id)
      return again ? again.leave(ref) : room.bidFarewell(message, ref)
    }
    room.remove(member, reason)
    const farewell = () => room.farewell(message, detail)
    const left = handler("leave")
    const effect = left === undefined ? Effect.void : call("leave", left, { member, reason })
    return Effect.matchEager(provide(member.session, effect), {
      onSuccess: farewell,
      onFailure: (error) => {
        room.report("leave failed", error)
        farewell()
      }
    })
  }

  const task = ({ done, effect, instance }: Task): Effect.Effect<void> | void => {
    // A timer does not survive the instance that set it.
    if (instance !== handle || room.late !== undefined) return
    return Effect.ensuring(
      Effect.match(effect, {
        onSuccess: () => {},
        onFailure: (error) => room.report("timer failed", error)
      }),
      Deferred.succeed(done, undefined)
    )
  }

  /** After a restart: every member is joined to the new instance, and told its state again. */
  const rejoin = Effect.gen(function*() {
    const admitted: Array<RoomMember> = []
    for (const member of [...room.members.values()]) {
      // It crashed the room too often. Its leave waits, and it must not keep the new instance from beginning.
      if (member.session.isExpelled) continue
      const result = yield* presenceOf(member.session, member.id, member.joinPayload, "restart").pipe(
        Effect.onError((cause) =>
          Effect.sync(() => {
            if (Cause.hasDies(cause) && !StoreFailed.isIn(cause)) room.charge(member.session)
          })
        ),
        Effect.result
      )
      if (Result.isFailure(result)) {
        const message = new Leave(member, "kicked", "not admitted after a restart of the room")
        yield* Effect.suspend(() => leave(message) ?? Effect.void).pipe(
          // A leave that crashes is told all the same; as a message of its own it would be abandoned.
          Effect.onError(() => Effect.sync(() => room.farewell(message, message.detail)))
        )
        continue
      }
      member.presence = result.success.presence
      member.wirePresence = result.success.wirePresence
      admitted.push(member)
    }
    for (const member of admitted) {
      // One that catches up is told once it has: there is no room for its state before.
      if (member.subscription?.owe("restarted") !== true) yield* resync(member, "restarted")
    }
  })

  /** Tells a member its state again. */
  const resync = Effect.fnUntraced(function*(member: RoomMember, reason: Owed) {
    // One whose client is away gets a snapshot when it comes back.
    if (member.left !== undefined || member.subscription === undefined) return
    // As in a join: what is emitted while the snapshot is made follows it.
    member.subscription.suspend()
    const { position } = room.channel
    room.resync(member, position, yield* snapshotFor(member), reason)
  })

  room.channel.onOwed = ({ owner }, reason) => {
    const effect = resync(owner as RoomMember, reason)
    room.actor.controlUnsafe({ _tag: "Task", instance: handle, effect, done: Deferred.makeUnsafe() })
  }

  return {
    rejoin,
    receive: (message) => {
      switch (message._tag) {
        case "Request":
          return request(message)
        case "Notice":
          return notice(message)
        case "Join":
          return join(message)
        case "Leave":
          return leave(message)
      }
    },
    control: (message) => message._tag === "Leave" ? leave(message) : task(message)
  }
}
