import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import type * as Actor from "../../src/actor/Actor.ts"
import * as Supervisor from "../../src/actor/Supervisor.ts"
import { ownScope, turns } from "./recorder.ts"

const family = Effect.fnUntraced(function*(options: Partial<Supervisor.Options> = {}) {
  const log: Array<string> = []
  const supervisor = yield* Supervisor.make({
    id: "family",
    onEscalated: (child) => void log.push(`${child} escalated`),
    ...options
  })
  const child = (id: string, more: Partial<Actor.Options<Effect.Effect<void>, never, never, never>> = {}) =>
    supervisor.spawn<Effect.Effect<void>>({
      id,
      init: () => Effect.succeed({ receive: (message) => message }),
      onStopped: (reason) => void log.push(`${id}: ${reason._tag}`),
      ...more
    })
  return { supervisor, child, log }
})

describe("a supervisor", () => {
  it.effect("restarts a child that crashes and leaves the others alone", () =>
    Effect.gen(function*() {
      const { child, supervisor } = yield* family()
      const a = yield* child("a")
      const b = yield* child("b")
      yield* turns
      yield* a.tell(Effect.die("boom"))
      yield* turns
      assert.deepStrictEqual([a.state, b.state], ["restarting", "ready"])
      yield* TestClock.adjust("100 millis")
      yield* turns
      assert.strictEqual(a.state, "ready")
      assert.deepStrictEqual([...supervisor.children.keys()], ["a", "b"])
    }))

  it.effect("forgets a child that stopped, and knows no two of one id", () =>
    Effect.gen(function*() {
      const { child, supervisor } = yield* family()
      const a = yield* child("a")
      assert.strictEqual((yield* Effect.flip(child("a"))).message, "supervisor family has a child a already")
      yield* a.stop()
      assert.strictEqual(supervisor.children.size, 0)
      yield* child("a")
    }))

  it.effect("stops a spent child only, unless it is to escalate", () =>
    Effect.gen(function*() {
      const { child, log, supervisor } = yield* family({ supervision: { intensity: { restarts: 0, within: 1 } } })
      const a = yield* child("a")
      const b = yield* child("b")
      yield* a.tell(Effect.die("boom"))
      yield* turns
      assert.deepStrictEqual([log, b.state, supervisor.children.size], [["a: Spent"], "ready", 1])
    }))

  it.effect("fails as a whole when a child escalates, and says which and why", () =>
    Effect.gen(function*() {
      const scope = yield* ownScope
      const { child, log, supervisor } = yield* family({
        supervision: { intensity: { restarts: 0, within: 1 }, spent: "escalate" }
      }).pipe(Scope.provide(scope))
      const a = yield* child("a")
      const b = yield* child("b")
      yield* b.tell(Effect.never)
      yield* a.tell(Effect.die("boom"))
      const exit = yield* supervisor.exit
      assert.strictEqual(exit._tag === "Escalated" && `${exit.child}: ${Cause.squash(exit.cause)}`, "a: boom")
      assert.deepStrictEqual(log, ["a: Spent", "a escalated", "b: Stopped"])
      assert.strictEqual((yield* Effect.flip(child("c")))._tag, "Stopped")
      assert.strictEqual(scope.state._tag, "Empty")
    }))

  it.effect("prefers the supervision that a child has of its own", () =>
    Effect.gen(function*() {
      const { child, supervisor } = yield* family({ supervision: { spent: "escalate" } })
      const a = yield* child("a", { supervision: { intensity: { restarts: 0, within: 1 } } })
      yield* a.tell(Effect.die("boom"))
      yield* a.exit
      yield* child("b")
      assert.strictEqual(supervisor.children.size, 1)
    }))

  it.effect("lets its children drain when it is stopped", () =>
    Effect.gen(function*() {
      const { child, log, supervisor } = yield* family()
      for (const id of ["a", "b"]) yield* (yield* child(id)).tell(Effect.sleep("1 second"))
      const stopping = yield* Effect.forkChild(supervisor.stop)
      yield* turns
      assert.deepStrictEqual(log, [])
      assert.strictEqual((yield* Effect.flip(child("c")))._tag, "Stopped")
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(stopping)
      assert.deepStrictEqual(log, ["a: Stopped", "b: Stopped"])
      assert.deepStrictEqual(yield* supervisor.exit, { _tag: "Stopped" })
    }))

  it.effect("ends all children together when its scope closes", () =>
    Effect.gen(function*() {
      const scope = yield* ownScope
      const { child, log, supervisor } = yield* family().pipe(Scope.provide(scope))
      yield* TestClock.adjust("1 second")
      const slow = Effect.onInterrupt(Effect.never, () => Effect.sleep("1 second"))
      for (const id of ["a", "b", "c"]) yield* (yield* child(id)).tell(slow)
      yield* turns
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      assert.strictEqual(log.length, 3)
      assert.deepStrictEqual(yield* supervisor.exit, { _tag: "Closed" })
    }))
})
