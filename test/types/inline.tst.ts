import { Context, Effect, Layer, Schema } from "effect"
import { Engine, Room, Topic, type Transport } from "heddle"
import { expect, it } from "tstyche"

class Db extends Context.Service<Db, { readonly get: Effect.Effect<string> }>()("test/Db") {}
class Echo
  extends Room.make("echo", { requests: { Say: { payload: { text: Schema.String }, success: Schema.String } } })
{}

it("asks for the services of a room that is served where it is made", () => {
  const layer = Engine.layer({
    rooms: [Echo.toLayer(() => ({ Say: () => Effect.flatMap(Db, (db) => db.get) }))]
  })
  expect<Layer.Services<typeof layer>>().type.toBe<Db | Transport.Transport>()
})

it("takes rooms and topics, and nothing else", () => {
  class Prices extends Topic.make("prices", { payload: { price: Schema.Finite } }) {}
  Engine.layer({ rooms: [Prices, Prices.toLayer({ authorize: () => Effect.void })] })
  // @ts-expect-error heddle: a room or topic is served by the layer that its `toLayer` makes
  Engine.layer({ rooms: [Prices, Layer.succeed(Db)({ get: Effect.succeed("") })] })
})
