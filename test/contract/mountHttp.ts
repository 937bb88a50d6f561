/**
 * What an engine's own server answers beside WebSockets: a web handler, or an application of `effect/http`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Logger, Option, Schema, Scope, Stream } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Engine, Room } from "heddle"
import * as HttpServer from "heddle/http"
import { layer, runtime } from "./mountServers.ts"
import { openRaw, until } from "./transportClient.ts"

class Empty extends Room.make("empty", {}) {}
const EmptyLive = Empty.toLayer(() => ({}))

const serveEngine = (options: Partial<Engine.Options<[]>> = {}) =>
  Effect.map(
    Layer.build(
      Engine.layer({ ...options, path: "/live", rooms: [EmptyLive] }).pipe(Layer.provide(layer({ port: 0 })))
    ),
    Context.get(Engine.Engine)
  )

const serveRoutes = (engine: Engine.Engine["Service"], routes: Layer.Layer<never, never, HttpRouter.HttpRouter>) =>
  Layer.build(
    HttpRouter.serve(routes, { disableListenLog: true, disableLogger: true }).pipe(
      Layer.provide(HttpServer.layer),
      Layer.provide(Layer.succeed(Engine.Engine)(engine))
    )
  )

const get = (url: string, init?: RequestInit) =>
  Effect.promise(() => fetch(url, init).then(async (got) => [got.status, await got.text()] as const))

/** Runs the suite on the runtime that runs this file. */
export const httpContract = (): void => {
  describe(`plain HTTP beside the engine: ${runtime}`, () => {
    const test = <E>(sentence: string, body: Effect.Effect<void, E, Scope.Scope>) =>
      it.live(sentence, () => Effect.scoped(body).pipe(Effect.provide(Logger.layer([]))))

    test(
      "is answered by a web handler, but for the engine's own path",
      Effect.gen(function*() {
        const received: Array<number> = []
        const { address } = yield* serveEngine({
          fetch: (...all: ReadonlyArray<unknown>) => {
            received.push(all.length)
            const request = all[0] as Request
            if (request.url.endsWith("/throws")) throw new Error("secret")
            return new Response(`${request.method} ${new URL(request.url).pathname}`)
          }
        })
        assert.deepStrictEqual(yield* get(`${address.url}/a/b`), [200, "GET /a/b"])
        assert.strictEqual((yield* get(`${address.url}/live`))[0], 426)
        assert.strictEqual((yield* openRaw(address, "/a/b")).status, 404)
        const [status, body] = yield* get(`${address.url}/throws`)
        assert.deepStrictEqual([status, body.includes("secret")], [500, false])
        assert.deepStrictEqual(received, [1, 1])
      })
    )

    test(
      "is 404 where nobody answers",
      Effect.gen(function*() {
        const { address } = yield* serveEngine()
        assert.deepStrictEqual(yield* get(address.url), [404, "not found\n"])
      })
    )

    test(
      "is answered by routes: parameters, bodies, streams, errors; the newest application answers, then the one before",
      Effect.gen(function*() {
        const engine = yield* serveEngine({ fetch: () => new Response("before") })
        const { url } = engine.address
        assert.deepStrictEqual(yield* get(url), [200, "before"])
        const scope = yield* Scope.make()
        const routes = Layer.mergeAll(
          HttpRouter.add(
            "GET",
            "/hello/:name",
            Effect.map(HttpRouter.params, ({ name }) => HttpServerResponse.text(`hello ${name}`))
          ),
          HttpRouter.add(
            "POST",
            "/sum",
            HttpServerRequest.schemaBodyJson(Schema.Array(Schema.Int)).pipe(
              Effect.orDie,
              Effect.map((numbers) => HttpServerResponse.text(`${numbers.reduce((sum, one) => sum + one, 0)}`))
            )
          ),
          HttpRouter.add(
            "GET",
            "/many",
            HttpServerResponse.stream(
              Stream.range(1, 1000).pipe(Stream.map((index) => new TextEncoder().encode(`${index},`)))
            )
          ),
          HttpRouter.add("GET", "/dies", Effect.die(new Error("secret"))),
          HttpRouter.add("GET", "/where", (request) =>
            Effect.succeed(HttpServerResponse.text(
              `${Option.getOrNull(request.remoteAddress)} ${Option.getOrNull(HttpServerRequest.toURL(request))}`
            )))
        )
        yield* Effect.asVoid(serveRoutes(engine, routes)).pipe(Scope.provide(scope))
        assert.deepStrictEqual(yield* get(`${url}/hello/ada`), [200, "hello ada"])
        assert.deepStrictEqual(yield* get(`${url}/sum`, { method: "POST", body: "[1,2,39]" }), [200, "42"])
        assert.strictEqual((yield* get(`${url}/many`))[1].split(",").length, 1001)
        const [status, body] = yield* get(`${url}/dies`)
        assert.deepStrictEqual([status, body.includes("secret")], [500, false])
        assert.strictEqual((yield* get(url))[0], 404)
        // What no trusted proxy said is not believed.
        const lies = { headers: { "x-forwarded-for": "6.6.6.6", "x-forwarded-proto": "https" } }
        assert.deepStrictEqual(yield* get(`${url}/where`, lies), [200, `127.0.0.1 ${url}/where`])
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(yield* get(url), [200, "before"])
      })
    )

    test(
      "interrupts what is still being answered when the application's scope closes",
      Effect.gen(function*() {
        const engine = yield* serveEngine()
        const seen: Array<string> = []
        const scope = yield* Scope.make()
        const slow = Effect.sync(() => seen.push("started")).pipe(
          Effect.andThen(Effect.never),
          Effect.onInterrupt(() => Effect.sync(() => seen.push("interrupted")))
        )
        yield* Effect.asVoid(serveRoutes(engine, HttpRouter.add("GET", "/slow", slow))).pipe(Scope.provide(scope))
        const answer = fetch(`${engine.address.url}/slow`)
        yield* until("it is being answered", () => seen.length === 1)
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(seen, ["started", "interrupted"])
        assert.isAtLeast((yield* Effect.promise(() => answer)).status, 499)
      })
    )
  })
}
