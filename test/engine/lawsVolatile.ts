/**
 * Volatile events in the laws: what was published to each client is noted where subscriptions get it, and in the end
 * compared with what arrived and with what was counted as dropped.
 */
import { Schema } from "effect"
import * as Room from "../../src/contract/Room.ts"
import { Channel } from "../../src/engine/Channel.ts"
import { Outbox } from "../../src/engine/Outbox.ts"
import { Subscription } from "../../src/engine/Subscription.ts"
import type { Held } from "../../src/engine/Waiting.ts"
import type { Peer } from "./peer.ts"

const Blink = { number: Schema.Int, key: Schema.String, pad: Schema.String }

/** One event of each fate. */
export const blinks = {
  Oldest: Room.volatile(Blink),
  Newest: Room.volatile(Blink, "dropNewest"),
  Latest: Room.volatile(Blink, { conflate: ({ key }) => key }),
  Strict: Room.volatile(Blink, "disconnect")
}

export const blinkNames: ReadonlyArray<keyof typeof blinks> = ["Oldest", "Newest", "Latest", "Strict"]

/** Frames as they go over the wire: no two volatile ones are the same. */
type Line = string

const isVolatile = (line: Line) => line.startsWith("[\"volatile\"")

const linesOf = (peer: Peer): ReadonlyArray<Line> => peer.messages.flatMap((message) => String(message).split("\n"))

/** The channel, event and key of a frame. */
const parse = (line: Line) => {
  const [, channel, name, payload] = JSON.parse(line) as readonly [string, number, string, { readonly key: string }]
  return { channel, name, slot: `${channel} ${payload.key}` }
}

export class Volatiles {
  /** By the outbox of a client. */
  private readonly published = new Map<Outbox, Array<Line>>()
  /** Replaced by what nobody was there for any more. */
  private readonly replaced = new Set<Line>()
  /** By the welcome that was sent through it, which names its session. */
  private readonly outboxes = new Map<Line, Outbox>()

  /** Takes notes, until the function it gives back is called. */
  watch(): () => void {
    const { outboxes, published, replaced } = this
    const { deliver } = Subscription.prototype
    const { unsubscribe } = Channel.prototype
    const { push } = Outbox.prototype
    const of = (outbox: Outbox) => {
      const lines = published.get(outbox) ?? []
      published.set(outbox, lines)
      return lines
    }
    Subscription.prototype.deliver = function(frame, offset) {
      if (isVolatile(String(frame.data))) of(this.outbox).push(String(frame.data))
      return deliver.call(this, frame, offset)
    }
    Channel.prototype.unsubscribe = function(subscription) {
      // It leaves before its join was answered: what was held back until then was never for it.
      const { waiting } = subscription as unknown as { readonly waiting?: { readonly held: ReadonlyArray<Held> } }
      const lines = of(subscription.outbox)
      for (const { frame: { data } } of waiting?.held ?? []) {
        const line = String(data)
        if (!isVolatile(line)) continue
        lines.splice(lines.lastIndexOf(line), 1)
        // One of its key that it had replaced was for nobody either, but was counted.
        const older = lines.findLast((one) => parse(one).slot === parse(line).slot)
        if (older !== undefined) replaced.add(older)
      }
      return unsubscribe.call(this, subscription)
    }
    Outbox.prototype.push = function(frame) {
      if (String(frame.data).startsWith("[\"welcome\"")) outboxes.set(String(frame.data), this)
      return push.call(this, frame)
    }
    return () => {
      Subscription.prototype.deliver = deliver
      Channel.prototype.unsubscribe = unsubscribe
      Outbox.prototype.push = push
    }
  }

  /** Frames that were dropped, of all clients together. */
  get dropped(): number {
    return [...this.outboxes.values()].reduce((sum, { dropped }) => sum + dropped, 0)
  }

  /** What is wrong with what a client got, which is still here and has read everything. */
  judge(peer: Peer): string | undefined {
    const lines = linesOf(peer)
    const outbox = this.outboxes.get(lines[0]!)
    if (outbox === undefined) return undefined
    const published = this.published.get(outbox) ?? []
    const arrived = lines.filter(isVolatile)
    const has = new Set(arrived)
    // What one room holds back while it answers a join, another may overtake.
    const byRoom = (all: ReadonlyArray<Line>) => all.toSorted((one, other) => parse(one).channel - parse(other).channel)
    if (byRoom(published.filter((line) => has.has(line))).join("\n") !== byRoom(arrived).join("\n")) {
      return "volatile events arrive at most once, in the order in which they were published"
    }
    const missing = published.filter((line) => !has.has(line)).map(parse)
    if (missing.length !== outbox.dropped) {
      return `what arrived and what was dropped is what was published: of ${published.length} events ` +
        `${arrived.length} arrived and ${outbox.dropped} were dropped`
    }
    if (missing.some(({ name }) => name === "Strict")) return "an event that may not be dropped is not"
    const newest = new Map(
      published.map((line) => [parse(line), line] as const).filter(([{ name }]) => name === "Latest")
        .map(([{ slot }, line]) => [slot, line])
    )
    for (const line of newest.values()) {
      if (!has.has(line) && !this.replaced.has(line)) return "the newest of a key arrives"
    }
    return undefined
  }
}
