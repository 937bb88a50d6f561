/**
 * An engine behind a real reverse proxy: nginx.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger, Option, Schema, type Scope } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Engine, Identity, Room } from "heddle"
import * as HttpServer from "heddle/http"
import { connect, inRealTime } from "../engine/peer.ts"
import { connectWith, fetchTrusting, layer, runtime, selfSigned } from "./mountServers.ts"
import { nginx, type Ports } from "./nginx.ts"

/** What the engine takes for the client. */
class Caller extends Identity.Service<Caller, { readonly address: string; readonly url: string }>()("test/Caller") {}

class Mirror extends Room.make("mirror", {
  requests: { Who: { success: { address: Schema.String, url: Schema.String } } }
}) {}

const MirrorLive = Mirror.toLayer(() => ({
  Who: Effect.fnUntraced(function*() {
    return yield* Caller
  })
}))

const CallerLive = Identity.layer(Caller, ({ address, url }) => Effect.succeed({ address, url: url.href }))

const Routes = HttpRouter.add(
  "GET",
  "/who",
  (request) =>
    HttpServerResponse.json({
      address: Option.getOrNull(request.remoteAddress),
      url: Option.getOrNull(HttpServerRequest.toURL(request))
    })
)

interface Options {
  readonly trustedHops?: number
  readonly heartbeat?: number
}

/** An engine with nginx in front. */
const world = Effect.fnUntraced(function*({ heartbeat = 25_000, trustedHops }: Options) {
  const context = yield* Layer.build(
    HttpRouter.serve(Routes, { disableListenLog: true, disableLogger: true }).pipe(
      Layer.provide(HttpServer.layer),
      Layer.provideMerge(Engine.layer({
        path: "/live",
        rooms: [MirrorLive],
        limits: { heartbeat },
        ...(trustedHops === undefined ? {} : { trustedHops })
      })),
      Layer.provide(CallerLive),
      Layer.provide(layer({ port: 0 })),
      Layer.provide(Logger.layer([]))
    )
  )
  const engine = Context.get(context, Engine.Engine)
  const ports = yield* nginx(engine.address.port)
  const addressOf = (server: keyof Ports) => ({
    hostname: "127.0.0.1",
    port: ports[server],
    url: `${server === "secure" ? "https" : "http"}://127.0.0.1:${ports[server]}`
  })
  const open = Effect.fnUntraced(function*(server: keyof Ports, headers: Record<string, string> = {}) {
    const connector = connectWith({ ca: selfSigned().cert, headers })
    const peer = yield* connect(connector, addressOf(server), "/live", inRealTime)
    yield* peer.hello()
    return peer
  })
  const who = Effect.fnUntraced(function*(server: keyof Ports, headers?: Record<string, string>) {
    const peer = yield* open(server, headers)
    const { channel } = yield* peer.join("mirror", "all")
    const answer = yield* peer.request(channel, "Who")
    assert.strictEqual(answer._tag, "ok", JSON.stringify(answer))
    return (answer as { readonly value: { readonly address: string; readonly url: string } }).value
  })
  return { engine, ports, addressOf, open, who }
})

/** Runs the suite on the runtime that runs this file. */
export const proxyContract = (): void => {
  describe(`behind nginx: ${runtime}`, () => {
    const test = <E>(sentence: string, body: Effect.Effect<void, E, Scope.Scope>) =>
      it.live(sentence, () => Effect.scoped(body))

    test(
      "a client has its own address, through as many proxies as are trusted",
      Effect.gen(function*() {
        const seen: Array<string> = []
        for (const trustedHops of [0, 1, 2, 3]) {
          const { who } = yield* world({ trustedHops })
          seen.push((yield* who("outer")).address)
        }
        assert.deepStrictEqual(seen, ["127.0.0.9", "127.0.0.7", "127.0.0.1", "127.0.0.1"])
      })
    )

    test(
      "a client cannot choose its address",
      Effect.gen(function*() {
        const lies = { "X-Forwarded-For": "6.6.6.6, 7.7.7.7", "X-Real-IP": "6.6.6.6", "Forwarded": "for=6.6.6.6" }
        const one = yield* world({ trustedHops: 1 })
        assert.strictEqual((yield* one.who("plain", lies)).address, "127.0.0.1")
        const none = yield* world({})
        assert.strictEqual((yield* none.who("plain", lies)).address, "127.0.0.9")
      })
    )

    test(
      "nginx speaks TLS for the engine: wss outside, ws inside",
      Effect.gen(function*() {
        const { addressOf, ports, who } = yield* world({ trustedHops: 1 })
        assert.deepStrictEqual(yield* who("secure"), {
          address: "127.0.0.1",
          url: `https://127.0.0.1:${ports.secure}/live`
        })
        assert.strictEqual((yield* who("plain")).url, `${addressOf("plain").url}/live`)
      })
    )

    test(
      "plain HTTP has the client's address and URL, too",
      Effect.gen(function*() {
        const trusting = yield* world({ trustedHops: 1 })
        const get = (url: string) =>
          Effect.promise(() =>
            fetchTrusting(selfSigned().cert)(
              new Request(`${url}/who?a=1`, { headers: { "x-forwarded-for": "6.6.6.6" } })
            ).then((got) => got.json())
          )
        const { url } = trusting.addressOf("secure")
        assert.deepStrictEqual(yield* get(url), { address: "127.0.0.1", url: `${url}/who?a=1` })
        const blind = yield* world({})
        const { address } = yield* get(blind.addressOf("secure").url)
        assert.strictEqual(address, "127.0.0.9")
      })
    )

    test(
      "a page of the proxy's own host is let in, and no other",
      Effect.gen(function*() {
        const isLetIn = Effect.fnUntraced(function*(trustedHops: number, origin: (own: string) => string) {
          const { addressOf } = yield* world({ trustedHops })
          const address = addressOf("secure")
          const connector = connectWith({ ca: selfSigned().cert, headers: { origin: origin(address.url) } })
          const peer = yield* connect(connector, address, "/live", inRealTime)
          yield* inRealTime("it is answered", () => peer.opened !== undefined || peer.closed !== undefined)
          return peer.opened !== undefined
        })
        assert.isTrue(yield* isLetIn(1, (own) => own))
        assert.isFalse(yield* isLetIn(1, () => "https://evil.example"))
        // The engine is asked for `Host: 127.0.0.1:…` of its own, and knows no better.
        assert.isFalse(yield* isLetIn(0, (own) => own))
      })
    )

    test(
      "a connection where nothing is said stays open past nginx's timeout, by the heartbeat alone",
      Effect.gen(function*() {
        const beating = yield* world({ trustedHops: 1, heartbeat: 400 })
        const silent = yield* world({ trustedHops: 1, heartbeat: 60_000 })
        const cut = yield* silent.open("secure")
        const kept = yield* beating.open("secure")
        yield* inRealTime("nginx cuts the silent one", () => cut.closed !== undefined)
        yield* inRealTime("eight heartbeats have passed", () => kept.all("ping").length >= 8)
        assert.isUndefined(kept.closed)
        assert.strictEqual(yield* beating.engine.connections, 1)
        const { channel } = yield* kept.join("mirror", "all")
        assert.strictEqual((yield* kept.request(channel, "Who"))._tag, "ok")
        assert.strictEqual(cut.all("ping").length, 0)
      })
    )
  })
}
