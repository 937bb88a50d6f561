/**
 * The bounds of endpoints on the sockets of a runtime: what happens to peers that send or read too much or too little.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Scope, Stream } from "effect"
import * as Endpoint from "../../src/engine/Endpoint.ts"
import * as Engine from "../../src/engine/Engine.ts"
import type * as Transport from "../../src/engine/Transport.ts"
import { frame, openRaw, until } from "./transportClient.ts"

/** Runs the cases on the transport of one runtime. */
export const endpointNetwork = (
  { pause, runtime }: Transport.Capabilities,
  transport: Layer.Layer<Transport.Transport, Transport.ListenError>
): void => {
  describe(`endpoints on ${runtime}`, () => {
    const serving = <E>(
      handle: (socket: Endpoint.Socket) => Effect.Effect<unknown, Endpoint.Failure, never>,
      body: (address: Transport.Address) => Effect.Effect<void, E, Scope.Scope | Engine.Engine>
    ) =>
      Effect.flatMap(Engine.Engine, ({ address }) => body(address)).pipe(
        Effect.scoped,
        Effect.provide(
          Engine.layer({
            endpoints: [Endpoint.make("/", { handle })],
            limits: { frameRate: 1e9, frameBurst: 1e9 }
          }).pipe(Layer.provide(transport))
        )
      )

    it.live("take every message of a flood that their handler reads late, or end it where they cannot pause", () =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const count = 50_000
        const ends: Array<Endpoint.CloseEvent> = []
        let next = 0
        let inOrder = true
        yield* serving(
          (socket) =>
            Deferred.await(gate).pipe(
              Effect.andThen(Stream.runForEach(socket.messages, (message) =>
                Effect.sync(() => {
                  if (message !== `${next++}`) inOrder = false
                }))),
              Effect.ensuring(Effect.map(socket.closed, (event) => ends.push(event)))
            ),
          Effect.fnUntraced(function*(address) {
            const client = yield* openRaw(address, "/")
            client.write(Buffer.concat(Array.from({ length: count }, (_, index) => frame(1, `${index}`))))
            if (!pause) {
              // Its peer may see the end without the close frame: what it sent is still unread.
              yield* until("it is closed", () => ends.length === 1)
              assert.strictEqual(ends[0]?.code, 4429)
              return
            }
            yield* Effect.sleep(300)
            assert.deepStrictEqual(ends, [])
            yield* Deferred.succeed(gate, undefined)
            yield* until("everything was read", () => next === count)
            assert.isTrue(inOrder)
          })
        )
      }))

    it.live("close a connection as it opens", () =>
      serving(
        (socket) => Effect.andThen(socket.send("no"), new Endpoint.Reject({ code: 4403, reason: "not you" })),
        Effect.fnUntraced(function*(address) {
          const engine = yield* Engine.Engine
          const client = yield* openRaw(address, "/")
          yield* until("it is closed", () => client.close !== undefined)
          assert.deepStrictEqual([client.messages, client.close], [["no"], { code: 4403, reason: "not you" }])
          yield* until("nobody is there", () => Effect.runSync(engine.connections) === 0)
        })
      ))

    it.live("wait for a client that reads late, and lose nothing", () => {
      let sent = 0
      const count = 3000
      return serving(
        (socket) =>
          Effect.forEach(
            Array.from({ length: count }, (_, index) => index),
            (index) => Effect.map(socket.send(`${index} ${"x".repeat(10_000)}`), () => void sent++),
            { discard: true }
          ),
        Effect.fnUntraced(function*(address) {
          const client = yield* openRaw(address, "/")
          client.stall()
          yield* Effect.sleep(300)
          // What the operating systems of both ends hold, half of the outbox, and 64 KiB.
          assert.isBelow(sent, 2500)
          const before = sent
          yield* Effect.sleep(100)
          assert.isAtMost(sent - before, 500)
          client.unstall()
          yield* until("it is closed", () => client.close !== undefined)
          assert.strictEqual(client.close?.code, 1000)
          assert.deepStrictEqual(
            client.messages.map((message) => Number.parseInt(message as string)),
            Array.from({ length: count }, (_, index) => index)
          )
        })
      )
    })

    it.live("give up a member of a group that does not read, and serve the others", () =>
      serving(
        (socket) => Effect.andThen(socket.join("all"), Stream.runDrain(socket.messages)),
        Effect.fnUntraced(function*(address) {
          const engine = yield* Engine.Engine
          const slow = yield* openRaw(address, "/")
          const good = yield* openRaw(address, "/")
          yield* until("both are there", () => Effect.runSync(engine.connections) === 2)
          slow.stall()
          let published = 0
          yield* until("the slow one is gone", () => {
            if (good.messages.length >= published - 2) {
              Effect.runSync(Effect.provideService(Endpoint.publish("all", "x".repeat(60_000)), Engine.Engine, engine))
              published++
            }
            return Effect.runSync(engine.connections) === 1
          })
          yield* until("the good one has all", () => good.messages.length === published)
          slow.unstall()
          yield* until("the slow one is told, or cut off", () => slow.close !== undefined || slow.gone())
          assert.include([4409, undefined], slow.close?.code)
        })
      ))

    it.live("close their clients with 1012 when the engine closes", () =>
      Effect.gen(function*() {
        const scope = yield* Effect.scope
        const client = yield* Effect.flatMap(Engine.Engine, ({ address }) => openRaw(address, "/")).pipe(
          Effect.provideService(Scope.Scope, scope),
          Effect.provide(
            Engine.layer({
              endpoints: [Endpoint.make("/", { handle: () => Effect.never })],
              drain: { deadline: "500 millis" }
            }).pipe(Layer.provide(transport))
          )
        )
        yield* until("it is told", () => client.close !== undefined)
        assert.deepStrictEqual(client.close, { code: 1012, reason: "the server is stopping" })
      }))
  })
}
