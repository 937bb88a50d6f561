/** Who is there is told in pages, as fast as the newcomer reads. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Room from "../../src/contract/Room.ts"
import { memory, serve } from "./harness.ts"
import { settle } from "./stage.ts"

class Hall extends Room.make("hall", {
  join: { payload: { name: Schema.String } },
  presence: { name: Schema.String },
  requests: { Say: { payload: { text: Schema.String } } },
  events: { Said: { text: Schema.String } }
}) {}

const HallLive = Hall.toLayer((room) => ({
  join: ({ payload }) => Effect.succeed(payload),
  Say: ({ payload }) => Effect.asVoid(room.emit("Said", payload))
}))

const name = (index: number) => `${index}`.padEnd(3_000, "x")
const KiB = 1024

describe("presence", () => {
  it.effect("of a full room is told to a newcomer that reads slowly, before what happens meanwhile", () =>
    serve(memory, {
      rooms: [HallLive],
      // Less than what everybody's presence takes.
      limits: { outboxBytes: 256 * KiB, outboxTickBytes: 400 * KiB }
    })(({ network, peer }) =>
      Effect.gen(function*() {
        const count = 200
        const [ada, ...others] = yield* Effect.forEach(Array.from({ length: count }), () => peer())
        const { channel } = yield* ada!.join("hall", "a", { name: name(0) })
        for (const [index, other] of others.entries()) yield* other.join("hall", "a", { name: name(index + 1) })
        const late = yield* peer()
        const connection = network.connections().at(-1)!
        connection.stall()
        const ref = late.sendJoin("hall", "a", { name: "late" })
        yield* settle
        yield* ada!.request(channel, "Say", { text: "welcome" })
        others[0]!.close()
        yield* settle
        assert.isEmpty(late.all("present"))
        connection.unstall()
        yield* late.answer(ref)
        yield* late.next("absent")
        const told = late.frames.map(({ _tag }) => _tag)
        const present = new Set(late.all("present").flatMap(({ members }) => members.map(([, { name }]: any) => name)))
        assert.strictEqual(present.size, count + 1, "everybody who was there when it was told")
        assert.isAbove(told.indexOf("event"), told.lastIndexOf("present"))
        assert.isAbove(told.indexOf("absent"), told.lastIndexOf("present"))
        assert.isUndefined(late.closed)
      })
    ))
})
