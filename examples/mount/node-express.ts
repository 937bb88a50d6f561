/**
 * heddle on the server that Express is on: one port, pages from Express, rooms from heddle.
 *
 * Run with `node examples/mount/node-express.ts`. Obeys PORT and HOST.
 */
import { Console, Effect, Layer } from "effect"
import express from "express"
import { Engine } from "heddle"
import { layerAttach, runMain } from "heddle/node"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { ClicksLive } from "./clicks.ts"

const app = express()
app.get("/", (_, response) => void response.type("html").send("<h1>A page of Express</h1>"))

const server = Http.createServer(app)

/** The server stays yours: heddle neither opens nor closes it. */
const ServerLive = Layer.effectDiscard(
  Effect.acquireRelease(
    Effect.callback<void>((resume) => {
      const { HOST = "127.0.0.1", PORT = "3000" } = process.env
      server.listen(Number(PORT), HOST, () => resume(Effect.void))
    }),
    () => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
  ).pipe(
    Effect.andThen(Effect.suspend(() => Console.log(`on port ${(server.address() as AddressInfo).port}`)))
  )
)

Engine.layer({ path: "/live", rooms: [ClicksLive] }).pipe(
  Layer.provide(layerAttach(server)),
  Layer.provideMerge(ServerLive), // Below the engine: it stops listening last.
  Layer.launch,
  runMain
)
