/**
 * One topic that a client is subscribed to: one subscription for all streams of the same key.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as RequestError from "../contract/RequestError.ts"
import type * as Contract from "../wire/Contract.ts"
import type * as Frame from "../wire/Frame.ts"
import type { Answer, Channel, Delivery, Owner, Status } from "./Channel.ts"
import type { Reader } from "./Feed.ts"
import { Feed } from "./Feed.ts"

export class TopicChannel implements Channel {
  readonly leaveTag = "unsubscribe"
  readonly address: string
  status: Status = "waiting"
  number = 0
  inFlight = 0
  retryAt = 0
  private readonly owner: Owner
  private readonly contract: Contract.CompiledTopic
  private readonly key: string
  private readonly feed: Feed<unknown>
  private position: Frame.Position | null = null
  private streams = 0
  private isWaking = false

  constructor(owner: Owner, contract: Contract.CompiledTopic, key: string, eventBuffer: number) {
    this.owner = owner
    this.contract = contract
    this.key = key
    this.address = TopicChannel.address(contract, key)
    this.feed = new Feed(eventBuffer)
  }

  static address(contract: Contract.CompiledTopic, key: string): string {
    return `topic ${contract.name}/${key}`
  }

  readonly askFrame = (ref: number): Frame.ClientFrames["subscribe"] => ({
    _tag: "subscribe",
    ref,
    topic: this.contract.name,
    key: this.key,
    position: this.position
  })

  readonly answered = (frame: Answer): void => {
    if (frame._tag === "subscribed") {
      this.position = frame.position
      return
    }
    const reason = frame._tag === "error" ? RequestError.decode(frame.error) : new RequestError.HandlerFailed()
    if (reason._tag === "Overloaded" || reason._tag === "RateLimited") {
      this.retryAt = this.owner.now() + Math.max(reason.retryAfter, 1)
      return this.owner.want(this)
    }
    this.owner.drop(this, new RequestError.RequestError({ reason }))
  }

  readonly receive = (frame: Delivery): void => {
    switch (frame._tag) {
      case "event": {
        const [epoch, term, offset] = this.position!
        if (frame.offset <= offset) return
        this.position = [epoch, term, frame.offset]
        return this.publish(frame.payload)
      }
      case "volatile":
        return this.publish(frame.payload)
      case "left":
        return this.owner.drop(
          this,
          new RequestError.RequestError({ reason: new RequestError.RoomStopped({ detail: frame.detail }) })
        )
    }
  }

  private publish(wire: Frame.Json): void {
    const decoded = this.contract.payload.decode(wire)
    if (Result.isFailure(decoded)) return
    this.feed.push(decoded.success)
    this.wake()
  }

  readonly finish = (error: RequestError.RequestError | null): void => {
    this.feed.finish(error)
    this.wake()
  }

  private wake(): void {
    if (this.isWaking) return
    this.isWaking = true
    this.owner.after(() => {
      this.isWaking = false
      this.feed.wake()
    })
  }

  /** Begins to read what is published from now on; `close` answers how many others still read. */
  subscribe(): {
    readonly channel: TopicChannel
    readonly pull: ReturnType<typeof pull>
    readonly close: () => number
  } {
    const { feed } = this
    const reader = feed.add(feed.end)
    this.streams++
    return {
      channel: this,
      pull: pull(feed, reader),
      close: () => {
        feed.remove(reader)
        return --this.streams
      }
    }
  }
}

/** Reads what is still there: a reader that is too slow misses the oldest. */
const pull = (
  feed: Feed<unknown>,
  reader: Reader
): Effect.Effect<readonly [unknown, ...Array<unknown>], RequestError.RequestError | Cause.Done> =>
  Effect.suspend(() => {
    if (reader.cursor < feed.start) reader.cursor = feed.start
    const elements = feed.take(reader)
    if (elements.length > 0) return Effect.succeed(elements as [unknown, ...Array<unknown>])
    const { ended } = feed
    if (ended === undefined) return Effect.flatMap(feed.wait(reader), () => pull(feed, reader))
    return ended === null ? Cause.done() : Effect.fail(ended)
  })
