/**
 * What a client sent and its handler has not read: bounded, and read one message at a time.
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { Core } from "./Core.ts"
import type { Message } from "./EndpointDefinition.ts"
import * as Limits from "./Limits.ts"
import { TokenBucket } from "./TokenBucket.ts"
import type * as Transport from "./Transport.ts"

export class RawInbox {
  /** Streams of `messages` that run at this moment. */
  readers = 0
  private readonly core: Core
  private readonly socket: Transport.Socket
  private readonly bucket: TokenBucket
  private queue: Array<Message> = []
  private bytes = 0
  private paused = false
  private ended = false
  private readonly waiting: Array<() => void> = []

  constructor(core: Core, socket: Transport.Socket) {
    this.core = core
    this.socket = socket
    this.bucket = new TokenBucket(core.limits.frameRate, core.limits.frameBurst, core.now())
  }

  /** Takes a message in. Answers false when there is no place for it, which pausing should have prevented. */
  offer(message: Message): boolean {
    if (this.ended) return true
    const { connectionMailbox, messageBytes } = this.core.limits
    const next = this.bytes + message.length
    // A transport that was paused may still deliver what it had read.
    if (next + this.queue.length * overhead > messageBytes + Limits.inboundBytes) return false
    this.queue.push(message)
    this.bytes = next
    if (!this.paused && (this.queue.length >= connectionMailbox || next >= messageBytes)) {
      this.paused = true
      this.socket.pause?.()
    }
    this.waiting.shift()?.()
    return true
  }

  /** Nothing comes any more. What waits is still read, unless it is discarded. */
  end(fate: "keep" | "discard"): void {
    if (fate === "discard") {
      this.queue = []
      this.bytes = 0
    }
    this.ended = true
    for (const resume of this.waiting.splice(0)) resume()
  }

  private readonly take: Pull.Pull<Arr.NonEmptyReadonlyArray<Message>> = Effect.suspend(() => {
    if (this.queue.length === 0) return this.ended ? Cause.done() : Effect.andThen(this.arrival, this.take)
    if (!this.ended && !this.bucket.take(this.core.now())) return Effect.delay(this.take, this.bucket.wait)
    const message = this.queue.shift()!
    this.bytes -= message.length
    const { connectionMailbox, messageBytes } = this.core.limits
    if (this.paused && this.queue.length <= connectionMailbox / 2 && this.bytes <= messageBytes / 2) {
      this.paused = false
      this.socket.resume?.()
    }
    return Effect.succeed(Arr.of(message))
  })

  private readonly arrival = Effect.callback<void>((resume) => {
    const arrived = () => resume(Effect.void)
    this.waiting.push(arrived)
    return Effect.sync(() => {
      const index = this.waiting.indexOf(arrived)
      if (index >= 0) this.waiting.splice(index, 1)
      // It was woken and does not read any more: another one may.
      else if (this.queue.length > 0) this.waiting.shift()?.()
    })
  })

  /** One message at a time, so that a reader that stops leaves the rest to the next. */
  readonly messages: Stream.Stream<Message> = Stream.unwrap(Effect.as(
    Effect.acquireRelease(
      Effect.sync(() => this.readers++),
      () => Effect.sync(() => this.readers--)
    ),
    Stream.fromPull(Effect.succeed(this.take))
  ))
}

/** What a queued message costs beside its content, about. */
const overhead = 64
