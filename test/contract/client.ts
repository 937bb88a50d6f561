/**
 * What the client and the engine promise each other, as cases that run in memory and on the sockets of each runtime.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Logger, Schema, Scope, Stream, SubscriptionRef } from "effect"
import { TestClock } from "effect/testing"
import * as Client from "../../src/client/Client.ts"
import type { Connect } from "../../src/client/Connector.ts"
import { Connector } from "../../src/client/Connector.ts"
import * as Identity from "../../src/contract/Identity.ts"
import * as Room from "../../src/contract/Room.ts"
import * as Topic from "../../src/contract/Topic.ts"
import * as Engine from "../../src/engine/Engine.ts"
import type { ListenError, Transport } from "../../src/engine/Transport.ts"

// ------------------------------------------------------------- what is served

class Muted extends Schema.TaggedError<Muted>()("Muted", { until: Schema.Date }) {}
class NameTaken extends Schema.TaggedError<NameTaken>()("NameTaken", { name: Schema.String }) {}

class Chat extends Room.make("chat", {
  join: { payload: { name: Schema.NonEmptyString }, error: NameTaken },
  presence: { name: Schema.String },
  snapshot: { said: Schema.Array(Schema.String) },
  requests: {
    Say: { payload: { text: Schema.String }, success: Schema.Int, error: Muted },
    Whisper: { payload: { to: Schema.String, text: Schema.String } },
    Kick: { payload: { memberId: Schema.String } },
    Never: {},
    Interrupted: { success: Schema.Int },
    Crash: {},
    Who: { success: Schema.String }
  },
  notices: { Typing: {} },
  events: { Said: { text: Schema.String }, Typing: Room.volatile({ name: Schema.String }) }
}) {}

class Unserved extends Room.make("unserved", { requests: { Nothing: {} } }) {}

class Ticker extends Topic.make("ticker", { payload: { price: Schema.Finite } }) {}

class CurrentUser extends Identity.Service<CurrentUser, { readonly name: string }>()("test/client/CurrentUser") {}

/** Keeps its history, so that a client that was away for a moment is told what it missed. */
const chatLive = (history: number) =>
  Chat.toLayer((room) => {
    const said: Array<string> = []
    let interrupted = 0
    return {
      join: ({ cause, payload }) =>
        cause === "join" && [...room.members.values()].some(({ presence }) => presence.name === payload.name)
          ? Effect.fail(new NameTaken(payload))
          : Effect.succeed({ name: payload.name }),
      snapshot: () => Effect.succeed({ said: [...said] }),
      Say: Effect.fnUntraced(function*({ payload: { text } }) {
        if (text === "") return yield* new Muted({ until: new Date(0) })
        said.push(text)
        return (yield* room.emit("Said", { text })).offset
      }),
      Whisper: ({ payload: { text, to } }) => room.members.get(to)?.send("Said", { text }) ?? Effect.void,
      Kick: ({ payload: { memberId } }) => Effect.forEach([room.members.get(memberId)!], (m) => room.kick(m, "spam")),
      Never: ({ member }) =>
        Effect.andThen(
          room.emit("Typing", { name: member.presence.name }),
          Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++))
        ),
      Interrupted: () => Effect.sync(() => interrupted),
      Crash: () => Effect.die(new Error("crash")),
      Who: () => Effect.map(CurrentUser, ({ name }) => name),
      Typing: ({ member }) => room.emit("Typing", { name: member.presence.name }, { except: member })
    }
  }, { history: { capacity: history } })

const identityLive = Identity.layer(
  CurrentUser,
  ({ token }) => token === "wrong" ? Identity.unauthorized("wrong token") : Effect.succeed({ name: token ?? "nobody" })
)

// ------------------------------------------------------------- where it is served

