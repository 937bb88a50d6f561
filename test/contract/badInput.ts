/**
 * What a client can send that it should not, and what it gets: an answer that names what was wrong, and at worst the
 * end of its own connection.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Room from "../../src/contract/Room.ts"
import * as Topic from "../../src/contract/Topic.ts"
import * as Limits from "../../src/engine/Limits.ts"
import type * as Frame from "../../src/wire/Frame.ts"
import { json } from "../../src/wire/Json.ts"
import { type Harness, type Options, serve, type World } from "../engine/harness.ts"
import { errorOf, type Peer } from "../engine/peer.ts"
import { makeRandom, seedOf } from "../engine/random.ts"
import { connectRaw, frame, type RawClient, until, upgradeRequest } from "./transportClient.ts"

class Chat extends Room.make("chat", {
  join: { payload: { name: Schema.String } },
  requests: {
    Say: { payload: { text: Schema.String, to: Schema.optionalKey(Schema.Array(Schema.Int)) } },
    Wait: {}
  },
  notices: { Typing: {} },
  events: { Said: { text: Schema.String } }
}) {}

class Numbered extends Room.make("numbered", { key: Schema.FiniteFromString }) {}

class Prices extends Topic.make("prices", { payload: { price: Schema.Number } }) {}

const rooms = [
  Chat.toLayer((room) => ({
    join: () => Effect.void,
    Say: ({ payload }) => Effect.asVoid(room.emit("Said", { text: payload.text })),
    Wait: () => Effect.never,
    Typing: () => Effect.void
  })),
  Numbered.toLayer(() => ({})),
  Prices
]

const secret = "hunter2"

export const badInput = (harness: Harness): void => {
  const test = harness.live ? it.live : it.effect

  const run = (
    sentence: string,
    body: (world: World) => Effect.Effect<void, unknown, any>,
    options: Partial<Options> = {}
  ) => test(sentence, () => serve(harness, { rooms, ...options })(body))

  /** The connection that erred is served like any other. */
  const livesOn = Effect.fnUntraced(function*(peer: Peer) {
    const { channel } = yield* peer.join("chat", `lives on ${peer.lastRef}`, { name: "ada" })
    assert.strictEqual((yield* peer.request(channel, "Say", { text: "still here" }))._tag, "ok")
    yield* peer.next("event")
    assert.isUndefined(peer.closed)
  })

  describe(`bad input: ${harness.name}`, () => {
    if (harness.live) http(run)

    const malformed: Record<string, readonly [message: string, field: string, ref?: number]> = {
      "no JSON": [`hello ${secret}`, "frame"],
      "cut off": [`["join",1,"chat`, "frame"],
      "empty": ["", "frame"],
      "not an array": [`{"kind":"${secret}"}`, "frame"],
      "an empty array": ["[]", "frame.kind"],
      "without a kind": [`[1,"${secret}"]`, "frame.kind"],
      "a ref that is text": [`["join","${secret}","chat","a"]`, "join.ref"],
      "a ref that is negative": [`["leave",-1,1]`, "leave.ref"],
      "a ref that is no whole number": [`["leave",1.5,1]`, "leave.ref"],
      "a ref that no number can hold": [`["leave",1e400,1]`, "leave.ref"],
      "without a room": [`["join",7]`, "join.room", 7],
      "a key that is a number": [`["join",7,"chat",42]`, "join.key", 7],
      "a position that is no position": [`["join",7,"chat","a",null,["${secret}"]]`, "join.position", 7],
      "a channel that is text": [`["request",8,"${secret}",1,0,"Say"]`, "request.channel", 8],
      "a payload too deep": [`["request",8,1,1,0,"Say",${"[".repeat(100)}${"]".repeat(100)}]`, "request.payload", 8],
      "a token that is a number": [`["renew",9,42]`, "renew.token", 9],
      "a second hello": [`["hello"]`, "hello"]
    }

    for (const [what, [message, field, ref]] of Object.entries(malformed)) {
      run(
        `answers a frame that is malformed (${what}) with an error that names ${field}, and the connection lives on`,
        (
          world
        ) =>
          Effect.gen(function*() {
            const peer = yield* world.peer()
            peer.raw(message)
            const frame = yield* peer.next("error")
            assert.deepInclude(frame, { ref: ref ?? null })
            assert.strictEqual(frame.error._tag, "MalformedFrame")
            assert.strictEqual(frame.error["field"], field)
            assert.isString(frame.error["detail"])
            assert.isAtMost((frame.error["detail"] as string).length, 256)
            assert.notInclude(peer.messages.join(), secret)
            yield* livesOn(peer)
          })
      )
    }

    run("answers bytes on a text protocol with an error that names the message", (world) =>
      Effect.gen(function*() {
        const peer = yield* world.peer()
        peer.raw(Uint8Array.of(0, 1, 2, 255))
        assert.strictEqual((yield* peer.next("error")).error["field"], "message")
        yield* livesOn(peer)
      }))

    run(
      "answers a frame before hello with an error that names the kind, and welcomes after it",
      (world) =>
        Effect.gen(function*() {
          const peer = yield* world.open
          peer.sendJoin("chat", "a", { name: "ada" })
          assert.strictEqual((yield* peer.next("error")).error["field"], "frame.kind")
          yield* peer.hello()
          yield* livesOn(peer)
        })
    )

    run(
      "ignores frames of a kind it does not know, and elements after the known ones",
      (world) =>
        Effect.gen(function*() {
          const peer = yield* world.peer()
          for (let index = 0; index < 10; index++) peer.raw(`["future",${index},{"a":1}]`)
          peer.raw(`["pong",1,2,3]`)
          yield* livesOn(peer)
          assert.deepStrictEqual(peer.all("error"), [])
        })
    )

    run("closes with 1002 on the third malformed frame, and serves the others", (world) =>
      Effect.gen(function*() {
        const [bad, good] = [yield* world.peer(), yield* world.peer()]
        bad.raw("1\n2")
        yield* bad.next("error", 2)
        yield* livesOn(bad)
        bad.raw("3")
        assert.strictEqual(yield* bad.closeCode, 1002)
        assert.strictEqual(bad.all("error").length, 3)
        yield* livesOn(good)
      }))

    run("takes a message of 64 KiB, and closes with 1009 on one byte more", (world) =>
      Effect.gen(function*() {
        const [most, more, good] = [yield* world.peer(), yield* world.peer(), yield* world.peer()]
        const { messageBytes } = Limits.defaults
        most.raw(`["pong"]`.padEnd(messageBytes))
        yield* livesOn(most)
        assert.deepStrictEqual(most.all("error"), [])
        more.raw(`["pong"]`.padEnd(messageBytes + 1))
        assert.strictEqual(yield* more.closeCode, 1009)
        yield* livesOn(good)
      }))

    run("counts bytes, not characters, of a message", (world) =>
      Effect.gen(function*() {
        const peer = yield* world.peer()
        peer.raw(`["é${"é".repeat(Limits.defaults.messageBytes / 2)}"]`)
        assert.strictEqual(yield* peer.closeCode, 1009)
      }))

    run("takes 256 frames in a message, and closes with 1009 on one more", (world) =>
      Effect.gen(function*() {
        const [most, more] = [yield* world.peer(), yield* world.peer()]
        const { messageFrames } = Limits.defaults
        most.raw(Array.from({ length: messageFrames }, () => `["pong"]`).join("\n"))
        yield* livesOn(most)
        more.raw(Array.from({ length: messageFrames + 1 }, () => `["pong"]`).join("\n"))
        assert.strictEqual(yield* more.closeCode, 1009)
      }), { limits: { frameRate: 1_000, frameBurst: 1_000 } })

    type Wrong = readonly [error: string, field: string | undefined, send: (peer: Peer, channel: number) => number]
    const wrong: Record<string, Wrong> = {
      "an unknown room": ["NotServed", undefined, (peer) => peer.sendJoin(secret, "a")],
      "a topic as a room": ["NotServed", undefined, (peer) => peer.sendJoin("prices", "a")],
      "an unknown topic": [
        "NotServed",
        undefined,
        (peer) => peer.ask({ _tag: "subscribe", topic: secret, key: "a", position: null })
      ],
      "an empty key": ["InvalidKey", undefined, (peer) => peer.sendJoin("chat", "", { name: "ada" })],
      "a key of 257 bytes": [
        "InvalidKey",
        undefined,
        (peer) => peer.sendJoin("chat", "é".repeat(128) + "a", { name: "ada" })
      ],
      "a key that is not of the contract's form": [
        "InvalidKey",
        undefined,
        (peer) => peer.sendJoin("numbered", secret)
      ],
      "an empty key of a topic": [
        "InvalidKey",
        undefined,
        (peer) => peer.ask({ _tag: "subscribe", topic: "prices", key: "", position: null })
      ],
      "a join without its payload": ["InvalidPayload", "payload", (peer) => peer.sendJoin("chat", "a")],
      "a join whose payload does not fit": [
        "InvalidPayload",
        "payload.name",
        (peer) => peer.sendJoin("chat", "a", { name: [secret] })
      ],
      "a join with a payload where there is none": [
        "InvalidPayload",
        "payload",
        (peer) => peer.sendJoin("numbered", "1", { secret })
      ],
      "a join of 4 KiB": [
        "LimitExceeded",
        undefined,
        (peer) => peer.sendJoin("chat", "a", { name: "x".repeat(4_096) })
      ],
      "a second join": ["AlreadyJoined", undefined, (peer) => peer.sendJoin("chat", "wrong", { name: "ada" })],
      "an unknown request": ["NotServed", undefined, (peer, channel) => peer.sendRequest(channel, secret)],
      "a request named like a handler that is none": [
        "NotServed",
        undefined,
        (peer, channel) => peer.sendRequest(channel, "join", { name: "ada" })
      ],
      "a request named like a member of every object": [
        "NotServed",
        undefined,
        (peer, channel) => peer.sendRequest(channel, "constructor")
      ],
      "a request that is a notice": ["NotServed", undefined, (peer, channel) => peer.sendRequest(channel, "Typing")],
      "a request without its payload": [
        "InvalidPayload",
        "payload",
        (peer, channel) => peer.sendRequest(channel, "Say")
      ],
      "a request whose payload does not fit": [
        "InvalidPayload",
        "payload.text",
        (peer, channel) => peer.sendRequest(channel, "Say", { text: { secret } })
      ],
      "a request whose payload does not fit further in": [
        "InvalidPayload",
        "payload.to[1]",
        (peer, channel) => peer.sendRequest(channel, "Say", { text: "", to: [1, secret] })
      ],
      "a request to a room it is not in": [
        "NotJoined",
        undefined,
        (peer, channel) => peer.sendRequest(channel + 1_000, "Say", { text: "" })
      ],
      "a leave of a room it is not in": [
        "NotJoined",
        undefined,
        (peer, channel) => peer.ask({ _tag: "leave", channel: channel + 1_000 })
      ],
      "an unsubscribe of a topic it is not in": [
        "NotJoined",
        undefined,
        (peer, channel) => peer.ask({ _tag: "unsubscribe", channel: channel + 1_000 })
      ]
    }

    for (const [what, [error, field, send]] of Object.entries(wrong)) {
      run(`answers ${what} with ${error}${field === undefined ? "" : ` at ${field}`}, and the connection lives on`, (
        world
      ) =>
        Effect.gen(function*() {
          const peer = yield* world.peer()
          const { channel } = yield* peer.join("chat", "wrong", { name: "ada" })
          const ref = send(peer, channel)
          const answer = yield* peer.answer(ref)
          assert.strictEqual(errorOf(answer), error)
          if (field !== undefined) assert.deepInclude(answer, { error: { ...(answer as any).error, field } })
          assert.notInclude(peer.messages.join(), secret)
          yield* livesOn(peer)
          assert.strictEqual(peer.answersTo(ref).length, 1)
          assert.deepStrictEqual(world.errors, [])
        }))
    }

    run("answers a wrong notice with an error that has no reference", (world) =>
      Effect.gen(function*() {
        const peer = yield* world.peer()
        const { channel } = yield* peer.join("chat", "a", { name: "ada" })
        peer.notice(channel, secret)
        peer.notice(channel, "Typing", { secret })
        peer.notice(channel + 1_000, "Typing")
        yield* peer.next("error", 3)
        assert.deepStrictEqual(
          peer.all("error").map(({ error, ref }) => [ref, error._tag]),
          [[null, "NotServed"], [null, "InvalidPayload"], [null, "NotJoined"]]
        )
        assert.notInclude(peer.messages.join(), secret)
        yield* livesOn(peer)
      }))

    run(
      "takes a reference in use, and a sequence number that does not rise, as malformed",
      (world) =>
        Effect.gen(function*() {
          const peer = yield* world.peer()
          const { channel } = yield* peer.join("chat", "a", { name: "ada" })
          const wait = (ref: number, seq: number): Frame.ClientFrames["request"] => ({
            _tag: "request",
            ref,
            channel,
            seq,
            ack: 0,
            name: "Wait",
            payload: null,
            again: null
          })
          peer.send(wait(100, 7), wait(100, 8), wait(101, 7))
          yield* peer.next("error", 2)
          assert.deepStrictEqual(
            peer.all("error").map(({ error, ref }) => [ref, error["field"]]),
            [[null, "request.ref"], [101, "request.seq"]]
          )
          peer.send({ _tag: "cancel", ref: 100 })
          assert.strictEqual(errorOf(yield* peer.answer(100)), "Interrupted")
          peer.lastSeq = 100
          yield* livesOn(peer)
        })
    )

    run(
      "survives 10,000 random messages on 50 connections: it serves, crashes nothing, and is empty after them",
      (world) =>
        Effect.gen(function*() {
          const seed = seedOf(20_261)
          yield* Effect.gen(function*() {
            yield* Effect.forEach(
              Array.from({ length: 50 }, (_, slot) => slot),
              (slot) => Effect.scoped(vandal(world, seed + slot, 200)),
              { concurrency: "unbounded", discard: true }
            )
            yield* livesOn(yield* world.peer())
            assert.deepStrictEqual(world.errors, [])
          }).pipe(
            Effect.scoped,
            Effect.tapCause(() => Effect.sync(() => process.stderr.write(`HEDDLE_SEED=${seed} fails again\n`)))
          )
          yield* world.empty
        }),
      { limits: { frameRate: 1e6, frameBurst: 1e6 } }
    )
  })
}

