import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Dispatcher from "../../src/actor/Dispatcher.ts"
import { turns } from "./recorder.ts"

/** Runs `f` as a callback of the runtime: outside of any fiber. */
const outside = <A>(f: () => A) =>
  Effect.callback<A>((resume) => {
    setImmediate(() => resume(Effect.succeed(f())))
  })

describe("the dispatcher", () => {
  it.effect("runs a turn at once outside of turns and fibers", () =>
    outside(() => {
      let ran = false
      Dispatcher.make().run(() => void (ran = true))
      assert.isTrue(ran)
    }))

  it.effect("runs a turn from within a turn right after it, first come first served", () =>
    outside(() => {
      const dispatcher = Dispatcher.make()
      const order: Array<string> = []
      dispatcher.run(() => {
        dispatcher.run(() => {
          order.push("b")
          dispatcher.run(() => order.push("d"))
        })
        dispatcher.run(() => order.push("c"))
        order.push("a")
      })
      assert.deepStrictEqual(order, ["a", "b", "c", "d"])
    }))

  it.effect("leaves a turn from within a fiber to the scheduler", () =>
    Effect.gen(function*() {
      const dispatcher = Dispatcher.make()
      const order: Array<string> = []
      dispatcher.run(() => void order.push("turn"))
      order.push("fiber")
      yield* turns
      assert.deepStrictEqual(order, ["fiber", "turn"])
    }))

  it.effect("keeps the order of turns that came from fibers and callbacks", () =>
    Effect.gen(function*() {
      const dispatcher = Dispatcher.make()
      const order: Array<string> = []
      yield* Effect.callback<void>((resume) => {
        setImmediate(() => {
          dispatcher.run(() => void order.push("callback"))
          resume(Effect.void)
        })
        dispatcher.run(() => void order.push("fiber"))
      })
      yield* turns
      assert.deepStrictEqual(order, ["fiber", "callback"])
    }))

  it.effect("survives a turn that throws", () =>
    outside(() => {
      const dispatcher = Dispatcher.make()
      const order: Array<string> = []
      dispatcher.run(() => {
        dispatcher.run(() => void order.push("next"))
        throw new Error("boom")
      })
      dispatcher.run(() => void order.push("later"))
      assert.deepStrictEqual(order, ["next", "later"])
    }))

  it.effect("nests no stack, however many turns start turns", () =>
    outside(() => {
      const dispatcher = Dispatcher.make()
      let depth = 0
      const nest = () => {
        if (++depth < 1_000) dispatcher.run(nest)
      }
      dispatcher.run(nest)
      assert.strictEqual(depth, 1_000)
    }))

  it.effect("lets the runtime have its turn while turns start turns for ever", () =>
    Effect.gen(function*() {
      const dispatcher = Dispatcher.make()
      let turnsRun = 0
      let over = false
      const forEver = () => {
        turnsRun++
        if (!over) dispatcher.run(forEver)
      }
      yield* outside(() => dispatcher.run(forEver))
      assert.isAtMost(turnsRun, 1_025)
      yield* turns
      assert.isAbove(turnsRun, 1_025)
      over = true
    }))
})

describe("the seeded dispatcher", () => {
  const order = (seed: number) =>
    Effect.gen(function*() {
      const dispatcher = Dispatcher.makeSeeded(seed)
      const ran: Array<number> = []
      for (let i = 0; i < 8; i++) {
        dispatcher.run(() => {
          ran.push(i)
          if (i < 4) dispatcher.run(() => void ran.push(i + 10))
        })
      }
      assert.deepStrictEqual(ran, [])
      yield* turns
      return ran.join()
    })

  it.effect("takes the same order for the same seed, and others for others", () =>
    Effect.gen(function*() {
      const orders = new Set<string>()
      for (let seed = 0; seed < 50; seed++) {
        assert.strictEqual(yield* order(seed), yield* order(seed))
        orders.add(yield* order(seed))
      }
      assert.isAbove(orders.size, 45)
      assert.strictEqual([...orders][0]!.split(",").length, 12)
    }))
})
