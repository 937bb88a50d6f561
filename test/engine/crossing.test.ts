/**
 * Every bound of the engine, crossed once: what happens then has a name. Whoever adds a bound adds a case.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Scope, Stream } from "effect"
import * as Identity from "../../src/contract/Identity.ts"
import type * as Room from "../../src/contract/Room.ts"
import * as Endpoint from "../../src/engine/Endpoint.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { noDrops } from "../../src/engine/Fate.ts"
import * as Limits from "../../src/engine/Limits.ts"
import { Outbox } from "../../src/engine/Outbox.ts"
import { separately } from "../../src/engine/Packing.ts"
import type { Refusal } from "../../src/engine/Transport.ts"
import { acceptor, statusOf } from "../endpoint/lab.ts"
import { guardedLayer, User } from "./guarded.ts"
import { memory, type Options, serve, type World } from "./harness.ts"
import { Lab, makeLab, News, type Script } from "./lab.ts"
import { connect, errorOf, type Peer } from "./peer.ts"
import { recordingSocket } from "./recordingSocket.ts"
import { ask, settle } from "./stage.ts"

/** What the engine bounds: the fields of its limits, and the constants beside them. */
type Bound = keyof Limits.Limits | Exclude<keyof typeof Limits, "defaults">

interface Stage extends World {
  readonly trace: ReadonlyArray<string>
  /** A member of room `a`, alone in it but for earlier ones. */
  readonly member: Effect.Effect<{ readonly one: Peer; readonly channel: number }, never, Scope.Scope>
}

interface Case extends Omit<Options, "rooms"> {
  /** What the bound does to whoever crosses it. */
  readonly means: string
  readonly script?: Script
  readonly room?: Room.Options
  readonly also?: ReadonlyArray<Layer.Layer<any, any, any>>
  readonly crossing: (stage: Stage) => Effect.Effect<void, unknown, Scope.Scope | Engine.Engine>
}

const x = (length: number) => "x".repeat(length)
const subscribe = (peer: Peer, key = "k") => peer.ask({ _tag: "subscribe", topic: "news", key, position: null })
const exceeded = (limit: string, max: number) => ({ error: { _tag: "LimitExceeded", limit, max } })
const emit = (text: string) => Effect.andThen(Engine.emit(Lab, "a", "Said", { text }), settle)

/** Requests `Do` of a member answer with a text as long as they say. */
const echo: Script = { do: (_, __, what) => Effect.succeed(x(Number(what))) }
const hang: Script = { do: () => Effect.never }

/** So many events and one more, while the answer of a join is being made. */
const holding = ({ peer }: Stage, most: number, text: string) =>
  Effect.gen(function*() {
    const one = yield* peer()
    one.sendJoin("lab", "a", { name: "ada" })
    yield* settle
    for (let index = 0; index < most; index++) {
      assert.strictEqual((yield* Engine.emit(Lab, "a", "Blinked", { text })).dropped, 0)
    }
    assert.strictEqual((yield* Engine.emit(Lab, "a", "Blinked", { text })).dropped, 1)
    assert.isUndefined(one.closed)
  })

/** The newest so many of one more. */
const paging = ({ member }: Stage, most: number, text: string) =>
  Effect.gen(function*() {
    const { channel, one } = yield* member
    for (let index = 0; index <= most; index++) yield* Engine.emit(Lab, "a", "Said", { text })
    one.ask({ _tag: "history", channel, before: null, limit: 1_000 })
    const { events, more } = yield* one.next("page")
    assert.deepStrictEqual([events.length, events[0]![0], more], [most, 2, true])
  })

/** Frames that are counted and need no room: of each, whether it was too many. */
const burst = (peer: Peer, frames: number) =>
  Effect.map(
    Effect.forEach(Array.from({ length: frames }), () => peer.answer(peer.ask({ _tag: "renew", token: "ada" }))),
    (answers) => answers.map((answer) => (answer._tag === "ok" ? "ok" : errorOf(answer)))
  )

