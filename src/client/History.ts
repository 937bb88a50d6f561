/**
 * Looking back into what a room has kept, page by page.
 */
import type * as Room from "../contract/Definition.ts"
import type * as Frame from "../wire/Frame.ts"

/** Which part of the history. */
export interface HistoryOptions {
  /** Only events before this offset; the newest when left out. */
  readonly before?: number | undefined
  /** How many at most: 1 to 256. The server may give fewer, so that a page stays small. */
  readonly limit: number
}

/** A reliable event that a room has kept. */
export type Past<R> = {
  [N in keyof Room.Events<R>]: Room.Events<R>[N] extends Room.Volatile ? never
    : Room.EventOf<N, Room.EventPayload<R, N>> & { readonly offset: number }
}[keyof Room.Events<R>]

/** A part of a room's history. */
export interface Page<out E> {
  /** In the order of their offsets, without those that skip this member or are not of its contract. */
  readonly events: ReadonlyArray<E>
  /** The room keeps older ones. */
  readonly more: boolean
  /** What to ask before for the page that comes before this one. */
  readonly before: number | undefined
}

const maxLimit = 256

/** What is asked of the server, which takes whole numbers only. */
export const message = ({ before, limit }: HistoryOptions) =>
  ({
    _tag: "history",
    before: before !== undefined && before >= 0 ? Math.floor(before) : null,
    limit: limit >= 1 ? Math.floor(Math.min(limit, maxLimit)) : 1
  }) as const satisfies Partial<Frame.ClientFrames["history"]>
