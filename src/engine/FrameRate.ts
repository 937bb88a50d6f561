/**
 * How many frames one connection may send: as many as its own bucket has, and the one that its user's connections share.
 */
import type * as Identity from "../contract/Identity.ts"
import * as RequestError from "../contract/RequestError.ts"
import { isNeverRefused } from "./Router.ts"
import { TokenBucket } from "./TokenBucket.ts"
import type { User, Users } from "./Users.ts"

export class FrameRate {
  private readonly users: Users
  private readonly own: TokenBucket
  private user: User | undefined
  private refused = 0
  private ended = false

  constructor(users: Users, now: number) {
    this.users = users
    this.own = new TokenBucket(users.limits.frameRate, users.limits.frameBurst, now)
  }

  /** Whose connection it is, from now on. */
  of(identities: Identity.Identities): void {
    const subject = this.users.subjectOf(identities)
    if (this.ended || subject === this.user?.subject) return
    this.leave()
    if (subject !== undefined) this.user = this.users.enter(subject)
  }

  /**
   * Takes a frame, at this moment in milliseconds: undefined unless it is one too many. Leaving and cancelling are never
   * refused, the rest is told to wait; who goes on in spite of that has had its chances.
   */
  take(frame: { readonly _tag: string }, now: number): RequestError.RateLimited | "goes on" | undefined {
    const { own, user } = this
    // It has paced itself since: what was too much then is forgotten.
    if (this.refused > 0 && own.isFull(now) && user?.bucket.isFull(now) !== false) this.refused = 0
    if (own.take(now) && (user === undefined || user.bucket.take(now))) return undefined
    if (++this.refused > this.users.limits.frameBurst) return "goes on"
    if (isNeverRefused(frame)) return undefined
    return new RequestError.RateLimited({ retryAfter: Math.max(own.wait, user?.bucket.wait ?? 0) })
  }

  /** The connection is gone. */
  end(): void {
    this.ended = true
    this.leave()
  }

  private leave(): void {
    if (this.user !== undefined) this.users.leave(this.user)
    this.user = undefined
  }
}
