import { assert, describe, it } from "@effect/vitest"
import { noDrops, type Outgoing } from "../../src/engine/Fate.ts"
import { Delivery } from "../../src/engine/Followed.ts"
import { dropped, Outbox, queued } from "../../src/engine/Outbox.ts"
import { Joiner } from "../../src/engine/Packing.ts"
import { json } from "../../src/wire/Json.ts"
import { conflated, fateLaws, faults, frame, newest, oldest } from "./fates.ts"
import { seeds } from "./random.ts"
import { recordingSocket } from "./recordingSocket.ts"

const KiB = 1_024

/** An outbox whose transport is full, and that holds one frame which does not count. */
const make = (
  bounds: { readonly maxBytes?: number; readonly maxFrames?: number; readonly maxTickBytes?: number } = {}
) => {
  const { socket, state } = recordingSocket()
  const drops = noDrops()
  let overflows = 0
  const outbox = new Outbox(socket, new Joiner(json), {
    maxBytes: 1_024 * KiB,
    maxFrames: 3,
    maxTickBytes: 16 * 1_024 * KiB,
    ...bounds,
    drops,
    onStalled: () => {}
  }, { onOverflow: () => overflows++ })
  state.buffered = 64 * KiB
  outbox.push(frame("first"))
  state.tick()
  const push = (...frames: ReadonlyArray<Outgoing>) => frames.map((one) => outbox.push(one) === dropped)
  /** What the peer gets once it reads. */
  const read = () => {
    state.buffered = 0
    assert.isTrue(outbox.drained())
    return state.lines().map((line) => line.replace(/\.+$/, "")).filter((name) => name !== "first")
  }
  return { drops, outbox, push, read, state, overflows: () => overflows }
}

const old = (name: string, bytes?: number) => frame(name, bytes, oldest)
const late = (name: string, bytes?: number) => frame(name, bytes, newest)
const keyed = (slot: string, name: string, bytes?: number) => frame(name, bytes, conflated(slot))

describe("dropOldest", () => {
  it("lets the oldest leave for the new one", () => {
    const { drops, push, read } = make()
    assert.deepStrictEqual(push(...["a", "b", "c", "d", "e"].map((name) => old(name))), [
      false,
      false,
      false,
      true,
      true
    ])
    assert.deepStrictEqual(read(), ["c", "d", "e"])
    assert.deepStrictEqual(drops, { ...noDrops(), dropOldest: 2 })
  })

  it("passes over what is never dropped, and keeps the order", () => {
    const { overflows, push, read } = make()
    push(frame("reply"), old("a"), frame("said"), old("b"))
    assert.deepStrictEqual([read(), overflows()], [["reply", "said", "b"], 0])
  })

  it("lets as many leave as the bytes need", () => {
    const { drops, push, read } = make({ maxBytes: 100, maxFrames: 100 })
    push(old("a", 30), frame("reply", 10), old("b", 30), old("c", 30), old("d", 60))
    assert.deepStrictEqual(read(), ["reply", "c", "d"])
    assert.strictEqual(drops.dropOldest, 2)
  })

  it("drops the new one, and no other, where the others are not enough", () => {
    const { drops, overflows, push, read } = make({ maxBytes: 100, maxFrames: 100 })
    push(frame("reply", 50), old("a", 30), old("b", 60), old("larger than all", 200))
    assert.deepStrictEqual([read(), overflows(), drops.dropOldest], [["reply", "a"], 0, 2])
  })

  it("leaves those of other fates alone", () => {
    const { push, read } = make()
    push(late("a"), keyed("k", "b"), old("c"), old("d"))
    assert.deepStrictEqual(read(), ["a", "b", "d"])
  })

  it("leaves alone what was queued before the transport was full", () => {
    const { outbox, state } = make()
    state.buffered = 0
    outbox.drained()
    for (let index = 0; index < 5; index++) outbox.push(old(`${index}`))
    state.buffered = 64 * KiB
    outbox.push(old("5"))
    state.tick()
    for (let index = 6; index < 12; index++) outbox.push(old(`${index}`))
    state.buffered = 0
    outbox.drained()
    assert.deepStrictEqual(
      state.lines().map((line) => Number.parseInt(line)).slice(1),
      [0, 1, 2, 3, 4, 5, 9, 10, 11]
    )
  })

  it("finds its room behind a long backlog of the tick before, as it does in front", () => {
    const { outbox, state } = make({ maxFrames: 20 })
    state.buffered = 0
    outbox.drained()
    state.buffered = 64 * KiB
    for (let index = 0; index < 100; index++) outbox.push(old(`${index}`))
    state.tick()
    for (let index = 100; index < 150; index++) outbox.push(index % 10 === 3 ? frame(index) : old(`${index}`))
    state.buffered = 0
    outbox.drained()
    const late = Array.from({ length: 15 }, (_, index) => 135 + index).filter((number) => number % 10 !== 3)
    const kept = [...Array.from({ length: 100 }, (_, index) => index), 103, 113, 123, 133, 143]
    const names = state.lines().map((line) => Number.parseInt(line)).slice(1)
    assert.deepStrictEqual(names.filter((name) => name < 100 || name % 10 === 3), kept)
    assert.deepStrictEqual(names.filter((name) => name >= 134 && name % 10 !== 3).slice(-late.length), late)
    assert.strictEqual(names.length, 120)
  })

  it("also applies where a tick has already collected almost all it may", () => {
    const { outbox, state } = make({ maxTickBytes: 1_000 })
    state.buffered = 0
    outbox.drained()
    state.buffered = 64 * KiB
    outbox.push(frame("large", 990))
    state.tick()
    assert.deepStrictEqual([outbox.push(old("a")), outbox.push(old("b")), outbox.queuedBytes], [queued, dropped, 1_000])
  })
})

