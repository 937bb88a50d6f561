/**
 * The smallest server: one room that answers every request with what it was sent.
 *
 * Run with `node examples/echo.ts`, `bun examples/echo.ts` or `deno run -A examples/echo.ts`.
 */
import { Effect, Layer, Schema } from "effect"
import { Engine, Room } from "heddle"
import * as Runtime from "heddle/runtime"

class Echo extends Room.make("echo", {
  requests: { Say: { payload: { text: Schema.String }, success: Schema.String } }
}) {}

const EchoLive = Echo.toLayer(() => ({
  Say: ({ payload }) => Effect.succeed(payload.text)
}))

Engine.layer({ path: "/live", rooms: [EchoLive] }).pipe(
  Layer.provide(Runtime.layerConfig), // PORT and HOST; 3000 and 127.0.0.1 unless set
  Layer.launch,
  Runtime.runMain
)
