/**
 * The seam to where logs are kept: in memory unless a store is provided.
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Codec from "../wire/Codec.ts"

/** What is kept: at most `capacity` events, none older than `timeToLive` milliseconds. */
export interface Retention {
  readonly capacity: number
  readonly timeToLive: number
}

/** One event that is kept. */
export interface Entry {
  readonly offset: number
  /** Its frame in JSON. The number of its channel is that of when it was appended. */
  readonly encoded: Codec.Encoded
}

/** How much is read at once: so many events and, but for the first of them, so many bytes. */
export interface Page {
  readonly events: number
  readonly bytes: number
}

/**
 * One log, opened.
 *
 * Offsets count from 1 and never skip: what is kept is always the newest so many without a hole. Each opening is a term
 * of its own, so that a position tells whether this opening still has what an earlier one had: see `endOf`.
 */
export interface Log {
  /** Which log: another one for an address whose log was forgotten. */
  readonly epoch: string
  /** Which opening of it: higher than every one before, also one that the store has lost. */
  readonly term: number
  /** The offset of the last event; 0 before the first. */
  readonly head: number
  /**
   * The last offset of a term that every opening after it found; of the current one, the head. Undefined for a term that
   * was forgotten or lost, or has not been yet.
   */
  readonly endOf: (term: number) => number | undefined
  /** The offset of the oldest event that is kept and not too old; one past the head if there is none. */
  readonly first: (now: number) => number
  /** Keeps the event with the next offset, and lets go of what is past the retention. Throws if it cannot. */
  readonly append: (encoded: Codec.Encoded, now: number) => void
  /** The events behind an offset, the oldest first. Empty where the next one is not kept. */
  readonly read: (after: number, page: Page) => ReadonlyArray<Entry>
  /** The newest events before an offset and from another on, the oldest first. Their frame may have more bytes by one. */
  readonly readBefore: (before: number, from: number, page: Page) => ReadonlyArray<Entry>
  /** Nobody uses it any more. What may be read again later stays with the store. */
  readonly close: () => void
}

/**
 * What is appended, and which logs are opened, from `begin` on is kept by `commit` or not at all.
 *
 * All of it is synchronous. After `commit` or `rollback` has thrown, or after `rollback`, the logs of the transaction
 * are opened anew.
 */
export interface Transaction {
  readonly begin: () => void
  /** Throws if not everything is kept. */
  readonly commit: () => void
  readonly rollback: () => void
}

/** What the store threw, as the room meets it that was about to emit: it crashes, and nobody is charged for that. */
export class StoreFailed extends Error {
  static readonly isIn = (cause: Cause.Cause<unknown>): boolean =>
    cause.reasons.some((reason) => reason._tag === "Die" && reason.defect instanceof StoreFailed)

  constructor(cause: unknown) {
    super("the event could not be kept", { cause })
  }
}

/** Where logs are kept. */
export interface LogStore {
  /** What makes appending durable; undefined where nothing is, and an append needs no more. */
  readonly transaction: Transaction | undefined
  /** Opens the log of an address, once at a time. Throws if it cannot. */
  readonly open: (address: string, retention: Retention, nextEpoch: () => string) => Log
}

/** Keeps logs in memory, within the limit `historyBytes`, unless a store is provided. */
export const LogStore: Context.Reference<LogStore | undefined> = Context.Reference<LogStore | undefined>(
  "heddle/engine/LogStore",
  { defaultValue: () => undefined }
)
