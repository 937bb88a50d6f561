/**
 * What an outbox is made of beside its socket: its bounds, and who hears of it.
 */
import type * as Fate from "./Fate.ts"
import type { Stats } from "./Stats.ts"

/** What waits until the runtime has room. */
export interface Stalled {
  /** The runtime may have room again. Answers whether nothing waits any more. */
  readonly drained: () => boolean
}

/** Whose outbox it is. */
export interface Owner {
  /** The peer did not read fast enough. Called once; the outbox is closed by then. */
  readonly onOverflow: () => void
  /** After `awaitRoom`, once: a tick has ended, or the runtime had room, so that some of what waits may have left. */
  readonly onRoom?: () => void
}

/** The bounds of outboxes, and what they have in common: one object for all of a kind. */
export interface Options {
  readonly maxBytes: number
  readonly maxFrames: number
  /** What may collect in all, whether or not the runtime is full. */
  readonly maxTickBytes: number
  /** The runtime is full and something waits: `drained` must be called when it may have room again. */
  readonly onStalled: (outbox: Stalled) => void
  /** Counts what is sent. */
  readonly stats?: Stats | undefined
  /** Called before anything is handed over; with false nothing is. */
  readonly beforeHandOver?: (() => boolean) | undefined
  /** What all outboxes of the engine have dropped. */
  readonly drops?: Fate.Drops
}
