/**
 * The hub: from each room and topic to its subscribers, and the log of each.
 *
 * `publish` is a synchronous call in the publisher's turn. It assigns the offset, appends to the log, encodes once for
 * each codec and appends to every subscriber's outbox. Subscribing is a synchronous call too, so that a join is one
 * turn: a subscriber sees every event after its position and none before it. Delivery is at most once; what a
 * connection lost is in the log as far as the room keeps one.
 */
import type * as Codec from "../wire/Codec.ts"
import type * as Frame from "../wire/Frame.ts"
import type { Outgoing } from "./Fate.ts"
import { takeOldest, withFate } from "./Fate.ts"
import type { Delivery } from "./Followed.ts"
import * as Log from "./Log.ts"
import type { Outbox } from "./Outbox.ts"

/** Bounds and sources of a hub. */
export interface Options {
  /** Channels at once; those that nobody uses leave first. */
  readonly maxChannels: number
  readonly historyBytes: number
  readonly now: () => number
  readonly nextEpoch: () => string
}

/** Events held back for one subscriber; past it they meet their fate, or it counts as a peer that does not read. */
const maxHeld = 1_024

/** One subscriber of one channel. */
export class Subscription {
  readonly outbox: Outbox
  /** Where it stands among the subscribers; -1 once it has ended. */
  index: number
  /** Events that came while the answer of its join, or its new state, was still being made. */
  private held: Array<Outgoing> | undefined = []

  constructor(outbox: Outbox, index: number) {
    this.outbox = outbox
    this.index = index
  }

  /** Answers whether something was dropped for it: see `Outbox.push`. */
  deliver(frame: Outgoing): boolean {
    if (this.held === undefined) return this.outbox.push(frame)
    if (this.held.length >= maxHeld) return this.makeRoom(this.held, frame)
    this.held.push(frame)
    return false
  }

  private makeRoom(held: Array<Outgoing>, frame: Outgoing): boolean {
    const fate = frame.fate?._tag
    const dropped = fate === "dropNewest" ? undefined : takeOldest(held, 0, { bytes: 0, frames: 1, only: fate })
    if (dropped !== undefined) {
      held.push(frame)
      this.outbox.lose(dropped)
    } else if (fate === "dropOldest" || fate === "dropNewest") this.outbox.lose([frame])
    else this.outbox.overflow([...held, frame])
    return true
  }

  /** From here on what comes is held, until `release`. */
  hold(): void {
    if (this.held !== undefined) this.release()
    this.held = []
  }

  /** Lets the held events follow; called right after the answer of the join. */
  release(): void {
    const held = this.held ?? []
    this.held = undefined
    for (const frame of held) this.outbox.push(frame)
  }
}

/** A room's or topic's place in the hub. */
export class Channel {
  readonly id: number
  readonly address: string
  readonly log: Log.Log
  private readonly hub: Hub
  private readonly subscriptions: Array<Subscription> = []
  /** A running room holds its channel, so that it never leaves the hub before the room does. */
  holders = 0

  constructor(hub: Hub, id: number, address: string, log: Log.Log) {
    this.hub = hub
    this.id = id
    this.address = address
    this.log = log
  }

  get subscribers(): number {
    return this.subscriptions.length
  }

  get unused(): boolean {
    return this.holders === 0 && this.subscriptions.length === 0
  }

  /** Subscribes from the position of this moment on; what comes is held until `release`. */
  subscribe(outbox: Outbox): Subscription {
    const subscription = new Subscription(outbox, this.subscriptions.length)
    this.subscriptions.push(subscription)
    return subscription
  }

  unsubscribe(subscription: Subscription): void {
    if (subscription.index < 0) return
    const last = this.subscriptions.pop()!
    if (last !== subscription) {
      this.subscriptions[subscription.index] = last
      last.index = subscription.index
    }
    subscription.index = -1
  }

  /** The frame of the next reliable event; `publish` it before anything else is published. */
  event(name: string, payload: Frame.Json, except: ReadonlyArray<string> | null): Frame.ServerFrames["event"] {
    return { _tag: "event", channel: this.id, offset: this.log.offset + 1, name, payload, except }
  }

  /** Assigns the offset, keeps the event and delivers it: see `deliver`. */
  publish(frame: Frame.ServerFrames["event"], encoded: Outgoing, codec: Codec.Codec, delivery?: Delivery): number {
    const before = this.log.bytes
    this.log.append(frame, encoded.bytes, this.hub.now())
    this.hub.retained(this.log.bytes - before)
    return this.deliver(frame, encoded, codec, undefined, delivery)
  }

  /**
   * Delivers what has no offset: volatile events and presence. `encoded` is the frame's form in `codec`.
   *
   * Answers for how many subscribers something was dropped. A subscriber that is still held back is not in `delivery`.
   */
  deliver(
    frame: Frame.ServerFrame,
    encoded: Outgoing,
    codec: Codec.Codec,
    except?: Subscription,
    delivery?: Delivery
  ): number {
    let others: Map<Codec.Codec, Outgoing> | undefined
    let dropped = 0
    // Backwards: a subscriber that overflows may end here and now, and the last one takes its place.
    for (let index = this.subscriptions.length - 1; index >= 0; index--) {
      const subscription = this.subscriptions[index]!
      if (subscription === except) continue
      const wanted = subscription.outbox.codec
      if (wanted === codec) {
        if (subscription.deliver(encoded)) dropped++
        continue
      }
      others ??= new Map()
      let other = others.get(wanted)
      if (other === undefined) others.set(wanted, other = withFate(wanted.encode(frame), encoded.fate))
      if (subscription.deliver(other)) dropped++
    }
    if (delivery !== undefined) {
      for (const { outbox } of this.subscriptions) outbox.follow(others?.get(outbox.codec) ?? encoded, delivery)
    }
    return dropped
  }
}

export class Hub {
  readonly now: () => number
  private readonly options: Options
  private readonly channels = new Map<string, Channel>()
  private lastId = 0
  private bytes = 0

  constructor(options: Options) {
    this.options = options
    this.now = options.now
  }

  get size(): number {
    return this.channels.size
  }

  /** The channel of an address, opened if need be; undefined when the hub is full of channels in use. */
  open(address: string, retention: Log.Retention): Channel | undefined {
    const found = this.channels.get(address)
    if (found !== undefined) return found
    if (this.channels.size >= this.options.maxChannels && !this.evict()) return undefined
    const channel = new Channel(this, ++this.lastId, address, new Log.Log(this.options.nextEpoch(), retention))
    this.channels.set(address, channel)
    return channel
  }

  /** Drops the longest-standing channel that nobody uses; whoever comes back to it finds a new epoch. */
  private evict(): boolean {
    for (const channel of this.channels.values()) {
      if (!channel.unused) continue
      this.channels.delete(channel.address)
      this.bytes -= channel.log.bytes
      return true
    }
    return false
  }

  /** Counts retained bytes; past the bound of all logs together the oldest events leave. */
  retained(bytes: number): void {
    this.bytes += bytes
    while (this.bytes > this.options.historyBytes) {
      let oldest: Log.Log | undefined
      for (const { log } of this.channels.values()) {
        if (oldest === undefined || log.oldest < oldest.oldest) oldest = log
      }
      if (oldest === undefined || oldest.size === 0) return
      const before = oldest.bytes
      oldest.dropOldest()
      this.bytes -= before - oldest.bytes
    }
  }
}
