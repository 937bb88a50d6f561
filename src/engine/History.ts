/**
 * The past of a room, as far as it is kept.
 */
import type { Past } from "./Channel.ts"
import type { Room } from "./Room.ts"

/** Which events of it. */
export interface Wish {
  /** They come before this offset; the newest unless said. */
  readonly before: number | null | undefined
  /** They come behind this one. */
  readonly floor: number
  /** So many of them at most, with so many bytes or one of them alone. */
  readonly limit: number
  readonly bytes: number
}

/** Events in the form of the wire, the oldest first. */
export interface History {
  readonly events: ReadonlyArray<Past>
  /** Older ones are kept. */
  readonly more: boolean
}

/** The newest events that are wished for. */
export const read = ({ channel, core }: Room, { before, bytes, floor, limit }: Wish): History => {
  const first = Math.max(channel.log.first(core.now()), floor + 1)
  const end = Math.min(before ?? Infinity, channel.head + 1)
  const events = channel.history(end, first, limit, bytes)
  return { events, more: (events[0]?.[0] ?? end) > first }
}
