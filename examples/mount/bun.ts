/**
 * heddle in a `Bun.serve` of yours: one port, your `fetch` and your WebSockets, and rooms from heddle.
 *
 * Run with `bun examples/mount/bun.ts`. Obeys PORT and HOST.
 */
import { Console, Effect, Layer } from "effect"
import { Engine } from "heddle"
import { attach, runMain } from "heddle/bun"
import { ClicksLive } from "./clicks.ts"

const heddle = attach()

/** The server stays yours: heddle neither opens nor closes it. */
const ServerLive = Layer.effectDiscard(
  Effect.acquireRelease(
    Effect.sync(() =>
      Bun.serve({
        port: Number(process.env["PORT"] ?? 3000),
        hostname: process.env["HOST"] ?? "127.0.0.1",
        fetch: heddle.fetch((request, server) => {
          if (new URL(request.url).pathname === "/echo" && server.upgrade(request, { data: "mine" })) return undefined
          return new Response("<h1>A page of Bun</h1>", { headers: { "content-type": "text/html" } })
        }),
        websocket: heddle.websocket({
          message: (ws: { readonly send: (data: string) => void }, data: string) => ws.send(`echo: ${data}`)
        })
      })
    ),
    (server) => Effect.promise(() => server.stop(true))
  ).pipe(Effect.tap((server) => Console.log(`on port ${server.port}`)))
)

Engine.layer({ path: "/live", rooms: [ClicksLive] }).pipe(
  Layer.provide(heddle.layer),
  Layer.provideMerge(ServerLive), // Below the engine: it stops listening last.
  Layer.launch,
  runMain
)