// ------------------------------------------------------------- HTTP

const origins = ["https://listed.example"]

const http = (
  run: (sentence: string, body: (world: World) => Effect.Effect<void, unknown, any>, o?: Partial<Options>) => void
) => {
  const answer = Effect.fnUntraced(function*(world: World, request: string) {
    const client: RawClient = yield* connectRaw(world.engine.address, (client) => client.write(request))
    yield* until("it is answered", () => client.status !== 0)
    return client
  })
  const greeted = (hello: string, protocol = "heddle.v1+json") =>
    upgradeRequest("/live", { "Sec-WebSocket-Protocol": `${protocol}, heddle.hello.${hello}` })
  const plain = (method: string, path: string) =>
    `${method} ${path} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`
  const cases: Record<string, readonly [status: number, request: string]> = {
    "an upgrade on an unknown path": [404, upgradeRequest("/nope")],
    "an upgrade on a path that only begins like its own": [404, upgradeRequest("/live/more")],
    "a plain request for an unknown path": [404, plain("GET", "/nope")],
    "a plain request for its path": [426, plain("GET", "/live")],
    "a POST to its path": [426, plain("POST", "/live")],
    "a POST that would upgrade": [426, upgradeRequest("/live").replace("GET", "POST")],
    "a foreign origin": [403, upgradeRequest("/live", { Origin: "https://evil.example" })],
    "an origin that only begins like its own": [403, upgradeRequest("/live", { Origin: "http://test.evil.example" })],
    "an origin of null, as a sandboxed page has": [403, upgradeRequest("/live", { Origin: "null" })],
    "subprotocols that it does not speak": [400, upgradeRequest("/live", { "Sec-WebSocket-Protocol": "heddle.v9, x" })],
    "a hello among the subprotocols that is not in base64": [400, greeted("{}")],
    "a hello among the subprotocols that is not text": [400, greeted("_w")],
    "a hello for a subprotocol that it does not speak": [400, greeted("W10", "heddle.v9")],
    "a hello among the subprotocols": [101, greeted("W10")],
    "its own origin": [101, upgradeRequest("/live", { Origin: "http://test" })],
    "its own origin over TLS": [101, upgradeRequest("/live", { Origin: "https://test" })],
    "a listed origin": [101, upgradeRequest("/live", { Origin: "https://listed.example" })],
    "no origin": [101, upgradeRequest("/live")],
    "a query after its path": [101, upgradeRequest("/live?token=a/b?c")]
  }
  for (const [what, [status, request]] of Object.entries(cases)) {
    run(`answers ${what} with ${status}`, (world) =>
      Effect.gen(function*() {
        const client = yield* answer(world, request)
        assert.strictEqual(client.status, status)
        assert.notInclude(client.head, "heddle.hello")
        if (status === 426) assert.strictEqual(client.headers.get("upgrade")?.toLowerCase(), "websocket")
        assert.strictEqual(yield* world.engine.connections, status === 101 ? 1 : 0)
        assert.deepStrictEqual(world.errors, [])
      }), { origins })
  }
  run(
    "survives 200 connections that reset at random moments of the handshake: it serves, and is empty after them",
    (world) =>
      Effect.gen(function*() {
        const seed = seedOf(7)
        const random = makeRandom(seed)
        const upgraded = yield* Effect.forEach(
          Array.from({ length: 200 }),
          () => Effect.scoped(resets(world, random)),
          { concurrency: 20 }
        ).pipe(Effect.tapCause(() =>
          Effect.sync(() =>
            process.stderr.write(`HEDDLE_SEED=${seed} fails again
`)
          )
        ))
        // Some had been upgraded by then, and some had not.
        assert.includeMembers(upgraded, [true, false])
        yield* world.empty
        const peer = yield* world.peer()
        yield* peer.join("chat", "a", { name: "ada" })
        assert.deepStrictEqual(world.errors, [])
      }),
    { limits: atOnce }
  )

  const oneTooMany = (sentence: string, limits: NonNullable<Options["limits"]>) =>
    run(sentence, (world) =>
      Effect.gen(function*() {
        const first = yield* answer(world, upgradeRequest("/live"))
        const second = yield* answer(world, upgradeRequest("/live"))
        assert.deepStrictEqual([first.status, second.status], [101, 503])
        assert.match(second.headers.get("retry-after")!, /^\d+$/)
        first.socket.destroy()
        yield* world.empty
        // Whoever goes in the middle of the upgrade takes no place with it.
        const random = makeRandom(seedOf(8))
        for (let round = 0; round < 30; round++) yield* Effect.scoped(resets(world, random))
        yield* world.empty
        assert.strictEqual((yield* answer(world, upgradeRequest("/live"))).status, 101)
      }), { limits: { ...limits, ...atOnce } })

  oneTooMany("answers one connection more than it may have with 503 and when to come again", { connections: 1 })
  oneTooMany("answers one connection more than an address may have with 503 and when to come again", {
    connectionsPerAddress: 1
  })
}

