import { describe, it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"
import { assert } from "vitest"
import * as Room from "../../src/contract/Room.ts"
import * as Engine from "../../src/engine/Engine.ts"
import type { Codec } from "../../src/wire/Codec.ts"
import * as Contract from "../../src/wire/Contract.ts"
import type * as Frame from "../../src/wire/Frame.ts"
import { json } from "../../src/wire/Json.ts"
import { msgpack } from "../../src/wire/Msgpack.ts"
import { memory, serve, type World } from "../engine/harness.ts"

class Corrupt extends Schema.TaggedError<Corrupt>()("Corrupt", { rest: Schema.Uint8Array }) {}

class Board extends Room.make("board", {
  join: { payload: { face: Schema.Uint8Array } },
  presence: { face: Schema.Uint8Array },
  snapshot: { pixels: Schema.Uint8Array },
  requests: {
    Paint: { payload: { pixels: Schema.Uint8Array, at: Schema.Date }, success: Schema.Uint8Array, error: Corrupt }
  },
  events: { Painted: { pixels: Schema.Uint8Array, at: Schema.Date } }
}) {}

const BoardLive = Board.toLayer((room) => {
  let pixels = new Uint8Array()
  return {
    join: ({ payload }) => Effect.succeed({ face: payload.face }),
    snapshot: () => Effect.succeed({ pixels }),
    Paint: Effect.fnUntraced(function*({ payload }) {
      if (payload.pixels.length === 0) return yield* new Corrupt({ rest: Uint8Array.of(9) })
      pixels = new Uint8Array(payload.pixels)
      yield* Effect.orDie(room.emit("Painted", payload))
      return pixels
    })
  }
}, { history: { capacity: 10 } })

const board = Contract.compileRoom(Board)

/** A client of a codec that speaks in frames. */
const connect = Effect.fnUntraced(function*({ engine, network, until }: World, codec: Codec) {
  const frames: Array<Frame.ServerFrame> = []
  const messages: Array<string | Uint8Array> = []
  let opened: string | undefined
  const socket = network.connect(engine.address.url.replace("http", "ws") + "/live", [codec.subprotocol], {
    open: (protocol) => {
      opened = protocol
    },
    message: (data) => {
      messages.push(data)
      frames.push(...codec.decodeServer(data, Infinity) as ReadonlyArray<Frame.ServerFrame>)
    },
    close: () => {}
  })
  const send = (...frames: ReadonlyArray<Frame.ClientFrame>) => socket.send(codec.concat(frames.map(codec.encode)))
  const next = <K extends keyof Frame.ServerFrames>(kind: K, nth = 1) => {
    const all = () => frames.filter((frame) => frame._tag === kind) as unknown as ReadonlyArray<Frame.ServerFrames[K]>
    return Effect.map(until(`${kind} ${nth} comes`, () => all().length >= nth), () => all()[nth - 1]!)
  }
  yield* until("the socket opens", () => opened !== undefined)
  assert.strictEqual(opened, codec.subprotocol)
  send({ _tag: "hello", token: null, resume: null })
  yield* next("welcome")
  return { send, next, messages }
})

const encode = (payload: Contract.Payload, value: unknown) => Result.getOrThrow(payload.encode(value))
const decode = (payload: Contract.Payload, wire: unknown) => Result.getOrThrow(payload.decode(wire))

const face = Uint8Array.of(1, 2, 3)
const join = (position: Frame.Position | null = null): Frame.ClientFrame => ({
  _tag: "join",
  ref: 1,
  room: "board",
  key: "a",
  payload: encode(board.join, { face }),
  position,
  last: null
})
const paint = board.requests.get("Paint")!
const request = (channel: number, seq: number, pixels: Uint8Array): Frame.ClientFrame => ({
  _tag: "request",
  ref: seq + 1,
  channel,
  seq,
  ack: 0,
  name: "Paint",
  payload: encode(paint.payload, { pixels, at: new Date(5) }),
  again: null
})

const test = (sentence: string, body: (world: World) => Effect.Effect<void, unknown, any>) =>
  it.effect(sentence, () => serve(memory, { rooms: [BoardLive] })(body as never) as Effect.Effect<void>)

describe("a room with a member of each codec", () => {
  test("shows both the same events, bytes included, whoever sends them", (world) =>
    Effect.gen(function*() {
      const clients = [yield* connect(world, json), yield* connect(world, msgpack)] as const
      const pixels = [Uint8Array.of(0, 127, 128, 255), new Uint8Array(10_000).fill(200)] as const
      const channels: Array<number> = []
      for (const client of clients) {
        client.send(join())
        channels.push((yield* client.next("joined")).channel)
      }
      for (const [index, client] of clients.entries()) {
        client.send(request(channels[index]!, 1, pixels[index]!))
        assert.deepStrictEqual(decode(paint.success, (yield* client.next("ok")).value), pixels[index])
      }
      for (const client of clients) {
        for (const [index, painted] of pixels.entries()) {
          const event = yield* client.next("event", index + 1)
          assert.strictEqual(event.offset, index + 1)
          assert.deepStrictEqual(decode(board.events.get("Painted")!.payload, event.payload), {
            pixels: painted,
            at: new Date(5)
          })
        }
        const { members } = yield* client.next("present")
        assert.deepStrictEqual(decode(board.presence!, members[0]![1]), { face })
      }
      assert.isTrue(clients[0].messages.every((message) => typeof message === "string"))
      assert.isTrue(clients[1].messages.every((message) => message instanceof Uint8Array))
    }))

  test("answers both with the same errors", (world) =>
    Effect.gen(function*() {
      for (const codec of [json, msgpack]) {
        const client = yield* connect(world, codec)
        client.send(join())
        const { channel } = yield* client.next("joined")
        client.send(request(channel, 1, new Uint8Array()))
        assert.deepStrictEqual(
          decode(paint.error!, (yield* client.next("failed")).error),
          new Corrupt({ rest: Uint8Array.of(9) })
        )
      }
    }))

  test("gives a member of the other codec what it missed, and the snapshot", (world) =>
    Effect.gen(function*() {
      const writer = yield* connect(world, json)
      writer.send(join())
      const { channel, position } = yield* writer.next("joined")
      writer.send(request(channel, 1, face))
      yield* writer.next("ok")
      for (const codec of [json, msgpack]) {
        const late = yield* connect(world, codec)
        late.send(join(position))
        const joined = yield* late.next("joined")
        assert.isTrue(joined.recovered)
        assert.deepStrictEqual(decode(board.snapshot!, joined.snapshot), { pixels: face })
        const event = yield* late.next("event")
        assert.deepStrictEqual(decode(board.events.get("Painted")!.payload, event.payload), {
          pixels: face,
          at: new Date(5)
        })
      }
    }))

  test("counts a join's bytes as base64 for both, so that both have the same bound", (world) =>
    Effect.gen(function*() {
      for (const codec of [json, msgpack]) {
        const client = yield* connect(world, codec)
        const joinWith = (bytes: number): Frame.ClientFrame => ({
          ...join() as Frame.ClientFrames["join"],
          payload: encode(board.join, { face: new Uint8Array(bytes) })
        })
        client.send(joinWith(3_100))
        assert.deepInclude((yield* client.next("error")).error, { _tag: "LimitExceeded", limit: "join payload" })
        client.send(joinWith(2_900))
        yield* client.next("joined")
      }
    }))

  test("is published to from outside in both codecs", (world) =>
    Effect.gen(function*() {
      const clients = [yield* connect(world, json), yield* connect(world, msgpack)]
      for (const client of clients) {
        client.send(join())
        yield* client.next("joined")
      }
      yield* Engine.emit(Board, "a", "Painted", { pixels: face, at: new Date(7) })
      for (const client of clients) {
        const { payload } = yield* client.next("event")
        assert.deepStrictEqual(decode(board.events.get("Painted")!.payload, payload), { pixels: face, at: new Date(7) })
      }
    }))
})
