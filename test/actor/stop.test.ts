import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Actor from "../../src/actor/Actor.ts"
import { gate, type Message, ownScope, recorder, turns } from "./recorder.ts"

describe("stop", () => {
  it.effect("lets the actor handle what it accepted, and refuses what comes after", () =>
    Effect.gen(function*() {
      const { actor, note, seen } = yield* recorder()
      yield* actor.tell(Effect.andThen(Effect.sleep("1 second"), note("slow")))
      yield* actor.tell("last")
      yield* turns
      const stopping = yield* Effect.forkChild(actor.stop(), { startImmediately: true })
      assert.strictEqual(actor.tellUnsafe("late"), "stopped")
      assert.isTrue(actor.controlUnsafe("control"))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(stopping)
      assert.deepStrictEqual(seen, ["slow", "control", "last", "stopped: Stopped"])
      assert.isFalse(actor.controlUnsafe("late"))
    }))

  it.effect("with discard interrupts the handler and discards the rest", () =>
    Effect.gen(function*() {
      const { actor, note, seen } = yield* recorder()
      yield* actor.tell(Effect.onInterrupt(Effect.never, () => note("interrupted")))
      yield* actor.tell("1")
      yield* actor.tell("2")
      yield* turns
      yield* actor.stop("discard")
      assert.deepStrictEqual(seen, [
        "interrupted",
        "abandoned effect: Interrupted",
        "discarded 1",
        "discarded 2",
        "stopped: Stopped"
      ])
    }))

  it.effect("of an idle actor is immediate, and twice is once", () =>
    Effect.gen(function*() {
      const { actor, seen } = yield* recorder()
      yield* turns
      actor.stopUnsafe()
      actor.stopUnsafe("discard")
      assert.deepStrictEqual(seen, ["stopped: Stopped"])
      yield* actor.stop()
      assert.deepStrictEqual(yield* actor.exit, { _tag: "Stopped" })
    }))

  it.effect("by the actor's own init is once, when that has ended, however it ends", () =>
    Effect.gen(function*() {
      for (const end of [Effect.succeed({ receive: () => {} }), Effect.die("broken"), Effect.never]) {
        const seen: Array<string> = []
        const actor = yield* Actor.spawn<string>({
          id: "hasty",
          init: (self) => {
            self.stopUnsafe("discard")
            seen.push(self.state)
            return end
          },
          onDiscarded: (message) => void seen.push(`discarded ${message}`),
          onStopped: (reason) => void seen.push(`stopped: ${reason._tag}`)
        })
        yield* actor.tell("too late").pipe(Effect.ignore)
        assert.deepStrictEqual(yield* actor.exit, { _tag: "Stopped" })
        assert.deepStrictEqual(seen, ["stopping", "discarded too late", "stopped: Stopped"])
      }
    }))

  it.effect("with discard cuts a drain short", () =>
    Effect.gen(function*() {
      const { actor, seen } = yield* recorder()
      yield* actor.tell(Effect.never)
      yield* actor.tell("waits")
      yield* turns
      actor.stopUnsafe("drain")
      assert.deepStrictEqual(seen, [])
      actor.stopUnsafe("discard")
      yield* turns
      assert.deepStrictEqual(seen, ["abandoned effect: Interrupted", "discarded waits", "stopped: Stopped"])
    }))

  it.effect("by the actor's own handler does not wait for itself", () =>
    Effect.gen(function*() {
      const ways = [["drain", Effect.void], ["discard", Effect.void], ["drain", Effect.yieldNow], [
        "discard",
        Effect.yieldNow
      ]] as const
      for (const [mode, before] of ways) {
        const { actor, seen } = yield* recorder()
        yield* actor.tell(() => Effect.andThen(before, actor.stop(mode)))
        yield* actor.tell("waits")
        yield* turns
        assert.strictEqual(seen.at(-1), "stopped: Stopped", mode)
        assert.strictEqual(seen.at(-2), mode === "drain" ? "waits" : "discarded waits")
      }
    }))

  it.effect("by a synchronous handler takes effect when it returns", () =>
    Effect.gen(function*() {
      const { actor, seen } = yield* recorder()
      yield* actor.tell(() => {
        actor.stopUnsafe("discard")
        seen.push("goes on")
      })
      yield* actor.tell("waits")
      yield* turns
      assert.deepStrictEqual(seen, ["goes on", "discarded waits", "stopped: Stopped"])
    }))

  it.effect("ends an init and a wait for a restart", () =>
    Effect.gen(function*() {
      const slow = yield* Actor.spawn<string>({ id: "slow", init: () => Effect.never })
      yield* turns
      yield* slow.stop("discard")
      const hasty = yield* Actor.spawn<string>({
        id: "hasty",
        init: (self) => {
          self.stopUnsafe("discard")
          return Effect.never
        }
      })
      yield* turns
      assert.strictEqual(hasty.state, "stopped")
      const { actor } = yield* recorder()
      yield* actor.tell(Effect.die("boom"))
      yield* turns
      yield* actor.stop("discard")
      assert.deepStrictEqual([slow.state, actor.state], ["stopped", "stopped"])
    }))

  it.effect("that drains waits for the restart of an actor that crashed", () =>
    Effect.gen(function*() {
      const { actor, seen } = yield* recorder()
      yield* actor.tell(Effect.die("boom"))
      yield* actor.tell("waits")
      yield* turns
      const stopping = yield* Effect.forkChild(actor.stop())
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(stopping)
      assert.deepStrictEqual(seen.slice(1), ["restarted", "waits", "stopped: Stopped"])
    }))

  it.effect("by a hook is safe at any point", () =>
    Effect.gen(function*() {
      const ends: Array<string> = []
      for (const hook of ["onAbandoned", "onRestarted", "onDiscarded", "onStopped"] as const) {
        for (const message of [Effect.die("boom"), Effect.interrupt]) {
          const made: { actor?: Actor.Actor<never, never> } = {}
          const { actor } = yield* recorder({
            [hook]: () => made.actor?.stopUnsafe("discard"),
            ...(hook === "onStopped" ? {} : { onStopped: () => void ends.push(hook) })
          })
          made.actor = actor
          yield* actor.tell(message)
          yield* actor.tell("next")
          yield* turns
          if (hook === "onAbandoned") assert.strictEqual(actor.state, "stopped")
          yield* TestClock.adjust("1 second")
          yield* turns
          yield* actor.stop()
        }
      }
      assert.strictEqual(ends.length, 6)
    }))
})

