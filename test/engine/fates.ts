/**
 * Random lives of an outbox whose peer reads now and then, checked against what was pushed; and outboxes with one fault
 * each that this must notice.
 */
import { assert } from "@effect/vitest"
import { type Drops, type Fate, noDrops, type Outgoing } from "../../src/engine/Fate.ts"
import { Delivery } from "../../src/engine/Followed.ts"
import { dropped, Outbox } from "../../src/engine/Outbox.ts"
import { Joiner } from "../../src/engine/Packing.ts"
import { json } from "../../src/wire/Json.ts"
import { makeRandom } from "./random.ts"
import { recordingSocket } from "./recordingSocket.ts"

/** A frame that begins with its name and has as many bytes as asked for. */
export const frame = (name: string | number, bytes = 10, fate?: Fate): Outgoing => ({
  data: `${name}`.padEnd(bytes, "."),
  bytes,
  ...fate === undefined ? {} : { fate }
})

export const oldest: Fate = { _tag: "dropOldest" }
export const newest: Fate = { _tag: "dropNewest" }
export const conflated = (slot: string): Fate => ({ _tag: "conflate", slot })

/** Breaks outboxes until the function it gives back is called. */
export type Fault = () => () => void

interface Pushed {
  /** Of one that somebody waits for. */
  readonly delivery: Delivery | undefined
  readonly number: number
  readonly frame: Outgoing
}

/** An assertion for inner loops. */
const law = (name: string, one: unknown, other: unknown) => {
  if (one !== other) throw new Error(`${name}: ${String(one)} and ${String(other)}`)
}

const total = ({ conflate, disconnect, dropNewest, dropOldest }: Drops) =>
  conflate + disconnect + dropNewest + dropOldest

/** What is left of a list once a receiver has some of it. */
const missing = (pushed: ReadonlyArray<Pushed>, got: ReadonlySet<number>) =>
  pushed.filter(({ number }) => !got.has(number))

/** One life. Throws where a law is broken; answers with what was dropped. */
export const fateLaws = (seed: number, fault: Fault = () => () => {}): Drops => {
  const mend = fault()
  try {
    return live(seed)
  } finally {
    mend()
  }
}

const live = (seed: number): Drops => {
  const random = makeRandom(seed)
  const { socket, state } = recordingSocket()
  const maxFrames = 2 + random.below(30)
  const maxBytes = 100 + random.below(1_500)
  const drops = noDrops()
  let overflows = 0
  let stalled = false
  const outbox = new Outbox(socket, new Joiner(json), {
    maxBytes,
    maxFrames,
    maxTickBytes: 100_000,
    drops,
    onStalled: () => void (stalled = true)
  }, { onOverflow: () => overflows++ })
  const pushed: Array<Pushed> = []
  /** Numbers that were pushed before the transport was full: they do not count. */
  let before = 0
  const got: Array<number> = []
  const has = new Set<number>()
  let sent = 0
  /** Takes note of what the peer has got since. */
  const read = () => {
    for (; sent < state.sent.length; sent++) {
      for (const line of String(state.sent[sent]).split("\n")) {
        const number = Number.parseInt(line)
        law("order is kept", number > (got.at(-1) ?? -1), true)
        got.push(number)
        has.add(number)
      }
    }
  }
  const isReliable = ({ frame: { fate } }: Pushed) => fate === undefined
  const usesFates = random.pick([["reliable"], ["oldest"], ["newest"], ["conflate"], ["all"], ["all"]])[0]!

  const push = () => {
    const number = pushed.length
    const kind = usesFates === "all" || random.chance(20)
      ? random.pick(["reliable", "oldest", "newest", "conflate"])
      : usesFates
    const fate = kind === "oldest"
      ? oldest
      : kind === "newest"
      ? newest
      : kind === "conflate"
      ? conflated(`k${random.below(6)}`)
      : undefined
    const one = {
      number,
      frame: frame(number, 5 + random.below(random.chance(10) ? 400 : 60), fate),
      delivery: random.chance(10) ? new Delivery() : undefined
    }
    pushed.push(one)
    const dropsBefore = total(drops)
    const told = outbox.push(one.frame)
    if (one.delivery !== undefined) outbox.follow(one.frame, one.delivery)
    if (overflows === 0) law("the publisher is told of each drop", told === dropped, total(drops) > dropsBefore)
    if (overflows > 0) {
      const fits = [...waitingCounted(), one].filter(({ frame: { fate } }) =>
        fate === undefined || fate._tag === "conflate"
      )
      const bytes = fits.reduce((sum, { frame: { bytes } }) => sum + bytes, 0)
      assert.isTrue(bytes > maxBytes || fits.length > maxFrames, "is closed only for what is never dropped")
    }
  }
  /** What waits and counts, by what was seen from outside: pushed while full, neither received nor known as dropped. */
  const waitingCounted = (): ReadonlyArray<Pushed> => {
    const newestOf = new Map<string, number>()
    for (const { frame: { fate }, number } of pushed) if (fate?._tag === "conflate") newestOf.set(fate.slot, number)
    return missing(pushed.slice(before), has).filter(({ frame: { fate }, number }) =>
      fate === undefined || (fate._tag === "conflate" && newestOf.get(fate.slot) === number)
    )
  }
  const check = () => {
    read()
    law("an outbox counts what it adds to the counters of the engine", outbox.dropped, total(drops))
    law("what is missing is what was counted", pushed.length - got.length - outbox.queuedFrames, total(drops))
    for (const one of pushed) {
      if (one.delivery === undefined || !(isReliable(one) || has.has(one.number))) continue
      const waits = overflows === 0 && !has.has(one.number)
      law("who waits for a frame waits until it has left", one.delivery.behind, waits ? 1 : 0)
    }
    if (overflows > 0) return
    law("is counted as disconnected", drops.disconnect, 0)
    if (!stalled) return
    const uncounted = missing(pushed.slice(0, before), has)
    const bytes = uncounted.reduce((sum, { frame: { bytes } }) => sum + bytes, 0)
    law("the bound in frames", outbox.queuedFrames - uncounted.length <= maxFrames, true)
    law("the bound in bytes", outbox.queuedBytes - bytes <= maxBytes, true)
  }

  const steps = 20 + random.below(150)
  for (let step = 0; step < steps && overflows === 0; step++) {
    if (random.chance(75)) push()
    else if (random.chance(50)) {
      state.buffered = 0
      state.full = random.chance(70)
      if (state.full) state.buffered = 64 * 1_024 - random.below(300)
      if (stalled && outbox.drained()) stalled = false
    } else {
      state.buffered = random.chance(70) ? 64 * 1_024 : state.buffered
      const wasStalled = stalled
      state.tick()
      if (!wasStalled && stalled) before = pushed.length
    }
    check()
  }
  if (overflows > 0) {
    assert.strictEqual(outbox.queuedFrames, 0)
    return drops
  }
  // The peer reads everything: whatever is missing now was dropped, and was allowed to be.
  state.full = false
  state.buffered = 0
  state.tick()
  if (stalled) assert.isTrue(outbox.drained())
  read()
  const lost = missing(pushed, has)
  assert.deepStrictEqual(lost.filter(isReliable), [], "nothing reliable is dropped")
  for (const { delivery } of pushed) assert.strictEqual(delivery?.behind ?? 0, 0, "nobody waits for ever")
  assert.strictEqual(lost.length, total(drops), "what is missing is what was counted")
  for (const kind of ["dropOldest", "dropNewest", "conflate"] as const) {
    assert.strictEqual(lost.filter(({ frame: { fate } }) => fate!._tag === kind).length, drops[kind], kind)
  }
  const last = new Map<string, number>()
  for (const { frame: { fate }, number } of pushed) if (fate?._tag === "conflate") last.set(fate.slot, number)
  for (const [slot, number] of last) assert.isTrue(has.has(number), `the newest of ${slot} arrives`)
  return drops
}

