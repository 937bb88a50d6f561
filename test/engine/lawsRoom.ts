/**
 * The room of the laws: its handlers do what clients tell them, well or badly, and everything they see is recorded.
 */
import { Effect, Exit, Schema } from "effect"
import * as Room from "../../src/contract/Room.ts"
import { blinkNames, blinks } from "./lawsVolatile.ts"
import type { Random } from "./random.ts"

const Deed = Schema.Struct({ token: Schema.Int, deed: Schema.String, size: Schema.Int })

export class Law extends Room.make("law", {
  join: { payload: { client: Schema.Int, deed: Schema.String, size: Schema.Int }, error: Schema.Literal("refused") },
  presence: { number: Schema.Int },
  snapshot: { head: Schema.Int },
  requests: { Do: { payload: Deed, success: { token: Schema.Int, last: Schema.Int } } },
  notices: { Note: Deed },
  events: { Said: { token: Schema.Int, number: Schema.Int }, ...blinks }
}) {}

export type LawRoom = Room.Handle<typeof Law>
type LawMember = Room.Member<typeof Law>

export const deeds = [
  "emits",
  "emits",
  "emits",
  "pauses",
  "pauses",
  "yields",
  "hangs",
  "throws",
  "dies",
  "dies late",
  "kicks",
  "kicks itself",
  "times",
  "forks",
  "presents",
  "blinks"
]

export const deadline = 1_000
export const idleTimeout = 3_000

/** One instance of a room. */
interface Instance {
  readonly key: string
  readonly members: Set<string>
  /** Undefined while it lives. */
  ended: "crashed" | "stopped" | undefined
  readonly life: Life
}

/** The instances of a room from one start to its stop; the sixth crash within a minute ends it, too. */
interface Life {
  crashes: Array<number>
  spent: boolean
}

/** What the handlers saw. */
export class Sightings {
  readonly instances: Array<Instance> = []
  readonly current = new Map<string, Instance>()
  /** Where each member was last joined. */
  readonly homes = new Map<string, Instance>()
  /** Members whose first snapshot was asked for, and those whose first snapshot died, so that they never joined. */
  readonly shown = new Set<string>()
  readonly unborn = new Set<string>()
  /** Calls of the leave handler. */
  readonly leaves = new Map<string, number>()
  /** Who left because it was lost, and when. */
  readonly lost: Array<{ readonly member: string; readonly at: number }> = []
  /** The newest instance of each room, from within. */
  readonly rooms = new Map<string, LawRoom>()
  readonly emitted = new Map<string, Array<{ readonly token: number; readonly number: number }>>()
  /** How far the handling of each request or notice came. */
  readonly done = new Map<number, "began" | "done" | "died" | "ended">()
  readonly violations: Array<string> = []
  /** The client behind each member, by their numbers and ids. */
  readonly clients = new Map<string, number>()
  /** When each client crashed a room, or may have. */
  private readonly crashes = new Map<number, Array<number>>()
  /** The first that was sent to an engine that drains. */
  firstLate = Infinity
  running = 0
  /** Volatile events so far. */
  blinks = 0
  recovered = 0
  /** Rises with everything that a handler does. */
  activity = 0

  blame(client: number, now: number): void {
    this.crashes.set(client, [...this.crashes.get(client) ?? [], now])
  }

  /** Whether a client crashed rooms three times within a minute. */
  mayBeExpelled(client: number): boolean {
    const crashes = this.crashes.get(client) ?? []
    return crashes.some((time, index) => index >= 2 && time - crashes[index - 2]! < 60_000)
  }

  /** Whether it is no member any more: it left, or the crash of its room ended it. */
  hasLeft(member: string): boolean {
    return this.leaves.has(member) || this.unborn.has(member) || this.homes.get(member)?.life.spent === true
  }

  violate(law: string): void {
    this.violations.push(law)
  }
}

