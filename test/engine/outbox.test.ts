import { assert, describe, it } from "@effect/vitest"
import { Outbox } from "../../src/engine/Outbox.ts"
import { Joiner } from "../../src/engine/Packing.ts"
import type { Encoded } from "../../src/wire/Codec.ts"
import { json } from "../../src/wire/Json.ts"
import { recordingSocket } from "./recordingSocket.ts"

const KiB = 1_024

/** A frame of so many bytes, that begins with its name. */
const frame = (name: string | number, bytes = 10): Encoded => ({ data: `${name}`.padEnd(bytes, "."), bytes })
const nameOf = (line: string) => line.replace(/\.+$/, "")

const make = (
  bounds: { readonly maxBytes?: number; readonly maxFrames?: number; readonly maxTickBytes?: number } = {},
  joiner = new Joiner(json)
) => {
  const { socket, state } = recordingSocket()
  let overflows = 0
  let stalls = 0
  const outbox = new Outbox(socket, joiner, {
    maxBytes: bounds.maxBytes ?? 1_024 * KiB,
    maxFrames: bounds.maxFrames ?? 1_024,
    maxTickBytes: bounds.maxTickBytes ?? 16 * 1_024 * 1_024,
    onStalled: () => stalls++
  }, { onOverflow: () => overflows++ })
  const push = (count: number, bytes = 10) => {
    for (let index = 0; index < count; index++) outbox.push(frame(index, bytes))
  }
  const names = () => state.lines().map(nameOf)
  return { outbox, state, push, names, overflows: () => overflows, stalls: () => stalls }
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => `${index}`)

