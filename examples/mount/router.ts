/**
 * The engine's own port answers HTTP, too: an `effect/http` router that lists the rooms and announces to one of them.
 *
 * Run with `node examples/mount/router.ts`, `bun examples/mount/router.ts` or `deno run -A examples/mount/router.ts`,
 * then `curl localhost:3000/rooms` and `curl localhost:3000/rooms/lobby/news -d '{ "text": "hello" }'`.
 */
import { Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Engine, Room } from "heddle"
import * as HttpServer from "heddle/http"
import * as Runtime from "heddle/runtime"

class Board extends Room.make("board", { events: { News: { text: Schema.String } } }) {}

const BoardLive = Board.toLayer(() => ({}))

const News = Schema.Struct({ text: Schema.NonEmptyString })

const Routes = Layer.mergeAll(
  HttpRouter.add(
    "GET",
    "/rooms",
    Effect.gen(function*() {
      const engine = yield* Engine.Engine
      return yield* HttpServerResponse.json(yield* engine.rooms)
    })
  ),
  HttpRouter.add(
    "POST",
    "/rooms/:key/news",
    Effect.gen(function*() {
      const { key = "" } = yield* HttpRouter.params
      const { text } = yield* HttpServerRequest.schemaBodyJson(News)
      yield* Engine.emit(Board, key, "News", { text })
      return HttpServerResponse.empty({ status: 202 })
    })
  )
)

HttpRouter.serve(Routes, { disableListenLog: true }).pipe(
  Layer.provide(HttpServer.layer),
  Layer.provide(Engine.layer({ path: "/live", rooms: [BoardLive] })),
  Layer.provide(Runtime.layerConfig), // PORT and HOST; 3000 and 127.0.0.1 unless set
  Layer.launch,
  Runtime.runMain
)
