/**
 * Plain WebSocket, for clients that know nothing of heddle: an echo, and a group chat in rooms named by the path.
 *
 * Run with `node examples/raw.ts`, `bun examples/raw.ts` or `deno run -A examples/raw.ts`, and talk to it with any
 * client: `npx wscat -c "ws://127.0.0.1:3000/rooms/lobby?name=ada"`. Obeys PORT and HOST.
 */
import { Context, Effect, Layer, Schema, Stream } from "effect"
import { Endpoint, Engine } from "heddle"
import * as Runtime from "heddle/runtime"

const Echo = Endpoint.make("/echo", {
  handle: (socket) => socket.messages.pipe(Stream.runForEach(socket.send))
})

/** A service that every connection has for itself: made before the handler starts, released when it ends. */
class Guest extends Context.Service<Guest, { readonly name: string }>()("raw/Guest") {}

const GuestLive = Layer.effect(
  Guest,
  Effect.gen(function*() {
    const { query } = yield* Endpoint.Request
    const name = String(query["name"])
    if (name === "mallory") return yield* new Endpoint.Reject({ code: 4403, reason: "not you" })
    yield* Effect.logInfo(`${name} comes`)
    yield* Effect.addFinalizer(() => Effect.logInfo(`${name} goes`))
    return { name }
  })
)

const Room = Endpoint.make("/rooms/:room", {
  query: { name: Schema.NonEmptyString },
  handle: Effect.fnUntraced(function*(socket) {
    const { name } = yield* Guest
    const { room } = socket.params
    yield* socket.join(room)
    yield* socket.publish(room, `${name} joined`, { except: socket })
    yield* Effect.addFinalizer(() => socket.publish(room, `${name} left`))
    yield* socket.messages.pipe(Stream.runForEach((message) => socket.publish(room, `${name}: ${message}`)))
  })
}).pipe(Endpoint.provide(GuestLive))

Engine.layer({ endpoints: [Echo, Room] }).pipe(
  Layer.provide(Runtime.layerConfig), // PORT and HOST; 3000 and 127.0.0.1 unless set
  Layer.launch,
  Runtime.runMain
)
