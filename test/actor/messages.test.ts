import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Actor from "../../src/actor/Actor.ts"
import * as Dispatcher from "../../src/actor/Dispatcher.ts"
import { gate, recorder, turns } from "./recorder.ts"

describe("messages", () => {
  it.effect("are handled in the order in which they were told", () =>
    Effect.gen(function*() {
      const { actor, note, seen } = yield* recorder()
      yield* actor.tell("a")
      yield* actor.tell(Effect.andThen(Effect.sleep("1 second"), note("b")))
      yield* actor.tell("c")
      yield* turns
      assert.deepStrictEqual(seen, ["a"])
      yield* TestClock.adjust("1 second")
      yield* turns
      assert.deepStrictEqual(seen, ["a", "b", "c"])
      assert.isTrue(actor.isIdle)
    }))

  it.effect("wait for an init that takes its time", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const actor = yield* Actor.spawn<string>({
        id: "slow",
        init: () => Effect.as(Effect.sleep("1 second"), { receive: (message) => void seen.push(message) })
      })
      yield* actor.tell("early")
      yield* turns
      assert.deepStrictEqual([actor.state, actor.pending, seen.length], ["starting", 1, 0])
      yield* TestClock.adjust("1 second")
      yield* turns
      assert.deepStrictEqual([actor.state, seen[0]], ["ready", "early"])
    }))

  it("run at once when told outside of any fiber", () => {
    const scope = Scope.makeUnsafe()
    const context = Effect.runSync(Effect.provideService(Effect.context<Scope.Scope>(), Scope.Scope, scope))
    const seen: Array<string> = []
    const actor = Actor.spawnUnsafe<string>(context, {
      id: "callback",
      init: () => Effect.succeed({ receive: (message) => void seen.push(message) })
    })
    assert.strictEqual(actor.state, "ready")
    assert.strictEqual(actor.tellUnsafe("now"), "accepted")
    assert.deepStrictEqual(seen, ["now"])
    Effect.runSync(Scope.close(scope, Exit.void))
    assert.strictEqual(actor.tellUnsafe("late"), "stopped")
  })

  it.effect("told from within a handler run after that handler, in the same tick", () =>
    Effect.gen(function*() {
      const { actor, seen } = yield* recorder()
      const other = yield* recorder()
      yield* turns
      let order = ""
      const context = yield* Effect.context<never>()
      yield* Effect.callback<void>((resume) => {
        setImmediate(() => {
          actor.tellUnsafe(() => {
            other.actor.tellUnsafe(() => void (order += "inner "))
            actor.tellUnsafe("self")
            order += "outer "
          })
          resume(Effect.sync(() => {
            order += "after"
          }))
        })
      }).pipe(Effect.provideContext(context))
      assert.strictEqual(order, "outer inner after")
      assert.deepStrictEqual(seen, ["self"])
    }))

  it.effect("are refused when as many as the mailbox holds wait", () =>
    Effect.gen(function*() {
      const { actor, seen } = yield* recorder({ mailbox: 2 })
      const door = gate()
      yield* actor.tell(door.wait)
      yield* turns
      yield* actor.tell("1")
      yield* actor.tell("2")
      const full = yield* Effect.flip(actor.tell("3"))
      assert.strictEqual(full.message, "the mailbox of actor recorder is full (2 messages)")
      assert.strictEqual(actor.tellUnsafe("3"), "full")
      assert.strictEqual(actor.pending, 2)
      door.open()
      yield* turns
      assert.deepStrictEqual(seen, ["1", "2"])
    }))

  it.effect("of the control lane always enter and go first, but not into a running handler", () =>
    Effect.gen(function*() {
      const { actor, note, seen } = yield* recorder({ mailbox: 1 })
      const door = gate()
      yield* actor.tell(Effect.andThen(door.wait, note("first")))
      yield* turns
      yield* actor.tell("data")
      assert.isTrue(actor.controlUnsafe("control 1"))
      assert.isTrue(actor.controlUnsafe("control 2"))
      yield* turns
      assert.deepStrictEqual(seen, [])
      door.open()
      yield* turns
      assert.deepStrictEqual(seen, ["first", "control 1", "control 2", "data"])
    }))

  it.effect("give way after 64 of them, so that other actors get their turn", () =>
    Effect.gen(function*() {
      const { actor: busy } = yield* recorder()
      const { actor: other } = yield* recorder()
      yield* turns
      let handled = 0
      let when = 0
      const context = yield* Effect.context<never>()
      yield* Effect.sync(() => {
        for (let i = 0; i < 200; i++) busy.tellUnsafe(() => void handled++)
        other.tellUnsafe(() => {
          when = handled
        })
      }).pipe(Effect.provideContext(context))
      yield* turns
      assert.deepStrictEqual([when, handled], [64, 200])
    }))

  it.effect("may be handled by any effect, one fiber each, whose children end with it", () =>
    Effect.gen(function*() {
      const { actor, note, seen } = yield* recorder()
      yield* actor.tell(
        Effect.asVoid(Effect.forkChild(Effect.onInterrupt(Effect.never, () => note("child ended")), {
          startImmediately: true
        }))
      )
      yield* actor.tell("next")
      yield* turns
      assert.deepStrictEqual(seen, ["child ended", "next"])
    }))

  it.effect("leave no fiber and no timer behind in an idle actor", () =>
    Effect.gen(function*() {
      const { actor } = yield* recorder({ deadline: "1 hour" })
      yield* actor.tell(Effect.sleep("1 second"))
      yield* turns
      yield* TestClock.adjust("1 second")
      yield* turns
      assert.isTrue(actor.isIdle)
      const cell = actor as unknown as { fiber: unknown; timer: unknown }
      assert.deepStrictEqual([cell.fiber, cell.timer], [undefined, undefined])
    }))
})

