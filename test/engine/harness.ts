/**
 * An engine to test, and how its clients reach it: in memory and in virtual time, or on the network of a runtime.
 */
import { Cause, Clock, Effect, Layer, Logger, Option, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { Connector } from "../../src/client/Connector.ts"
import type * as Endpoint from "../../src/engine/Endpoint.ts"
import * as Engine from "../../src/engine/Engine.ts"
import type { ListenError, Transport } from "../../src/engine/Transport.ts"
import { MemoryNetwork } from "../../src/testing/MemoryTransport.ts"
import * as MemoryTransport from "../../src/testing/MemoryTransport.ts"
import { connect, inRealTime, inVirtualTime, type Peer, type Until } from "./peer.ts"

/** Where an engine is tested. */
export interface Harness {
  readonly name: string
  readonly live: boolean
  readonly until: Until
  /** Lets time pass; on a real network it does so by itself. */
  readonly pass: (millis: number) => Effect.Effect<void>
  readonly transport: Layer.Layer<Transport, ListenError>
}

export const memory: Harness = {
  name: "memory",
  live: false,
  until: inVirtualTime,
  pass: (millis) => TestClock.adjust(millis),
  transport: Layer.effect(Connector, Effect.map(MemoryNetwork, ({ connect }) => connect)).pipe(
    Layer.provideMerge(MemoryTransport.layer)
  )
}

export const network = (name: string, transport: Layer.Layer<Transport, ListenError>): Harness => ({
  name,
  live: true,
  until: inRealTime,
  pass: () => Effect.void,
  transport
})

const path = "/live"

/** What a test has in its hands. */
export interface World {
  readonly engine: Engine.Engine["Service"]
  /** Only in memory. */
  readonly network: MemoryNetwork["Service"]
  readonly until: Until
  readonly pass: (millis: number) => Effect.Effect<void>
  /** An open connection that has not said hello. */
  readonly open: Effect.Effect<Peer, never, Scope.Scope>
  /** A connection that was welcomed. */
  readonly peer: (token?: string) => Effect.Effect<Peer, never, Scope.Scope>
  /** Sleeps and timeouts that have not ended, in memory: the timers of this engine. */
  readonly sleeping: () => number
  /** What was logged as an error. */
  readonly errors: ReadonlyArray<string>
  /** Nobody is connected, and no room has a member. */
  readonly empty: Effect.Effect<void>
}

/** The clock of the context, counting who sleeps. */
export const countingClock = (counter: { sleeping: number }) =>
  Layer.effect(
    Clock.Clock,
    Effect.map(Effect.clockWith(Effect.succeed), (clock): Clock.Clock =>
      Object.assign(Object.create(clock), {
        sleep: (duration: Parameters<Clock.Clock["sleep"]>[0]) =>
          Effect.suspend(() => {
            counter.sleeping++
            return Effect.ensuring(clock.sleep(duration), Effect.sync(() => counter.sleeping--))
          })
      }))
  )

export type Options = Omit<Engine.Options<ReadonlyArray<any>, ReadonlyArray<Endpoint.Any>>, "path">

/** Runs a test against an engine of its own; what is logged is kept for the test to look at. */
export const serve = (harness: Harness, options: Options) =>
<A, E>(
  body: (world: World) => Effect.Effect<A, E, Scope.Scope | Engine.Engine>
): Effect.Effect<A, E | ListenError> => {
  const errors: Array<string> = []
  const counter = { sleeping: 0 }
  const logger = Logger.make<unknown, void>(({ cause, logLevel, message }) => {
    if (logLevel === "Error" || logLevel === "Fatal") errors.push(`${message} ${Cause.pretty(cause)}`)
  })
  return Effect.scoped(Effect.gen(function*() {
    const engine = yield* Engine.Engine
    const connector = yield* Connector
    const network = yield* Effect.serviceOption(MemoryNetwork)
    const open = Effect.tap(connect(connector, engine.address, path, harness.until), (peer) => peer.open)
    const run = <A>(effect: Effect.Effect<A>) => Effect.runSync(effect)
    return yield* body({
      engine,
      errors,
      sleeping: () => counter.sleeping,
      network: Option.getOrUndefined(network)!,
      until: harness.until,
      pass: harness.pass,
      open,
      peer: (token) => Effect.tap(open, (peer) => peer.hello(token ?? null)),
      empty: harness.until(
        "the engine is empty",
        () => run(engine.connections) === 0 && run(engine.rooms).every(({ members }) => members === 0)
      )
    })
  })).pipe(
    // At the end of a test nobody lets time pass for a handler that hangs.
    Effect.provide(
      Engine.layer({ drain: { deadline: harness.live ? "10 seconds" : 0 }, ...options, path }).pipe(
        Layer.provideMerge(harness.transport)
      )
    ),
    Effect.provide(Layer.merge(Logger.layer([logger]), harness.live ? Layer.empty : countingClock(counter)))
  ) as Effect.Effect<A, E | ListenError>
}
