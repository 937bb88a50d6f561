/**
 * The one timer of a connection: everything that is to happen later asks to be woken by then.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"

export class Alarm {
  private at = Infinity
  private ticking = false
  private readonly latch = Latch.makeUnsafe(false)

  /** Asks for a `tick` at this moment or before. Asking again for a later one costs nothing. */
  by(at: number): void {
    if (at >= this.at) return
    this.at = at
    if (!this.ticking) this.latch.openUnsafe()
  }

  /** Calls `tick`, which answers when it wants to be called next, for as long as the fiber lives. */
  run(now: () => number, tick: () => number): Effect.Effect<never> {
    return Effect.forever(Effect.suspend(() => {
      this.latch.closeUnsafe()
      this.at = Infinity
      this.ticking = true
      const next = tick()
      this.ticking = false
      this.at = Math.min(this.at, next)
      if (this.at === Infinity) return this.latch.await
      return Effect.raceFirst(this.latch.await, Effect.sleep(Math.max(1, Math.ceil(this.at - now()))))
    }))
  }
}