describe("closing the scope", () => {
  it.effect("interrupts the handler, discards the rest and releases the instance, before it returns", () =>
    Effect.gen(function*() {
      const scope = yield* ownScope
      let released = () => 0
      const made = yield* recorder({
        init: () =>
          Effect.as(
            Effect.addFinalizer(() => Effect.andThen(Effect.yieldNow, Effect.sync(() => void released()))),
            { receive: (message: Message) => typeof message === "object" ? message : undefined }
          )
      }).pipe(Scope.provide(scope))
      const { actor, note, seen } = made
      released = () => seen.push("released")
      yield* actor.tell(Effect.onInterrupt(Effect.never, () => Effect.andThen(Effect.yieldNow, note("interrupted"))))
      yield* actor.tell("waits")
      yield* turns
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(seen, [
        "interrupted",
        "abandoned effect: Interrupted",
        "discarded waits",
        "released",
        "stopped: Closed"
      ])
      assert.strictEqual((yield* Effect.flip(actor.tell("late"))).message, "actor recorder has stopped")
    }))

  it.effect("by the actor's own handler ends it", () =>
    Effect.gen(function*() {
      for (const before of [Effect.void, Effect.yieldNow]) {
        const scope = yield* ownScope
        const { actor, seen } = yield* recorder().pipe(Scope.provide(scope))
        yield* actor.tell(Effect.andThen(before, Scope.close(scope, Exit.void)))
        yield* turns
        assert.deepStrictEqual(seen, ["abandoned effect: Interrupted", "stopped: Closed"])
      }
    }))

  it.effect("before the actor is spawned gives one that has stopped", () =>
    Effect.gen(function*() {
      const scope = yield* ownScope
      yield* Scope.close(scope, Exit.void)
      const { actor, seen } = yield* recorder().pipe(Scope.provide(scope))
      assert.deepStrictEqual([actor.tellUnsafe("late"), seen[0]], ["stopped", "stopped: Closed"])
    }))

  it.effect("has nothing left to do for an actor that stopped before", () =>
    Effect.gen(function*() {
      const scope = yield* ownScope
      const { actor } = yield* recorder().pipe(Scope.provide(scope))
      assert.strictEqual(scope.state._tag, "Open")
      yield* actor.stop()
      assert.strictEqual(scope.state._tag, "Empty")
    }))
})

describe("death watch", () => {
  it.effect("completes exit for all who wait, and for those who come late", () =>
    Effect.gen(function*() {
      const { actor } = yield* recorder()
      const waiting = yield* Effect.forkChild(Effect.all([actor.exit, actor.exit], { concurrency: 2 }))
      yield* turns
      yield* actor.stop()
      assert.deepStrictEqual(yield* Fiber.join(waiting), [{ _tag: "Stopped" }, { _tag: "Stopped" }])
      assert.deepStrictEqual(yield* actor.exit, { _tag: "Stopped" })
    }))

  it.effect("tells the watcher by a control message, even when its mailbox is full", () =>
    Effect.gen(function*() {
      const watcher = yield* recorder({ mailbox: 1 })
      const watched = yield* recorder()
      const door = gate()
      yield* Actor.watch(watcher.actor, watched.actor, (reason) => `it is gone: ${reason._tag}`)
      yield* watcher.actor.tell(door.wait)
      yield* turns
      yield* watcher.actor.tell("data")
      yield* watched.actor.stop()
      door.open()
      yield* turns
      assert.deepStrictEqual(watcher.seen, ["it is gone: Stopped", "data"])
      yield* Actor.watch(watcher.actor, watched.actor, () => "still gone")
      yield* turns
      assert.strictEqual(watcher.seen.at(-1), "still gone")
    }))

  it.effect("leaves no listener when the watcher stops first", () =>
    Effect.gen(function*() {
      const watcher = yield* recorder()
      const watched = yield* recorder()
      yield* Actor.watch(watcher.actor, watched.actor, () => "never")
      yield* watcher.actor.stop()
      yield* turns
      const cell = watched.actor as unknown as { observers: Set<unknown> }
      assert.strictEqual(cell.observers.size, 0)
    }))
})
