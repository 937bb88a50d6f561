/**
 * heddle in a `Deno.serve` of yours: one port, your handler, and rooms from heddle.
 *
 * Run with `deno run -A examples/mount/deno.ts`. Obeys PORT and HOST.
 */
import { Console, Effect, Layer } from "effect"
import { Engine } from "heddle"
import { attach, runMain } from "heddle/deno"
import process from "node:process"
import { ClicksLive } from "./clicks.ts"

const heddle = attach()

/** The server stays yours: heddle neither opens nor closes it. */
const ServerLive = Layer.effectDiscard(
  Effect.acquireRelease(
    Effect.sync(() =>
      Deno.serve(
        { port: Number(process.env["PORT"] ?? 3000), hostname: process.env["HOST"] ?? "127.0.0.1", onListen: () => {} },
        heddle.fetch(() => new Response("<h1>A page of Deno</h1>", { headers: { "content-type": "text/html" } }))
      )
    ),
    (server) => Effect.promise(() => server.shutdown())
  ).pipe(Effect.tap((server) => Console.log(`on port ${server.addr.port}`)))
)

Engine.layer({ path: "/live", rooms: [ClicksLive] }).pipe(
  Layer.provide(heddle.layer),
  Layer.provideMerge(ServerLive), // Below the engine: it stops listening last.
  Layer.launch,
  runMain
)