// ------------------------------------------------------------- faults

const patch =
  (methods: { readonly [name: string]: (this: any, real: any, ...args: Array<any>) => any }): Fault => () => {
    const prototype = Outbox.prototype as unknown as { [name: string]: unknown }
    const real = Object.fromEntries(Object.keys(methods).map((name) => [name, prototype[name]]))
    for (const [name, method] of Object.entries(methods)) {
      if (typeof real[name] !== "function") throw new Error(`there is no ${name} to break`)
      prototype[name] = function(this: any, ...args: Array<unknown>) {
        return method.call(this, (real[name] as (...args: Array<unknown>) => unknown).bind(this), ...args)
      }
    }
    return () => void Object.assign(prototype, real)
  }

export const faults: { readonly [name: string]: { readonly law: string; readonly fault: Fault } } = {
  "does not count a drop": {
    law: "what is missing is what was counted",
    fault: patch({
      drop(real, frames, fate) {
        if (fate !== "dropNewest") real(frames, fate)
      }
    })
  },
  "counts its bound in frames only": {
    law: "the bound in bytes",
    fault: patch({
      fits() {
        return this.countedFrames < this.options.maxFrames
      }
    })
  },
  "keeps the older of a key": {
    law: "the newest of",
    fault: patch({
      wait(real, one: Outgoing) {
        if (one.fate?._tag !== "conflate" || this.followed?.waiting(one.fate.slot) === undefined) return real(one)
        this.drop([one], "conflate")
        return dropped
      }
    })
  },
  "lets the newer of a key overtake": {
    law: "order is kept",
    fault: patch({
      conflate(real, slot, one) {
        const older = this.followed?.waiting(slot)
        const index = this.frames.lastIndexOf(older)
        real(slot, one)
        if (older === undefined || index === -1) return
        const { push } = this.frames
        this.frames.push = (added: Outgoing) => {
          this.frames.push = push
          this.frames.splice(index, 0, added)
        }
      }
    })
  },
  "drops a control frame": {
    law: "nothing reliable is dropped",
    fault: patch({
      makeRoom(real, one) {
        if (real(one)) return true
        const index = this.frames.findIndex(
          ({ fate }: Outgoing, at: number) => fate === undefined && at >= this.frames.length - this.countedFrames
        )
        if (index === -1) return false
        const [control] = this.frames.splice(index, 1)
        this.uncount(control)
        this.drop([control], "dropOldest")
        return this.fits(one)
      }
    })
  },
  "forgets who waits for a frame that is dropped": {
    law: "nobody waits for ever",
    fault: patch({
      drop(real, frames, fate) {
        const { followed } = this
        this.followed = undefined
        real(frames, fate)
        this.followed = followed
      }
    })
  },
  "forgets who waits for a frame that is handed over": {
    law: "who waits for a frame waits until it has left",
    fault: patch({ forget: () => {} })
  },
  "disconnects instead of making room": {
    law: "is closed only for what is never dropped",
    fault: patch({
      makeRoom(real, one: Outgoing) {
        return one.fate?._tag === "dropOldest" && real(one)
      }
    })
  },
  "does not tell the publisher": {
    law: "the publisher is told of each drop",
    fault: patch({
      wait(real, one) {
        real(one)
        return false
      }
    })
  }
}