/** A network with room for servers that come and go. */
export interface Network {
  readonly name: string
  /** Time passes by itself. */
  readonly live: boolean
  /** Built once for each test: gives a transport for a port, 0 for any, and a way to reach it. */
  readonly make: Effect.Effect<
    {
      readonly transport: (port: number) => Layer.Layer<Transport, ListenError>
      readonly connect: Connect
      /** Breaks every connection. */
      readonly cut: (() => void) | undefined
    },
    never,
    Scope.Scope
  >
}

interface World {
  readonly connect: (options?: Partial<Client.Options>) => Effect.Effect<Client.Client, never, Scope.Scope>
  readonly until: (what: string, holds: () => boolean) => Effect.Effect<void>
  readonly restart: Effect.Effect<void>
  readonly cut: (() => void) | undefined
  readonly publish: (key: string, price: number) => Effect.Effect<unknown>
  readonly emit: (key: string, text: string) => Effect.Effect<unknown>
}

const reconnect = { base: "20 millis", max: "100 millis" } as const

const makeWorld = Effect.fnUntraced(function*(network: Network, history: number) {
  const { connect, cut, transport } = yield* network.make
  const scope = yield* Effect.scope
  const start = Effect.fnUntraced(function*(port: number) {
    const child = yield* Scope.fork(scope)
    const layer = Engine.layer({
      path: "/live",
      rooms: [chatLive(history), Ticker],
      // In virtual time nobody lets time pass while the server stops.
      drain: { deadline: network.live ? 100 : 0, spread: 100 }
    }).pipe(
      Layer.provide(identityLive),
      Layer.provide(transport(port))
    )
    const context = yield* Layer.buildWithScope(layer, child)
    return { context, stop: Scope.close(child, Exit.void), address: Context.get(context, Engine.Engine).address }
  })
  let server = yield* start(0)
  const { port, url } = server.address
  const until: World["until"] = Effect.fnUntraced(function*(what, holds) {
    for (let round = 0; round < 3_000; round++) {
      if (holds()) return
      yield* network.live ? Effect.sleep("2 millis") : TestClock.adjust("2 millis")
    }
    return yield* Effect.die(new Error(`never happened: ${what}`))
  })
  const world: World = {
    connect: (options) =>
      Client.make({ url: url.replace("http", "ws") + "/live", reconnect, ...options }).pipe(
        Effect.provideService(Connector, connect)
      ),
    until,
    cut,
    restart: Effect.suspend(() => server.stop).pipe(
      Effect.andThen(Effect.orDie(start(port))),
      Effect.map((next) => {
        server = next
      })
    ),
    publish: (key, price) =>
      Effect.suspend(() => Effect.orDie(Effect.provide(Engine.publish(Ticker, key, { price }), server.context))),
    emit: (key, text) =>
      Effect.suspend(() => Effect.orDie(Effect.provide(Engine.emit(Chat, key, "Said", { text }), server.context)))
  }
  return world
})

const show = (event: Room.Event<typeof Chat>): string =>
  event._tag === "synced"
    ? `${event.reason} [${event.snapshot.said}]`
    : event._tag === "Said"
    ? `${event.offset}:${event.payload.text}`
    : `${event.payload.name} types`

/** Reads a stream in the background. */
const read = Effect.fnUntraced(function*<A, E>(stream: Stream.Stream<A, E>, show: (element: A) => string) {
  const seen: Array<string> = []
  const fiber = yield* Effect.forkChild(
    Stream.runForEach(stream, (element) => Effect.sync(() => seen.push(show(element))))
  )
  return { seen, fiber }
})

// ------------------------------------------------------------- the cases