export const makeRoom = (record: Sightings, random: Random, mailbox: number) =>
  Law.toLayer(
    Effect.fnUntraced(function*(room: LawRoom) {
      const { below, chance, pick } = random
      const clock = yield* Effect.clockWith(Effect.succeed)
      const last = record.current.get(room.key)
      const life = last?.ended === "crashed" && !last.life.spent ? last.life : { crashes: [], spent: false }
      const instance: Instance = { key: room.key, members: new Set(), ended: undefined, life }
      record.instances.push(instance)
      record.current.set(room.key, instance)
      record.rooms.set(room.key, room)
      yield* Effect.addFinalizer((exit) =>
        Effect.sync(() => {
          instance.ended = Exit.isSuccess(exit) ? "stopped" : "crashed"
          if (Exit.isSuccess(exit)) return
          const now = clock.currentTimeMillisUnsafe()
          life.crashes = life.crashes.filter((time) => now - time < 60_000)
          if (life.crashes.length >= 5) life.spent = true
          else life.crashes.push(now)
        })
      )
      const alive = (what: string) => {
        if (instance.ended !== undefined || record.current.get(room.key) !== instance) {
          record.violate(`${what} runs only while its instance does`)
        }
      }
      const blame = (memberId: string) => record.blame(record.clients.get(memberId)!, clock.currentTimeMillisUnsafe())
      if (chance(20)) yield* Effect.sleep(below(100))

      const emit = (token: number) =>
        Effect.suspend(() => {
          const events = record.emitted.get(room.key) ?? []
          const payload = { token, number: events.length }
          record.emitted.set(room.key, events)
          return Effect.map(room.emit("Said", payload), ({ offset }) => {
            record.activity++
            if (offset !== events.length + 1) record.violate(`offsets count by one: ${offset} after ${events.length}`)
            events.push(payload)
            return offset
          })
        }).pipe(Effect.orDie)

      const blink = (name: keyof typeof blinks, key: string) =>
        Effect.orDie(room.emit(name, { number: record.blinks++, key, pad: "" }))

      const work = (member: LawMember, token: number, deed: string, size: number): Effect.Effect<number> => {
        switch (deed) {
          case "emits":
            return Effect.map(Effect.forEach(Array.from({ length: size }), () => emit(token)), (all) => all.at(-1) ?? 0)
          case "pauses":
            return Effect.andThen(Effect.andThen(emit(token), Effect.sleep(size * 10)), emit(token))
          case "yields":
            return Effect.andThen(Effect.andThen(emit(token), Effect.yieldNow), emit(token))
          case "hangs":
            return Effect.as(Effect.sleep(10 * deadline), 0)
          case "throws":
            record.done.set(token, "died")
            blame(member.id)
            throw new Error("thrown")
          case "dies":
            return Effect.suspend(() => {
              record.done.set(token, "died")
              blame(member.id)
              return Effect.die("died")
            })
          case "dies late":
            return Effect.andThen(
              Effect.andThen(emit(token), Effect.sleep(size * 10)),
              Effect.suspend(() => {
                record.done.set(token, "died")
                blame(member.id)
                return Effect.die("died late")
              })
            )
          case "kicks":
            return Effect.as(room.kick(pick([...room.members.values()])), 0)
          case "kicks itself":
            return Effect.as(Effect.andThen(room.kick(member), emit(token)), 0)
          case "times":
            return Effect.as(
              room.after(
                size * 30,
                Effect.andThen(Effect.sync(() => alive("a timer")), Effect.asVoid(emit(token)))
              ),
              0
            )
          case "forks":
            return Effect.as(
              Effect.forkIn(
                Effect.andThen(
                  Effect.sleep(size * 50),
                  Effect.andThen(Effect.sync(() => alive("a fiber")), emit(token))
                ),
                room.scope
              ),
              0
            )
          case "blinks":
            return Effect.as(Effect.forEach(blinkNames, (name) => blink(name, `${size}`)), 0)
          default:
            return Effect.as(Effect.orDie(room.setPresence(member, { number: size })), 0)
        }
      }

      const handle = (
        { member, payload: { deed, size, token } }: Room.Call<typeof Deed.Type, LawMember>
      ): Effect.Effect<{ readonly token: number; readonly last: number }> => {
        record.activity++
        alive("a handler")
        if (record.done.has(token)) record.violate("a message runs at most once")
        if (token >= record.firstLate) record.violate("nothing begins once the engine drains")
        if (!instance.members.has(member.id)) record.violate("a handler is called for members only")
        if (record.leaves.has(member.id)) record.violate("nothing is handled for a member that has left")
        record.done.set(token, "began")
        record.running++
        const end = Effect.sync(() => {
          record.running--
          if (record.done.get(token) === "began") record.done.set(token, "ended")
        })
        try {
          return Effect.ensuring(
            Effect.map(work(member, token, deed, size), (last) => {
              record.done.set(token, "done")
              return { token, last }
            }),
            end
          )
        } catch (error) {
          record.running--
          throw error
        }
      }

      return Law.of({
        join: ({ cause, memberId, payload: { client, deed, size } }) =>
          Effect.gen(function*() {
            record.activity++
            alive("a join")
            record.clients.set(memberId, client)
            if (deed === "sleeps") yield* Effect.sleep(size * 20)
            if (deed === "refuses") return yield* Effect.fail("refused" as const)
            if (deed === "refuses a restart" && cause === "restart") return yield* Effect.fail("refused" as const)
            if (deed === "dies" && cause === "join") {
              blame(memberId)
              return yield* Effect.die("join died")
            }
            instance.members.add(memberId)
            record.homes.set(memberId, instance)
            return { number: size }
          }),
        snapshot: ({ member }) =>
          Effect.gen(function*() {
            const first = !record.shown.has(member.id)
            record.shown.add(member.id)
            if (chance(30)) yield* Effect.sleep(below(100))
            if (chance(3)) {
              if (first) record.unborn.add(member.id)
              blame(member.id)
              return yield* Effect.die("snapshot died")
            }
            return { head: record.emitted.get(room.key)?.length ?? 0 }
          }),
        leave: ({ member, reason }) =>
          Effect.suspend(() => {
            record.activity++
            if (reason === "lost") record.lost.push({ member: member.id, at: clock.currentTimeMillisUnsafe() })
            alive("a leave")
            const calls = (record.leaves.get(member.id) ?? 0) + 1
            record.leaves.set(member.id, calls)
            if (calls > 1) record.violate("every join has one leave: it came twice")
            if (!record.homes.has(member.id)) record.violate("every leave has a join")
            if (chance(10)) {
              blame(member.id)
              return Effect.die("leave died")
            }
            return chance(20) ? Effect.sleep(below(50)) : chance(30) ? Effect.asVoid(emit(0)) : Effect.void
          }),
        Do: handle,
        Note: handle
      })
    }),
    { mailbox, deadline, idleTimeout, history: { capacity: 20 } }
  )
