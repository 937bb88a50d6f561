import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { News } from "./lab.ts"
import { sessionTest, who } from "./returning.ts"
import { count, hang, settle } from "./stage.ts"

describe("an engine that stops with sessions without a connection", () => {
  sessionTest("drains: their members leave with the others, and nobody comes back", {}, (
    { client, engine, stats, trace }
  ) =>
    Effect.gen(function*() {
      const [ada, bob] = [yield* client(), yield* client()]
      yield* ada.join("ada")
      yield* bob.join("bob")
      yield* ada.drop
      yield* engine.drain
      assert.strictEqual(yield* bob.peer.closeCode, 1012)
      assert.deepStrictEqual(trace.filter((entry) => entry.startsWith("leave")), [
        "leave ada stopped",
        "leave bob stopped"
      ])
      assert.deepInclude(yield* stats, { sessions: { attached: 0, detached: 0 } })
      assert.deepStrictEqual(yield* engine.rooms, [])
    }))

  sessionTest(
    "lets what runs for them finish within the deadline, and no longer",
    {
      do: (_, __, what) => what === "hang" ? hang(what) : Effect.as(Effect.sleep(1_000), what)
    },
    ({ client, engine, trace }) =>
      Effect.gen(function*() {
        const [ada, bob] = [yield* client(), yield* client()]
        yield* ada.join("ada")
        yield* bob.join("bob", { key: "b" })
        ada.send("slow")
        bob.peer.sendRequest(bob.all("joined")[0]!.channel, "Do", { what: "hang" })
        yield* settle
        yield* ada.drop
        yield* bob.drop
        yield* Effect.forkChild(engine.drain, { startImmediately: true })
        yield* TestClock.adjust(5_000)
        yield* settle
        const seen = ["done slow", "leave ada stopped", "interrupted hang"].map((entry) => count(trace, entry))
        assert.deepStrictEqual(seen, [1, 1, 0])
        yield* TestClock.adjust(10_000)
        yield* settle
        assert.strictEqual(count(trace, "interrupted hang"), 1)
        assert.strictEqual(count(trace, "leave bob stopped"), 1)
      }),
    {},
    { drain: { deadline: "10 seconds" } }
  )
})

describe("subscriptions", () => {
  sessionTest("to topics end with the connection, and begin anew", {}, ({ client, engine }) =>
    Effect.gen(function*() {
      const ada = yield* client()
      yield* ada.join("ada")
      const subscribe = { _tag: "subscribe", topic: "news", key: "x", position: null } as const
      assert.strictEqual((yield* ada.peer.answer(ada.peer.ask(subscribe)))._tag, "subscribed")
      yield* ada.drop
      assert.deepInclude(yield* engine.publish(News, "x", { text: "1" }), { dropped: 0 })
      yield* ada.resume
      yield* engine.publish(News, "x", { text: "2" })
      assert.strictEqual((yield* ada.peer.answer(ada.peer.ask(subscribe)))._tag, "subscribed")
      yield* engine.publish(News, "x", { text: "3" })
      yield* settle
      assert.deepStrictEqual(ada.peer.events(), [{ text: "3" }])
    }))
})

describe("presence", () => {
  sessionTest("of who is away can be changed, and everybody sees it, she too when she is back", {
    do: (room, _, what) => {
      const ada = [...room.members.values()].find(({ presence }) => presence.name === "ada")!
      return Effect.as(Effect.orDie(room.setPresence(ada, { name: what })), what)
    }
  }, ({ client }) =>
    Effect.gen(function*() {
      const [ada, bob] = [yield* client(), yield* client()]
      yield* ada.join("ada")
      yield* bob.join("bob")
      yield* ada.drop
      yield* bob.request("lovelace")
      assert.deepStrictEqual(who(bob.all("present")), ["ada", "bob", "lovelace"])
      yield* ada.resume
      yield* ada.join("ada")
      assert.deepStrictEqual(who(ada.all("present")), ["lovelace", "bob"])
    }))
})
