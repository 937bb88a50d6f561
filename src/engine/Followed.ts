/**
 * Frames of one outbox that somebody asks for again while they wait. Exists only where there are any.
 */
import type { Outgoing } from "./Fate.ts"

/** How many outboxes have not handed over an event yet, for the one who waits for it. */
export class Delivery {
  /** Outboxes in which it waits. */
  behind = 0
  private resume: (() => void) | undefined

  /** It left one of them: handed over, dropped or lost with the connection. */
  left(): void {
    this.behind--
    if (this.behind === 0) this.resume?.()
  }

  /** Calls back once, when it waits nowhere any more. */
  whenTaken(resume: () => void): void {
    this.resume = resume
  }
}

export class Followed {
  /** The waiting frame of each slot. */
  private readonly newest = new Map<string, Outgoing>()
  private readonly deliveries = new Map<Outgoing, Delivery>()

  get isEmpty(): boolean {
    return this.newest.size === 0 && this.deliveries.size === 0
  }

  /** Notes the newest frame of a slot. */
  replace(slot: string, frame: Outgoing): void {
    this.newest.set(slot, frame)
  }

  /** The frame that waits for a slot. */
  waiting(slot: string): Outgoing | undefined {
    return this.newest.get(slot)
  }

  follow(frame: Outgoing, delivery: Delivery): void {
    delivery.behind++
    this.deliveries.set(frame, delivery)
  }

  /** These frames wait no longer. */
  left(frames: ReadonlyArray<Outgoing>): void {
    for (const frame of frames) {
      const { fate } = frame
      if (fate?._tag === "conflate" && this.newest.get(fate.slot) === frame) this.newest.delete(fate.slot)
      const delivery = this.deliveries.get(frame)
      if (delivery === undefined) continue
      this.deliveries.delete(frame)
      delivery.left()
    }
  }
}
