/** What a room keeps of its past, for itself and for its members; and the latest of a topic. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Room from "../../src/contract/Room.ts"
import * as Topic from "../../src/contract/Topic.ts"
import * as Engine from "../../src/engine/Engine.ts"
import type * as Frame from "../../src/wire/Frame.ts"
import { memory, serve } from "./harness.ts"
import { Lab, makeLab } from "./lab.ts"
import { errorOf, type Peer } from "./peer.ts"
import { roomTest, say, settle } from "./stage.ts"

const script = {
  do: (room: Parameters<typeof say>[0], _: unknown, what: string) => Effect.as(say(room, what), what)
}

const pageOf = Effect.fnUntraced(function*(peer: Peer, channel: number, limit: number, before: number | null = null) {
  const nth = peer.all("page").length + 1
  const ref = peer.ask({ _tag: "history", channel, before, limit })
  const page = yield* peer.next("page", nth)
  assert.strictEqual(page.ref, ref)
  return page
})
const offsets = ({ events, more }: Frame.ServerFrames["page"]) => [events.map(([offset]) => offset), more] as const

describe("history", () => {
  roomTest(
    "goes back page by page, the newest first, as far as the room keeps it",
    script,
    ({ member }) =>
      Effect.gen(function*() {
        const { channel, do: ask, peer } = yield* member("ada")
        for (let index = 1; index <= 12; index++) yield* peer.answer(ask(`${index}`))
        const newest = yield* pageOf(peer, channel, 4)
        assert.deepStrictEqual(newest.events[0], [9, "Said", { text: "9" }, null])
        assert.deepStrictEqual(offsets(newest), [[9, 10, 11, 12], true])
        assert.deepStrictEqual(offsets(yield* pageOf(peer, channel, 4, 9)), [[5, 6, 7, 8], true])
        assert.deepStrictEqual(offsets(yield* pageOf(peer, channel, 4, 5)), [[3, 4], false])
        assert.deepStrictEqual(offsets(yield* pageOf(peer, channel, 2, 5)), [[3, 4], false])
        assert.deepStrictEqual(offsets(yield* pageOf(peer, channel, 4, 3)), [[], false])
        assert.deepStrictEqual(offsets(yield* pageOf(peer, channel, 4, 1_000)), [[9, 10, 11, 12], true])
        assert.deepStrictEqual(offsets(yield* pageOf(peer, channel, 0)), [[], true])
      }),
    { history: { capacity: 10 } }
  )

  roomTest("has at most 256 events and 64 KiB in a page", script, ({ member }) =>
    Effect.gen(function*() {
      const { channel, peer } = yield* member("ada")
      for (let index = 0; index < 300; index++) {
        yield* Engine.emit(Lab, "a", "Said", { text: index < 10 ? "x".repeat(30_000) : "small" })
      }
      assert.strictEqual((yield* pageOf(peer, channel, 1_000)).events.length, 256)
      assert.deepStrictEqual(offsets(yield* pageOf(peer, channel, 100, 11)), [[9, 10], true])
    }), { history: { capacity: 1_000 } })

  roomTest(
    "is empty where a room keeps none, and not for who is no member",
    script,
    ({ member, peer }) =>
      Effect.gen(function*() {
        const { channel, do: ask, peer: ada } = yield* member("ada")
        yield* ada.answer(ask("1"))
        assert.deepStrictEqual(offsets(yield* pageOf(ada, channel, 4)), [[], false])
        const bob = yield* peer()
        assert.strictEqual(
          errorOf(yield* bob.answer(bob.ask({ _tag: "history", channel, before: null, limit: 1 }))),
          "NotJoined"
        )
      })
  )

  it.effect("is there for the room itself, when it starts again after all have gone", () => {
    const seen: Array<unknown> = []
    const { layer } = makeLab({
      ...script,
      init: (room) =>
        Effect.map(room.history({ limit: 2 }), ({ events, more }) => {
          for (const event of events) {
            const text: string = event.payload.text
            seen.push([event._tag, event.offset, text])
          }
          seen.push(more)
        })
    }, { history: { capacity: 5 }, idleTimeout: 1_000 })
    return serve(memory, { rooms: [layer] })(({ pass, peer }) =>
      Effect.gen(function*() {
        const ada = yield* peer()
        const { channel } = yield* ada.join("lab", "a", { name: "ada" })
        for (const what of ["1", "2", "3"]) yield* ada.request(channel, "Do", { what })
        ada.close()
        yield* settle
        yield* pass(1_000)
        const bob = yield* peer()
        yield* bob.join("lab", "a", { name: "bob" })
        assert.deepStrictEqual(seen, [false, ["Said", 2, "2"], ["Said", 3, "3"], true])
      })
    )
  })
})

class Price extends Topic.make("price", { payload: { price: Schema.Int }, latest: true }) {}
class Tick extends Topic.make("tick", { payload: { price: Schema.Int } }) {}

describe("the latest of a topic", () => {
  const subscribe = Effect.fnUntraced(function*(peer: Peer, topic: string, position: Frame.Position | null = null) {
    const { channel } = (yield* peer.answer(peer.ask({ _tag: "subscribe", topic, key: "k", position }))) as {
      readonly channel: number
    }
    yield* settle
    const answer = peer.all("subscribed").at(-1)!
    return {
      channel,
      answer,
      prices: () => peer.events(channel).map((payload) => (payload as { price: number }).price)
    }
  })

  const topicTest = (
    sentence: string,
    body: (peer: Effect.Effect<Peer, never, any>) => Effect.Effect<void, unknown, any>
  ) => it.effect(sentence, () => serve(memory, { rooms: [Price, Tick] })(({ peer }) => body(peer())))

  topicTest("is what a new subscriber begins with", (peer) =>
    Effect.gen(function*() {
      for (const price of [1, 2, 3]) yield* Engine.publish(Price, "k", { price })
      const { answer, prices } = yield* subscribe(yield* peer, "price")
      assert.deepInclude(answer, { recovered: false })
      assert.deepStrictEqual([answer.position[2], prices()], [2, [3]])
      yield* Engine.publish(Price, "k", { price: 4 })
      yield* settle
      assert.deepStrictEqual(prices(), [3, 4])
    }))

  topicTest("comes to a subscriber that comes back only if it is new to it", (peer) =>
    Effect.gen(function*() {
      for (const price of [1, 2, 3]) yield* Engine.publish(Price, "k", { price })
      const { answer: { position: [epoch, term] } } = yield* subscribe(yield* peer, "price")
      const again = Effect.fnUntraced(function*(offset: number) {
        const { answer, prices } = yield* subscribe(yield* peer, "price", [epoch, term, offset])
        return [answer.recovered, answer.position[2], ...prices()]
      })
      assert.deepStrictEqual([yield* again(3), yield* again(2), yield* again(1), yield* again(9)], [
        [true, 3],
        [true, 2, 3],
        [false, 2, 3],
        [false, 2, 3]
      ])
    }))

  topicTest("is not kept unless the contract says so", (peer) =>
    Effect.gen(function*() {
      yield* Engine.publish(Tick, "k", { price: 1 })
      const { answer, prices } = yield* subscribe(yield* peer, "tick")
      assert.deepStrictEqual([answer.position[2], prices()], [1, []])
    }))

  it("is refused by the compiler of a volatile payload", () => {
    // @ts-expect-error: it is not kept
    Topic.make("volatile", { payload: Room.volatile({ price: Schema.Int }), latest: true })
  })
})