/** Whose connection is gone is gone, too: nobody comes back for a session. */
const atOnce = { sessionWindow: 0 }

/** Resets a connection somewhere between the first byte of its handshake and its first frames. */
const resets = Effect.fnUntraced(function*(world: World, random: ReturnType<typeof makeRandom>) {
  const { below, chance } = random
  const hello = [`["hello"]`, `["join",1,"chat","a",{"name":"ada"}]`].map((text) => frame(1, text))
  const bytes = Buffer.concat([Buffer.from(upgradeRequest("/live")), ...hello])
  const end = chance(50) ? below(bytes.length + 1) : bytes.length
  const client = yield* connectRaw(world.engine.address, (client) => client.write(bytes.subarray(0, end)))
  for (let moments = below(40); moments > 0; moments--) {
    yield* Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
  }
  if (chance(90)) client.cut()
  else client.socket.destroy()
  return client.status === 101
})

// ------------------------------------------------------------- random messages

const names = ["chat", "numbered", "prices", "Say", "Typing", "join", "__proto__", "constructor", "", "é😀\u0000"]

const valid: ReadonlyArray<(int: () => number, name: () => string) => Frame.ClientFrame> = [
  (_, name) => ({ _tag: "hello", token: name(), resume: null }),
  (int, name) => ({
    _tag: "join",
    ref: int(),
    room: "chat",
    key: name(),
    payload: { name: name() },
    position: null,
    last: null
  }),
  (int, name) => ({
    _tag: "join",
    ref: int(),
    room: name(),
    key: `${int()}`,
    payload: null,
    position: [name(), int(), int()],
    last: int()
  }),
  (int) => ({ _tag: "leave", ref: int(), channel: int() }),
  (int, name) => ({
    _tag: "request",
    ref: int(),
    channel: int(),
    seq: int() * 1_000 + int(),
    ack: int(),
    name: name(),
    payload: { text: name() },
    again: null
  }),
  (int, name) => ({ _tag: "notice", channel: int(), name: name(), payload: null }),
  (int) => ({ _tag: "cancel", ref: int() }),
  (int, name) => ({ _tag: "subscribe", ref: int(), topic: "prices", key: name(), position: null }),
  (int) => ({ _tag: "history", ref: int(), channel: int(), before: int(), limit: int() }),
  (int) => ({ _tag: "unsubscribe", ref: int(), channel: int() }),
  (int, name) => ({ _tag: "renew", ref: int(), token: name() }),
  () => ({ _tag: "pong" })
]

