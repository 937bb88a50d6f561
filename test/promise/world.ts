/**
 * A server and its clients with promises, in memory and in virtual time; the tests are written as their users write.
 */
import { assert } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Logger, Random, Scope } from "effect"
import { TestClock } from "effect/testing"
import process from "node:process"
import { vi } from "vitest"
import { Connector } from "../../src/client/Connector.ts"
import * as PromiseClient from "../../src/client/PromiseClient.ts"
import * as Identity from "../../src/contract/Identity.ts"
import * as Topic from "../../src/contract/Topic.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { MemoryNetwork } from "../../src/testing/MemoryTransport.ts"
import * as MemoryTransport from "../../src/testing/MemoryTransport.ts"
import { Bell, Chat, Muted, Prices, RoomFull, Secrets } from "./contract.ts"

class CurrentUser extends Identity.Service<CurrentUser, { readonly token: string }>()("test/promise/CurrentUser") {}

/** What the server did. */
export type Trace = Array<string>

const chatLive = (trace: Trace, history: number) =>
  Chat.toLayer((room) => {
    let said = 0
    const say = (text: string) =>
      Effect.suspend(() => {
        said++
        return room.emit("Said", { text })
      })
    const never = (what: string) =>
      Effect.andThen(
        Effect.sync(() => trace.push(what)),
        Effect.onInterrupt(Effect.never, () => Effect.sync(() => trace.push(`${what} interrupted`)))
      )
    return {
      join: Effect.fnUntraced(function*({ payload: { name } }) {
        if (name === "slow") yield* never("join")
        if (room.members.size >= 3) return yield* new RoomFull({ limit: 3 })
        return { name }
      }),
      snapshot: () => Effect.succeed({ said }),
      leave: ({ member, reason }) => Effect.sync(() => trace.push(`${member.presence.name} ${reason}`)),
      Say: Effect.fnUntraced(function*({ payload: { text } }) {
        yield* CurrentUser
        if (text === "") return yield* new Muted({ until: new Date(1) })
        trace.push(text)
        return (yield* say(text)).offset
      }),
      Burst: ({ member, payload: { times } }) =>
        Effect.forEach(
          Array.from({ length: times }, (_, i) => `${i + 1}`),
          (text) => Effect.andThen(say(text), room.emit("Typing", { from: member.presence.name }))
        ),
      Never: () => never("never"),
      Crash: () => Effect.die(new Error("crash")),
      Kick: ({ member }) => room.kick(member, "spam"),
      Typing: ({ member }) => room.emit("Typing", { from: member.presence.name })
    }
  }, { history: { capacity: history } })

const bellLive = Bell.toLayer((room) => ({
  Ring: ({ payload: { times } }) =>
    Effect.forEach(Array.from({ length: times }, (_, i) => i + 1), (times) => room.emit("Rang", { times }))
}))

export const rooms = (trace: Trace, history = 100) =>
  [
    chatLive(trace, history),
    bellLive,
    Prices,
    Secrets.toLayer({ authorize: () => Topic.forbidden("not for you") })
  ] as const

export const identity = Identity.layer(
  CurrentUser,
  ({ token }) => token === "wrong" ? Identity.unauthorized("wrong token") : Effect.succeed({ token: token ?? "" })
)

export const quiet = Logger.layer([])

/** What a test has in its hands. */
export interface World {
  readonly connect: (options?: Partial<PromiseClient.ConnectOptions>) => PromiseClient.PromiseClient
  /** Lets happen what can happen until something holds. */
  readonly until: (what: string, holds: () => boolean) => Promise<void>
  /** Lets everything happen that can happen at this moment. */
  readonly settled: () => Promise<void>
  readonly pass: (millis: number) => Promise<void>
  readonly publish: (price: number) => Promise<unknown>
  readonly say: (text: string) => Promise<unknown>
  readonly trace: Trace
  /** Breaks every connection. */
  readonly cut: () => void
  /** Stops the server, and starts another one. */
  readonly stop: () => Promise<void>
  readonly start: () => Promise<void>
  /** The name that a member of `chat/lobby` shows to others. */
  readonly members: () => number
  /** Errors that were reported. */
  readonly reported: Array<unknown>
}

