/**
 * What each user may send over all of its connections together.
 *
 * A user's bucket outlives its last connection until it is full again, so that nobody gets a full one by coming back.
 * Nothing has to wake up for that: buckets that are full leave when the next one is left behind, or at a heartbeat.
 */
import type * as Identity from "../contract/Identity.ts"
import * as Authentication from "./Authentication.ts"
import type { Limits } from "./Limits.ts"
import { TokenBucket } from "./TokenBucket.ts"

/** The bucket of one user. */
export interface User {
  readonly subject: string
  readonly bucket: TokenBucket
  /** Connections that share it. */
  connections: number
}

export class Users {
  readonly limits: Limits
  private readonly authenticators: Authentication.Authenticators
  private readonly now: () => number
  private readonly known = new Map<string, User>()
  /** Those without a connection, in the order in which the last one ended. */
  private readonly gone = new Set<User>()

  constructor(limits: Limits, authenticators: Authentication.Authenticators, now: () => number) {
    this.limits = limits
    this.authenticators = authenticators
    this.now = now
  }

  /** Buckets that are kept: those of the connected, and at most as many more as there may be connections. */
  get size(): number {
    return this.known.size
  }

  /** Who a connection with these identities belongs to. */
  subjectOf(identities: Identity.Identities): string | undefined {
    return Authentication.subjectOf(this.authenticators, identities)
  }

  /** One more connection of this user. */
  enter(subject: string): User {
    let user = this.known.get(subject)
    if (user === undefined) {
      const { userBurst, userRate } = this.limits
      user = { subject, bucket: new TokenBucket(userRate, userBurst, this.now()), connections: 0 }
      this.known.set(subject, user)
    }
    user.connections++
    this.gone.delete(user)
    return user
  }

  /** One connection less: called once for each {@link enter}. */
  leave(user: User): void {
    if (--user.connections > 0) return
    this.gone.add(user)
    this.sweep()
    if (this.gone.size <= this.limits.connections) return
    // The one that has had the most time to fill up.
    for (const oldest of this.gone) return this.forget(oldest)
  }

  /** Forgets whoever has gone and is owed nothing. Stops at the first that is not full: those after it left later. */
  sweep(): void {
    const now = this.now()
    for (const user of this.gone) {
      if (!user.bucket.isFull(now)) return
      this.forget(user)
    }
  }

  private forget(user: User): void {
    this.gone.delete(user)
    this.known.delete(user.subject)
  }
}
