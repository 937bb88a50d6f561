/**
 * Every bound of the engine, in one place. README's table is this file.
 */

import * as Contract from "../wire/Contract.ts"

/** Sizes in bytes, times in milliseconds. */
export interface Limits {
  /** One inbound message; a larger one closes the connection with 1009. */
  readonly messageBytes: number
  /** Frames in one inbound message; more close the connection with 1009. */
  readonly messageFrames: number
  /** One event, encoded; `emit` fails with `EventTooLarge`. */
  readonly eventBytes: number
  /** One reply or snapshot, encoded; the request fails with `LimitExceeded`. */
  readonly replyBytes: number
  /** From the upgrade to the first valid frame and accepted credentials; then 4408. */
  readonly handshake: number
  /** How often a quiet connection is pinged. Silent for 2.5 times as long, it is closed with 4408. */
  readonly heartbeat: number
  /** Frames of one connection that wait for it, as while its credentials are checked; then reading pauses. */
  readonly connectionMailbox: number
  /** Messages that wait for one room; the next request is answered `Overloaded`. */
  readonly roomMailbox: number
  /** Requests of one session without an answer; the next is answered `Overloaded`. */
  readonly openRequests: number
  /**
   * What waits for a peer that does not read; past it events meet their fate, or the connection closes with 4409. What is
   * replayed from a log takes a quarter of it at most.
   */
  readonly outboxBytes: number
  readonly outboxFrames: number
  /** What one tick may collect for a peer, even one that reads; past it the connection is closed with 4409. */
  readonly outboxTickBytes: number
  /** The longest a handler may take; then it is interrupted and its caller gets `HandlerTimeout`. */
  readonly handler: number
  /** How long an `emit` waits for the slowest member; then it goes on and says how many are behind. */
  readonly emitWait: number
  /** Rooms and topics one session may be in; then `LimitExceeded`. */
  readonly roomsPerSession: number
  /** Rooms and topics with an instance or a log; then `LimitExceeded`. */
  readonly rooms: number
  /** The payload of a join, and a presence, encoded; then `LimitExceeded`. */
  readonly joinBytes: number
  /** Open connections; the next is answered 503. */
  readonly connections: number
  /** Open connections from one address, as `trustedHops` finds it; the next is answered 503. */
  readonly connectionsPerAddress: number
  /** Frames a second from one connection, and how many at once; then `RateLimited`, and 4429 if it goes on. */
  readonly frameRate: number
  readonly frameBurst: number
  /** The same for all connections of one user: those whose identities have the same subject. */
  readonly userRate: number
  readonly userBurst: number
  /** How long a session is kept after its connection was lost; with 0 it ends with it. */
  readonly sessionWindow: number
  /** Sessions without a connection; the next one ends the one that has been without for longest. */
  readonly sessions: number
  /** Events kept in memory of all rooms and topics together; then the oldest leave. A store has a bound of its own. */
  readonly historyBytes: number
}

const KiB = 1024
const MiB = 1024 * KiB

/** The bounds of an engine that says nothing else. */
export const defaults: Limits = {
  messageBytes: 64 * KiB,
  messageFrames: 256,
  eventBytes: 256 * KiB,
  replyBytes: 1 * MiB,
  handshake: 10_000,
  heartbeat: 25_000,
  connectionMailbox: 256,
  roomMailbox: 1_024,
  openRequests: 256,
  outboxBytes: 1 * MiB,
  outboxFrames: 1_024,
  outboxTickBytes: 16 * MiB,
  handler: 30_000,
  emitWait: 10_000,
  roomsPerSession: 100,
  rooms: 10_000,
  joinBytes: 4 * KiB,
  connections: 10_000,
  connectionsPerAddress: Infinity,
  frameRate: 100,
  frameBurst: 200,
  // Four tabs or devices at their full rate: clients pace themselves by their connection's, and know no other.
  userRate: 400,
  userBurst: 800,
  sessionWindow: 120_000,
  sessions: 10_000,
  historyBytes: 256 * MiB
}

/** Bytes handed to the runtime and not yet taken by the operating system, past which the rest waits in the outbox. */
export const handOverBytes = 64 * KiB

/** Frames that share one outbound message; a larger frame goes alone. */
export const outboundMessageBytes = 64 * KiB

/** A key in its encoded form. */
export const keyBytes = Contract.maxKeyBytes

/** How long a peer may take to answer a close frame before the connection is dropped. */
export const closeMillis = 5_000

/** Messages of an endpoint's client, beyond one of the largest size, that a transport may still deliver once paused. */
export const inboundBytes = 1 * MiB

/** How long the handler of an endpoint may go on after its connection has ended. */
export const finishMillis = 5_000

/** Crashes charged to one session, by all its rooms together, with the last of which its connection is closed with 4500. */
export const chargedCrashes = 3

/** What is held back for one member while its state is being made or it catches up, beside what is in the log. */
export const heldFrames = 1_024
/** The same in bytes. */
export const heldBytes = 1 * MiB

/** What is read from a log at once, and what a page of history has at most. */
export const pageEvents = 256
/** The same in bytes. */
export const pageBytes = 64 * KiB