/** Promises that were rejected and nobody was there to see it. */
export const countingUnhandled = async (body: () => Promise<void>): Promise<void> => {
  const unhandled: Array<unknown> = []
  const onUnhandled = (error: unknown) => unhandled.push(error)
  process.on("unhandledRejection", onUnhandled)
  try {
    await body()
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepStrictEqual(unhandled, [])
  } finally {
    process.off("unhandledRejection", onUnhandled)
  }
}

/** A test of a world of its own, to be given to `it.effect`. */
export const world = (body: (world: World) => Promise<void>, { history = 100 } = {}) => () =>
  Effect.gen(function*() {
    const context = Context.merge(yield* Effect.context<Scope.Scope>(), yield* Layer.build(MemoryTransport.layer))
    const network = Context.get(context, MemoryNetwork)
    const run = Effect.runPromiseWith(context)
    const trace: Trace = []
    let scope: Scope.Closeable
    let running: Context.Context<Engine.Engine>
    const start = async () => {
      scope = Scope.makeUnsafe()
      const layer = Engine.layer({ path: "/live", rooms: rooms(trace, history) }).pipe(
        Layer.provide(identity),
        Layer.provide(quiet)
      )
      running = await run(Layer.buildWithScope(layer, scope))
    }
    const stop = () => run(Scope.close(scope, Exit.void))
    const url = () => Context.get(running, Engine.Engine).address.url.replace("http", "ws")
    const settled = async () => {
      for (let turn = 0; turn < 30; turn++) await new Promise((resolve) => setImmediate(resolve))
    }
    const clients: Array<PromiseClient.PromiseClient> = []
    const reported: Array<unknown> = []
    const console = vi.spyOn(globalThis.console, "error").mockImplementation((error) => void reported.push(error))
    yield* Effect.addFinalizer(() => Effect.sync(() => console.mockRestore()))
    yield* Effect.promise(start)
    yield* Effect.promise(() =>
      countingUnhandled(async () => {
        try {
          await body({
            trace,
            reported,
            start,
            stop,
            settled,
            cut: () => network.connections().forEach((connection) => connection.cut()),
            pass: async (millis) => {
              await run(TestClock.adjust(millis))
              await settled()
            },
            connect: (options) => {
              const making = PromiseClient.make({ url: "ws://memory:1/live", ...options }).pipe(
                // Every server has a port of its own; clients find the newest.
                Effect.provideService(
                  Connector,
                  (address, protocols, events) =>
                    network.connect(address.startsWith("ws://memory") ? `${url()}/live` : address, protocols, events)
                )
              )
              // The waits between connections are the same in every run, and none is 0.
              const exit = Effect.runForkWith(context)(Random.withSeed(making, "waits")).pollUnsafe()!
              assert(Exit.isSuccess(exit))
              clients.push(exit.value)
              return exit.value
            },
            until: async (what, holds) => {
              for (let turn = 0; turn < 2_000 && !holds(); turn++) {
                await new Promise((resolve) => setImmediate(resolve))
              }
              assert(holds(), `never happened: ${what}`)
            },
            publish: (price) => run(Effect.provide(Engine.publish(Prices, "AAPL", { price }), running)),
            say: (text) => run(Effect.provide(Engine.emit(Chat, "lobby", "Said", { text }), running)),
            members: () =>
              Effect.runSync(Context.get(running, Engine.Engine).rooms)
                .filter(({ room }) => room === "chat")
                .reduce((sum, { members }) => sum + members, 0)
          })
        } finally {
          await Promise.all(clients.map((client) => client.close()))
          await stop()
        }
      })
    )
  })

/** The error a promise rejects with. */
export const rejection = (promise: Promise<unknown>): Promise<any> =>
  promise.then(
    () => {
      throw new Error("it did not reject")
    },
    (error) => error
  )

/** The reason of the `RequestError` a promise rejects with. */
export const reasonOf = async (promise: Promise<unknown>): Promise<string> => {
  const error = await rejection(promise)
  assert.strictEqual(error._tag, "RequestError", String(error))
  return error.reason._tag
}
