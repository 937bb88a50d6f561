/**
 * A property test of a room, in any test runner or, as here, in none. The room has a bug, and the test finds it.
 *
 * Run with `node examples/testing.ts`, `bun examples/testing.ts` or `deno run -A examples/testing.ts`.
 */
import { Console, Effect, Schema } from "effect"
import { Room } from "heddle"
import { RoomTest } from "heddle/testing"

class SoldOut extends Schema.TaggedError<SoldOut>()("SoldOut", { left: Schema.Int }) {}

class Theatre extends Room.make("theatre", {
  snapshot: { left: Schema.Int },
  requests: {
    Hold: { payload: { seats: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4 })) }, error: SoldOut }
  }
}) {}

const TheatreLive = Theatre.toLayer(() => {
  let left = 10
  const held = new Map<string, number>()
  return {
    snapshot: () => Effect.succeed({ left }),
    Hold: Effect.fnUntraced(function*({ member, payload: { seats } }) {
      if (seats > left) return yield* new SoldOut({ left })
      left -= seats
      held.set(member.id, seats)
    }),
    // Who goes gives back what it held.
    leave: ({ member }) =>
      Effect.sync(() => {
        left += held.get(member.id) ?? 0
        held.delete(member.id)
      })
  }
})

const test = RoomTest.check(Theatre, TheatreLive, {
  seed: 1,
  model: {
    // A list of who holds a seat says the same in a simpler way.
    initial: [] as ReadonlyArray<string>,
    next: {
      Hold: (holders, { memberId, outcome, payload }) =>
        outcome._tag === "Success" ? [...holders, ...Array.from({ length: payload.seats }, () => memberId)] : holders,
      leave: (holders, { memberId }) => holders.filter((holder) => holder !== memberId)
    },
    invariant: (holders, { snapshot }) => snapshot === undefined || snapshot.left === 10 - holders.length
  }
})

Effect.runPromise(Effect.catchTag(test, "Falsified", ({ message }) => Console.log(message)))