describe("Outbox", () => {
  it("sends nothing before the tick ends, and asks for its end once", () => {
    const { outbox, push, state } = make()
    push(100)
    assert.deepStrictEqual([state.sent.length, state.asked, outbox.queuedFrames], [0, 1, 100])
  })

  it("sends the frames of one tick in one message, in order", () => {
    const { names, push, state } = make()
    push(100)
    state.tick()
    assert.strictEqual(state.sent.length, 1)
    assert.deepStrictEqual(names(), numbers(100))
  })

  it("joins the frames that all outboxes of a tick have once, whatever else some of them have", () => {
    let joins = 0
    const joiner = new Joiner({ ...json, concat: (frames) => (joins++, json.concat(frames)) })
    const boxes = Array.from({ length: 4 }, () => make({}, joiner))
    const frames = numbers(3).map((name) => frame(name))
    const own = frame("own")
    for (const frame of frames) for (const { outbox } of boxes) outbox.push(frame)
    boxes[3]!.outbox.push(own)
    for (const { state } of boxes) state.tick()
    assert.deepStrictEqual(boxes.map(({ names }) => names().join()), [...Array(3).fill("0,1,2"), "0,1,2,own"])
    assert.strictEqual(joins, 2)
    // What begins the same way and goes on in another is another message.
    for (const [index, { outbox }] of boxes.entries()) {
      outbox.push(frames[0]!)
      outbox.push(frames[index % 2 + 1]!)
    }
    for (const { state } of boxes) state.tick()
    assert.deepStrictEqual(boxes.map(({ names }) => names().slice(-2).join()), ["0,1", "0,2", "0,1", "0,2"])
  })

  it("tells its owner of room when it was asked to, once", () => {
    let rooms = 0
    const { socket, state } = recordingSocket()
    const bounds = { maxBytes: KiB, maxFrames: 10, maxTickBytes: KiB, onStalled: () => {} }
    const outbox = new Outbox(socket, new Joiner(json), bounds, { onOverflow: () => {}, onRoom: () => rooms++ })
    for (const [asks, told] of [[false, 0], [true, 1], [false, 1]] as const) {
      if (asks) outbox.awaitRoom()
      outbox.push(frame("a"))
      state.tick()
      assert.strictEqual(rooms, told)
    }
  })

  it("sends the frames of the next tick in the next message", () => {
    const { outbox, state } = make()
    for (const name of ["a", "b"]) {
      outbox.push(frame(name))
      state.tick()
    }
    assert.strictEqual(state.sent.length, 2)
    state.tick()
    assert.deepStrictEqual([state.sent.length, state.asked], [2, 0])
  })

  it("fills messages up to 64 KiB, separators counted", () => {
    const { push, names, state } = make()
    push(3, 32 * KiB)
    state.tick()
    // Two of them and a newline are one byte too many.
    assert.deepStrictEqual(state.sent.map(({ length }) => length), [32 * KiB, 32 * KiB, 32 * KiB])
    assert.deepStrictEqual(names(), numbers(3))
    const fits = make()
    fits.outbox.push(frame("a", 32 * KiB))
    fits.outbox.push(frame("b", 32 * KiB - 1))
    fits.state.tick()
    assert.deepStrictEqual(fits.state.sent.map(({ length }) => length), [64 * KiB])
  })

  it("sends a larger frame alone, between what came before and after it", () => {
    const { names, outbox, state } = make()
    for (const [name, bytes] of [["a", 10], ["b", 10], ["large", 200 * KiB], ["c", 10], ["d", 10]] as const) {
      outbox.push(frame(name, bytes))
    }
    state.tick()
    assert.deepStrictEqual(state.sent.map(({ length }) => length), [21, 200 * KiB, 21])
    assert.deepStrictEqual(names(), ["a", "b", "large", "c", "d"])
  })

  it("joins the same frames once for all outboxes", () => {
    let joined = 0
    const joiner = new Joiner({ ...json, concat: (frames) => (joined++, json.concat(frames)) })
    const outboxes = [make({}, joiner), make({}, joiner), make({}, joiner)]
    const frames = [frame("a"), frame("b")]
    for (const { outbox } of outboxes) frames.forEach((one) => outbox.push(one))
    outboxes[2]!.outbox.push(frame("c"))
    for (const { state } of outboxes) state.tick()
    assert.strictEqual(joined, 2)
    assert.deepStrictEqual(outboxes.map(({ names }) => names().join("")), ["ab", "ab", "abc"])
  })

  it("hands over no more than 64 KiB, and the rest waits", () => {
    const { outbox, push, stalls, state } = make()
    state.full = true
    push(10, 32 * KiB)
    state.tick()
    assert.deepStrictEqual([state.sent.length, state.buffered], [2, 64 * KiB])
    assert.deepStrictEqual([outbox.queuedFrames, outbox.queuedBytes, stalls()], [8, 256 * KiB, 1])
    push(1)
    state.tick()
    assert.deepStrictEqual([state.sent.length, stalls()], [2, 1])
  })

  it("goes on in order when the runtime has drained", () => {
    const { names, outbox, push, state } = make()
    state.full = true
    push(10, 32 * KiB)
    state.tick()
    for (let drains = 0; drains < 4; drains++) {
      state.buffered = 0
      assert.strictEqual(outbox.drained(), drains === 3)
    }
    assert.deepStrictEqual(names(), numbers(10))
    // It has recovered: the next frame leaves with its tick.
    state.buffered = 0
    outbox.push(frame("after"))
    state.tick()
    assert.strictEqual(names().at(-1), "after")
  })

  it("hands over early, within the tick, what is more than half of its bound", () => {
    const { names, push, state } = make({ maxFrames: 100 })
    push(51)
    assert.deepStrictEqual(names(), numbers(51))
    const bytes = make({ maxBytes: 1_000 })
    bytes.push(10, 50)
    assert.strictEqual(bytes.state.sent.length, 0)
    bytes.push(1, 50)
    assert.strictEqual(bytes.state.sent.length, 1)
    state.tick()
  })

  it("lets a healthy peer have 2,000 events of one turn, though the transport is full for the whole of it", () => {
    const { names, outbox, overflows, push, state } = make()
    state.buffered = 64 * KiB
    push(2_000, 100)
    state.tick()
    assert.deepStrictEqual([state.sent.length, overflows()], [0, 0])
    state.buffered = 0
    while (!outbox.drained()) state.buffered = 0
    assert.deepStrictEqual(names(), numbers(2_000))
  })

  it("lets a healthy peer have far more than its bounds in one tick while the transport takes it", () => {
    const { names, overflows, push, state } = make()
    push(20_000, 1_000)
    state.tick()
    assert.strictEqual(overflows(), 0)
    assert.deepStrictEqual(names(), numbers(20_000))
  })

  it("disconnects once one tick has collected more than so many bytes that the transport does not take", () => {
    const { overflows, push, state } = make({ maxTickBytes: 1_000_000 })
    state.buffered = 64 * KiB
    push(100, 10_000)
    assert.strictEqual(overflows(), 0)
    push(1, 1)
    assert.strictEqual(overflows(), 1)
  })

  it("disconnects once what was queued while the transport was full is more than so many frames", () => {
    const { overflows, push, state } = make({ maxFrames: 100 })
    state.buffered = 64 * KiB
    push(1)
    state.tick()
    push(100)
    assert.strictEqual(overflows(), 0)
    push(1)
    assert.strictEqual(overflows(), 1)
  })

  it("disconnects once what was queued while the transport was full is more than so many bytes", () => {
    const { overflows, push, state } = make({ maxBytes: 1_000 })
    state.buffered = 64 * KiB
    push(1)
    state.tick()
    push(10, 100)
    assert.strictEqual(overflows(), 0)
    push(1, 1)
    assert.strictEqual(overflows(), 1)
  })

  it("tells of the overflow once, keeps nothing, and sends nothing after it", () => {
    const { outbox, overflows, push, state } = make({ maxFrames: 10 })
    state.buffered = 64 * KiB
    push(1)
    state.tick()
    push(100)
    state.buffered = 0
    state.tick()
    assert.isTrue(outbox.drained())
    outbox.jump(frame("ping"))
    outbox.close()
    assert.deepStrictEqual([overflows(), state.sent.length, outbox.queuedBytes, outbox.queuedFrames], [1, 0, 0, 0])
  })

  it("stops counting once the transport has taken everything", () => {
    const { outbox, overflows, push, state } = make({ maxFrames: 100 })
    for (let round = 0; round < 10; round++) {
      state.buffered = 64 * KiB
      push(50)
      state.tick()
      push(50)
      state.buffered = 0
      assert.isTrue(outbox.drained())
    }
    assert.deepStrictEqual([overflows(), state.lines().length], [0, 1_000])
  })

  it("counts only what still waits when the transport takes a part", () => {
    const { outbox, overflows, push, state } = make({ maxFrames: 100 })
    state.buffered = 64 * KiB
    push(1)
    state.tick()
    push(90, 1_000)
    // Room for one message of 64 KiB.
    state.full = true
    state.buffered = 64 * KiB - 1
    assert.isFalse(outbox.drained())
    const left = outbox.queuedFrames
    assert.isBelow(left, 90)
    push(100 - left)
    assert.strictEqual(overflows(), 0)
    push(1)
    assert.strictEqual(overflows(), 1)
  })

  it("lets a jumper go first", () => {
    const { names, outbox, push, state } = make()
    push(2)
    outbox.jump(frame("ping"))
    state.tick()
    assert.deepStrictEqual(names(), ["ping", "0", "1"])
  })

  it("hands over the last words when it is closed, and nothing after that", () => {
    const { names, outbox, push, state } = make()
    push(2)
    outbox.close()
    push(2)
    outbox.jump(frame("ping"))
    state.tick()
    outbox.close()
    assert.deepStrictEqual(names(), ["0", "1"])
  })

  it("closes without sending what the transport has no room for", () => {
    const { outbox, push, state } = make()
    state.buffered = 64 * KiB
    push(2)
    outbox.close()
    state.buffered = 0
    state.tick()
    assert.deepStrictEqual([state.sent.length, outbox.queuedBytes], [0, 0])
  })
})
