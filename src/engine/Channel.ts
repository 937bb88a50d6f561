/**
 * A room's or topic's place in the hub: its log and its subscribers.
 */
import type * as Codec from "../wire/Codec.ts"
import type * as Frame from "../wire/Frame.ts"
import { json } from "../wire/Json.ts"
import type { Commits } from "./Commits.ts"
import type { Outgoing } from "./Fate.ts"
import { withFate } from "./Fate.ts"
import type { Delivery } from "./Followed.ts"
import * as Limits from "./Limits.ts"
import * as Log from "./Log.ts"
import type { Entry, Log as AnyLog, Retention } from "./LogStore.ts"
import { StoreFailed } from "./LogStore.ts"
import type { Outbox } from "./Outbox.ts"
import type { Owed, Source } from "./Subscription.ts"
import { Subscription } from "./Subscription.ts"

/** What a channel is made of. */
export interface Options {
  readonly id: number
  readonly address: string
  readonly retention: Retention
  readonly now: () => number
  readonly commits: Commits | undefined
  /** Opens its log, for the first time or anew. */
  readonly open: () => AnyLog
}

/** A reliable event of the past. */
export type Past = readonly [offset: number, name: string, payload: Frame.Json, except: ReadonlyArray<string> | null]

const page = { events: Limits.pageEvents, bytes: Limits.pageBytes }

export class Channel implements Source {
  readonly id: number
  readonly address: string
  /** Makes the state of a subscriber that the log cannot bring up to date, and releases it. */
  onOwed: (subscription: Subscription, owed: Owed) => void = () => {}
  private readonly options: Options
  private readonly subscriptions: Array<Subscription> = []
  /** Undefined after a commit that failed. */
  private opened: AnyLog | undefined
  /** Logged events in the form of other codecs, once they were replayed. */
  private forms: Map<Codec.Codec, WeakMap<Codec.Encoded, Codec.Encoded>> | undefined
  /** A running room holds its channel, so that it never leaves the hub before the room does. */
  holders = 0

  constructor(options: Options) {
    this.options = options
    this.id = options.id
    this.address = options.address
    this.opened = this.reopen()
  }

  get log(): AnyLog {
    return this.opened ??= this.reopen()
  }

  get head(): number {
    return this.log.head
  }

  get position(): Frame.Position {
    return Log.position(this.log)
  }

  get subscribers(): number {
    return this.subscriptions.length
  }

  get unused(): boolean {
    return this.holders === 0 && this.subscriptions.length === 0
  }

  /** Subscribes from the position of this moment on; what comes is held until `release`. */
  subscribe(outbox: Outbox): Subscription {
    const subscription = new Subscription(this, outbox, this.subscriptions.length)
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
    subscription.end()
  }

  repair(): number {
    let repaired = 0
    for (const subscription of this.subscriptions) if (subscription.repair()) repaired++
    return repaired
  }

  // ------------------------------------------------------------- publishing

  /** The frame of the next reliable event; `publish` it before anything else is published. */
  event(name: string, payload: Frame.Json, except: ReadonlyArray<string> | null): Frame.ServerFrames["event"] {
    return { _tag: "event", channel: this.id, offset: this.head + 1, name, payload, except }
  }

  /** Keeps the event and delivers it: see `deliver`. `encoded` is its form in JSON. Throws if it cannot be kept. */
  publish(frame: Frame.ServerFrames["event"], encoded: Outgoing, delivery?: Delivery): number {
    const { commits, now, retention } = this.options
    try {
      commits?.begin(this)
      this.log.append(encoded, retention.capacity === 0 ? 0 : now())
    } catch (error) {
      commits?.fail(error)
      throw new StoreFailed(error)
    }
    return this.send(frame, encoded, frame.offset, undefined, delivery)
  }

  /**
   * Delivers what has no offset: volatile events and presence. `encoded` is the frame's form in JSON.
   *
   * Answers for how many subscribers something was dropped. A subscriber that is still held back is not in `delivery`.
   */
  deliver(frame: Frame.ServerFrame, encoded: Outgoing, except?: Subscription, delivery?: Delivery): number {
    return this.send(frame, encoded, 0, except, delivery)
  }

  private send(
    frame: Frame.ServerFrame,
    encoded: Outgoing,
    offset: number,
    except: Subscription | undefined,
    delivery: Delivery | undefined
  ): number {
    let others: Map<Codec.Codec, Outgoing> | undefined
    let dropped = 0
    // Backwards: a subscriber that overflows may end here and now, and the last one takes its place.
    for (let index = this.subscriptions.length - 1; index >= 0; index--) {
      const subscription = this.subscriptions[index]!
      if (subscription === except) continue
      const wanted = subscription.outbox.codec
      if (wanted === json) {
        if (subscription.deliver(encoded, offset)) dropped++
        continue
      }
      others ??= new Map()
      let other = others.get(wanted)
      if (other === undefined) others.set(wanted, other = withFate(wanted.encode(frame), encoded.fate))
      if (subscription.deliver(other, offset)) dropped++
    }
    if (delivery !== undefined) {
      for (const { outbox } of this.subscriptions) outbox.follow(others?.get(outbox.codec) ?? encoded, delivery)
    }
    return dropped
  }

  // ------------------------------------------------------------- the past

  replay(after: number, codec: Codec.Codec): ReadonlyArray<Codec.Encoded> {
    return this.log.read(after, page).map((entry) => this.inForm(entry, codec))
  }

  /** The newest events before an offset and from another on, the oldest first. */
  history(before: number, from: number, events: number, bytes: number): ReadonlyArray<Past> {
    if (events === 0 || before <= from) return []
    return this.log.readBefore(before, from, { events, bytes })
      .map(({ encoded }) => {
        const { except, name, offset, payload } = frameOf(encoded)
        return [offset, name, payload, except]
      })
  }

  private inForm({ encoded }: Entry, codec: Codec.Codec): Codec.Encoded {
    if (codec === json && (encoded.data as string).startsWith(`["event",${this.id},`)) return encoded
    this.forms ??= new Map()
    let form = this.forms.get(codec)
    if (form === undefined) this.forms.set(codec, form = new WeakMap())
    let made = form.get(encoded)
    if (made === undefined) form.set(encoded, made = codec.encode({ ...frameOf(encoded), channel: this.id }))
    return made
  }

  // ------------------------------------------------------------- opening

  private reopen(): AnyLog {
    this.options.commits?.begin(this)
    return this.options.open()
  }

  /** A commit failed: what was appended since is not in the log. */
  revoke(): ReadonlyArray<Outbox> {
    this.opened = undefined
    return this.subscriptions.map(({ outbox }) => outbox)
  }

  close(): void {
    this.opened?.close()
  }
}

const frameOf = ({ data }: Codec.Encoded): Frame.ServerFrames["event"] =>
  json.decodeServer(data, 1)![0] as Frame.ServerFrames["event"]