/** One random message: bytes, text, JSON, or a valid frame with something changed. */
const randomMessage = (random: ReturnType<typeof makeRandom>): string | Uint8Array<ArrayBuffer> => {
  const { below, chance, pick } = random
  const int = () => below(20)
  const name = () => pick(names)
  const value = (depth: number): unknown => {
    switch (below(depth > 4 ? 6 : 8)) {
      case 0:
        return null
      case 1:
        return int()
      case 2:
        return name()
      case 3:
        return below(1e9) / -7
      case 4:
        return chance(50)
      case 5:
        return 1e308 * 10
      case 6:
        return Array.from({ length: below(4) }, () => value(depth + 1))
      default:
        return Object.fromEntries(Array.from({ length: below(4) }, () => [name(), value(depth + 1)]))
    }
  }
  const kind = below(100)
  if (kind < 10) return Uint8Array.from({ length: below(300) }, () => below(256))
  if (kind < 20) return String.fromCharCode(...Array.from({ length: below(200) }, () => below(0xd800)))
  if (kind < 35) return JSON.stringify(value(0))
  const frames = Array.from({ length: 1 + (chance(20) ? below(5) : 0) }, () => {
    const text = json.encode(pick(valid)(int, name)).data as string
    if (kind < 65) return text
    if (kind < 80) {
      const values = JSON.parse(text) as Array<unknown>
      values[below(values.length)] = value(0)
      return JSON.stringify(values)
    }
    const at = below(text.length)
    return text.slice(0, at) + String.fromCharCode(below(0xd800)) + text.slice(at + below(3))
  })
  return frames.join("\n")
}

/** Sends random messages, on a new connection whenever the server has closed the last one. */
const vandal = Effect.fnUntraced(function*(world: World, seed: number, messages: number) {
  const random = makeRandom(seed)
  let peer: Peer | undefined
  for (let sent = 0; sent < messages;) {
    if (peer === undefined || peer.closed !== undefined) peer = yield* random.chance(80) ? world.peer() : world.open
    const seen: Peer = peer
    for (let batch = 0; batch < 4 && sent < messages; batch++, sent++) seen.raw(randomMessage(random))
    // Whatever they were, the server is done with them once it answers this one.
    const probe = 1_000_000 + sent
    seen.send({ _tag: "leave", ref: probe, channel: 1_000_000 })
    const errors = seen.all("error").length
    yield* world.until(
      "the server answers or closes",
      () => seen.closed !== undefined || seen.answersTo(probe).length > 0 || seen.all("error").length > errors
    )
  }
})
