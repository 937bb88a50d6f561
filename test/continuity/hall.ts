/**
 * The room of the model: it does what it is told, and what it does is written down.
 */
import { Effect, Schema } from "effect"
import * as Room from "../../src/contract/Room.ts"
import type { Truth } from "./truth.ts"

const Deed = Schema.Struct({ token: Schema.Int, deed: Schema.String })

export class Hall extends Room.make("hall", {
  join: { payload: { name: Schema.Int } },
  presence: { name: Schema.Int },
  snapshot: { head: Schema.Int },
  requests: { Do: { payload: Deed, success: { token: Schema.Int, offset: Schema.Int } } },
  notices: { Note: Deed },
  events: { Said: { token: Schema.Int }, Blinked: Room.volatile({ token: Schema.Int }) }
}) {}

type HallRoom = Room.Handle<typeof Hall>
type HallMember = Room.Member<typeof Hall>

export const deeds = ["says", "says", "says", "says", "says much", "blinks", "pauses", "leaves out", "presents"]

/** What the handlers of all lives saw. */
export class Book {
  readonly violations: Array<string> = []
  /** How often a request or notice ran. */
  readonly runs = new Map<number, number>()
  /** When those ended that did so in time to be answered by their process. */
  readonly ends = new Map<number, number>()
  readonly joins = new Map<string, number>()
  readonly leaves = new Map<string, Room.LeaveReason>()
  /** Who is a member, by room, in the process of now. */
  private members = new Map<string, Map<string, number>>()
  /** Called for each member that leaves, with its client's name. */
  onLeave: (name: number, memberId: string, reason: Room.LeaveReason) => void = () => {}
  /** Rises with everything that happens. */
  activity = 0

  violate(law: string): void {
    this.violations.push(law)
  }

  /** Another process begins: its rooms are empty. */
  begin(): void {
    this.members = new Map()
  }

  /** A process is killed: what had just ended may not be kept. */
  end(now: number): void {
    for (const [token, at] of this.ends) if (at === now) this.ends.delete(token)
  }

  in(key: string): Map<string, number> {
    let members = this.members.get(key)
    if (members === undefined) this.members.set(key, members = new Map())
    return members
  }
}

/** A life of the room's process: what it does after the process was killed never happened. */
export interface Process {
  isDead: boolean
}

export const idleTimeout = 5_000

export const makeHall = (truth: Truth, book: Book, process: Process, pick: <A>(of: ReadonlyArray<A>) => A) =>
  Hall.toLayer(
    Effect.fnUntraced(function*(room: HallRoom) {
      const clock = yield* Effect.clockWith(Effect.succeed)
      const { key } = room

      const say = (token: number, except: ReadonlyArray<HallMember> = []) =>
        Effect.map(room.emit("Said", { token }, { except }), ({ offset }) => {
          if (process.isDead) return offset
          if (!truth.append(key, offset, token, clock.currentTimeMillisUnsafe())) {
            book.violate(`offsets count by one: ${offset} after ${truth.head(key)}`)
          }
          return offset
        })

      const work = (member: HallMember, token: number, deed: string): Effect.Effect<number, Room.EmitError> => {
        switch (deed) {
          case "says much":
            return Effect.map(Effect.forEach(Array.from({ length: 5 }), () => say(token)), (all) => all.at(-1)!)
          case "blinks":
            return Effect.as(room.emit("Blinked", { token }), 0)
          case "pauses":
            return Effect.andThen(Effect.andThen(say(token), Effect.sleep(700)), say(token))
          case "leaves out":
            return say(token, [pick([...room.members.values()])])
          case "presents":
            return Effect.as(room.setPresence(member, { name: member.presence.name }), 0)
          default:
            return say(token)
        }
      }

      const handle = ({ member, payload: { deed, token } }: Room.Call<typeof Deed.Type, HallMember>) =>
        Effect.suspend(() => {
          if (!process.isDead) {
            book.activity++
            const runs = (book.runs.get(token) ?? 0) + 1
            book.runs.set(token, runs)
            if (runs > 1) book.violate("a request runs at most once")
            if (!book.in(key).has(member.id)) book.violate("only members are served")
          }
          return Effect.map(Effect.orDie(work(member, token, deed)), (offset) => {
            if (!process.isDead) book.ends.set(token, clock.currentTimeMillisUnsafe())
            return { token, offset }
          })
        })

      return Hall.of({
        join: ({ memberId, payload: { name } }) =>
          Effect.sync(() => {
            if (!process.isDead) {
              book.activity++
              book.joins.set(memberId, (book.joins.get(memberId) ?? 0) + 1)
              if (book.joins.get(memberId)! > 1) book.violate("a member joins once")
              book.in(key).set(memberId, name)
            }
            return { name }
          }),
        snapshot: () => Effect.map(Effect.sleep(pick([0, 0, 0, 200])), () => ({ head: truth.head(key) })),
        leave: ({ member, reason }) =>
          Effect.sync(() => {
            if (process.isDead) return
            book.activity++
            if (book.leaves.has(member.id)) book.violate("a member leaves once")
            book.leaves.set(member.id, reason)
            book.in(key).delete(member.id)
            book.onLeave(member.presence.name, member.id, reason)
          }),
        Do: handle,
        Note: handle
      })
    }),
    { history: { capacity: truth.retention.capacity, timeToLive: truth.retention.timeToLive }, idleTimeout }
  )
