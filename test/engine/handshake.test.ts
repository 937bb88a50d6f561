import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { connect, errorOf, greeting, type Peer } from "./peer.ts"
import { ask, connectionTest, settle } from "./stage.ts"

describe("handshake", () => {
  connectionTest(
    "closes a connection that has said nothing after 10 seconds with 4408",
    {},
    ({ engine, open, pass }) =>
      Effect.gen(function*() {
        const peer = yield* open
        yield* pass(9_999)
        yield* settle
        assert.isUndefined(peer.closed)
        yield* pass(1)
        assert.strictEqual(yield* peer.closeCode, 4408)
        assert.strictEqual(yield* engine.connections, 0)
      })
  )

  connectionTest("does not take a malformed frame for a hello", {}, ({ open, pass }) =>
    Effect.gen(function*() {
      const peer = yield* open
      peer.raw("nonsense")
      yield* pass(10_000)
      assert.strictEqual(yield* peer.closeCode, 4408)
    }))

  connectionTest(
    "leaves a connection alone that has said hello in time",
    {},
    ({ open, pass }) =>
      Effect.gen(function*() {
        const peer = yield* open
        yield* pass(9_999)
        yield* peer.hello()
        yield* pass(30_000)
        yield* settle
        assert.isUndefined(peer.closed)
      })
  )

  connectionTest("answers a hello and the joins behind it in one message", {}, ({ open }) =>
    Effect.gen(function*() {
      const peer = yield* open
      peer.send(
        { _tag: "hello", token: null, resume: null },
        { _tag: "join", ref: 1, room: "lab", key: "a", payload: { name: "ada" }, position: null, last: null },
        { _tag: "subscribe", ref: 2, topic: "news", key: "a", position: null }
      )
      yield* peer.answer(2)
      assert.deepStrictEqual(peer.kinds().filter((kind) => kind !== "present"), ["welcome", "joined", "subscribed"])
      assert.lengthOf(peer.messages, 1)
    }))

  connectionTest(
    "answers what came with the upgrade as soon as the socket is open",
    {},
    ({ engine, network, until }) =>
      Effect.gen(function*() {
        const protocols = greeting(
          { _tag: "hello", token: null, resume: null },
          { _tag: "join", ref: 1, room: "lab", key: "a", payload: { name: "ada" }, position: null, last: null }
        )
        const peer = yield* connect(network.connect, engine.address, "/live", until, protocols)
        yield* peer.answer(1)
        assert.deepStrictEqual(peer.kinds(), ["welcome", "joined", "present"])
        assert.lengthOf(peer.messages, 1)
        // What it says later is no hello.
        peer.lastRef = 1
        yield* peer.join("lab", "b", { name: "ada" })
      })
  )

  connectionTest(
    "takes what came with the upgrade as any message",
    {},
    ({ engine, network, until }) =>
      Effect.gen(function*() {
        const join = { _tag: "join", ref: 1, room: "lab", key: "a", payload: null, position: null, last: null } as const
        const early = yield* connect(network.connect, engine.address, "/live", until, greeting(join))
        assert.strictEqual(errorOf(yield* early.next("error")), "MalformedFrame")
        yield* early.hello()
        const many = Array.from({ length: 257 }, () => join)
        const full = yield* connect(network.connect, engine.address, "/live", until, greeting(...many))
        assert.strictEqual(yield* full.closeCode, 1009)
        assert.strictEqual(yield* engine.connections, 1)
      })
  )

  connectionTest("announces its limits, its heartbeat and the contracts", {}, ({ open }) =>
    Effect.gen(function*() {
      const welcome = yield* (yield* open).hello()
      assert.deepInclude(welcome, { heartbeat: 25_000, silence: 62_500 })
      assert.deepStrictEqual(welcome.limits, {
        message: 65_536,
        frames: 256,
        payload: 4_096,
        openRequests: 256,
        rooms: 100,
        rate: 100,
        burst: 200
      })
      assert.deepStrictEqual(Object.keys(welcome.contracts), ["lab", "news"])
    }))
})

