/** A room that lets out seats, right or with one of several bugs; and its model. */
import { Effect, Result, Schema } from "effect"
import { Room } from "heddle"

export class SoldOut extends Schema.TaggedError<SoldOut>()("SoldOut", { left: Schema.Int }) {}

export class Theatre extends Room.make("theatre", {
  join: { payload: { name: Schema.String } },
  presence: { name: Schema.String },
  snapshot: { left: Schema.Int },
  requests: {
    Hold: {
      payload: { seats: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4 })) },
      success: Schema.Int,
      error: SoldOut
    }
  },
  notices: { Wave: {} },
  events: { Left: { left: Schema.Int }, Waved: { by: Schema.String } }
}) {}

export type Bug =
  | "replaces what was held"
  | "leaks when interrupted"
  | "dies"
  | "hangs"
  | "fails otherwise"
  | "fails a notice"
  | "answers otherwise"
  | "throws"
  | "fails to begin"
  | "forgets the lost"

export const makeTheatre = (bug?: Bug) =>
  Theatre.toLayer((room) => {
    if (bug === "fails to begin") throw new Error("no stage")
    let left = 10
    const held = new Map<string, number>()
    const hold = (id: string, seats: number) =>
      Effect.sync(() => {
        left -= seats
        held.set(id, bug === "replaces what was held" ? seats : (held.get(id) ?? 0) + seats)
      })
    return {
      join: ({ payload }) => Effect.succeed(payload),
      snapshot: () => Effect.succeed({ left }),
      Hold: Effect.fnUntraced(function*({ member, payload: { seats } }) {
        if (bug === "throws" && seats === 3) throw new Error("three is too many")
        if (seats > left) {
          if (bug === "dies") return yield* Effect.die(new Error("no seats left"))
          if (bug === "hangs") return yield* Effect.never
          if (bug === "fails otherwise") return yield* Effect.fail("sold out" as unknown as SoldOut)
          return yield* new SoldOut({ left })
        }
        if (bug === "leaks when interrupted") {
          left -= seats
          yield* Effect.sleep("10 millis")
          left += seats
        }
        yield* hold(member.id, seats)
        yield* room.emit("Left", { left })
        return bug === "answers otherwise" ? left / 2 : left
      }),
      Wave: ({ member }) =>
        room.emit("Waved", { by: bug === "fails a notice" ? 1 as never : member.presence.name }, { except: member }),
      leave: ({ member, reason }) =>
        Effect.sync(() => {
          if (bug === "forgets the lost" && reason === "lost") return
          left += held.get(member.id) ?? 0
          held.delete(member.id)
        })
    }
  }, { history: { capacity: 5 } })

type Holders = ReadonlyArray<string>

export const model = {
  initial: [] as Holders,
  next: {
    Hold: (holders: Holders, step: {
      readonly memberId: string
      readonly payload: { readonly seats: number }
      readonly outcome: Result.Result<number, SoldOut>
    }): Holders =>
      Result.isFailure(step.outcome)
        ? holders
        : [...holders, ...Array.from({ length: step.payload.seats }, () => step.memberId)],
    leave: (holders: Holders, { memberId }: { readonly memberId: string }) =>
      holders.filter((holder) => holder !== memberId)
  },
  invariant: (holders: Holders, { snapshot }: { readonly snapshot: { readonly left: number } | undefined }) =>
    snapshot === undefined || snapshot.left === 10 - holders.length
}
