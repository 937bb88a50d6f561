/**
 * What the promise client adds to sessions and history, against a server that is written line by line.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Random, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Connector } from "../../src/client/Connector.ts"
import * as PromiseClient from "../../src/client/PromiseClient.ts"
import { Chat, ScriptedServer, settled } from "../client/ScriptedServer.ts"

const start = Effect.fnUntraced(function*(options: Partial<PromiseClient.ConnectOptions> = {}) {
  const server = new ScriptedServer(yield* Clock.Clock)
  const client = yield* PromiseClient.make({ url: "ws://test", ...options }).pipe(
    Effect.provideService(Connector, server.connect),
    Random.withSeed("waits")
  )
  return { client, server }
})

describe("the client with promises", () => {
  it.effect("joins some events back, and looks further back", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start()
      const socket = yield* server.welcomes()
      const joining = client.join(Chat, "lobby", { name: "ada" }, { last: 5 })
      assert.strictEqual((yield* socket.joins()).last, 5)
      const room = yield* Effect.promise(() => joining)
      const looking = room.history({ before: 3, limit: 2 })
      const { before, limit, ref } = yield* socket.next("history")
      assert.deepStrictEqual([before, limit], [3, 2])
      socket.send({ _tag: "page", ref, channel: 7, events: [[2, "Said", { text: "2" }, null]], more: false })
      assert.deepStrictEqual(yield* Effect.promise(() => looking), {
        events: [{ _tag: "Said", payload: { text: "2" }, offset: 2 }],
        more: false,
        before: 2
      })
    }))

  it.effect("shows the member id of the moment, which is another where the session did not go on", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start()
      const session = { session: "s-1", resume: "one", window: 1_000, seq: 0 }
      const socket = yield* server.welcomes({}, undefined, session)
      const joining = client.join(Chat, "lobby", { name: "ada" })
      yield* socket.joins()
      const room = yield* Effect.promise(() => joining)
      assert.strictEqual(room.memberId, "me")
      socket.close(1006)
      yield* settled
      client.reconnect()
      const next = yield* server.welcomes({}, undefined, { ...session, session: "s-2" })
      yield* next.joins({ memberId: "another" })
      assert.strictEqual(room.memberId, "another")
    }))

  it.effect("goes on with a request in the next connection", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start()
      const session = { session: "s-1", resume: "one", window: 1_000, seq: 0 }
      const socket = yield* server.welcomes({}, undefined, session)
      const joining = client.join(Chat, "lobby", { name: "ada" })
      yield* socket.joins()
      const room = yield* Effect.promise(() => joining)
      const saying = room.Say({ text: "hi" })
      yield* socket.next("request")
      socket.close(1006)
      yield* settled
      client.reconnect()
      const next = yield* server.welcomes({}, undefined, { ...session, seq: 1 })
      yield* next.joins()
      const { again, ref, seq } = yield* next.next("request")
      assert.deepStrictEqual([seq, again], [1, true])
      next.send({ _tag: "ok", ref, value: 8 })
      assert.strictEqual(yield* Effect.promise(() => saying), 8)
    }))

  it.effect("connects at once when a page is online again, and listens no longer than it lives", () =>
    Effect.gen(function*() {
      const page = new EventTarget()
      let listening = 0
      const real = (["addEventListener", "removeEventListener"] as const).map((name) =>
        [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const
      )
      const globals = {
        addEventListener: (type: string, f: EventListener) => {
          listening++
          page.addEventListener(type, f)
        },
        removeEventListener: (type: string, f: EventListener) => {
          listening--
          page.removeEventListener(type, f)
        }
      }
      for (const [name] of real) Object.defineProperty(globalThis, name, { configurable: true, value: globals[name] })
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          for (const [name, descriptor] of real) {
            if (descriptor === undefined) delete (globalThis as Record<string, unknown>)[name]
            else Object.defineProperty(globalThis, name, descriptor)
          }
        })
      )
      const scope = yield* Scope.make()
      const options = { reconnect: { base: "1 hour", max: "1 hour" } } as const
      const { client, server } = yield* Scope.provide(start(options), scope)
      const socket = yield* server.welcomes()
      socket.close(1006)
      yield* settled
      assert.lengthOf(server.sockets, 1)
      page.dispatchEvent(new Event("online"))
      yield* server.welcomes()
      assert.strictEqual(listening, 1)
      yield* Effect.promise(() => client.close())
      assert.strictEqual(listening, 0)
      page.dispatchEvent(new Event("online"))
      yield* TestClock.adjust("2 hours")
      assert.lengthOf(server.sockets, 2)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(listening, 0)
    }))
})