describe("dropNewest", () => {
  it("drops the new one, and nobody is disconnected", () => {
    const { drops, overflows, push, read } = make()
    assert.deepStrictEqual(push(late("a"), frame("reply"), late("b"), late("c")), [false, false, false, true])
    assert.deepStrictEqual([read(), overflows()], [["a", "reply", "b"], 0])
    assert.deepStrictEqual(drops, { ...noDrops(), dropNewest: 1 })
  })
})

describe("conflate", () => {
  it("keeps the newest of a key, at the end, before any bound is reached", () => {
    const { drops, push, read } = make({ maxFrames: 100 })
    push(keyed("x", "x1"), keyed("y", "y1"), frame("said"), keyed("x", "x2"), keyed("x", "x3"))
    assert.deepStrictEqual(read(), ["y1", "said", "x3"])
    assert.deepStrictEqual(drops, { ...noDrops(), conflate: 2 })
  })

  it("lets events of the other fates leave for it", () => {
    const { overflows, push, read } = make()
    push(keyed("x", "x1"), late("a"), old("b"), keyed("y", "y1"), keyed("z", "z1"))
    assert.deepStrictEqual([read(), overflows()], [["x1", "y1", "z1"], 0])
  })

  it("disconnects once there are more keys than fit: the newest of a key is never dropped", () => {
    const { overflows, push } = make()
    push(keyed("x", "x1"), keyed("y", "y1"), keyed("z", "z1"), keyed("x", "x2"))
    assert.strictEqual(overflows(), 0)
    push(keyed("w", "w1"))
    assert.strictEqual(overflows(), 1)
  })

  it("replaces nothing that was handed over", () => {
    const { drops, outbox, push, state } = make()
    push(keyed("x", "x1"))
    state.buffered = 0
    outbox.drained()
    push(keyed("x", "x2"))
    state.tick()
    assert.deepStrictEqual(state.lines().map((line) => line.slice(0, 2)), ["fi", "x1", "x2"])
    assert.strictEqual(drops.conflate, 0)
  })
})

describe("what is never dropped", () => {
  it("has volatile events leave for it, and is disconnected only when none is left", () => {
    const { drops, overflows, push, read } = make()
    push(old("a"), late("b"), old("c"), frame("1"), frame("2"))
    assert.strictEqual(drops.dropOldest + drops.dropNewest, 2)
    push(frame("3"))
    assert.deepStrictEqual([read(), overflows()], [["1", "2", "3"], 0])
    const full = make()
    full.push(frame("1"), frame("2"), frame("3"))
    assert.deepStrictEqual([full.push(frame("4")), full.overflows()], [[true], 1])
    // What waited before, the three, and the one.
    assert.deepStrictEqual(full.drops, { ...noDrops(), disconnect: 5 })
  })
})

describe("a delivery", () => {
  it("ends when the frame was handed over, was dropped, or was lost with the connection", () => {
    const ends: Array<string> = []
    const follow = (outbox: Outbox, name: string, one: Outgoing) => {
      const delivery = new Delivery()
      outbox.push(one)
      outbox.follow(one, delivery)
      delivery.whenTaken(() => ends.push(name))
    }
    const { outbox, state } = make()
    follow(outbox, "dropped", old("a"))
    follow(outbox, "handed over", frame("b"))
    outbox.push(frame("c"))
    assert.deepStrictEqual(ends, [])
    outbox.push(frame("d"))
    assert.deepStrictEqual(ends, ["dropped"])
    state.buffered = 0
    outbox.drained()
    assert.deepStrictEqual(ends, ["dropped", "handed over"])
    const lost = make().outbox
    follow(lost, "lost", frame("a"))
    lost.overflow()
    const closed = make().outbox
    follow(closed, "closed", frame("a"))
    closed.close()
    assert.deepStrictEqual(ends.slice(2), ["lost", "closed"])
  })

  it("does not wait where the frame was dropped at once or handed over early", () => {
    const delivery = new Delivery()
    const { outbox, push } = make()
    push(frame("a"), frame("b"), frame("c"))
    const one = late("d")
    push(one)
    outbox.follow(one, delivery)
    assert.strictEqual(delivery.behind, 0)
  })
})

const runs = seeds(5_000)

describe("laws of the outbox", () => {
  it(`hold in ${runs.length} lives`, () => {
    const met = noDrops()
    for (const seed of runs) {
      try {
        const drops = fateLaws(seed)
        for (const fate of ["dropOldest", "dropNewest", "conflate", "disconnect"] as const) {
          if (drops[fate] > 0) met[fate]++
        }
      } catch (error) {
        process.stderr.write(`HEDDLE_SEED=${seed} fails again\n`)
        throw error
      }
    }
    process.stdout.write(`laws of the outbox: ${runs.length} runs, ${JSON.stringify(met)}\n`)
    if (runs.length === 1) return
    for (const [fate, count] of Object.entries(met)) assert.isAbove(count, runs.length / 50, fate)
  }, 60_000)

  for (const [name, { fault, law }] of Object.entries(faults)) {
    it(`catch an outbox that ${name}`, () => {
      for (let seed = 0; seed < 500; seed++) {
        try {
          fateLaws(seed, fault)
        } catch (error) {
          if (String(error).includes(law)) return
        }
      }
      assert.fail("the laws did not notice")
    })
  }
})
