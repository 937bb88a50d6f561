/**
 * One topic that a client is subscribed to: one subscription for all streams of the same key.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as RequestError from "../contract/RequestError.ts"
import type * as Contract from "../wire/Contract.ts"
import type * as Frame from "../wire/Frame.ts"
import type { Answer, Delivery, Owner } from "./Channel.ts"
import { FedChannel } from "./FedChannel.ts"
import type { Feed, Reader } from "./Feed.ts"

export class TopicChannel extends FedChannel<unknown> {
  readonly leaveTag = "unsubscribe"
  private readonly contract: Contract.CompiledTopic
  private streams = 0

  constructor(owner: Owner, contract: Contract.CompiledTopic, key: string, eventBuffer: number) {
    super(owner, TopicChannel.address(contract, key), key, eventBuffer)
    this.contract = contract
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
    if (!this.isBusy(reason)) this.owner.drop(this, new RequestError.RequestError({ reason }))
  }

  readonly receive = (frame: Delivery): void => {
    switch (frame._tag) {
      case "event":
        if (this.distance(frame.offset) <= 0) return
        this.moveTo(frame.offset)
        return this.publish(frame.payload)
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
    if (Result.isSuccess(decoded)) this.push(decoded.success)
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
