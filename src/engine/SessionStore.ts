/**
 * The seam to where sessions are kept beyond the life of a process.
 *
 * Synchronous, as the store of the logs is: an implementation that shares its transaction with them writes what one tick
 * changes in one commit, before anything of that tick is sent. So an answer that a client has is in the store, and one
 * that is not in the store was never sent. Memberships are not kept: rooms end with their process.
 */
import * as Context from "effect/Context"
import type { Encoded } from "../wire/Codec.ts"
import type { Hashes } from "./Tokens.ts"

/** A session, but for its answers. */
export interface SessionHeader {
  readonly id: string
  readonly tokens: Hashes
  /** Who it belongs to; undefined if to nobody in particular. */
  readonly subject: string | undefined
  /** The subprotocol its answers are encoded in. */
  readonly protocol: string
  /** Until when somebody may come back for it, in milliseconds of the clock; undefined while it is connected. */
  readonly expiresAt: number | undefined
}

/** A session as a former process left it. */
export interface SessionRecord extends SessionHeader {
  /** The highest number of a request that was ever answered. */
  readonly lastSeq: number
  /** What the client has not acknowledged, in the order in which it was answered. */
  readonly answers: ReadonlyArray<readonly [seq: number, answer: Encoded]>
}

/** Where sessions are kept. Nothing in it may throw but for a store that is broken. */
export interface SessionStore {
  /**
   * An engine starts: those that were connected when the former process ended expire at this moment from now on. Those
   * whose time has passed by `now` are gone, and past `most` of them those that would expire first.
   */
  readonly open: (now: number, expiresAt: number, most: number) => void
  /** The session with this id, unless its time has passed. */
  readonly load: (id: string, now: number) => SessionRecord | undefined
  /** Puts a session, or its new state. Answers stay. */
  readonly save: (session: SessionHeader) => void
  /** Adds an answer to a session that was saved, and raises its `lastSeq` to this number if it is lower. Ignored once it has ended. */
  readonly answer: (id: string, seq: number, answer: Encoded) => void
  /** Forgets the answers up to this number. */
  readonly acknowledge: (id: string, ack: number) => void
  /** The session has ended. Ignored for one that is not there. */
  readonly remove: (id: string) => void
  /** Drops the sessions whose time has passed. */
  readonly expire: (now: number) => void
}

/** Where the sessions of an engine are kept; nowhere unless provided, so that they end with the process. */
export const SessionStore: Context.Reference<SessionStore | undefined> = Context.Reference<SessionStore | undefined>(
  "heddle/engine/SessionStore",
  { defaultValue: () => undefined }
)