/** Runs the suite on one network. */
export const clientSuite = (network: Network): void => {
  describe(`client and engine: ${network.name}`, () => {
    const test = (
      sentence: string,
      body: (world: World) => Effect.Effect<unknown, unknown, Scope.Scope>,
      options: { readonly history: number } = { history: 100 }
    ) =>
      (network.live ? it.live : it.effect)(
        sentence,
        () =>
          Effect.scoped(Effect.flatMap(makeWorld(network, options.history), body)).pipe(
            Effect.provide(Logger.layer([])),
            Effect.orDie
          )
      )

    const enter = (client: Client.Client, name = "ada", key = "lobby") => client.join(Chat, key, { name })

    test("a request is answered with its success, or with an error of the contract", ({ connect }) =>
      Effect.gen(function*() {
        const room = yield* enter(yield* connect())
        assert.strictEqual(yield* room.Say({ text: "one" }), 1)
        assert.strictEqual(yield* room.Say({ text: "two" }), 2)
        const error = yield* Effect.flip(room.Say({ text: "" }))
        assert.instanceOf(error, Muted)
        assert.deepStrictEqual((error as Muted).until, new Date(0))
      }))

    test("events begin with synced, then follow in their order, before the reply of what caused them", (world) =>
      Effect.gen(function*() {
        const room = yield* enter(yield* world.connect())
        const { seen } = yield* read(room.events, show)
        yield* room.Say({ text: "one" })
        assert.deepStrictEqual(seen, ["joined []", "1:one"])
        for (let i = 2; i <= 60; i++) yield* room.Say({ text: `${i}` })
        assert.deepStrictEqual(seen.slice(2), Array.from({ length: 59 }, (_, i) => `${i + 2}:${i + 2}`))
      }))

    test("two clients see one order, and the later one begins with the state", (world) =>
      Effect.gen(function*() {
        const ada = yield* enter(yield* world.connect(), "ada")
        const one = yield* read(ada.events, show)
        yield* ada.Say({ text: "early" })
        const bob = yield* enter(yield* world.connect(), "bob")
        const two = yield* read(bob.events, show)
        yield* Effect.forEach(
          Array.from({ length: 20 }, (_, i) => i),
          (i) => (i % 2 === 0 ? ada : bob).Say({ text: `${i}` }),
          { concurrency: "unbounded" }
        )
        yield* world.until("both saw all", () => one.seen.length === 22 && two.seen.length === 21)
        assert.strictEqual(two.seen[0], "joined [early]")
        assert.deepStrictEqual(two.seen.slice(1), one.seen.slice(2))
      }))

    test("volatile events skip whom they except, and messages to one member reach nobody else", (world) =>
      Effect.gen(function*() {
        const ada = yield* enter(yield* world.connect(), "ada")
        const bob = yield* enter(yield* world.connect(), "bob")
        const one = yield* read(ada.events, show)
        const two = yield* read(bob.events, show)
        yield* ada.Typing()
        yield* ada.Whisper({ to: bob.memberId, text: "psst" })
        yield* ada.Say({ text: "done" })
        yield* world.until("bob saw all", () => two.seen.length === 4)
        assert.deepStrictEqual(two.seen, ["joined []", "ada types", "undefined:psst", "1:done"])
        assert.deepStrictEqual(one.seen, ["joined []", "1:done"])
      }))

    test("presence follows who joins and leaves", (world) =>
      Effect.gen(function*() {
        const ada = yield* enter(yield* world.connect(), "ada")
        const names = () => [...SubscriptionRef.getUnsafe(ada.presence).values()].map(({ name }) => name).sort().join()
        yield* world.until("ada is there", () => names() === "ada")
        const bob = yield* enter(yield* world.connect(), "bob")
        yield* world.until("bob came", () => names() === "ada,bob")
        assert.deepStrictEqual(SubscriptionRef.getUnsafe(ada.presence).get(bob.memberId), { name: "bob" })
        yield* bob.leave
        yield* world.until("bob left", () => names() === "ada")
        const scope = yield* Scope.make()
        const eve = yield* Scope.provide(world.connect(), scope)
        yield* Scope.provide(enter(eve, "eve"), scope)
        yield* world.until("eve came", () => names() === "ada,eve")
        yield* Scope.close(scope, Exit.void)
        yield* world.until("eve is gone", () => names() === "ada")
      }))

    test("a room that was left can be joined again by the same client", ({ connect }) =>
      Effect.gen(function*() {
        const client = yield* connect()
        const first = yield* enter(client)
        yield* first.Say({ text: "one" })
        yield* first.leave
        assert.strictEqual((yield* Effect.flip(first.Typing())).reason._tag, "NotJoined")
        const second = yield* enter(client)
        assert.strictEqual(yield* second.Say({ text: "two" }), 2)
        const again = yield* Effect.flip(enter(client, "eve"))
        assert(again._tag === "RequestError" && again.reason._tag === "AlreadyJoined")
      }))

    test("a join is refused with the contract's own error", ({ connect }) =>
      Effect.gen(function*() {
        yield* enter(yield* connect(), "ada")
        const error = yield* Effect.flip(enter(yield* connect(), "ada"))
        assert.deepStrictEqual(error, new NameTaken({ name: "ada" }))
      }))

    test("a member that is kicked is told why", (world) =>
      Effect.gen(function*() {
        const ada = yield* enter(yield* world.connect(), "ada")
        const client = yield* world.connect()
        const bob = yield* enter(client, "bob")
        const { fiber } = yield* read(bob.events, show)
        yield* ada.Kick({ memberId: bob.memberId })
        const error = yield* Effect.flip(Fiber.join(fiber))
        assert(error.reason._tag === "Interrupted")
        assert.strictEqual(error.reason.detail, "kicked: spam")
        const refused = yield* Effect.flip(bob.Say({ text: "hey" }))
        assert(refused._tag === "RequestError" && refused.reason._tag === "NotJoined")
        yield* enter(client, "bob")
      }))

    test("a request that is interrupted is interrupted on the server", (world) =>
      Effect.gen(function*() {
        const room = yield* enter(yield* world.connect())
        const { seen } = yield* read(room.events, show)
        const never = yield* Effect.forkChild(room.Never())
        yield* world.until("its handler runs", () => seen.includes("ada types"))
        yield* Fiber.interrupt(never)
        assert.strictEqual(yield* room.Interrupted(), 1)
      }))

    test("a handler that dies costs its caller an error, and its room a restart with a fresh snapshot", (world) =>
      Effect.gen(function*() {
        const room = yield* enter(yield* world.connect())
        const { seen } = yield* read(room.events, show)
        yield* room.Say({ text: "one" })
        const error = yield* Effect.flip(room.Crash())
        assert.strictEqual(error.reason._tag, "HandlerFailed")
        yield* world.until("the room has restarted", () => seen.length === 3)
        assert.strictEqual(yield* room.Say({ text: "two" }), 2)
        assert.deepStrictEqual(seen, ["joined []", "1:one", "restarted []", "2:two"])
      }))

    test("a room that is not served, and a payload that does not fit, are refused", ({ connect }) =>
      Effect.gen(function*() {
        const client = yield* connect()
        const unserved = yield* Effect.flip(client.join(Unserved, "any"))
        assert.strictEqual(unserved.reason._tag, "NotServed")
        const invalid = yield* Effect.flip(enter(client, ""))
        assert(invalid._tag === "RequestError" && invalid.reason._tag === "InvalidPayload")
        const large = yield* Effect.flip(enter(client, "x".repeat(5_000)))
        assert(large._tag === "RequestError" && large.reason._tag === "LimitExceeded")
        const room = yield* enter(client)
        const tooLarge = yield* Effect.flip(room.Say({ text: "x".repeat(70_000) }))
        assert(tooLarge._tag === "RequestError" && tooLarge.reason._tag === "LimitExceeded")
        assert.strictEqual(yield* room.Say({ text: "é".repeat(20_000) }), 1)
      }))

    test("events of an application reach the members of the room", (world) =>
      Effect.gen(function*() {
        const room = yield* enter(yield* world.connect())
        const { seen } = yield* read(room.events, show)
        yield* world.emit("lobby", "from a job")
        yield* world.until("it came", () => seen.length === 2)
        assert.strictEqual(seen[1], "1:from a job")
      }))

    test("a topic streams what is published to its key", (world) =>
      Effect.gen(function*() {
        const client = yield* world.connect()
        const apple = yield* read(client.subscribe(Ticker, "AAPL"), ({ price }) => `${price}`)
        const other = yield* read(client.subscribe(Ticker, "MSFT"), ({ price }) => `${price}`)
        let price = 0
        yield* Effect.forkChild(Effect.forever(Effect.andThen(
          Effect.suspend(() => world.publish("AAPL", ++price)),
          Effect.sleep("5 millis")
        )))
        yield* world.until("prices come", () => apple.seen.length >= 5)
        const first = Number(apple.seen[0])
        assert.deepStrictEqual(apple.seen.map(Number), apple.seen.map((_, i) => first + i))
        assert.lengthOf(other.seen, 0)
      }))

    test("the token says who is calling, and a wrong one stops the client", (world) =>
      Effect.gen(function*() {
        const room = yield* enter(yield* world.connect({ token: "ada" }))
        assert.strictEqual(yield* room.Who(), "ada")
        const stranger = yield* world.connect({ token: "wrong" })
        const error = yield* Effect.flip(enter(stranger, "eve"))
        assert(error._tag === "RequestError" && error.reason._tag === "ClientClosed")
        assert.strictEqual(error.reason.code, 4401)
      }))

    test("more requests at once than a burst are paced, and all are answered", (world) =>
      Effect.gen(function*() {
        const room = yield* enter(yield* world.connect())
        const all = yield* Effect.forkChild(Effect.all(
          Array.from({ length: 250 }, (_, i) => room.Say({ text: `${i}` })),
          { concurrency: "unbounded" }
        ))
        yield* world.until("all are answered", () => all.pollUnsafe() !== undefined)
        assert.deepStrictEqual(yield* Fiber.join(all), Array.from({ length: 250 }, (_, i) => i + 1))
      }))

    test("a server that restarts on its port is found again, and the state of its rooms is told anew", (world) =>
      Effect.gen(function*() {
        const client = yield* world.connect()
        const room = yield* enter(client)
        const { seen } = yield* read(room.events, show)
        yield* room.Say({ text: "before" })
        const never = yield* Effect.forkChild(Effect.flip(room.Never()))
        yield* world.until("its handler runs", () => seen.includes("ada types"))
        yield* world.restart
        const waiting = yield* Effect.forkChild(room.Say({ text: "after" }))
        yield* world.until("the client is back", () => seen.length >= 5)
        const { reason } = yield* Fiber.join(never)
        assert.include(["ConnectionLost", "Interrupted"], reason._tag)
        assert.strictEqual(yield* Fiber.join(waiting), 1)
        assert.deepStrictEqual(seen, ["joined []", "1:before", "ada types", "gap []", "1:after"])
        assert.strictEqual(SubscriptionRef.getUnsafe(client.state)._tag, "online")
      }))

    if (!network.live) {
      test("a client that was cut off is told what it missed, and nothing twice", (world) =>
        Effect.gen(function*() {
          const room = yield* enter(yield* world.connect())
          const { seen } = yield* read(room.events, show)
          yield* room.Say({ text: "one" })
          world.cut!()
          yield* world.emit("lobby", "two")
          yield* world.emit("lobby", "three")
          yield* world.until("it came", () => seen.length === 4)
          yield* room.Say({ text: "four" })
          assert.deepStrictEqual(seen, ["joined []", "1:one", "2:two", "3:three", "4:four"])
        }))

      test("a client that missed more than is kept is told the state", (world) =>
        Effect.gen(function*() {
          const room = yield* enter(yield* world.connect())
          const { seen } = yield* read(room.events, show)
          yield* room.Say({ text: "one" })
          world.cut!()
          for (const text of ["two", "three", "four"]) yield* world.emit("lobby", text)
          yield* world.until("it came", () => seen.length === 3)
          yield* room.Say({ text: "five" })
          assert.deepStrictEqual(seen, ["joined []", "1:one", "gap [one]", "5:five"])
        }), { history: 2 })
    }
  })
}