/** A peer that is not read from, with what its runtime takes and one frame more waiting. */
const stalled = ({ member, network }: Stage) =>
  Effect.gen(function*() {
    const { one } = yield* member
    const connection = network.connections()[0]!
    connection.stall()
    for (let index = 0; index < 2; index++) yield* emit(x(70_000))
    return { one, connection }
  })

const refusedSecond = (limits: Partial<Limits.Limits>) =>
  Effect.gen(function*() {
    const { open, upgrade } = yield* acceptor({ rooms: [], limits })
    open("/", {})
    const refusal = upgrade("/") as Refusal
    assert.strictEqual(statusOf(refusal), 503)
    assert.match(refusal.headers!["retry-after"]!, /^\d+$/)
  })

const authenticated = Layer.provide(
  guardedLayer,
  Identity.layer(User, () => Effect.succeed({ name: "ada" }), { subject: ({ name }) => name })
)
const slowly = Layer.provide(
  guardedLayer,
  Identity.layer(User, () => Effect.delay(Effect.succeed({ name: "ada" }), 1_000))
)

const endpoint = (handle: (socket: Endpoint.Socket) => Effect.Effect<unknown, any>) =>
  [Endpoint.make("/raw", { protocols: ["heddle.v1+json"], handle: handle as never })] as const
const raw = ({ engine, network, until }: World) =>
  Effect.tap(connect(network.connect, engine.address, "/raw", until), (peer) => peer.open)

/** Breaks the oldest connection. */
const cutOldest = ({ network }: Stage) => Effect.andThen(Effect.sync(() => network.connections()[0]!.cut()), settle)

const leaves = ({ trace }: Stage) => trace.filter((entry) => entry.startsWith("leave"))

