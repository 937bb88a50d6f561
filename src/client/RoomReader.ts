/**
 * One run of a room's stream of events.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { EventOf, Synced, SyncReason } from "../contract/Definition.ts"
import type { RequestError } from "../contract/RequestError.ts"
import type { Feed, Reader } from "./Feed.ts"

export type Element = Synced<unknown> | EventOf<string, unknown>

export interface Options {
  readonly feed: Feed<Element>
  /** The index of the newest `synced` in the feed. */
  readonly lastSynced: () => number
  /** Without a snapshot there is no state that a reader could be behind of. */
  readonly hasSnapshot: boolean
  /** Asks for a fresh snapshot, which arrives as `synced`. */
  readonly renew: () => void
}

/** Reads from the newest `synced` on, and never skips anything without a `synced` in its place. */
export class RoomReader {
  private readonly options: Options
  private readonly reader: Reader
  /** The index from which on a `synced` is awaited; undefined while nothing was missed. */
  private awaited: number | undefined
  /** Told with the first `synced` of this run. */
  private reason: SyncReason | undefined = "joined"

  constructor(options: Options) {
    this.options = options
    this.reader = options.feed.add(options.lastSynced())
  }

  readonly close = (): void => this.options.feed.remove(this.reader)

  readonly pull: Effect.Effect<readonly [Element, ...Array<Element>], RequestError | Cause.Done> = Effect.suspend(
    () => {
      const elements = this.next()
      if (elements.length > 0) return Effect.succeed(elements as [Element, ...Array<Element>])
      const { ended } = this.options.feed
      if (ended === undefined) return Effect.flatMap(this.options.feed.wait(this.reader), () => this.pull)
      return ended === null ? Cause.done() : Effect.fail(ended)
    }
  )

  private next(): Array<Element> {
    const { feed, hasSnapshot, lastSynced, renew } = this.options
    const { reader } = this
    if (this.awaited !== undefined && lastSynced() >= this.awaited) {
      this.awaited = undefined
      reader.cursor = lastSynced()
    }
    if (this.awaited !== undefined) return []
    if (reader.cursor >= feed.start) return feed.take(reader).map(this.named)
    if (!hasSnapshot) {
      reader.cursor = feed.start
      return [this.named({ _tag: "synced", reason: "gap", snapshot: undefined })]
    }
    this.awaited = feed.end
    if (feed.ended === undefined) renew()
    return []
  }

  /** The first `synced` of a run is how it joined, whatever it was to those who were there before. */
  private readonly named = (element: Element): Element => {
    if (this.reason === undefined || !isSynced(element)) return element
    const { reason } = this
    this.reason = undefined
    return { ...element, reason }
  }
}

const isSynced = (element: Element): element is Synced<unknown> => element._tag === "synced"