describe("heartbeat", () => {
  /** A peer that is deaf to pings. */
  const deaf = (peer: Peer) => {
    peer.answersPings = false
    return peer
  }

  connectionTest(
    "pings a quiet connection, and closes a silent one with 4408 between 2.5 and 3 intervals",
    {},
    ({ pass, peer }) =>
      Effect.gen(function*() {
        const one = deaf(yield* peer())
        yield* pass(25_000)
        yield* settle
        assert.strictEqual(one.all("ping").length, 1)
        yield* pass(37_500)
        yield* settle
        assert.isUndefined(one.closed)
        yield* pass(12_500)
        assert.strictEqual(yield* one.closeCode, 4408)
      })
  )

  connectionTest("keeps a connection that answers pings, for hours", {}, ({ pass, peer }) =>
    Effect.gen(function*() {
      const one = yield* peer()
      for (let minutes = 0; minutes < 120; minutes++) {
        yield* pass(60_000)
        yield* settle
      }
      assert.isUndefined(one.closed)
      assert.isAtLeast(one.all("ping").length, 200)
    }))

  connectionTest(
    "runs the leave of a member whose connection was silent",
    { limits: { sessionWindow: 0 } },
    ({ pass, peer, trace }) =>
      Effect.gen(function*() {
        const one = deaf(yield* peer())
        yield* one.join("lab", "a", { name: "ada" })
        yield* pass(75_000)
        assert.strictEqual(yield* one.closeCode, 4408)
        assert.strictEqual(trace.at(-1), "leave ada lost")
      })
  )

  connectionTest(
    "drops a peer that does not answer the close frame within 5 seconds",
    {},
    ({ network, pass, peer }) =>
      Effect.gen(function*() {
        const one = deaf(yield* peer())
        network.connections()[0]!.stall()
        yield* pass(75_000)
        yield* settle
        assert.strictEqual(network.connections().length, 1)
        yield* pass(5_000)
        yield* settle
        assert.deepStrictEqual([network.connections().length, one.closed?.code], [0, 1006])
      })
  )
})

describe("rate", () => {
  const limits = { frameRate: 10, frameBurst: 5 }

  connectionTest(
    "refuses frames past the burst with when to try again, and takes them again then",
    { limits },
    ({ pass, peer }) =>
      Effect.gen(function*() {
        const one = yield* peer()
        const { channel } = yield* one.join("lab", "a", { name: "ada" })
        const refs = Array.from({ length: 5 }, (_, index) => ask(one, channel, `${index}`))
        yield* one.answer(refs[4]!)
        assert.deepStrictEqual(refs.map((ref) => one.answersTo(ref)[0]!._tag), ["ok", "ok", "ok", "error", "error"])
        const refused = one.answersTo(refs[4]!)[0]!
        assert.deepInclude(refused, { error: { _tag: "RateLimited", retryAfter: 100 } })
        yield* pass(100)
        assert.strictEqual((yield* one.answer(ask(one, channel, "later")))._tag, "ok")
      })
  )

  connectionTest(
    "never refuses leave and cancel",
    { limits, script: { do: (_, __, what) => what === "0" ? Effect.never : Effect.succeed(what) } },
    ({ peer, trace }) =>
      Effect.gen(function*() {
        const one = yield* peer()
        const { channel } = yield* one.join("lab", "a", { name: "ada" })
        const refs = Array.from({ length: 5 }, (_, index) => ask(one, channel, `${index}`))
        yield* one.answer(refs[4]!)
        one.send({ _tag: "cancel", ref: refs[0]! })
        assert.strictEqual(errorOf(yield* one.answer(refs[0]!)), "Interrupted")
        const leave = one.ask({ _tag: "leave", channel })
        assert.strictEqual((yield* one.answer(leave))._tag, "ok")
        assert.include(trace, "leave ada left")
      })
  )

  connectionTest(
    "forgives who paces itself afterwards, however often that happens",
    { limits },
    ({ pass, peer }) =>
      Effect.gen(function*() {
        const one = yield* peer()
        for (let round = 0; round < 20; round++) {
          yield* pass(1_000)
          // One more than it may.
          for (let index = 0; index < 6; index++) one.ask({ _tag: "leave", channel: 1 })
          yield* one.answer(one.lastRef)
        }
        assert.isUndefined(one.closed)
      })
  )

  connectionTest("closes with 4429 who goes on all the same", { limits }, ({ peer }) =>
    Effect.gen(function*() {
      const one = yield* peer()
      for (let index = 0; index < 20; index++) one.send({ _tag: "pong" })
      assert.strictEqual(yield* one.closeCode, 4429)
    }))
})