const cases: { readonly [B in Bound]: Case } = {
  sessionWindow: {
    means: "ends the session of a client that did not come back",
    limits: { sessionWindow: 5_000 },
    crossing: (stage) =>
      Effect.gen(function*() {
        yield* (yield* stage.peer()).join("lab", "a", { name: "ada" })
        yield* cutOldest(stage)
        yield* stage.pass(4_999)
        assert.deepStrictEqual(leaves(stage), [])
        yield* stage.pass(1)
        assert.deepStrictEqual(leaves(stage), ["leave ada lost"])
      })
  },
  sessions: {
    means: "ends the session that has been without a connection for longest",
    limits: { sessions: 1 },
    crossing: (stage) =>
      Effect.gen(function*() {
        for (const name of ["ada", "bob"]) yield* (yield* stage.peer()).join("lab", "a", { name })
        yield* cutOldest(stage)
        assert.deepStrictEqual(leaves(stage), [])
        yield* cutOldest(stage)
        assert.deepStrictEqual(leaves(stage), ["leave ada lost"])
      })
  },
  messageBytes: {
    means: "closes with 1009",
    limits: { messageBytes: 30 },
    crossing: ({ peer }) =>
      Effect.gen(function*() {
        const one = yield* peer()
        one.raw(`["${x(26)}"]`)
        yield* settle
        assert.isUndefined(one.closed)
        one.raw(`["${x(27)}"]`)
        assert.strictEqual(yield* one.closeCode, 1009)
      })
  },
  messageFrames: {
    means: "closes with 1009",
    limits: { messageFrames: 3 },
    crossing: ({ peer }) =>
      Effect.gen(function*() {
        const one = yield* peer()
        one.send({ _tag: "pong" }, { _tag: "pong" }, { _tag: "pong" })
        yield* settle
        assert.isUndefined(one.closed)
        one.send({ _tag: "pong" }, { _tag: "pong" }, { _tag: "pong" }, { _tag: "pong" })
        assert.strictEqual(yield* one.closeCode, 1009)
      })
  },
  eventBytes: {
    means: "fails `emit` with EventTooLarge, which takes no offset",
    limits: { eventBytes: 1_000 },
    crossing: () =>
      Effect.gen(function*() {
        yield* emit(x(900))
        assert.deepInclude(yield* Effect.flip(emit(x(1_000))), { _tag: "EventTooLarge", event: "Said", limit: 1_000 })
        assert.strictEqual((yield* Engine.emit(Lab, "a", "Said", { text: "" })).offset, 2)
      })
  },
  replyBytes: {
    means: "refuses the request with LimitExceeded",
    limits: { replyBytes: 1_000 },
    script: echo,
    crossing: ({ member }) =>
      Effect.gen(function*() {
        const { channel, one } = yield* member
        for (let round = 0; round < 2; round++) {
          assert.strictEqual((yield* one.answer(ask(one, channel, "900")))._tag, "ok")
          assert.deepInclude(yield* one.answer(ask(one, channel, "1000")), exceeded("reply", 1_000))
        }
      })
  },
  handshake: {
    means: "closes with 4408",
    limits: { handshake: 1_000 },
    crossing: ({ open, pass }) =>
      Effect.gen(function*() {
        const one = yield* open
        yield* pass(999)
        assert.isUndefined(one.closed)
        yield* pass(1)
        assert.strictEqual(yield* one.closeCode, 4408)
      })
  },
  heartbeat: {
    means: "pings, and closes with 4408 after 2.5 times as long",
    limits: { heartbeat: 1_000 },
    crossing: ({ pass, peer }) =>
      Effect.gen(function*() {
        const one = yield* peer()
        one.answersPings = false
        yield* pass(1_000)
        yield* one.next("ping")
        yield* pass(1_500)
        assert.isUndefined(one.closed)
        yield* pass(500)
        assert.strictEqual(yield* one.closeCode, 4408)
      })
  },
  connectionMailbox: {
    means: "is not read any further, and closes with 4429 where reading cannot stop",
    limits: { connectionMailbox: 4, messageFrames: 2 },
    also: [slowly],
    crossing: ({ open, pass }) =>
      Effect.gen(function*() {
        const one = yield* open
        one.send({ _tag: "hello", token: "ada", resume: null })
        const refs = Array.from({ length: 50 }, () => one.ask({ _tag: "leave", channel: 1 }))
        yield* settle
        assert.isAbove(one.handle.bufferedAmount(), 0)
        yield* pass(1_000)
        yield* one.answer(refs[49]!)
        assert.deepStrictEqual(refs.map((ref) => one.answersTo(ref).length), Array(50).fill(1))
        const { open: openUnpausable } = yield* acceptor(
          { rooms: [slowly], limits: { connectionMailbox: 4, messageFrames: 2 } } as never
        )
        const { socket, state } = recordingSocket()
        const handler = openUnpausable("/", {}, socket)
        for (const message of [`["hello"]`, ...Array(5).fill(`["pong"]`)]) handler.message(message)
        assert.deepStrictEqual(state.closes, [])
        handler.message(`["pong"]`)
        assert.strictEqual(state.closes[0]!.code, 4429)
      })
  },
  roomMailbox: {
    means: "refuses the request with Overloaded",
    limits: { roomMailbox: 2 },
    script: hang,
    crossing: ({ member }) =>
      Effect.gen(function*() {
        const { channel, one } = yield* member
        const refs = ["running", "1", "2", "3"].map((what) => ask(one, channel, what))
        assert.deepInclude(yield* one.answer(refs[3]!), { error: { _tag: "Overloaded", retryAfter: 1_000 } })
        assert.deepStrictEqual(refs.map((ref) => one.answersTo(ref).length), [0, 0, 0, 1])
      })
  },
  openRequests: {
    means: "refuses the request with Overloaded before it runs",
    limits: { openRequests: 2 },
    script: hang,
    crossing: ({ member, trace }) =>
      Effect.gen(function*() {
        const { channel, one } = yield* member
        const refs = ["1", "2", "3"].map((what) => ask(one, channel, what))
        assert.deepInclude(yield* one.answer(refs[2]!), { error: { _tag: "Overloaded", retryAfter: 1_000 } })
        assert.notInclude(trace, "do 3")
      })
  },
  outboxBytes: {
    means: "closes with 4409",
    limits: { outboxBytes: 100_000 },
    crossing: (stage) =>
      Effect.gen(function*() {
        const { connection, one } = yield* stalled(stage)
        yield* emit(x(90_000))
        assert.strictEqual(yield* stage.engine.connections, 1)
        yield* emit(x(20_000))
        connection.unstall()
        assert.strictEqual(yield* one.closeCode, 4409)
      })
  },
  outboxFrames: {
    means: "closes with 4409",
    limits: { outboxFrames: 2 },
    crossing: (stage) =>
      Effect.gen(function*() {
        const { connection, one } = yield* stalled(stage)
        for (const text of ["1", "2"]) yield* emit(text)
        assert.strictEqual(yield* stage.engine.connections, 1)
        yield* emit("3")
        connection.unstall()
        assert.strictEqual(yield* one.closeCode, 4409)
      })
  },
  outboxTickBytes: {
    means: "closes with 4409, though the peer reads",
    limits: { outboxTickBytes: 10_000 },
    script: {
      do: (room, _, what) =>
        Effect.as(
          Effect.forEach(Array.from({ length: Number(what) }), () => room.emit("Said", { text: x(1_000) })),
          ""
        )
    },
    crossing: ({ member }) =>
      Effect.gen(function*() {
        const { channel, one } = yield* member
        for (let round = 0; round < 3; round++) yield* one.answer(ask(one, channel, "8"))
        ask(one, channel, "12")
        assert.strictEqual(yield* one.closeCode, 4409)
      })
  },
  handler: {
    means: "interrupts the handler and answers HandlerTimeout",
    limits: { handler: 1_000 },
    script: hang,
    crossing: ({ member, pass, trace }) =>
      Effect.gen(function*() {
        const { channel, one } = yield* member
        const ref = ask(one, channel, "hang")
        yield* settle
        yield* pass(999)
        assert.deepStrictEqual(one.answersTo(ref), [])
        yield* pass(1)
        assert.deepInclude(yield* one.answer(ref), { error: { _tag: "HandlerTimeout", millis: 1_000 } })
        assert.include(trace, "interrupted hang")
      })
  },
  emitWait: {
    means: "has `emit` go on and say how many are behind",
    limits: { emitWait: 1_000 },
    script: {
      do: (room, _, what) =>
        Effect.map(room.emit("Said", { text: what }, { wait: true }), ({ behind }) => `${behind} behind`)
    },
    crossing: (stage) =>
      Effect.gen(function*() {
        yield* stalled(stage)
        const { channel, one } = yield* stage.member
        const ref = ask(one, channel, "waits")
        yield* settle
        yield* stage.pass(999)
        assert.deepStrictEqual(one.answersTo(ref), [])
        yield* stage.pass(1)
        assert.deepInclude(yield* one.answer(ref), { value: "1 behind" })
      })
  },
  roomsPerSession: {
    means: "refuses the join, and the subscription, with LimitExceeded",
    limits: { roomsPerSession: 2 },
    crossing: ({ member }) =>
      Effect.gen(function*() {
        const { channel, one } = yield* member
        yield* one.answer(subscribe(one))
        for (const ref of [one.sendJoin("lab", "b", { name: "ada" }), subscribe(one, "other")]) {
          assert.deepInclude(yield* one.answer(ref), exceeded("rooms of a session", 2))
        }
        yield* one.answer(one.ask({ _tag: "leave", channel }))
        yield* one.join("lab", "b", { name: "ada" })
      })
  },
  rooms: {
    means: "refuses the join, and the subscription, with LimitExceeded, as long as all are in use",
    limits: { rooms: 2 },
    crossing: ({ member, peer }) =>
      Effect.gen(function*() {
        const { one } = yield* member
        yield* one.answer(subscribe(one))
        const two = yield* peer()
        for (const ref of [two.sendJoin("lab", "b", { name: "bob" }), subscribe(two, "other")]) {
          assert.deepInclude(yield* two.answer(ref), exceeded("rooms", 2))
        }
        one.close()
        yield* settle
        assert.strictEqual((yield* two.answer(subscribe(two, "other")))._tag, "subscribed")
      })
  },
  joinBytes: {
    means: "refuses the join with LimitExceeded, for its payload and for the presence",
    limits: { joinBytes: 100 },
    script: { join: ({ key }) => Effect.succeed({ name: x(key === "b" ? 100 : 1) }) },
    crossing: ({ peer, trace }) =>
      Effect.gen(function*() {
        const one = yield* peer()
        yield* one.join("lab", "a", { name: "ada" })
        const [large, present] = [one.sendJoin("lab", "c", { name: x(100) }), one.sendJoin("lab", "b", { name: "ada" })]
        assert.deepInclude(yield* one.answer(large), exceeded("join payload", 100))
        assert.deepInclude(yield* one.answer(present), exceeded("presence", 100))
        assert.deepStrictEqual(trace, ["init a", "join ada", "init b", "join ada"])
      })
  },
  connections: {
    means: "is answered 503 before the upgrade, with Retry-After",
    crossing: () => refusedSecond({ connections: 1 })
  },
  connectionsPerAddress: {
    means: "is answered 503 before the upgrade, with Retry-After",
    crossing: () => refusedSecond({ connectionsPerAddress: 1 })
  },
  frameRate: {
    means: "refuses the frame with RateLimited, and closes with 4429 if it goes on",
    limits: { frameRate: 10, frameBurst: 2 },
    also: [authenticated],
    crossing: ({ pass, peer }) =>
      Effect.gen(function*() {
        const one = yield* peer()
        yield* pass(1_000)
        assert.deepStrictEqual(yield* burst(one, 3), ["ok", "ok", "RateLimited"])
        yield* pass(100)
        assert.deepStrictEqual(yield* burst(one, 2), ["ok", "RateLimited"])
        one.ask({ _tag: "renew", token: "ada" })
        assert.strictEqual(yield* one.closeCode, 4429)
      })
  },
  frameBurst: {
    means: "refuses the frame with RateLimited, and closes with 4429 after as many more",
    limits: { frameRate: 10, frameBurst: 5 },
    also: [authenticated],
    crossing: ({ pass, peer }) =>
      Effect.gen(function*() {
        const one = yield* peer()
        yield* pass(1_000)
        assert.deepStrictEqual(yield* burst(one, 10), [...Array(5).fill("ok"), ...Array(5).fill("RateLimited")])
        one.ask({ _tag: "renew", token: "ada" })
        assert.strictEqual(yield* one.closeCode, 4429)
      })
  },
  userRate: {
    means: "refuses the frames of all connections of a user with RateLimited",
    limits: { userRate: 10, userBurst: 2 },
    also: [authenticated],
    crossing: ({ pass, peer }) =>
      Effect.gen(function*() {
        const [one, two] = [yield* peer(), yield* peer()]
        assert.deepStrictEqual(yield* burst(one, 3), ["ok", "ok", "RateLimited"])
        yield* pass(100)
        assert.deepStrictEqual(yield* burst(two, 2), ["ok", "RateLimited"])
        assert.deepStrictEqual(yield* burst(one, 1), ["RateLimited"])
      })
  },
  userBurst: {
    means: "refuses the frames of all connections of a user with RateLimited, and closes who goes on with 4429",
    limits: { userRate: 10, userBurst: 5, frameBurst: 20 },
    also: [authenticated],
    crossing: ({ peer }) =>
      Effect.gen(function*() {
        const [one, two] = [yield* peer(), yield* peer()]
        assert.deepStrictEqual([...yield* burst(one, 3), ...yield* burst(two, 3)].slice(3), ["ok", "ok", "RateLimited"])
        for (let frame = 0; frame < 21; frame++) two.ask({ _tag: "renew", token: "ada" })
        assert.strictEqual(yield* two.closeCode, 4429)
        assert.isUndefined(one.closed)
      })
  },
  historyBytes: {
    means: "lets the oldest leave: who was there then does not recover",
    limits: { historyBytes: 10_000 },
    room: { history: { capacity: 1_000 } },
    crossing: ({ member, peer }) =>
      Effect.gen(function*() {
        const { one } = yield* member
        const position = one.all("joined")[0]!.position
        const recovered = Effect.gen(function*() {
          const again = yield* peer()
          const answer = yield* again.answer(again.sendJoin("lab", "a", { name: "again" }, position))
          return (answer as { readonly recovered?: boolean }).recovered
        })
        for (let index = 0; index < 5; index++) yield* emit(x(1_000))
        assert.isTrue(yield* recovered)
        for (let index = 0; index < 10; index++) yield* emit(x(1_000))
        assert.isFalse(yield* recovered)
      })
  },
  handOverBytes: {
    means: "keeps the rest in the outbox",
    crossing: () =>
      Effect.sync(() => {
        const { socket, state } = recordingSocket()
        const outbox = new Outbox(socket, separately, {
          maxBytes: 1e6,
          maxFrames: 1e3,
          maxTickBytes: 1e6,
          drops: noDrops(),
          onStalled: () => {}
        }, { onOverflow: () => {} })
        state.buffered = Limits.handOverBytes - 1
        outbox.push({ data: "taken", bytes: 5 })
        state.tick()
        state.buffered = Limits.handOverBytes
        outbox.push({ data: "waits", bytes: 5 })
        state.tick()
        assert.deepStrictEqual([state.sent, outbox.queuedBytes], [["taken"], 5])
      })
  },
  outboundMessageBytes: {
    means: "begins another message; a larger frame goes alone",
    script: {
      do: (room) =>
        Effect.as(
          Effect.forEach([30_000, 30_000, 30_000, 100_000, 1], (size) => room.emit("Said", { text: x(size) })),
          ""
        )
    },
    crossing: ({ member }) =>
      Effect.gen(function*() {
        const { channel, one } = yield* member
        const before = one.messages.length
        yield* one.answer(ask(one, channel, ""))
        const sizes = one.messages.slice(before).map(({ length }) => length)
        assert.deepStrictEqual(sizes.map((size) => size > Limits.outboundMessageBytes), [false, false, true, false])
        assert.isAbove(sizes[0]!, 60_000)
      })
  },
  keyBytes: {
    means: "refuses the join with InvalidKey, and the group of an endpoint with 1008",
    endpoints: endpoint((socket) =>
      Effect.andThen(socket.join(x(Limits.keyBytes)), Effect.andThen(socket.send("[\"ping\"]"), socket.join(x(257))))
    ),
    crossing: (stage) =>
      Effect.gen(function*() {
        const one = yield* stage.peer()
        yield* one.join("lab", x(Limits.keyBytes), { name: "ada" })
        const answer = yield* one.answer(one.sendJoin("lab", x(Limits.keyBytes + 1), { name: "ada" }))
        assert.strictEqual(errorOf(answer), "InvalidKey")
        const grouped = yield* connect(stage.network.connect, stage.engine.address, "/raw", stage.until)
        assert.strictEqual(yield* grouped.closeCode, 1008)
        assert.deepStrictEqual(grouped.kinds(), ["ping"])
      })
  },
  closeMillis: {
    means: "drops the connection",
    crossing: ({ network, pass, peer }) =>
      Effect.gen(function*() {
        const one = yield* peer()
        network.connections()[0]!.stall()
        one.send(...Array.from({ length: 257 }, () => ({ _tag: "pong" }) as const))
        yield* settle
        yield* pass(Limits.closeMillis - 1)
        assert.strictEqual(network.connections().length, 1)
        yield* pass(1)
        assert.strictEqual(yield* one.closeCode, 1006)
        assert.strictEqual(network.connections().length, 0)
      })
  },
  inboundBytes: {
    means: "closes with 4429 where reading cannot stop",
    crossing: () =>
      Effect.gen(function*() {
        const { open } = yield* acceptor({ endpoints: endpoint(() => Effect.never) as never })
        const { socket, state } = recordingSocket()
        const handler = open("/raw", {}, socket)
        const message = x(32 * 1_024 - 64)
        const most = (Limits.inboundBytes + Limits.defaults.messageBytes) / (32 * 1_024)
        for (let index = 0; index < most; index++) handler.message(message)
        assert.deepStrictEqual(state.closes, [])
        handler.message(message)
        assert.strictEqual(state.closes[0]!.code, 4429)
      })
  },
  finishMillis: {
    means: "interrupts the handler of an endpoint",
    endpoints: endpoint((socket) => Effect.andThen(Stream.runDrain(socket.messages), Effect.never)),
    crossing: (stage) =>
      Effect.gen(function*() {
        const one = yield* raw(stage)
        one.close()
        yield* settle
        yield* stage.pass(Limits.finishMillis - 1)
        assert.strictEqual(yield* stage.engine.connections, 1)
        yield* stage.pass(1)
        assert.strictEqual(yield* stage.engine.connections, 0)
      })
  },
  heldFrames: {
    means: "drops events that may be dropped",
    script: { snapshot: () => Effect.as(Effect.sleep(1_000), "taken") },
    crossing: (stage) => holding(stage, Limits.heldFrames, "")
  },
  heldBytes: {
    means: "drops events that may be dropped",
    script: { snapshot: () => Effect.as(Effect.sleep(1_000), "taken") },
    crossing: (stage) => holding(stage, 4, x(Limits.heldBytes / 4 - 1_000))
  },
  pageEvents: {
    means: "gives no more of the past at once",
    room: { history: { capacity: 1_000 } },
    crossing: (stage) => paging(stage, Limits.pageEvents, "")
  },
  pageBytes: {
    means: "gives no more of the past at once",
    room: { history: { capacity: 1_000 } },
    crossing: (stage) => paging(stage, 4, x(Limits.pageBytes / 4 - 100))
  },
  chargedCrashes: {
    means: "closes with 4500",
    script: { do: (_, __, what) => Effect.die(what) },
    crossing: ({ member, pass }) =>
      Effect.gen(function*() {
        const { channel, one } = yield* member
        for (let crash = 1; crash <= Limits.chargedCrashes; crash++) {
          assert.isUndefined(one.closed)
          assert.strictEqual(errorOf(yield* one.answer(ask(one, channel, "dies"))), "HandlerFailed")
          yield* pass(1_000)
        }
        assert.strictEqual(yield* one.closeCode, 4500)
      })
  }
}

describe("past the bound", () => {
  for (const [bound, { also = [], crossing, means, room, script, ...options }] of Object.entries<Case>(cases)) {
    it.effect(`${bound}: ${means}`, () => {
      const { layer, trace } = makeLab(script, room)
      return serve(memory, { rooms: [layer, News, ...also], ...options })((world) =>
        crossing({
          ...world,
          trace,
          member: Effect.gen(function*() {
            const one = yield* world.peer()
            const { channel } = yield* one.join("lab", "a", { name: "ada" })
            return { one, channel }
          })
        })
      )
    })
  }

  it("every limit and every constant has a case", () => {
    const bounds = [...Object.keys(Limits.defaults), ...Object.keys(Limits).filter((name) => name !== "defaults")]
    assert.deepStrictEqual(Object.keys(cases).sort(), bounds.sort())
  })
})
