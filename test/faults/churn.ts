/**
 * Clients that come and go for hours of virtual time, among far more keys than the engine keeps.
 *
 * One run is one seed: in every second a few clients, chosen by it, do one of the things that clients do. Nothing is kept
 * of what they are told but what they need to go on, so that whatever grows, grows in the engine.
 */
import { Effect, Exit, Layer, Logger, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Dispatcher from "../../src/actor/Dispatcher.ts"
import * as Identity from "../../src/contract/Identity.ts"
import * as Room from "../../src/contract/Room.ts"
import * as Topic from "../../src/contract/Topic.ts"
import * as Endpoint from "../../src/engine/Endpoint.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { Hub } from "../../src/engine/Hub.ts"
import { MemoryNetwork } from "../../src/testing/MemoryTransport.ts"
import * as MemoryTransport from "../../src/testing/MemoryTransport.ts"
import * as SeededScheduler from "../../src/testing/SeededScheduler.ts"
import type * as Frame from "../../src/wire/Frame.ts"
import { json } from "../../src/wire/Json.ts"
import { countingClock } from "../engine/harness.ts"
import { makeRandom, type Random } from "../engine/random.ts"

class User extends Identity.Service<User, { readonly id: string }>()("churn/User") {}

class Crowd extends Room.make("crowd", {
  presence: { name: Schema.String },
  snapshot: { said: Schema.Int },
  requests: { Do: { payload: { deed: Schema.String }, success: Schema.Int } },
  notices: { Note: { text: Schema.String } },
  events: { Said: { text: Schema.String }, Blinked: Room.volatile({ text: Schema.String }) }
}) {}

class Ticks extends Topic.make("ticks", {
  payload: Room.volatile({ text: Schema.String }, { conflate: () => "latest" })
}) {}

const CrowdLive = Crowd.toLayer((room) => {
  let said = 0
  return {
    join: () => Effect.map(User, ({ id }) => ({ name: id })),
    snapshot: () => Effect.succeed({ said }),
    Do: ({ payload: { deed } }) => {
      if (deed === "dies") return Effect.die(new Error("as it was told to"))
      if (deed === "hangs") return Effect.never
      if (deed === "waits") return Effect.delay(Effect.succeed(said), 5_000)
      return Effect.as(room.emit("Said", { text: deed }), ++said)
    },
    Note: ({ member, payload }) => room.emit("Blinked", payload, { except: member })
  }
}, { idleTimeout: "30 seconds", deadline: "10 seconds", history: { capacity: 20, timeToLive: "5 minutes" } })

const UserLive = Identity.layer(User, ({ token }) => Effect.succeed({ id: token! }))
const Echo = Endpoint.make("/echo/:key", {
  params: { key: Schema.String },
  handle: (socket) => Effect.andThen(socket.join(socket.params.key), Effect.never)
})

/** What a client remembers. */
class Client {
  readonly name: string
  readonly channels = new Set<number>()
  socket: ReturnType<MemoryNetwork["Service"]["connect"]> | undefined
  isWelcome = false
  private ref = 0
  private seq = 0

  constructor(name: string) {
    this.name = name
  }

  connect(network: MemoryNetwork["Service"], url: string, path: string, address: string): void {
    const socket = network.connectWith({ address })(url.replace("http", "ws") + path, [], {
      open: () => {
        if (path === "/") this.send({ _tag: "hello", token: this.name, resume: null })
      },
      message: (data) => {
        for (const frame of json.decodeServer(data, Infinity)!) this.take(frame as Frame.ServerFrame)
      },
      close: () => {
        if (this.socket === socket) this.forget()
      }
    })
    this.socket = socket
  }

  send(frame: Frame.ClientFrame): void {
    this.socket?.send(json.encode(frame).data)
  }

  join(key: string): void {
    this.send({ _tag: "join", ref: ++this.ref, room: "crowd", key, payload: null, position: null, last: null })
  }

  subscribe(key: string): void {
    this.send({ _tag: "subscribe", ref: ++this.ref, topic: "ticks", key, position: null })
  }

  leave(channel: number): void {
    this.channels.delete(channel)
    this.send({ _tag: "leave", ref: ++this.ref, channel })
  }

  request(channel: number, deed: string): void {
    const ref = ++this.ref
    this.send({ _tag: "request", ref, channel, seq: ++this.seq, ack: 0, name: "Do", payload: { deed }, again: null })
  }

  forget(): void {
    this.socket = undefined
    this.isWelcome = false
    this.channels.clear()
    this.ref = this.seq = 0
  }

  private take(frame: Frame.ServerFrame): void {
    if (frame._tag === "welcome") this.isWelcome = true
    else if (frame._tag === "joined") this.channels.add(frame.channel)
    else if (frame._tag === "left") this.channels.delete(frame.channel)
    else if (frame._tag === "ping") this.send({ _tag: "pong" })
  }
}

/** How many of each there are. */
export interface Size {
  readonly seconds: number
  readonly clients: number
  readonly keys: number
  /** Things that clients do, in a second. */
  readonly deeds: number
  readonly channels: number
}

/** What is left in an engine that everybody has left. */
export interface Left {
  readonly connections: number
  readonly rooms: number
  readonly links: number
  /** Channels of the hub, and those of them that somebody uses. */
  readonly channels: number
  readonly used: number
  /** Sleeping fibers. */
  readonly timers: number
  readonly users: number
  readonly members: number
  readonly waiting: number
  /** Lines that `/metrics` answers with. */
  readonly metrics: number
}

/** What happened, so that a test can tell that something did. */
export interface Done {
  readonly connects: number
  readonly joins: number
  readonly deeds: number
  readonly frames: number
}

const churn = (client: Client, world: World, { below, chance, pick }: Random): void => {
  const { done, engine, network, size } = world
  // One by one through all of them, and back to those that others may still be in.
  const key = `key ${(chance(50) ? done.joins : Math.max(0, done.joins - below(100))) % size.keys}`
  done.deeds++
  if (client.socket === undefined) {
    done.connects++
    const path = chance(10) ? `/echo/${key}` : "/"
    return client.connect(network, engine.address.url, path, `10.0.${below(200)}.${below(200)}`)
  }
  const connection = () => network.connections().find(({ socket }) => socket === client.socket)
  const choice = below(100)
  if (!client.isWelcome || choice < 8) return choice % 2 === 0 ? connection()?.cut() : client.socket.close(1000, "")
  const channels = [...client.channels]
  if (channels.length === 0 || choice < 35) {
    done.joins++
    return choice % 4 === 0 ? client.subscribe(key) : client.join(key)
  }
  if (choice < 60) return client.leave(pick(channels))
  if (choice < 63) return connection()?.stall()
  if (choice < 66) return client.send({ _tag: "renew", ref: 1e6 + done.deeds, token: `another ${below(size.clients)}` })
  if (choice < 80) return client.send({ _tag: "notice", channel: pick(channels), name: "Note", payload: { text: key } })
  client.request(pick(channels), choice < 82 ? "dies" : choice < 83 ? "hangs" : choice < 86 ? "waits" : key.repeat(20))
}

interface World {
  readonly network: MemoryNetwork["Service"]
  readonly engine: Engine.Engine["Service"]
  readonly clients: ReadonlyArray<Client>
  readonly size: Size
  readonly done: { -readonly [K in keyof Done]: Done[K] }
}

/** What a run can do with its engine. */
export interface Running {
  /** Lets the clients come and go for so long, and then all of them leave, for good. */
  readonly spell: Effect.Effect<void>
  readonly left: Effect.Effect<Left>
  readonly done: () => Done
  /** Closes the engine; answers how many fibers still sleep. */
  readonly close: Effect.Effect<number>
}

/** Runs a body with an engine, in virtual time and in the order of the seed. */
export const withChurn = <A>(seed: number, size: Size, body: (running: Running) => Effect.Effect<A>) => {
  const counter = { sleeping: 0 }
  const run = Effect.gen(function*() {
    const random = makeRandom(seed)
    const hubs = new Set<Hub>()
    const open = Hub.prototype.open
    Hub.prototype.open = function(...args) {
      hubs.add(this)
      return open.apply(this, args)
    }
    yield* Effect.addFinalizer(() => Effect.sync(() => (Hub.prototype.open = open)))
    const owner = Scope.makeUnsafe()
    const layer = Engine.layer({
      rooms: [CrowdLive.pipe(Layer.provide(UserLive)), Ticks],
      endpoints: [Echo],
      http: { metrics: true },
      limits: { rooms: size.channels, connectionsPerAddress: 1_000 }
    })
    const services = yield* Layer.buildWithScope(Layer.provideMerge(layer, MemoryTransport.layer), owner)
    const { engine, network } = yield* Effect.provideContext(
      Effect.all({ engine: Engine.Engine, network: MemoryNetwork }),
      services
    )
    const world: World = {
      engine,
      network,
      size,
      clients: Array.from({ length: size.clients }, (_, index) => new Client(`user ${index}`)),
      done: { connects: 0, joins: 0, deeds: 0, frames: 0 }
    }
    const spell = Effect.gen(function*() {
      for (let second = 0; second < size.seconds; second++) {
        for (let deed = 0; deed < size.deeds; deed++) churn(random.pick(world.clients), world, random)
        if (second % 10 === 0) {
          yield* engine.publish(Ticks, `key ${random.below(size.keys)}`, { text: "x" }).pipe(Effect.exit)
        }
        yield* TestClock.adjust(1_000)
      }
      for (const connection of network.connections()) connection.unstall()
      for (const client of world.clients) client.socket?.close(1000, "")
      yield* TestClock.adjust("10 minutes")
    })
    const left = Effect.gen(function*() {
      const channels = [...hubs].flatMap((
        hub
      ) => [...(hub as unknown as { readonly channels: Map<string, any> }).channels.values()])
      const response = yield* Effect.promise(() => network.fetch(new Request(`${engine.address.url}/metrics`)))
      const text = yield* Effect.promise(() => response.text())
      const sum = (name: string) =>
        [...text.matchAll(new RegExp(`^${name}(?:{.*})? (\\d+)$`, "gm"))].reduce(
          (total, [, value]) => total + +value!,
          0
        )
      world.done.frames = sum("heddle_frames_total")
      return {
        connections: yield* engine.connections,
        rooms: (yield* engine.rooms).length,
        links: network.connections().length,
        channels: channels.length,
        used: channels.filter(({ holders, subscribers }) => holders > 0 || subscribers > 0).length,
        timers: counter.sleeping,
        users: sum("heddle_users"),
        members: sum("heddle_members"),
        waiting: sum("heddle_mailbox_messages") + sum("heddle_outbox_bytes"),
        metrics: text.split("\n").length
      }
    })
    return yield* body({
      spell,
      left,
      done: () => ({ ...world.done }),
      close: Effect.map(Scope.close(owner, Exit.void), () => counter.sleeping)
    })
  })
  return Effect.suspend(() =>
    run.pipe(
      Effect.scoped,
      Effect.provide(Layer.merge(Logger.layer([]), countingClock(counter))),
      Effect.provideService(Dispatcher.Dispatcher, Dispatcher.makeSeeded(seed)),
      SeededScheduler.withSeed(seed)
    )
  )
}
