/** Who is there is told in pages, as fast as the newcomer reads. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Room from "../../src/contract/Room.ts"
import { memory, serve } from "./harness.ts"
import { settle } from "./stage.ts"

class Hall extends Room.make("hall", {
  join: { payload: { name: Schema.String } },
  presence: { name: Schema.String },
  requests: { Say: { payload: { text: Schema.String } }, Crash: {} },
  events: { Said: { text: Schema.String } }
}) {}

const HallLive = Hall.toLayer((room) => ({
  join: ({ payload }) => Effect.succeed(payload),
  Say: ({ payload }) => Effect.asVoid(room.emit("Said", payload)),
  Crash: () => Effect.die("x")
}), { history: { capacity: 100 } })

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

  it.effect("still being told holds back the answer to a request behind its events", () =>
    serve(memory, { rooms: [HallLive], limits: { outboxBytes: 512 * KiB } })(({ network, peer }) =>
      Effect.gen(function*() {
        const others = yield* Effect.forEach(Array.from({ length: 200 }), () => peer())
        for (const [index, other] of others.entries()) yield* other.join("hall", "a", { name: name(index) })
        const late = yield* peer()
        const connection = network.connections().at(-1)!
        connection.stall()
        late.sendJoin("hall", "a", { name: "late" })
        yield* settle
        const said = late.sendRequest(others[0]!.all("joined")[0]!.channel, "Say", { text: "hers" })
        yield* settle
        connection.unstall()
        yield* late.answer(said)
        assert.isBelow(late.kinds().indexOf("event"), late.kinds().indexOf("ok"))
        assert.include(late.kinds(), "event")
      })
    ))

  for (const missed of [0, 1]) {
    it.effect(`is told anew where the room restarts meanwhile, and who came back is answered behind it: ${missed} missed`, () =>
      serve(memory, {
        rooms: [HallLive],
        limits: { outboxBytes: 512 * KiB }
      })(({ network, open, pass, peer }) =>
        Effect.gen(function*() {
          const [ada, ...others] = yield* Effect.forEach(Array.from({ length: 200 }), () => peer())
          const { channel } = yield* ada!.join("hall", "a", { name: name(0) })
          for (const [index, other] of others.entries()) yield* other.join("hall", "a", { name: name(index + 1) })
          const before = yield* peer()
          const { position } = yield* before.join("hall", "a", { name: "late" })
          network.connections().at(-1)!.cut()
          yield* settle
          if (missed > 0) yield* ada!.request(channel, "Say", { text: "missed" })
          const late = yield* open
          const connection = network.connections().at(-1)!
          yield* late.hello(null, before.all("welcome")[0]!.resume)
          connection.stall()
          const joined = late.sendJoin("hall", "a", { name: "late" }, position)
          const said = late.sendRequest(channel, "Say", { text: "hers" }, 1)
          yield* settle
          yield* ada!.request(channel, "Crash")
          yield* pass(1_000)
          yield* settle
          connection.unstall()
          assert.deepInclude(yield* late.answer(joined), { _tag: "joined", recovered: true })
          yield* late.answer(said)
          let head = position[2]
          for (const frame of late.frames) {
            if (frame._tag === "synced") head = frame.position[2]
            if (frame._tag === "event") assert.strictEqual(frame.offset, ++head)
          }
          assert.strictEqual(head, missed + 1)
          assert.deepInclude(late.all("synced")[0], { reason: "restarted" })
        })
      ))
  }
})
