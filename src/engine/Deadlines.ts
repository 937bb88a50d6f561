/**
 * Many deadlines of one length, watched by one fiber that exists while there are any.
 */
import * as Effect from "effect/Effect"
import type { Core } from "./Core.ts"
import { fork } from "./Core.ts"

export class Deadlines<A> {
  private readonly core: Core
  private readonly millis: number
  private readonly onExpired: (item: A) => void
  /** In the order of expiry, since all have the same length. */
  private readonly due = new Map<A, number>()
  private watching = false
  private waiters: Array<() => void> = []

  constructor(core: Core, millis: number, onExpired: (item: A) => void) {
    this.core = core
    this.millis = millis
    this.onExpired = onExpired
  }

  add(item: A): void {
    this.due.set(item, this.core.now() + this.millis)
    if (this.watching) return
    this.watching = true
    fork(this.core, this.watch)
  }

  remove(item: A): void {
    if (!this.due.delete(item) || this.due.size > 0) return
    const { waiters } = this
    this.waiters = []
    for (const resume of waiters) resume()
  }

  /** Waits until every item was removed or has expired. */
  readonly empty: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.due.size === 0) resume(Effect.void)
    else this.waiters.push(() => resume(Effect.void))
  })

  private readonly watch: Effect.Effect<void> = Effect.suspend(() => {
    const now = this.core.now()
    for (const [item, at] of this.due) {
      if (at > now) return Effect.flatMap(Effect.sleep(at - now), () => this.watch)
      this.remove(item)
      this.onExpired(item)
    }
    this.watching = false
    return Effect.void
  })
}
