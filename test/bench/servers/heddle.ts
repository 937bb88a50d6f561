/**
 * heddle as one would use it: a typed room with all its bounds on. Only the rate limit is raised, because a connection
 * of this test sends more in a second than a client may.
 */
import { Effect, Layer, Schema } from "effect"
import { Engine, Room } from "heddle"
import * as Runtime from "heddle/runtime"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import process from "node:process"
import { port, tls } from "./child.ts"

if (process.env["JIT"] !== undefined) await import("effect/schema/SchemaJITCompiler/enable")

const body = { id: Schema.Int, from: Schema.String, text: Schema.String }

class Bench extends Room.make("bench", {
  requests: { Echo: { payload: body, success: body }, Publish: { payload: { text: Schema.String } } },
  events: { Said: { text: Schema.String } }
}) {}

const BenchLive = Bench.toLayer((room) => ({
  Echo: ({ payload }) => Effect.succeed(payload),
  Publish: ({ payload }) => Effect.asVoid(room.emit("Said", payload))
}), process.env["HISTORY"] === undefined ? {} : { history: { capacity: 500 } })

/** In a file, as anybody would have it, which ends with the server. */
const store = async () => {
  const { layer } = await import("heddle/sqlite")
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "heddle-bench-"))
  process.on("exit", () => Fs.rmSync(folder, { recursive: true, force: true }))
  return layer({ filename: Path.join(folder, "bench.db") })
}

Engine.layer({
  path: "/live",
  rooms: [BenchLive],
  limits: { frameRate: 1e9, frameBurst: 1e9 }
}).pipe(
  Layer.provide(process.env["HISTORY"] === "sqlite" ? await store() : Layer.empty),
  Layer.provide(Runtime.layer({ port, tls })),
  Layer.launch,
  Runtime.runMain
)
