/** How the log reaches a subscriber that is behind: in bounded portions, whatever happens meanwhile. */
import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { Hub } from "../../src/engine/Hub.ts"
import { Outbox } from "../../src/engine/Outbox.ts"
import { Joiner } from "../../src/engine/Packing.ts"
import { json } from "../../src/wire/Json.ts"
import { msgpack } from "../../src/wire/Msgpack.ts"
import * as Payload from "../../src/wire/Payload.ts"
import { seeds } from "./random.ts"
import { recordingSocket } from "./recordingSocket.ts"
import { faults, replayLaws } from "./replayLaws.ts"

const KiB = 1024

const make = (codec = json) => {
  const { socket, state } = recordingSocket()
  const outbox = new Outbox(socket, new Joiner(codec), {
    maxBytes: 64 * KiB,
    maxFrames: 256,
    maxTickBytes: 128 * KiB,
    onStalled: () => {}
  }, { onOverflow: () => assert.fail("it never meets a policy") })
  return { outbox, state }
}

const open = (capacity: number) =>
  new Hub({ maxChannels: 1, historyBytes: 1e9, now: () => 0, nextEpoch: () => "e" })
    .open("a", { capacity, timeToLive: Infinity })!

const publish = (channel: ReturnType<typeof open>, payload: unknown = "x".repeat(100)) => {
  const frame = channel.event("Said", payload, null)
  channel.publish(frame, json.encode(frame))
}

describe("a replay", () => {
  it.each([
    ["small", 100],
    ["large", 1_000]
  ])("of 10,000 %s events stays within the outbox, to a slow peer and while events go on", (_, size) => {
    const channel = open(20_000)
    const payload = "x".repeat(size)
    for (let index = 0; index < 10_000; index++) publish(channel, payload)
    const { outbox, state } = make()
    state.full = true
    const subscription = channel.subscribe(outbox)
    subscription.release(0)
    let largest = 0
    for (let step = 0; channel.head < 12_000 || outbox.queuedFrames > 0; step++) {
      if (channel.head < 12_000) publish(channel, payload)
      const direct = { _tag: "direct", channel: 1, name: "Said", payload: step } as const
      if (step % 100 === 0) subscription.deliver(json.encode(direct), 0)
      state.tick()
      // The peer reads a little, now and then.
      if (step % 3 === 0) state.buffered = Math.max(0, state.buffered - 40 * KiB)
      if (state.buffered < 32 * KiB) outbox.drained()
      largest = Math.max(largest, outbox.queuedBytes)
      assert.isAtMost(outbox.queuedBytes, 16 * KiB)
      assert.isAtMost(outbox.queuedFrames, 65)
      if (step > 100_000) assert.fail("it comes to no end")
    }
    assert.isAbove(largest, 4 * KiB)
    const offsets = state.lines().filter((line) => line.startsWith("[\"event\"")).map((line) => JSON.parse(line)[2])
    assert.deepStrictEqual(offsets, Array.from({ length: 12_000 }, (_, index) => index + 1))
    assert.strictEqual(outbox.dropped, 0)
  })

  it("is encoded once for many peers, and in the form of each", () => {
    const channel = open(100)
    let encoded = 0
    const other = { ...json, encode: (frame: Parameters<typeof json.encode>[0]) => (encoded++, json.encode(frame)) }
    for (let index = 0; index < 50; index++) publish(channel)
    for (let index = 0; index < 20; index++) {
      const { outbox, state } = make(other)
      channel.subscribe(outbox).release(0)
      state.tick()
      assert.strictEqual(state.lines().length, 50)
    }
    assert.strictEqual(encoded, 50)
    const { outbox, state } = make(msgpack)
    const { encode } = Payload.compile({ bytes: Schema.Uint8Array }, "payload")
    publish(channel, Result.getOrThrow(encode({ bytes: Uint8Array.of(1, 2, 3) })))
    channel.subscribe(outbox).release(50)
    state.tick()
    // As JSON has it, which every receiver takes where the contract has bytes.
    assert.deepInclude(msgpack.decodeServer(state.sent[0]!, 9)![0], { offset: 51, payload: { bytes: "AQID" } })
  })

  it("holds back so much beside the log, and drops what may be dropped before it gives up its peer", () => {
    const channel = open(1e6)
    const { socket, state } = recordingSocket()
    let overflows = 0
    const outbox = new Outbox(socket, new Joiner(json), {
      maxBytes: 64 * KiB,
      maxFrames: 256,
      maxTickBytes: 128 * KiB,
      onStalled: () => {}
    }, { onOverflow: () => overflows++ })
    for (let index = 0; index < 1_000; index++) publish(channel)
    state.buffered = 1e9
    const subscription = channel.subscribe(outbox)
    subscription.release(0)
    state.tick()
    const noise = { _tag: "volatile", channel: 1, name: "Moved", payload: "y".repeat(500), except: null } as const
    const lossy = { ...json.encode(noise), fate: { _tag: "dropOldest" } } as const
    const keyed = { ...json.encode(noise), fate: { _tag: "conflate", slot: "k" } } as const
    for (let index = 0; index < 5_000; index++) channel.deliver(noise, lossy)
    for (let index = 0; index < 5_000; index++) channel.deliver(noise, keyed)
    assert.isAbove(outbox.dropped, 8_900)
    assert.strictEqual(overflows, 0)
    const direct = json.encode({ _tag: "direct", channel: 1, name: "Said", payload: "z".repeat(1_000) })
    for (let index = 0; index < 2_000 && overflows === 0; index++) subscription.deliver(direct, 0)
    assert.strictEqual(overflows, 1)
  })
})

describe("laws of subscribers", () => {
  const runs = seeds(1_500)

  it(`hold in ${runs.length} lives of a channel`, () => {
    const counts: Record<string, number> = {}
    for (const seed of runs) {
      try {
        for (const note of replayLaws(seed)) counts[note] = (counts[note] ?? 0) + 1
      } catch (error) {
        process.stderr.write(`HEDDLE_SEED=${seed} fails again\n`)
        throw error
      }
    }
    process.stdout.write(`laws of subscribers: ${runs.length} runs, ${JSON.stringify(counts)}\n`)
    if (runs.length === 1) return
    for (
      const note of ["recovered", "fresh", "gap", "caught up", "reopened", "lost tail", "refused", "failed commit"]
    ) {
      assert.isAbove(counts[note] ?? 0, runs.length / 100, note)
    }
  }, 120_000)

  for (const [name, { fault, law }] of Object.entries(faults)) {
    it(`catch a channel that ${name}`, () => {
      for (let seed = 0; seed < 500; seed++) {
        try {
          replayLaws(seed, fault)
        } catch (error) {
          if (String(error).includes(law)) return
        }
      }
      assert.fail("the laws did not notice")
    }, 60_000)
  }
})
