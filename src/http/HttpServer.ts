/**
 * The plain HTTP side of an engine's own server, for applications of `effect/http`.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Headers from "effect/http/Headers"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServer from "effect/http/HttpServer"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { Engine } from "../engine/Engine.ts"
import type { Origin } from "../engine/Forwarded.ts"

/** Who sent the request that is being answered. */
const CurrentOrigin = Context.Reference<Origin | undefined>("heddle/http/CurrentOrigin", {
  defaultValue: () => undefined
})

/** With the address, the scheme and the host that the engine found, through the proxies that it trusts. */
const withOrigin = (request: HttpServerRequest, origin: Origin | undefined): HttpServerRequest =>
  origin === undefined || origin.address === ""
    ? request
    : request.modify({
      remoteAddress: Option.some(origin.address),
      protocol: origin.secure ? "https" : "http",
      ...(origin.host === undefined ? {} : { headers: Headers.set(request.headers, "host", origin.host) })
    })

const make = Effect.map(Engine, ({ address, http }) =>
  HttpServer.make({
    address: NetAddress.inetAddressUnsafe(
      // A name is one of this machine's; an attached engine listens nowhere.
      Result.getOrElse(NetAddress.ipFromString(address.hostname), () => NetAddress.ipv4Loopback),
      address.port
    ),
    serve: Effect.fnUntraced(function*(app, middleware) {
      const context = yield* Effect.context<never>()
      const running = new Set<Fiber.Fiber<unknown, unknown>>()
      yield* Effect.addFinalizer(() => Fiber.interruptAll(running))
      const handled = Effect.withFiber((fiber) => {
        running.add(fiber)
        fiber.addObserver(() => running.delete(fiber))
        const origin = fiber.getRef(CurrentOrigin)
        return Effect.updateService(app, HttpServerRequest, (request) => withOrigin(request, origin))
      })
      const handler = HttpEffect.toWebHandlerWith<never, HttpServerRequest | Scope.Scope>(context)(handled, middleware)
      yield* http((request, origin) => handler(request, Context.make(CurrentOrigin, origin) as Context.Context<never>))
    })
  }))

/**
 * The `HttpServer` of `effect/http` on the engine's own port: what is not heddle's is answered by the application.
 *
 * **Details**
 *
 * `HttpRouter.serve`, `HttpApiBuilder` and everything else that runs on an `HttpServer` runs on it, on every runtime;
 * the engine's own paths stay the engine's. `remoteAddress` and the scheme of a request are the client's, through as
 * many proxies as the engine trusts. Closing the scope of `serve` interrupts what is still being answered.
 *
 * **Gotchas**
 *
 * An engine that is attached to the user's own server answers no plain HTTP: the server does. `upgrade` of a request
 * fails: WebSockets are the engine's.
 *
 * @example
 * ```ts
 * HttpRouter.serve(Routes).pipe(
 *   Layer.provide(HttpServer.layer),
 *   Layer.provide(Engine.layer({ path: "/live", rooms: [ChatLive] })),
 *   Layer.provide(Runtime.layer({ port: 3000 })),
 *   Layer.launch,
 *   Runtime.runMain
 * )
 * ```
 */
export const layer: Layer.Layer<HttpServer.HttpServer, never, Engine> = Layer.effect(HttpServer.HttpServer)(make)
