import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Room from "../../src/contract/Room.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { memory, serve } from "./harness.ts"
import { Lab, News } from "./lab.ts"
import { errorOf } from "./peer.ts"
import { roomTest, settle, texts } from "./stage.ts"

describe("from outside", () => {
  roomTest("emit reaches the members of this moment and gives the offset", {}, ({ member }) =>
    Effect.gen(function*() {
      const [ada, bob] = [yield* member("ada", "a"), yield* member("bob", "b")]
      assert.deepStrictEqual(yield* Engine.emit(Lab, "a", "Said", { text: "x" }), { offset: 1, dropped: 0 })
      assert.deepStrictEqual(yield* Engine.emit(Lab, "a", "Said", { text: "y" }), { offset: 2, dropped: 0 })
      yield* ada.peer.next("event", 2)
      assert.deepStrictEqual([texts(ada.peer), texts(bob.peer)], [["x", "y"], []])
    }))

  roomTest(
    "emit to a room that does not run starts none, and counts",
    {},
    ({ engine, member, trace }) =>
      Effect.gen(function*() {
        yield* Engine.emit(Lab, "a", "Said", { text: "x" })
        assert.deepStrictEqual([yield* engine.rooms, trace], [[], []])
        assert.strictEqual((yield* member("ada")).position[2], 1)
      })
  )

  roomTest(
    "publish reaches the subscribers of a topic from their subscription on, until they end it",
    {},
    ({ peer }) =>
      Effect.gen(function*() {
        const one = yield* peer()
        yield* Engine.publish(News, "k", { text: "before" })
        const subscribed = yield* one.answer(one.ask({ _tag: "subscribe", topic: "news", key: "k", position: null }))
        assert.deepInclude(subscribed, { _tag: "subscribed", recovered: false })
        yield* Engine.publish(News, "k", { text: "during" })
        yield* Engine.publish(News, "other", { text: "elsewhere" })
        yield* one.next("event")
        const { channel } = subscribed as { readonly channel: number }
        const again = one.ask({ _tag: "subscribe", topic: "news", key: "k", position: null })
        assert.strictEqual(errorOf(yield* one.answer(again)), "AlreadyJoined")
        assert.strictEqual(errorOf(yield* one.request(channel, "Do")), "NotJoined")
        yield* one.answer(one.ask({ _tag: "unsubscribe", channel }))
        yield* Engine.publish(News, "k", { text: "after" })
        yield* settle
        const back = one.ask({ _tag: "subscribe", topic: "news", key: "k", position: null })
        assert.strictEqual((yield* one.answer(back))._tag, "subscribed")
        assert.deepStrictEqual(one.events(), [{ text: "during" }])
      })
  )

  roomTest("rooms lists what runs, with its members", {}, ({ engine, member }) =>
    Effect.gen(function*() {
      yield* member("ada", "a")
      yield* member("bob", "a")
      yield* member("carol", "b")
      assert.deepStrictEqual(yield* engine.rooms, [
        { room: "lab", key: "a", members: 2 },
        { room: "lab", key: "b", members: 1 }
      ])
      assert.strictEqual(yield* engine.connections, 3)
    }))
})

describe("an engine", () => {
  it.effect("serves rooms by any name, but none twice", () => {
    class Odd extends Room.make("constructor", {}) {}
    const layer = Odd.toLayer(() => ({}))
    return Effect.gen(function*() {
      yield* serve(memory, { rooms: [layer] })(({ peer }) =>
        Effect.flatMap(peer(), (one) => one.join("constructor", "a"))
      )
      const exit = yield* Effect.exit(serve(memory, { rooms: [layer, layer] })(() => Effect.void))
      assert.include(String(exit), "served twice")
    })
  })
})
