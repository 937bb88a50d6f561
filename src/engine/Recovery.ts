/**
 * Where in the log a subscriber begins.
 */
import type * as Frame from "../wire/Frame.ts"
import * as Log from "./Log.ts"
import type { Log as AnyLog } from "./LogStore.ts"

/** What a subscriber wishes for. */
export interface Wish {
  /** Where it was before. */
  readonly position: Frame.Position | null
  /** Otherwise, how many events back it would begin. */
  readonly last: number | null
}

/** Where it begins, and whether that is where it was before. */
export interface Start {
  readonly position: Frame.Position
  readonly recovered: boolean
}

/**
 * Continues where the subscriber was, if every event since is kept; else begins so many events before `now`, the position
 * of this moment, as it wishes and there are. It gets nothing up to the offset `floor`.
 */
export const begin = (
  log: AnyLog,
  { last, position }: Wish,
  [epoch, term, head]: Frame.Position,
  now: number,
  floor = 0
): Start => {
  if (position !== null && position[2] <= head && position[2] >= floor && Log.canContinue(log, position, now)) {
    return { position: [epoch, term, position[2]], recovered: true }
  }
  const back = Math.min(last ?? 0, head - floor, head + 1 - log.first(now))
  return { position: [epoch, term, head - Math.max(back, 0)], recovered: false }
}
