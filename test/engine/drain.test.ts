import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Endpoint from "../../src/engine/Endpoint.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { serve as serveEndpoints, until } from "../endpoint/lab.ts"
import { ask, connectionTest, count, hang, roomTest, settle } from "./stage.ts"

const drained = Effect.forkChild(Engine.drain, { startImmediately: true })
const isDone = (fiber: Fiber.Fiber<void>) => fiber.pollUnsafe() !== undefined

/** What `seconds` needs so many of. */
const work = (what: string) =>
  what === "hang" ? Effect.never : Effect.as(Effect.sleep(what.endsWith("s") ? `${parseInt(what)} seconds` : 0), what)

const calm = { drain: {} }

describe("draining", () => {
  connectionTest("tells each client a moment of its own, all over the spread", {
    drain: { spread: "10 seconds" }
  }, ({ peer }) =>
    Effect.gen(function*() {
      const peers = yield* Effect.forEach(Array.from({ length: 50 }), () => peer())
      yield* yield* Effect.as(drained, Effect.void)
      const moments: Array<number> = []
      for (const one of peers) {
        assert.strictEqual(yield* one.closeCode, 1012)
        const [frame, ...others] = one.all("drain")
        assert.deepStrictEqual(others, [])
        moments.push(frame!.after)
      }
      assert.strictEqual(new Set(moments).size, 50)
      assert.notDeepEqual(moments, moments.toSorted((one, other) => one - other))
      // One in each fiftieth of the time.
      assert.deepStrictEqual(
        moments.map((after) => Math.floor(after / 200)).toSorted((one, other) => one - other),
        Array.from({ length: 50 }, (_, index) => index)
      )
    }))

  connectionTest(
    "needs no time where nothing runs, and happens once",
    calm,
    ({ engine, peer, sleeping }) =>
      Effect.gen(function*() {
        const one = yield* peer()
        yield* one.join("lab", "a", { name: "ada" })
        assert.isFalse(yield* engine.isDraining)
        const before = sleeping()
        const fiber = yield* drained
        yield* settle
        assert.isTrue(isDone(fiber))
        assert.isTrue(yield* engine.isDraining)
        assert.strictEqual(yield* one.closeCode, 1012)
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(sleeping(), before)
        yield* Engine.drain
        assert.deepStrictEqual([yield* engine.connections, yield* engine.rooms], [0, []])
      })
  )

  connectionTest("lets nobody in, from its first moment on", { ...calm, script: { do: (_, __, what) => work(what) } }, (
    { engine, network, open, peer }
  ) =>
    Effect.gen(function*() {
      const one = yield* peer()
      const { channel } = yield* one.join("lab", "a", { name: "ada" })
      const quiet = yield* open
      ask(one, channel, "3s")
      yield* settle
      const fiber = yield* drained
      // It had not said hello.
      assert.strictEqual(yield* quiet.closeCode, 1012)
      const refused = yield* Deferred.make<number>()
      network.connect(`${engine.address.url}/live`.replace("http", "ws"), [], {
        open: () => {},
        message: () => {},
        close: (code) => Deferred.doneUnsafe(refused, Effect.succeed(code))
      })
      assert.strictEqual(yield* Deferred.await(refused), 1006)
      assert.isFalse(isDone(fiber))
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(fiber)
    }))

  roomTest(
    "finishes what was accepted and answers it, and begins nothing else",
    {
      do: (room, __, what) => Effect.tap(work(what), () => Effect.orDie(room.emit("Said", { text: what }))),
      leave: (room, _, reason) => Effect.asVoid(room.emit("Said", { text: reason }))
    },
    ({ member, trace }) =>
      Effect.gen(function*() {
        const ada = yield* member("ada")
        const bob = yield* member("bob")
        const eve = yield* member("eve", "b")
        const accepted = [ada.do("3s"), ada.do("4s")]
        yield* settle
        const fiber = yield* drained
        const refs = [ada.do("late"), ada.peer.sendJoin("lab", "c", { name: "ada" }), eve.do("late")]
        ada.peer.notice(ada.channel, "Note", { what: "late" })
        const topic = ada.peer.ask({ _tag: "subscribe", topic: "news", key: "null", position: null })
        yield* settle
        for (const ref of [...refs.slice(0, 2), topic]) {
          const answer = yield* ada.peer.answer(ref)
          assert.strictEqual(answer._tag === "error" && answer.error._tag, "RoomStopped")
        }
        assert.strictEqual(ada.peer.all("error").filter(({ ref }) => ref === null).length, 1)
        yield* TestClock.adjust("6 seconds")
        assert.isFalse(isDone(fiber))
        assert.isUndefined(ada.peer.closed)
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(fiber)
        for (const [index, ref] of accepted.entries()) {
          const answer = yield* ada.peer.answer(ref)
          assert.deepStrictEqual(answer, { _tag: "ok", ref, value: ["3s", "4s"][index] })
        }
        assert.deepStrictEqual([yield* ada.peer.closeCode, yield* bob.peer.closeCode], [1012, 1012])
        assert.deepStrictEqual(trace.filter((entry) => entry.includes("late")), [])
        assert.deepStrictEqual(trace.filter((entry) => entry.startsWith("leave")).sort(), [
          "leave ada stopped",
          "leave bob stopped",
          "leave eve stopped"
        ])
        assert.deepStrictEqual(trace.filter((entry) => entry.startsWith("end")).sort(), ["end a", "end b"])
      }),
    undefined,
    calm
  )

  roomTest(
    "interrupts what still runs at the deadline, answers it, and runs nothing that waited",
    {
      do: (_, __, what) => hang(what)
    },
    ({ member, trace }) =>
      Effect.gen(function*() {
        const ada = yield* member("ada")
        const refs = [ada.do("hang"), ada.do("waits")]
        ada.peer.notice(ada.channel, "Note", { what: "waits" })
        yield* settle
        const fiber = yield* drained
        yield* TestClock.adjust(1_999)
        assert.deepStrictEqual(ada.peer.all("error"), [])
        yield* TestClock.adjust(1)
        yield* Fiber.join(fiber)
        for (const ref of refs) {
          const answer = yield* ada.peer.answer(ref)
          assert.strictEqual(answer._tag === "error" && answer.error._tag, "Interrupted")
        }
        assert.strictEqual(yield* ada.peer.closeCode, 1012)
        assert.deepStrictEqual(
          [count(trace, "interrupted hang"), count(trace, "do waits"), count(trace, "note waits")],
          [
            1,
            0,
            0
          ]
        )
        assert.strictEqual(trace.filter((entry) => entry === "leave ada stopped").length, 1)
      }),
    undefined,
    { drain: { deadline: "2 seconds" } }
  )

  roomTest(
    "does not wait for a peer that reads nothing longer than 5 seconds",
    {
      do: (room) => Effect.as(Effect.orDie(room.emit("Said", { text: "x".repeat(200_000) })), "")
    },
    ({ member, network }) =>
      Effect.gen(function*() {
        const ada = yield* member("ada")
        network.connections()[0]!.stall()
        ada.do("floods")
        ada.do("floods")
        yield* settle
        const fiber = yield* drained
        yield* TestClock.adjust(4_999)
        assert.isFalse(isDone(fiber))
        // Then as long for its close frame.
        yield* TestClock.adjust(5_001)
        yield* Fiber.join(fiber)
      }),
    undefined,
    calm
  )

  it.effect("gives endpoints the deadline: those that read see the end, the others are interrupted", () => {
    const steps: Array<string> = []
    const note = (step: string) => Effect.sync(() => void steps.push(step))
    const Reads = Endpoint.make("/reads", {
      handle: (socket) =>
        Effect.gen(function*() {
          yield* Stream.runForEach(
            socket.messages,
            (message) => Effect.andThen(Effect.sleep("1 second"), socket.send(message))
          )
          yield* Effect.ignore(socket.send("bye"))
        })
    })
    const Pushes = Endpoint.make("/pushes", {
      handle: (socket) =>
        Effect.onInterrupt(
          Effect.forever(Effect.andThen(Effect.sleep("1 second"), Effect.ignore(socket.send("tick")))),
          () => note("interrupted")
        )
    })
    return serveEndpoints([Reads, Pushes], { drain: { deadline: 2_500 } })(({ end, open }) =>
      Effect.gen(function*() {
        const reads = yield* open("/reads")
        const pushes = yield* open("/pushes")
        reads.send("one")
        yield* settle
        const fiber = yield* drained
        reads.send("late")
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* end(reads), { code: 1012, reason: "the server is stopping" })
        assert.deepStrictEqual(reads.messages, ["one", "bye"])
        yield* TestClock.adjust(1_499)
        assert.deepStrictEqual([pushes.closed, steps], [undefined, []])
        yield* TestClock.adjust(1)
        yield* Fiber.join(fiber)
        yield* until("it is closed", () => pushes.closed !== undefined)
        assert.deepStrictEqual(pushes.closed, { code: 1012, reason: "the server is stopping" })
        assert.deepStrictEqual([pushes.messages, steps], [["tick", "tick"], ["interrupted"]])
      })
    )
  })
})
