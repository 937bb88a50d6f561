import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Logger, Scope } from "effect"
import { TestClock } from "effect/testing"
import type * as Room from "../../src/contract/Room.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { MemoryNetwork } from "../../src/testing/MemoryTransport.ts"
import { countingClock, memory } from "./harness.ts"
import { makeLab, type Script } from "./lab.ts"
import { connect, type Peer } from "./peer.ts"
import { ask, settle } from "./stage.ts"

describe("closing the engine", () => {
  /** An engine whose scope the test closes. */
  const closing = (
    sentence: string,
    script: Script,
    body: (stage: {
      readonly peer: Effect.Effect<Peer, never, Scope.Scope>
      readonly network: MemoryNetwork["Service"]
      readonly trace: Array<string>
      readonly sleeping: () => number
      /** Begins to close, and answers with whether it has. */
      readonly close: Effect.Effect<() => boolean>
    }) => Effect.Effect<void, unknown, Scope.Scope>,
    room?: Room.Options
  ) =>
    it.effect(sentence, () => {
      const { layer, trace } = makeLab(script, room)
      const counter = { sleeping: 0 }
      return Effect.gen(function*() {
        const scope = Scope.makeUnsafe()
        const services = yield* Layer.buildWithScope(
          Engine.layer({ rooms: [layer], path: "/live" }).pipe(Layer.provideMerge(memory.transport)),
          scope
        )
        const network = Context.get(services as Context.Context<never> as Context.Context<MemoryNetwork>, MemoryNetwork)
        const { address } = Context.get(services, Engine.Engine)
        let closed = false
        yield* body({
          network,
          trace,
          sleeping: () => counter.sleeping,
          peer: Effect.tap(connect(network.connect, address, "/live", memory.until), (peer) => peer.hello()),
          close: Effect.as(
            Effect.forkChild(
              Effect.andThen(
                Scope.close(scope, Exit.void),
                Effect.sync(() => {
                  closed = true
                })
              )
            ),
            () => closed
          )
        })
      }).pipe(Effect.scoped, Effect.provide(Layer.merge(Logger.layer([]), countingClock(counter))))
    })

  closing("tells every client to come back, runs every leave with stopped, and closes with 1012", {
    do: (_, __, what) => what === "hang" ? Effect.never : Effect.succeed(what)
  }, ({ close, network, peer, sleeping, trace }) =>
    Effect.gen(function*() {
      const [ada, bob, carol] = [yield* peer, yield* peer, yield* peer]
      const { channel } = yield* ada.join("lab", "a", { name: "ada" })
      yield* bob.join("lab", "a", { name: "bob" })
      yield* carol.join("lab", "b", { name: "carol" })
      ask(ada, channel, "hang")
      ask(ada, channel, "waits")
      yield* settle
      const isClosed = yield* close
      yield* settle
      for (const one of [ada, bob, carol]) assert.strictEqual(one.all("drain").length, 1)
      assert.isFalse(isClosed())
      yield* TestClock.adjust("10 seconds")
      for (const one of [ada, bob, carol]) {
        assert.strictEqual(yield* one.closeCode, 1012)
        assert.strictEqual(one.all("drain").length, 1)
      }
      assert.deepStrictEqual(ada.all("error").map(({ error }) => error._tag), ["Interrupted", "Interrupted"])
      yield* settle
      assert.isTrue(isClosed())
      assert.deepStrictEqual(trace.filter((entry) => entry.startsWith("leave")).sort(), [
        "leave ada stopped",
        "leave bob stopped",
        "leave carol stopped"
      ])
      assert.deepStrictEqual(trace.filter((entry) => entry.includes("waits")), [])
      assert.deepStrictEqual(trace.filter((entry) => entry.startsWith("end")).sort(), ["end a", "end b"])
      assert.deepStrictEqual([network.connections().length, sleeping()], [0, 0])
    }))

  closing("waits for a leave that takes its time, but not for ever", {
    leave: (_, { presence }) => presence.name === "slow" ? Effect.never : Effect.sleep(1_000)
  }, ({ close, peer, sleeping, trace }) =>
    Effect.gen(function*() {
      yield* (yield* peer).join("lab", "a", { name: "ada" })
      yield* (yield* peer).join("lab", "b", { name: "slow" })
      const isClosed = yield* close
      yield* settle
      // The deadline of handlers, then that of leaves.
      yield* TestClock.adjust(14_999)
      yield* settle
      assert.isFalse(isClosed())
      yield* TestClock.adjust(1)
      yield* settle
      assert.isTrue(isClosed())
      assert.deepStrictEqual(trace.filter((entry) => entry.startsWith("end")).sort(), ["end a", "end b"])
      assert.strictEqual(sleeping(), 0)
    }))

  closing(
    "does not wait for ever for a client that does not answer the close",
    {},
    ({ close, network, peer }) =>
      Effect.gen(function*() {
        const one = yield* peer
        yield* one.join("lab", "a", { name: "ada" })
        network.connections()[0]!.stall()
        const isClosed = yield* close
        yield* settle
        assert.isFalse(isClosed())
        yield* TestClock.adjust(5_000)
        yield* settle
        assert.isTrue(isClosed())
        assert.strictEqual(network.connections().length, 0)
      })
  )

  closing("runs the leaves of sessions without a connection, once, and leaves nothing of them", {}, (
    { close, network, peer, sleeping, trace }
  ) =>
    Effect.gen(function*() {
      const [ada, bob] = [yield* peer, yield* peer]
      yield* ada.join("lab", "a", { name: "ada" })
      yield* ada.join("lab", "b", { name: "ada" })
      yield* bob.join("lab", "a", { name: "bob" })
      network.connections()[0]!.cut()
      yield* settle
      assert.deepStrictEqual(trace.filter((entry) => entry.startsWith("leave")), [])
      const isClosed = yield* close
      yield* settle
      yield* settle
      assert.isTrue(isClosed())
      assert.deepStrictEqual(trace.filter((entry) => entry.startsWith("leave")).sort(), [
        "leave ada stopped",
        "leave ada stopped",
        "leave bob stopped"
      ])
      yield* TestClock.adjust("1 hour")
      yield* settle
      assert.strictEqual(trace.filter((entry) => entry.startsWith("leave")).length, 3)
      assert.deepStrictEqual([network.connections().length, sleeping()], [0, 0])
    }))

  closing("leaves no timer of a room that crashed too often", {
    do: () => Effect.die("x")
  }, ({ close, peer, sleeping }) =>
    Effect.gen(function*() {
      const one = yield* peer
      const { channel } = yield* one.join("lab", "a", { name: "ada" })
      for (let crash = 0; crash < 2; crash++) {
        yield* one.answer(ask(one, channel, "x"))
        yield* TestClock.adjust(2_000)
      }
      yield* one.next("left")
      const isClosed = yield* close
      yield* settle
      assert.deepStrictEqual([isClosed(), sleeping()], [true, 0])
    }), { supervision: { intensity: { restarts: 1, within: "1 minute" } } })
})