describe("interruptCurrent", () => {
  it.effect("interrupts the suspended handling that matches, and the actor goes on", () =>
    Effect.gen(function*() {
      const { actor, note, seen } = yield* recorder()
      const work = Effect.onInterrupt(Effect.never, () => note("cleaned up"))
      yield* actor.tell(work)
      yield* actor.tell("next")
      yield* turns
      assert.isFalse(actor.interruptCurrent((message) => message === "next", "no match"))
      assert.isTrue(actor.interruptCurrent((message) => message === work, "cancelled"))
      yield* turns
      assert.deepStrictEqual(seen, ["cleaned up", "abandoned effect: Interrupted", "next"])
      assert.isFalse(actor.interruptCurrent(() => true, "nothing is handled"))
    }))

  it.effect("waits for the finalizers of the handler before the next message", () =>
    Effect.gen(function*() {
      // The first sleep under a fresh test clock starts its warning, which is interruptible even in a finalizer.
      yield* TestClock.adjust("1 second")
      const { actor, note, seen } = yield* recorder()
      yield* actor.tell(
        Effect.onInterrupt(Effect.never, () => Effect.andThen(Effect.sleep("1 second"), note("released")))
      )
      yield* actor.tell("next")
      yield* turns
      assert.isTrue(actor.interruptCurrent(() => true, "cancelled"))
      assert.isFalse(actor.interruptCurrent(() => true, "again"))
      yield* turns
      assert.deepStrictEqual(seen, [])
      yield* TestClock.adjust("1 second")
      yield* turns
      assert.deepStrictEqual(seen, ["released", "abandoned effect: Interrupted", "next"])
    }))

  it.effect("does not reach the handler that calls it", () =>
    Effect.gen(function*() {
      const { actor, seen } = yield* recorder()
      yield* actor.tell(Effect.andThen(
        Effect.yieldNow,
        Effect.sync(() => void seen.push(String(actor.interruptCurrent(() => true, "me"))))
      ))
      yield* turns
      assert.deepStrictEqual(seen, ["false"])
    }))

  it.effect("is not needed for a handler that interrupts itself, which is no crash either", () =>
    Effect.gen(function*() {
      const { actor, seen } = yield* recorder()
      yield* actor.tell(Effect.interrupt)
      yield* actor.tell("next")
      yield* turns
      assert.deepStrictEqual(seen, ["abandoned effect: Interrupted", "next"])
    }))
})

