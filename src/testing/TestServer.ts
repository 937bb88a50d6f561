/**
 * An application's engine on the in-memory transport, with real clients, in virtual time, and with faults on demand.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type * as TestClock from "effect/testing/TestClock"
import * as Client from "../client/Client.ts"
import { Connector } from "../client/Connector.ts"
import * as Engine from "../engine/Engine.ts"
import type { Transport } from "../engine/Transport.ts"
import type { MemoryConnection } from "./MemoryConnection.ts"
import * as MemoryTransport from "./MemoryTransport.ts"
import * as SeededScheduler from "./SeededScheduler.ts"

export { NotReceived, received, Unexpected } from "./Received.ts"
export type { AnyEvent, Received } from "./Received.ts"

/** A client, and what can go wrong with its connection. */
export interface TestClient extends Client.Client {
  /** Breaks the connection: what is under way is lost. The client comes back by itself, as in production. */
  readonly cut: Effect.Effect<void>
  /** Stops reading: what the server sends waits in its outbox, where its bounds and policies work. */
  readonly stall: Effect.Effect<void>
  /** Reads again. */
  readonly unstall: Effect.Effect<void>
}

/** How a test's client connects; as `Client.make`, to this server. */
export interface ClientOptions extends Omit<Client.Options, "url"> {
  /** Headers of the upgrade; names in lower case. */
  readonly headers?: { readonly [name: string]: string }
  /** The client's address, `127.0.0.1` by default. */
  readonly address?: string
}

/** A server under test. */
export class TestServer extends Context.Service<TestServer, {
  /** Connects another client, until the scope closes. */
  readonly client: (options?: ClientOptions) => Effect.Effect<TestClient, never, Scope.Scope>
  /** The engine that runs at this moment. */
  readonly engine: () => Engine.Engine["Service"]
  /** Runs an effect with the engine that runs at this moment: `server.provide(Engine.emit(Chat, "lobby", …))`. */
  readonly provide: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, Engine.Engine>>
  /** Stops the engine, as at the end of its process. Clients try to come back. */
  readonly stop: Effect.Effect<void>
  /** Stops the engine if it runs, and starts another: rooms begin anew, clients come back. */
  readonly restart: Effect.Effect<void>
  /** Sends a plain HTTP request to a path of the server; rejects while it is stopped. */
  readonly fetch: (path: string, init?: RequestInit) => Promise<Response>
}>()("heddle/testing/TestServer") {}

/** How a server is tested. */
export interface Options {
  /** The path that the engine's rooms are served at: `/` unless said, as of `Engine.layer`. */
  readonly path?: string
}

/**
 * Serves an engine's layer, the one of production without its runtime, in memory until the scope closes.
 *
 * **Details**
 *
 * Takes the `Scheduler` and the `Clock` from the context: with the `TestClock` of `@effect/vitest`'s `it.effect`, or of
 * {@link run}, nothing waits for real time. The layer is built anew for each start.
 *
 * **Gotchas**
 *
 * A room joined before a cut or restart is joined again by its client, after some virtual time. Requests made meanwhile
 * wait for it; `synced` comes again only if something was missed.
 */
export const make = Effect.fnUntraced(function*<E, R>(
  engine: Layer.Layer<Engine.Engine, E, R>,
  options: Options = {}
): Effect.fn.Return<TestServer["Service"], E, Exclude<R, Transport> | Scope.Scope> {
  const scope = yield* Effect.scope
  const surroundings = yield* Effect.context<Exclude<R, Transport>>()
  const memory = yield* Layer.build(Layer.fresh(MemoryTransport.layer))
  const network = Context.get(memory, MemoryTransport.MemoryNetwork)
  const path = options.path ?? "/"
  const start = Effect.gen(function*() {
    const own = yield* Scope.fork(scope)
    const context = yield* Layer.buildWithScope(Layer.fresh(engine), own).pipe(
      Effect.provideContext(Context.merge(surroundings, memory) as Context.Context<R>),
      Effect.onExit((exit) => Exit.isFailure(exit) ? Scope.close(own, exit) : Effect.void)
    )
    return { context, stop: Scope.close(own, Exit.void), engine: Context.get(context, Engine.Engine) }
  })
  let running = yield* start
  const url = (to: string) => running.engine.address.url + to

  const client = Effect.fnUntraced(function*({ address, headers, ...rest }: ClientOptions = {}) {
    let current: MemoryConnection | undefined
    let stalled = false
    const open = network.connectWith({
      ...headers === undefined ? {} : { headers },
      ...address === undefined ? {} : { address }
    })
    const made = yield* Client.make({ url: "ws://memory", ...rest }).pipe(
      // The url is another one after each restart of the server.
      Effect.provideService(Connector, (_, protocols, events) => {
        const socket = open(url(path).replace("http", "ws"), protocols, events)
        current = network.connections().find((connection) => connection.socket === socket)
        if (stalled) current?.stall()
        return socket
      })
    )
    const fault = (f: () => void) => Effect.sync(f)
    return {
      ...made,
      cut: fault(() => current?.cut()),
      stall: fault(() => {
        stalled = true
        current?.stall()
      }),
      unstall: fault(() => {
        stalled = false
        current?.unstall()
      })
    }
  })

  const stop = Effect.suspend(() => running.stop)
  return TestServer.of({
    client,
    engine: () => running.engine,
    provide: (effect) => Effect.suspend(() => Effect.provideService(effect, Engine.Engine, running.engine)) as never,
    stop,
    restart: Effect.andThen(
      stop,
      Effect.map(Effect.orDie(start), (next) => {
        running = next
      })
    ),
    fetch: (to, init) => network.fetch(new Request(url(to), init))
  })
})

/** As {@link make}, as a layer. */
export const layer = <E, R>(
  engine: Layer.Layer<Engine.Engine, E, R>,
  options?: Options
): Layer.Layer<TestServer, E, Exclude<R, Transport>> => Layer.effect(TestServer, make(engine, options)) as never

/**
 * Runs a whole test in virtual time and in the order of a seed, whatever the test runner.
 *
 * @example
 * ```ts
 * test("ada is heard", () =>
 *   Effect.runPromise(TestServer.run(AppLive, Effect.fnUntraced(function*(server) {
 *     const client = yield* server.client()
 *     const room = yield* client.join(Chat, "lobby", { name: "ada" })
 *     const received = yield* TestServer.received(room)
 *     yield* room.Say({ text: "hello" })
 *     yield* received.next("Said")
 *   }))))
 * ```
 */
export const run = <A, E, R, E2, R2>(
  engine: Layer.Layer<Engine.Engine, E, R>,
  test: (server: TestServer["Service"]) => Effect.Effect<A, E2, R2>,
  options: Options & { readonly seed?: number } = {}
): Effect.Effect<A, E | E2, Exclude<Exclude<R, Transport> | R2, Scope.Scope | TestClock.TestClock>> =>
  Effect.flatMap(make(engine, options), test).pipe(
    Effect.scoped,
    SeededScheduler.withSeed(options.seed ?? 0)
  ) as never
