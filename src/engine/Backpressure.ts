/**
 * Keeps the requests of a connection waiting while it does not take the replies to those before.
 */
import * as Effect from "effect/Effect"
import type { Limits } from "./Limits.ts"
import type { Outbox } from "./Outbox.ts"

export class Backpressure {
  private readonly outbox: Outbox
  private readonly limits: Limits
  private waiting: (() => void) | undefined

  constructor(outbox: Outbox, limits: Limits) {
    this.outbox = outbox
    this.limits = limits
  }

  /** Whether there is room for one more reply: not more than half an outbox waits. */
  get hasRoom(): boolean {
    const { outboxBytes, outboxFrames } = this.limits
    return this.outbox.queuedBytes <= outboxBytes / 2 && this.outbox.queuedFrames <= outboxFrames / 2
  }

  /** Waits until there is. Meanwhile frames collect in the mailbox, and then the transport is paused. */
  room(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      this.waiting = () => resume(Effect.void)
      this.outbox.awaitRoom()
    })
  }

  /** Some of what waited may have left. */
  goOn(): void {
    if (this.waiting === undefined) return
    if (!this.hasRoom) return this.outbox.awaitRoom()
    const { waiting } = this
    this.waiting = undefined
    waiting()
  }
}
