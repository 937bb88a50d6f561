import { assert, describe, it } from "@effect/vitest"
import { withFate } from "../../src/engine/Fate.ts"
import { Delivery } from "../../src/engine/Followed.ts"
import { Hub } from "../../src/engine/Hub.ts"
import * as Log from "../../src/engine/Log.ts"
import type { Retention } from "../../src/engine/LogStore.ts"
import { Outbox } from "../../src/engine/Outbox.ts"
import { Joiner } from "../../src/engine/Packing.ts"
import { json } from "../../src/wire/Json.ts"
import { recordingSocket } from "./recordingSocket.ts"

const eventAt = (offset: number, name = "Said", channel = 1) =>
  ({ _tag: "event", channel, offset, name, payload: { offset }, except: null }) as const

const forever = (capacity: number): Retention => ({ capacity, timeToLive: Infinity })

describe("Hub", () => {
  const make = (options: { readonly maxChannels?: number; readonly historyBytes?: number } = {}) => {
    let epochs = 0
    let now = 0
    return new Hub({ maxChannels: 3, historyBytes: 1e9, now: () => now++, nextEpoch: () => `e${++epochs}`, ...options })
  }
  const subscriber = (maxFrames = 1_024, onOverflow = () => {}) => {
    const { socket, state } = recordingSocket()
    const outbox = new Outbox(socket, new Joiner(json), {
      maxBytes: 1e9,
      maxFrames,
      maxTickBytes: Infinity,
      onStalled: () => {}
    }, { onOverflow })
    const offsets = () => {
      state.tick()
      return state.lines().map((line) => JSON.parse(line)[2] as number)
    }
    return { outbox, state, offsets }
  }
  const publish = (channel: ReturnType<Hub["open"]>, text = "x") => {
    const frame = channel!.event("Said", text, null)
    channel!.publish(frame, json.encode(frame))
  }

  it("opens a channel once: the same epoch, and offsets that go on", () => {
    const hub = make()
    const channel = hub.open("a", Log.nothing)!
    publish(channel)
    assert.strictEqual(hub.open("a", Log.nothing), channel)
    assert.deepStrictEqual(channel.position, ["e1", 1, 1])
    assert.notStrictEqual(hub.open("b", Log.nothing)!.id, channel.id)
  })

  it("delivers from the subscription on, to each subscriber, and not after the end of it", () => {
    const channel = make().open("a", Log.nothing)!
    const [one, two] = [subscriber(), subscriber()]
    publish(channel)
    const first = channel.subscribe(one.outbox)
    first.release()
    publish(channel)
    channel.subscribe(two.outbox).release()
    publish(channel)
    channel.unsubscribe(first)
    publish(channel)
    assert.deepStrictEqual(one.offsets(), [2, 3])
    assert.deepStrictEqual(two.offsets(), [3, 4])
  })

  it("holds what comes before the release, and lets it follow in order", () => {
    const channel = make().open("a", Log.nothing)!
    const { offsets, outbox } = subscriber()
    const subscription = channel.subscribe(outbox)
    publish(channel)
    publish(channel)
    outbox.push(json.encode(eventAt(100)))
    subscription.release()
    publish(channel)
    assert.deepStrictEqual(offsets(), [100, 1, 2, 3])
  })

  it("holds so many events, and past that drops what may be dropped before it gives up the subscriber", () => {
    const channel = make().open("a", Log.nothing)!
    let overflows = 0
    const { outbox, state } = subscriber(1e9, () => overflows++)
    const subscription = channel.subscribe(outbox)
    const lossy = (text: string, _tag: "dropOldest" | "dropNewest") => {
      const frame = { _tag: "volatile", channel: 1, name: "Moved", payload: text, except: null } as const
      return channel.deliver(frame, withFate(json.encode(frame), { _tag }))
    }
    assert.strictEqual(lossy("first", "dropOldest") + lossy("second", "dropNewest"), 0)
    for (let index = 0; index < 1_022; index++) publish(channel)
    assert.deepStrictEqual([lossy("third", "dropOldest"), lossy("fourth", "dropNewest"), outbox.dropped], [1, 1, 2])
    publish(channel)
    publish(channel)
    assert.deepStrictEqual([overflows, outbox.dropped], [0, 4])
    subscription.release()
    state.tick()
    assert.strictEqual(state.lines().length, 1_024)
    assert.isTrue(state.lines().every((line) => line.startsWith("[\"event\"")))
    subscription.suspend()
    for (let index = 0; index < 1_024; index++) publish(channel)
    assert.strictEqual(overflows, 0)
    publish(channel)
    assert.deepStrictEqual([overflows, outbox.dropped], [1, 4 + 1_025])
  })

  it("ends a subscription once, whichever of them", () => {
    const channel = make().open("a", Log.nothing)!
    const subscribers = Array.from({ length: 5 }, () => subscriber())
    const subscriptions = subscribers.map(({ outbox }) => channel.subscribe(outbox))
    subscriptions.forEach((subscription) => subscription.release())
    for (const index of [2, 2, 4, 0]) channel.unsubscribe(subscriptions[index]!)
    publish(channel)
    assert.deepStrictEqual(subscribers.map(({ offsets, state }) => state.asked > 0 && offsets().length), [
      false,
      1,
      false,
      1,
      false
    ])
    assert.strictEqual(channel.subscribers, 2)
  })

  it("delivers to everybody else when a subscriber overflows and ends in the middle of a publish", () => {
    const channel = make().open("a", Log.nothing)!
    const slow = subscriber(1, () => channel.unsubscribe(subscription))
    slow.state.buffered = 1e9
    const before = subscriber()
    channel.subscribe(before.outbox).release()
    const subscription = channel.subscribe(slow.outbox)
    subscription.release()
    const after = [subscriber(), subscriber(), subscriber()]
    for (const { outbox } of after) channel.subscribe(outbox).release()
    publish(channel)
    slow.state.tick()
    publish(channel)
    publish(channel)
    publish(channel)
    assert.strictEqual(channel.subscribers, 4)
    assert.deepStrictEqual([before, ...after].map(({ offsets }) => offsets()), [
      [1, 2, 3, 4],
      [1, 2, 3, 4],
      [1, 2, 3, 4],
      [1, 2, 3, 4]
    ])
  })

  it("encodes once for each codec, not for each subscriber", () => {
    const channel = make().open("a", Log.nothing)!
    let encoded = 0
    const other = { ...json, encode: (frame: Parameters<typeof json.encode>[0]) => (encoded++, json.encode(frame)) }
    for (let index = 0; index < 10; index++) {
      const { socket } = recordingSocket()
      channel.subscribe(
        new Outbox(socket, new Joiner(other), {
          maxBytes: 1e9,
          maxFrames: 1e9,
          maxTickBytes: 1e9,
          onStalled() {}
        }, { onOverflow: () => {} })
      ).release()
    }
    publish(channel)
    assert.strictEqual(encoded, 1)
  })

  it("has the fate of an event follow it into every codec, and waits for it there", () => {
    const channel = make().open("a", Log.nothing)!
    const { socket, state } = recordingSocket()
    const outbox = new Outbox(socket, new Joiner({ ...json }), {
      maxBytes: 1e9,
      maxFrames: 2,
      maxTickBytes: 1e9,
      onStalled() {}
    }, { onOverflow: () => assert.fail("it is full of what may be dropped") })
    channel.subscribe(outbox).release()
    state.buffered = 1e9
    publish(channel)
    state.tick()
    const deliveries = Array.from({ length: 5 }, () => {
      const frame = { _tag: "volatile", channel: 1, name: "Moved", payload: null, except: null } as const
      const delivery = new Delivery()
      const encoded = withFate(json.encode(frame), { _tag: "dropOldest" })
      return { delivery, dropped: channel.deliver(frame, encoded, undefined, delivery) }
    })
    assert.deepStrictEqual(deliveries.map(({ dropped }) => dropped), [0, 0, 1, 1, 1])
    assert.deepStrictEqual(deliveries.map(({ delivery }) => delivery.behind), [0, 0, 0, 1, 1])
  })

  it("drops the oldest channel that nobody uses when it is full, and who comes back to it finds a new epoch", () => {
    const hub = make()
    for (const address of ["a", "b", "c", "d"]) publish(hub.open(address, forever(10)))
    assert.strictEqual(hub.size, 3)
    assert.deepStrictEqual(hub.open("d", forever(10))!.position, ["e4", 1, 1])
    assert.deepStrictEqual(hub.open("a", forever(10))!.position, ["e5", 1, 0])
  })

  it("never drops a channel that has subscribers or a running room", () => {
    const hub = make()
    hub.open("a", Log.nothing)!.holders++
    const subscription = hub.open("b", Log.nothing)!.subscribe(subscriber().outbox)
    hub.open("c", Log.nothing)!.holders++
    assert.isUndefined(hub.open("d", Log.nothing))
    hub.open("b", Log.nothing)!.unsubscribe(subscription)
    assert.isDefined(hub.open("d", Log.nothing))
    assert.strictEqual(hub.open("a", Log.nothing)!.log.epoch, "e1")
  })
})
