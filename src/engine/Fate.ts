/**
 * What happens to a frame for which a full outbox has no room, and the count of everything that was dropped.
 */
import type * as Definition from "../contract/Definition.ts"
import type * as Codec from "../wire/Codec.ts"

/** A frame on its way out; shared by all outboxes that get it. Without a fate it is never dropped. */
export interface Outgoing extends Codec.Encoded {
  readonly fate?: Fate | undefined
}

/** The fate of an event, as the outbox needs it. */
export type Fate =
  | { readonly _tag: "dropOldest" }
  | { readonly _tag: "dropNewest" }
  /** Among frames of one slot only the newest waits. */
  | { readonly _tag: "conflate"; readonly slot: string }
  /** It is not taken, for its receiver gets it from the log once there is room. */
  | { readonly _tag: "catchUp" }

const dropOldest: Fate = { _tag: "dropOldest" }
const dropNewest: Fate = { _tag: "dropNewest" }
const catchUp: Fate = { _tag: "catchUp" }

/**
 * From what the contract says to the fate of one event; the key of a conflated one is computed here, once.
 *
 * Whom an event excepts is a part of its slot: who skips it must not lose the one before it.
 */
export const of = (
  chosen: Definition.Fate | "catchUp" | undefined,
  channel: number,
  name: string,
  payload: unknown,
  except: ReadonlyArray<string> | null
): Fate | undefined => {
  switch (chosen) {
    case undefined:
    case "disconnect":
      return undefined
    case "dropOldest":
      return dropOldest
    case "dropNewest":
      return dropNewest
    case "catchUp":
      return catchUp
    default:
      return {
        _tag: "conflate",
        slot: JSON.stringify([channel, name, chosen.conflate(payload as never), ...except ?? []])
      }
  }
}

/** The form of a frame with its fate. */
export const withFate = (encoded: Codec.Encoded, fate: Fate | undefined): Outgoing =>
  fate === undefined ? encoded : { ...encoded, fate }

/** How much room a frame needs. One that may be dropped itself takes it only from others of its fate. */
export interface Need {
  readonly bytes: number
  readonly frames: number
  readonly only: Fate["_tag"] | undefined
}

/**
 * Takes the oldest frames that may be dropped out of a buffer, from `start` on, until the need is met. Undefined, and
 * nothing is taken, where all of them are not enough.
 */
export const takeOldest = (buffer: Array<Outgoing>, start: number, need: Need): ReadonlyArray<Outgoing> | undefined => {
  const isSparing = need.only === "dropOldest"
  const victims: Array<Outgoing> = []
  let { bytes, frames } = need
  let end = start
  for (; end < buffer.length && (bytes > 0 || frames > 0); end++) {
    const waiting = buffer[end]!
    const kind = waiting.fate?._tag
    if (kind !== "dropOldest" && (isSparing || kind !== "dropNewest")) continue
    victims.push(waiting)
    bytes -= waiting.bytes
    frames--
  }
  if (bytes > 0 || frames > 0) return undefined
  if (end <= buffer.length - start) closeUp(buffer, end, victims)
  else closeDown(buffer, start, end, victims)
  return victims
}

/** Takes frames that stand before `end` out: the ones before them move up. The cheap way near the front. */
const closeUp = (buffer: Array<Outgoing>, end: number, taken: ReadonlyArray<Outgoing>): void => {
  let kept = end
  let next = taken.length - 1
  for (let index = end - 1; index >= 0; index--) {
    if (buffer[index] === taken[next]) next--
    else buffer[--kept] = buffer[index]!
  }
  // Usually one, for which `shift` moves nothing.
  if (kept === 1) buffer.shift()
  else buffer.splice(0, kept)
}

/** Takes frames that stand between `start` and `end` out: the ones after them move down. The cheap way near the end. */
const closeDown = (buffer: Array<Outgoing>, start: number, end: number, taken: ReadonlyArray<Outgoing>): void => {
  let kept = start
  let next = 0
  for (let index = start; index < end; index++) {
    if (buffer[index] === taken[next]) next++
    else buffer[kept++] = buffer[index]!
  }
  buffer.splice(kept, end - kept)
}

/** Frames that were dropped since the engine started, by what became of them. */
export interface Drops {
  /** Waiting events that made room for newer frames, or did not fit beside frames that are never dropped. */
  dropOldest: number
  /** Events that came when there was no room, or made room for frames that are never dropped. */
  dropNewest: number
  /** Waiting events that were replaced by a newer one of the same key. */
  conflate: number
  /** Everything that waited when a connection was closed with 4409. */
  disconnect: number
}

/** Nothing was dropped yet. */
export const noDrops = (): Drops => ({ dropOldest: 0, dropNewest: 0, conflate: 0, disconnect: 0 })