describe("a deadline", () => {
  it.effect("interrupts a handling that takes longer, and the actor takes the next message", () =>
    Effect.gen(function*() {
      const { actor, note, seen } = yield* recorder({ deadline: "5 seconds" })
      yield* actor.tell(Effect.andThen(Effect.sleep("4 seconds"), note("in time")))
      yield* actor.tell(Effect.sleep("1 hour"))
      yield* actor.tell("next")
      yield* turns
      yield* TestClock.adjust("4 seconds")
      yield* turns
      assert.deepStrictEqual(seen, ["in time"])
      yield* TestClock.adjust("4999 millis")
      yield* turns
      assert.deepStrictEqual(seen, ["in time"])
      yield* TestClock.adjust("1 millis")
      yield* turns
      assert.deepStrictEqual(seen, ["in time", "abandoned effect: Deadline", "next"])
      assert.strictEqual(actor.state, "ready")
    }))

  it.effect("makes no timer for handlers that do not suspend", () =>
    Effect.gen(function*() {
      const { actor } = yield* recorder({ deadline: "5 seconds" })
      const cell = actor as unknown as { timer: unknown }
      let timers = 0
      yield* actor.tell(Effect.sync(() => {
        if (cell.timer !== undefined) timers++
      }))
      yield* turns
      assert.deepStrictEqual([timers, cell.timer], [0, undefined])
      yield* actor.tell(Effect.never)
      yield* turns
      assert.isDefined(cell.timer)
    }))
})

describe("the dispatcher of the context", () => {
  it.effect("runs the turns of the actors spawned in it", () =>
    Effect.gen(function*() {
      const held: Array<() => void> = []
      const manual: Dispatcher.Dispatcher = { messagesPerTurn: 2, run: (turn) => void held.push(turn) }
      const { actor, seen } = yield* Effect.provideService(recorder(), Dispatcher.Dispatcher, manual)
      for (const message of ["a", "b", "c"]) yield* actor.tell(message)
      yield* turns
      assert.deepStrictEqual([held.length, seen.length], [1, 0])
      held.shift()!()
      assert.deepStrictEqual([held.length, seen.length], [1, 0])
      held.shift()!()
      assert.deepStrictEqual(seen, ["a", "b"])
      yield* turns
      held.shift()!()
      assert.deepStrictEqual(seen, ["a", "b", "c"])
    }))

  it.effect("is not nested by actors that start actors, 10,000 deep", () =>
    Effect.gen(function*() {
      const scope = yield* Effect.scope
      let started = 0
      const nest: Effect.Effect<void> = Effect.suspend(() => {
        if (++started === 10_000) return Effect.void
        return Effect.asVoid(
          Actor.spawn<void>({ id: `${started}`, init: () => Effect.as(nest, { receive: () => {} }) })
        )
          .pipe(Scope.provide(scope))
      })
      yield* nest
      while (started < 10_000) yield* Effect.yieldNow
    }))

  it.effect("is not nested by actors that ask actors, 10,000 deep", () =>
    Effect.gen(function*() {
      let first: Actor.Actor<Actor.Reply<number>> | undefined
      for (let i = 0; i < 10_000; i++) {
        const next = first
        first = yield* Actor.spawn<Actor.Reply<number>>({
          id: `${i}`,
          init: () =>
            Effect.succeed({
              receive: (reply) =>
                next === undefined
                  ? void reply.doneUnsafe(Exit.succeed(1))
                  : Effect.asVoid(
                    Effect.flatMap(Effect.orDie(next.ask<number>((reply) => reply)), (n) => reply.succeed(n + 1))
                  )
            })
        })
      }
      const fiber = yield* Effect.forkChild(first!.ask<number>((reply) => reply))
      assert.strictEqual(yield* Fiber.join(fiber), 10_000)
    }))
})
