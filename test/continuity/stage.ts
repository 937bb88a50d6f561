/**
 * A server in memory that can be started again on the same disk, and who talks to it.
 */
import { Effect, Exit, Layer, Logger, Random, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Client from "../../src/client/Client.ts"
import { type Connect, Connector } from "../../src/client/Connector.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { MemoryNetwork } from "../../src/testing/MemoryTransport.ts"
import * as MemoryTransport from "../../src/testing/MemoryTransport.ts"
import * as SeededScheduler from "../../src/testing/SeededScheduler.ts"
import { inVirtualTime, Peer } from "../engine/peer.ts"
import type { Disk } from "./disk.ts"

/** Lets everything run that can run without time passing. */
export const settle = (rounds: number) =>
  Effect.gen(function*() {
    for (let round = 0; round < rounds; round++) yield* Effect.yieldNow
  })

/** Lets time pass, in steps in which a packet can go to and fro. */
export const pass = (millis: number, step = 500) =>
  Effect.gen(function*() {
    for (let left = millis; left > 0; left -= step) {
      yield* TestClock.adjust(Math.min(left, step))
      yield* settle(30)
    }
  })

export interface Stage {
  readonly network: MemoryNetwork["Service"]
  /** Where the process of now listens. */
  readonly url: () => string
  readonly engine: () => Engine.Engine["Service"]
  /** Ends the process and starts another one on the same disk. */
  readonly restart: Effect.Effect<void>
  /** Somebody who speaks in frames, welcomed. */
  readonly peer: Effect.Effect<Peer>
  /** A real client; `faulty` stands between it and the network. */
  readonly client: (
    options?: Partial<Client.Options>,
    faulty?: (connect: Connect) => Connect
  ) => Effect.Effect<Client.Client, never, Scope.Scope>
}

/** Runs a play on a server whose layer is built anew for each process, in virtual time and in the order of a seed. */
export const play = <A, E>(
  options: Omit<Engine.Options<ReadonlyArray<any>>, "path">,
  disk: Disk,
  body: (stage: Stage) => Effect.Effect<A, E, Scope.Scope>,
  seed = 0
): Effect.Effect<A, E> =>
  Effect.gen(function*() {
    const network = yield* MemoryNetwork
    const transport = yield* Effect.context<MemoryNetwork>()
    yield* Effect.addFinalizer(() => Effect.sync(() => disk.dispose()))
    let running: { readonly engine: Engine.Engine["Service"]; readonly scope: Scope.Closeable } | undefined
    const start = Effect.gen(function*() {
      const scope = Scope.makeUnsafe()
      const layer = Engine.layer({ drain: { deadline: 0, spread: 1_000 }, ...options }).pipe(Layer.provide(disk.layer))
      const services = yield* Layer.buildWithScope(Layer.fresh(layer), scope).pipe(Effect.provide(transport))
      running = { scope, engine: yield* Effect.provide(Engine.Engine, services) }
    })
    const stop = Effect.suspend(() => running === undefined ? Effect.void : Scope.close(running.scope, Exit.void))
    yield* Effect.addFinalizer(() => stop)
    yield* start
    const url = () => running!.engine.address.url.replace("http", "ws")
    const peer = Effect.gen(function*() {
      const made = new Peer(network.connect, running!.engine.address, "/", inVirtualTime, [])
      yield* made.hello()
      return made
    })
    return yield* body({
      network,
      url,
      engine: () => running!.engine,
      restart: Effect.andThen(stop, start) as Effect.Effect<void>,
      peer,
      client: (options, faulty = (connect) => connect) =>
        Client.make({ url: "ws://memory", ...options }).pipe(
          Effect.provideService(Connector, faulty((_, ...rest) => network.connect(url(), ...rest)))
        )
    })
  }).pipe(
    Effect.scoped,
    Effect.provide(MemoryTransport.layer),
    Effect.provide(Logger.layer([])),
    Random.withSeed(seed),
    SeededScheduler.withSeed(seed)
  ) as Effect.Effect<A, E>
