import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Schedule } from "effect"
import { TestClock } from "effect/testing"
import * as Actor from "../../src/actor/Actor.ts"
import { type Message, recorder, turns } from "./recorder.ts"

const crash: Message = () => {
  throw new Error("boom")
}

/** An actor whose state is a list of what this instance saw. */
const counter = Effect.fnUntraced(function*(options: Partial<Actor.Options<string, never, never, never>> = {}) {
  const log: Array<string> = []
  let instance = 0
  const actor = yield* Actor.spawn<string>({
    id: "counter",
    init: () =>
      Effect.gen(function*() {
        const mine = `#${++instance}`
        let count = 0
        yield* Effect.addFinalizer(() => Effect.sync(() => void log.push(`${mine} closed`)))
        return {
          receive: (message) => {
            if (message === "crash") throw new Error("boom")
            log.push(`${mine} ${message} ${++count}`)
          }
        }
      }),
    onAbandoned: (message, why) => void log.push(`abandoned ${message} ${why._tag}`),
    onDiscarded: (message) => void log.push(`discarded ${message}`),
    onRestarted: () => void log.push("restarted"),
    onStopped: (reason) => void log.push(`stopped ${reason._tag}`),
    ...options
  })
  return { actor, log }
})

describe("a crash", () => {
  it.effect("costs the message that caused it and the state; the rest waits for a new instance, in order", () =>
    Effect.gen(function*() {
      const { actor, log } = yield* counter()
      for (const message of ["a", "crash", "b", "c"]) yield* actor.tell(message)
      yield* turns
      assert.deepStrictEqual(log, ["#1 a 1", "abandoned crash Crashed", "#1 closed"])
      assert.deepStrictEqual([actor.state, actor.pending], ["restarting", 2])
      yield* actor.tell("d")
      yield* TestClock.adjust("100 millis")
      yield* turns
      assert.deepStrictEqual(log.slice(3), ["restarted", "#2 b 1", "#2 c 2", "#2 d 3"])
    }))

  it.effect("waits as the schedule says, by default twice as long each time", () =>
    Effect.gen(function*() {
      const { actor, log } = yield* counter()
      for (const delay of [100, 200, 400, 800, 1_600]) {
        yield* actor.tell("crash")
        yield* turns
        yield* TestClock.adjust(delay - 1)
        yield* turns
        assert.strictEqual(actor.state, "restarting")
        yield* TestClock.adjust(1)
        yield* turns
        assert.strictEqual(actor.state, "ready")
      }
      yield* actor.tell("crash")
      yield* actor.tell("left").pipe(Effect.ignore)
      yield* turns
      assert.deepStrictEqual(log.slice(-4), ["abandoned crash Crashed", "#6 closed", "discarded left", "stopped Spent"])
    }))

  it.effect("is forgotten when the time of the intensity has passed, and the schedule starts over", () =>
    Effect.gen(function*() {
      const { actor } = yield* counter({ supervision: { intensity: { restarts: 1, within: "10 seconds" } } })
      for (let crashes = 0; crashes < 4; crashes++) {
        yield* actor.tell("crash")
        yield* turns
        yield* TestClock.adjust("100 millis")
        yield* turns
        assert.strictEqual(actor.state, "ready")
        yield* TestClock.adjust("10 seconds")
      }
      yield* actor.tell("crash")
      yield* turns
      yield* TestClock.adjust("100 millis")
      yield* actor.tell("crash")
      yield* turns
      assert.strictEqual(actor.state, "stopped")
    }))

  it.effect("is the end when the schedule ends, and the reason carries the cause", () =>
    Effect.gen(function*() {
      const { actor } = yield* counter({ supervision: { schedule: Schedule.recurs(1) } })
      yield* actor.tell("crash")
      yield* turns
      assert.strictEqual(actor.state, "ready")
      yield* actor.tell("crash")
      const reason = yield* actor.exit
      assert.strictEqual(reason._tag === "Spent" && String(Cause.squash(reason.cause)), "Error: boom")
      assert.strictEqual((yield* Effect.flip(actor.tell("late")))._tag, "Stopped")
    }))

  it.effect("is a handler that throws, dies at once, dies later, or returns what is no effect", () =>
    Effect.gen(function*() {
      const { actor, seen } = yield* recorder()
      const crashes: ReadonlyArray<Message> = [
        crash,
        Effect.die("at once"),
        Effect.andThen(Effect.yieldNow, Effect.die("later")),
        () => Promise.resolve() as unknown as void
      ]
      for (const message of crashes) {
        yield* actor.tell(message)
        yield* turns
        assert.strictEqual(actor.state, "restarting")
        yield* TestClock.adjust("1 second")
        yield* turns
        assert.deepStrictEqual(seen.splice(0), ["abandoned effect: Crashed", "restarted"])
      }
    }))

  it.effect("is an init that fails, which is tried again on the same schedule", () =>
    Effect.gen(function*() {
      let attempts = 0
      const actor = yield* Actor.spawn<string, never, string>({
        id: "reluctant",
        supervision: { schedule: Schedule.spaced("1 second") },
        init: () => ++attempts < 3 ? Effect.fail("not yet") : Effect.succeed({ receive: () => {} })
      })
      yield* actor.tell("waits")
      yield* turns
      assert.deepStrictEqual([actor.state, attempts], ["restarting", 1])
      yield* TestClock.adjust("2 seconds")
      yield* turns
      assert.deepStrictEqual([actor.state, attempts, actor.pending], ["ready", 3, 0])
    }))

  it.effect("in a hook changes nothing", () =>
    Effect.gen(function*() {
      const boom = () => {
        throw new Error("hook")
      }
      const { actor, log } = yield* counter({ onAbandoned: boom, onRestarted: boom, onDiscarded: boom })
      yield* actor.tell("crash")
      yield* actor.tell("a")
      yield* turns
      yield* TestClock.adjust("100 millis")
      yield* turns
      assert.deepStrictEqual(log.slice(1), ["#2 a 1"])
      yield* actor.stop()
      assert.deepStrictEqual(log.slice(2), ["#2 closed", "stopped Stopped"])
    }))

  it.effect("of a finalizer does not keep the actor from its restart", () =>
    Effect.gen(function*() {
      let inits = 0
      const actor = yield* Actor.spawn<Message>({
        id: "leaky",
        init: () =>
          Effect.gen(function*() {
            inits++
            yield* Effect.addFinalizer(() => Effect.die("finalizer"))
            return { receive: (message) => typeof message === "function" ? message() : undefined }
          })
      })
      yield* actor.tell(crash)
      yield* turns
      yield* TestClock.adjust("100 millis")
      yield* turns
      assert.deepStrictEqual([inits, actor.state], [2, "ready"])
      yield* actor.stop()
      assert.strictEqual(actor.state, "stopped")
    }))
})
