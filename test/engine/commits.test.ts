/** Guarantee 10: nobody hears of what is not committed. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Schema } from "effect"
import * as Room from "../../src/contract/Room.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { LogStore } from "../../src/engine/LogStore.ts"
import type * as Frame from "../../src/wire/Frame.ts"
import { DurableLogs } from "./durableLogs.ts"
import { memory, serve, type World } from "./harness.ts"
import type { Peer } from "./peer.ts"
import { settle } from "./stage.ts"

class Book extends Room.make("book", {
  requests: { Write: { payload: { text: Schema.String }, success: Schema.Int }, Fill: {} },
  notices: { Note: { text: Schema.String } },
  events: { Wrote: { text: Schema.String }, Blinked: Room.volatile({}) }
}) {}

const makeBook = (options: Room.Options = { history: { capacity: 100 } }) =>
  Book.toLayer((room) => ({
    Write: ({ payload }) =>
      Effect.tap(
        Effect.map(room.emit("Wrote", payload), ({ offset }) => offset),
        () => payload.text === "slow" ? Effect.sleep(1_000) : Effect.void
      ),
    // So many that the first are handed over before the tick ends.
    Fill: () =>
      Effect.forEach(Array.from({ length: 20 }), () => room.emit("Wrote", { text: "many" }), { discard: true }),
    Note: ({ payload }) => room.after(1_000, Effect.asVoid(room.emit("Wrote", payload)))
  }), options)

const address = "book/a"

const bookTest = (
  sentence: string,
  body: (world: World & { readonly store: DurableLogs }) => Effect.Effect<void, unknown, any>,
  options?: Room.Options
) =>
  it.effect(sentence, () => {
    const store = new DurableLogs()
    return serve(memory, { rooms: [makeBook(options)], limits: { outboxFrames: 16 } })((world) =>
      body({ ...world, store })
    ).pipe(
      Effect.provide(Layer.succeed(LogStore, store))
    )
  })

const offsets = (peer: Peer) => peer.all("event").map(({ offset }) => offset)

describe("a durable tick", () => {
  bookTest(
    "commits once for everything in it, before a client hears of it",
    ({ peer, store }) =>
      Effect.gen(function*() {
        const [ada, bob] = [yield* peer(), yield* peer()]
        const { channel } = yield* ada.join("book", "a")
        yield* bob.join("book", "a")
        store.journal.length = 0
        ada.send(
          ...["1", "2", "3"].map((text, index): Frame.ClientFrame => ({
            _tag: "request",
            ref: 100 + index,
            channel,
            seq: 1 + index,
            ack: 0,
            name: "Write",
            payload: { text },
            again: null
          }))
        )
        yield* ada.answer(102)
        yield* bob.next("event", 3)
        assert.deepStrictEqual(store.journal, ["append 1", "append 2", "append 3", "commit"])
      })
  )

  bookTest("is committed though nobody is there to hear of it", ({ pass, peer, store }) =>
    Effect.gen(function*() {
      const ada = yield* peer()
      const { channel } = yield* ada.join("book", "a")
      ada.notice(channel, "Note", { text: "1" })
      yield* ada.answer(ada.ask({ _tag: "leave", channel }))
      yield* pass(1_000)
      yield* settle
      assert.isTrue(store.isCommitted(address, 1))
    }))

  bookTest("is committed before whoever published from outside is answered", ({ store }) =>
    Effect.gen(function*() {
      const { offset } = yield* Engine.emit(Book, "a", "Wrote", { text: "1" })
      assert.isTrue(store.isCommitted(address, offset))
    }))

  bookTest("asks nothing of the store for a room that keeps nothing", ({ peer, store }) =>
    Effect.gen(function*() {
      const ada = yield* peer()
      const { channel } = yield* ada.join("book", "a")
      yield* ada.request(channel, "Write", { text: "1" })
      assert.deepStrictEqual([store.journal, offsets(ada)], [[], [1]])
    }), {})
})

describe("a commit that fails", () => {
  for (const failing of ["commit", "append", "begin"] as const) {
    bookTest(
      `delivers nothing of its tick: ${failing}`,
      ({ engine, errors, pass, peer, store }) =>
        Effect.gen(function*() {
          const [ada, bob] = [yield* peer(), yield* peer()]
          const { channel, position } = yield* ada.join("book", "a")
          yield* bob.join("book", "a")
          yield* ada.request(channel, "Write", { text: "1" })
          yield* bob.next("event")
          store.failing = failing
          const ref = ada.sendRequest(channel, "Write", { text: "2" })
          yield* settle
          store.failing = undefined
          if (failing !== "begin") {
            assert.deepStrictEqual([yield* ada.closeCode, yield* bob.closeCode], [1011, 1011])
            assert.deepStrictEqual(ada.answersTo(ref), [])
          } else assert.strictEqual((yield* ada.answer(ref))._tag, "error")
          assert.deepStrictEqual([offsets(ada), offsets(bob)], [[1], [1]])
          assert.isAtLeast(errors.length, 1)
          assert.isFalse(store.isCommitted(address, 2))
          // The room whose event could not be kept is restarted, the engine lives, and the log goes on where it was.
          yield* pass(1_000)
          const eve = yield* peer()
          const again = yield* eve.answer(
            eve.sendJoin("book", "a", null, [position[0], position[1], 1])
          )
          assert.deepInclude(again, { _tag: "joined", recovered: true })
          assert.deepStrictEqual(
            yield* Effect.map(eve.request(channel, "Write", { text: "3" }), ({ _tag }) => _tag),
            "ok"
          )
          assert.deepStrictEqual(offsets(eve), [2])
          assert.isTrue(store.isCommitted(address, 2))
          assert.isAtLeast(yield* engine.connections, 1)
        })
    )
  }

  bookTest(
    "is charged to nobody, however often it is met",
    ({ pass, peer, store }) =>
      Effect.gen(function*() {
        const ada = yield* peer()
        const { channel } = yield* ada.join("book", "a")
        store.failing = "begin"
        for (let time = 0; time < 4; time++) {
          const { _tag } = yield* ada.request(channel, "Write", { text: "lost" })
          assert.strictEqual(_tag, "error")
          yield* pass(2_000)
        }
        store.failing = undefined
        assert.strictEqual((yield* ada.request(channel, "Write", { text: "kept" }))._tag, "ok")
        assert.isUndefined(ada.closed)
      })
  )

  bookTest(
    "closes who waits for an answer that says otherwise, and nobody else",
    ({ pass, peer, store }) =>
      Effect.gen(function*() {
        const [ada, bob] = [yield* peer(), yield* peer()]
        const { channel } = yield* ada.join("book", "a")
        yield* bob.join("book", "b")
        store.failing = "commit"
        ada.sendRequest(channel, "Write", { text: "slow" })
        yield* settle
        store.failing = undefined
        yield* pass(1_000)
        assert.strictEqual(yield* ada.closeCode, 1011)
        assert.deepStrictEqual([ada.all("ok"), offsets(ada), bob.closed], [[], [], undefined])
      })
  )

  for (const text of ["quick", "slow"]) {
    bookTest(
      `is not denied by an answer that comes after: ${text}`,
      ({ open, pass, peer, store }) =>
        Effect.gen(function*() {
          const ada = yield* peer()
          const [{ resume, session }] = ada.all("welcome") as [Frame.ServerFrames["welcome"]]
          const { channel } = yield* ada.join("book", "a")
          store.failing = "commit"
          ada.sendRequest(channel, "Write", { text })
          assert.strictEqual(yield* ada.closeCode, 1011)
          store.failing = undefined
          yield* pass(1_000)
          const again = yield* open
          assert.strictEqual((yield* again.hello(null, resume)).session, session)
          yield* again.join("book", "a")
          again.sendRequest(channel, "Write", { text }, 1, true)
          const answer = yield* again.answer(again.lastRef)
          assert.deepInclude(answer, { error: { _tag: "ConnectionLost", code: 1006, mayHaveRun: true } })
          assert.deepStrictEqual(offsets(again), [])
        })
    )
  }

  bookTest(
    "delivers nothing of a tick that began to be sent before its end",
    ({ peer, store }) =>
      Effect.gen(function*() {
        const ada = yield* peer()
        const { channel } = yield* ada.join("book", "a")
        store.failing = "commit"
        ada.sendRequest(channel, "Fill")
        assert.strictEqual(yield* ada.closeCode, 1011)
        assert.deepStrictEqual([ada.all("ok"), offsets(ada)], [[], []])
      })
  )

  bookTest("is a failure to whoever published from outside", ({ store }) =>
    Effect.gen(function*() {
      store.failing = "commit"
      const exit = yield* Effect.exit(Engine.emit(Book, "a", "Wrote", { text: "1" }))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      store.failing = undefined
      assert.strictEqual((yield* Engine.emit(Book, "a", "Wrote", { text: "1" })).offset, 1)
    }))

  bookTest(
    "begins a new term: who was told of an earlier one is not told that it goes on",
    ({ peer, store }) =>
      Effect.gen(function*() {
        const ada = yield* peer()
        const { channel, position } = yield* ada.join("book", "a")
        yield* ada.request(channel, "Write", { text: "1" })
        store.failing = "commit"
        ada.sendRequest(channel, "Write", { text: "lost" })
        yield* ada.closeCode
        store.failing = undefined
        const bob = yield* peer()
        const second = yield* bob.join("book", "a")
        assert.isAbove(second.position[1], position[1])
        yield* bob.request(channel, "Write", { text: "2" })
        const eve = yield* peer()
        assert.deepInclude(
          yield* eve.answer(eve.sendJoin("book", "a", null, [position[0], position[1], 2])),
          { recovered: false }
        )
      })
  )
})
