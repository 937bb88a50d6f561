/**
 * A topic: made-up prices, published four times a second to whoever subscribes.
 *
 * Run with `node examples/ticker.ts`, `bun examples/ticker.ts` or `deno run -A examples/ticker.ts`, and watch one
 * price in a second terminal with `node examples/ticker.ts --client HDL`. Obeys PORT and HOST.
 */
import { Config, Console, Effect, Layer, Random, Schedule, Schema, Stream } from "effect"
import { Client, Engine, Room, Topic } from "heddle"
import * as Runtime from "heddle/runtime"
import process from "node:process"

const Symbol = Schema.Literals(["HDL", "LOOM", "WEFT"])

class Prices extends Topic.make("prices", {
  key: Symbol,
  // Volatile: only the newest price counts, so a slow subscriber may miss some.
  payload: Room.volatile({ price: Schema.Finite })
}) {}

const PublisherLive = Layer.effectDiscard(Effect.gen(function*() {
  const prices = new Map(Symbol.literals.map((symbol) => [symbol, 100]))
  const step = Effect.forEach(prices, ([symbol, price]) =>
    Effect.gen(function*() {
      const next = price * (1 + (yield* Random.nextBetween(-0.01, 0.01)))
      prices.set(symbol, next)
      yield* Engine.publish(Prices, symbol, { price: Number(next.toFixed(2)) })
    }))
  yield* Effect.forkScoped(Effect.repeat(step, Schedule.spaced("250 millis")))
}))

const server = PublisherLive.pipe(
  Layer.provide(Engine.layer({ path: "/live", rooms: [Prices] })),
  Layer.provide(Runtime.layerConfig),
  Layer.launch
)

const client = Effect.fnUntraced(function*(input: string | undefined) {
  const symbol = yield* Schema.decodeUnknownEffect(Symbol)(input)
  const host = yield* Config.String("HOST").pipe(Config.withDefault("127.0.0.1"))
  const port = yield* Config.Int("PORT").pipe(Config.withDefault(3000))
  const { subscribe } = yield* Client.make({ url: `ws://${host}:${port}/live` })
  yield* subscribe(Prices, symbol).pipe(Stream.runForEach(({ price }) => Console.log(`${symbol} ${price.toFixed(2)}`)))
}, Effect.scoped)

const [option, symbol] = process.argv.slice(2)
if (option === "--client") Runtime.runMain(client(symbol ?? "HDL"))
else Runtime.runMain(server)
