/** Readers that never read, on real sockets: they cost the server what its bounds say, and the others nothing. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Connector } from "../../../src/client/Connector.ts"
import * as Room from "../../../src/contract/Room.ts"
import * as Engine from "../../../src/engine/Engine.ts"
import * as Limits from "../../../src/engine/Limits.ts"
import type * as Frame from "../../../src/wire/Frame.ts"
import { json } from "../../../src/wire/Json.ts"
import { openRaw } from "../../contract/transportClient.ts"
import { network, serve } from "../../engine/harness.ts"
import { Observed } from "../observed.ts"
import { capabilities, layer } from "./here.ts"

class Feed extends Room.make("feed", {
  join: { payload: { reads: Schema.Boolean } },
  events: { Chunk: { number: Schema.Int, data: Schema.String } }
}) {}

const healthy = 45
const deaf = 5
/** Just below what an event may have. */
const data = "x".repeat(Limits.defaults.eventBytes - 200)
const enough = 4 * 1_024 * 1_024
const atLeast = Math.ceil(enough / data.length)
/** Until the systems' own buffers are full, too, at both ends of five sockets. */
const atMost = 100

const hello: Frame.ClientFrame = { _tag: "hello", token: null, resume: null }
const join = (reads: boolean): Frame.ClientFrame => ({
  _tag: "join",
  ref: 1,
  room: "feed",
  key: "a",
  payload: { reads },
  position: null,
  last: null
})

/** A client that reads, and keeps nothing but what it needs to know whether it got everything in order. */
class Reader {
  joined = false
  received = 0
  wrong: string | undefined
  closed: number | undefined

  frame(frame: Frame.ServerFrame | Frame.Malformed | Frame.Unknown): void {
    if (frame._tag === "joined") this.joined = true
    if (frame._tag !== "event") return
    const payload = frame.payload as { readonly number: number; readonly data: string }
    this.received++
    if (frame.offset !== this.received || payload.number !== this.received || payload.data !== data) {
      this.wrong ??= `${frame.offset} with ${payload.number} as the ${this.received}th`
    }
  }
}

const left: Array<string> = []

const FeedLive = Feed.toLayer(() => {
  const deafOnes = new Set<string>()
  return {
    join: ({ memberId, payload }) => Effect.sync(() => void (payload.reads || deafOnes.add(memberId))),
    leave: ({ member, reason }) =>
      Effect.sync(() => void left.push(`${deafOnes.has(member.id) ? "deaf" : "healthy"} ${reason}`))
  }
})

describe(`50 readers, 5 of which never read, and 4 MB for each: ${capabilities.runtime}`, () => {
  it.live("closes the 5 with 4409 within its bounds, and the 45 get everything in order", () => {
    const observed = new Observed()
    const harness = network(capabilities.runtime, observed.of(layer({ port: 0 })))
    return serve(harness, { rooms: [FeedLive], limits: { sessionWindow: 0 } })(({ engine, until }) =>
      Effect.gen(function*() {
        yield* observed.outboxes
        const connect = yield* Connector
        const readers = yield* Effect.acquireRelease(
          Effect.sync(() =>
            Array.from({ length: healthy }, () => {
              const reader = new Reader()
              const socket = connect(`${engine.address.url.replace("http", "ws")}/live`, [json.subprotocol], {
                open: () => [hello, join(true)].forEach((frame) => socket.send(json.encode(frame).data as string)),
                message: (message) => json.decodeServer(message, Infinity)!.forEach((frame) => reader.frame(frame)),
                close: (code) => reader.closed = code
              })
              return { reader, socket }
            })
          ),
          (all) => Effect.sync(() => all.forEach(({ socket }) => socket.close(1000, "")))
        )
        yield* until("the healthy ones are in", () => readers.every(({ reader }) => reader.joined))
        const silent = yield* Effect.forEach(Array.from({ length: deaf }), () =>
          Effect.gen(function*() {
            const client = yield* openRaw(engine.address, "/live", { "Sec-WebSocket-Protocol": json.subprotocol })
            for (const frame of [hello, join(false)]) client.send(json.encode(frame).data as string)
            yield* until("a deaf one is in", () => client.messages.some((message) => `${message}`.includes(`"joined"`)))
            client.stall()
            return client
          }))

        const isClosed = () => observed.closes.filter((code) => code === 4409).length === deaf
        let emitted = 0
        while (emitted < atLeast || !isClosed()) {
          assert.isBelow(emitted, atMost, `closed ${observed.closes} with ${JSON.stringify(observed.most)}`)
          const { offset } = yield* Engine.emit(Feed, "a", "Chunk", { number: ++emitted, data })
          assert.strictEqual(offset, emitted)
          // Who reads is never overrun: the next one waits until everybody who reads has this one.
          yield* until(
            `all who read have ${emitted}`,
            () => readers.every(({ reader }) => reader.received >= emitted || reader.closed !== undefined)
          )
        }

        assert.isAtLeast(emitted * data.length, enough)
        for (const { reader } of readers) {
          assert.deepStrictEqual([reader.received, reader.wrong, reader.closed], [emitted, undefined, undefined])
        }
        assert.deepStrictEqual(observed.closes, Array(deaf).fill(4409))
        yield* until("the deaf ones have left", () => left.length === deaf)
        assert.deepStrictEqual(left, Array(deaf).fill("deaf lost"))
        assert.deepInclude((yield* engine.rooms)[0], { members: healthy })

        // An outbox has its bound, and the event during which the transport turned out to be full.
        const { eventBytes, outboxBytes } = Limits.defaults
        const { both, buffered, queued } = observed.most
        assert.isAtLeast(observed.samples, emitted * healthy)
        assert.isAtMost(queued, outboxBytes + eventBytes)
        assert.isAtMost(buffered, Limits.handOverBytes + eventBytes)
        assert.isAtMost(both, outboxBytes + 2 * eventBytes + Limits.handOverBytes)
        assert.isAbove(queued, outboxBytes / 2, "somebody was close to the bound")
        const drops = (yield* engine.stats).drops
        assert.isAtLeast(drops.disconnect, deaf)
        process.stdout.write(
          `slow readers on ${capabilities.runtime}: closed after ${emitted} events of ${data.length} bytes, ` +
            `at most ${queued} bytes queued and ${buffered} with the runtime\n`
        )
        // They learn of it if they ever read: as what is said, or as a connection that broke.
        for (const client of silent) client.unstall()
        yield* until("the deaf ones are gone", () => silent.every((client) => client.gone()))
        for (const { close } of silent) assert.include([4409, 1006, undefined], close?.code)
      })
    )
  }, 60_000)
})
