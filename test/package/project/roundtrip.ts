/**
 * A server and its clients in one process, from the installed package; prints `ok` at the end.
 */
import { Effect, Layer, Schema, Stream } from "effect"
import { Engine, Room } from "heddle"
import * as Client from "heddle/client"
import { msgpack } from "heddle/msgpack"
import * as Runtime from "heddle/runtime"
import * as Sqlite from "heddle/sqlite"

class Echo extends Room.make("echo", {
  requests: { Say: { payload: { bytes: Schema.Uint8Array }, success: Schema.Int } },
  events: { Said: { bytes: Schema.Uint8Array } }
}) {}

const EchoLive = Echo.toLayer((room) => ({
  Say: ({ payload }) => Effect.map(Effect.orDie(room.emit("Said", payload)), ({ offset }) => offset)
}), { history: { capacity: 10 } })

let encoded = 0
const counted: typeof msgpack = { ...msgpack, encode: (frame) => (encoded++, msgpack.encode(frame)) }

const visit = Effect.fnUntraced(function*(options: Client.Options, bytes: Uint8Array) {
  const client = yield* Client.make(options)
  const room = yield* client.join(Echo, "a")
  yield* room.Say({ bytes })
  const events = yield* room.events.pipe(
    Stream.filter((event) => event._tag === "Said"),
    Stream.take(1),
    Stream.runCollect
  )
  for (const { payload } of events) {
    if (String(payload.bytes) !== String(bytes)) throw new Error(`got ${payload.bytes}, not ${bytes}`)
  }
})

const program = Effect.gen(function*() {
  const { address } = yield* Engine.Engine
  const url = `${address.url.replace("http", "ws")}/live`
  yield* Effect.scoped(visit({ url }, Uint8Array.of(1, 2, 3)))
  const binary = { url, codec: counted }
  yield* Effect.scoped(visit(binary, Uint8Array.of(4, 5, 6)))
  if (encoded === 0) throw new Error("the client did not use the codec it was given")
  console.log("ok")
})

Effect.runPromise(Effect.provide(
  program,
  Engine.layer({ path: "/live", rooms: [EchoLive] }).pipe(
    Layer.provide([Runtime.layer({ port: 0 }), Sqlite.layer({ filename: ":memory:" })])
  )
))
