/**
 * The sessions of an engine: who has which, and how long one is kept for a client that was lost.
 *
 * A session has at most one connection, the newest that came with a good token. Once that is lost the session is kept for
 * its window, if there is anything to come back for. As many are kept as may be; past that, the one that has waited for
 * longest ends.
 */
import * as Effect from "effect/Effect"
import type { LeaveReason } from "../contract/Behavior.ts"
import * as CloseCode from "../contract/CloseCode.ts"
import type * as Identity from "../contract/Identity.ts"
import type * as Codec from "../wire/Codec.ts"
import type { Core } from "./Core.ts"
import { fork } from "./Core.ts"
import { Deadlines } from "./Deadlines.ts"
import { makeNowhere } from "./Nowhere.ts"
import type { Outbox } from "./Outbox.ts"
import type { Holder } from "./Session.ts"
import { Session } from "./Session.ts"
import { SessionStore } from "./SessionStore.ts"
import { Keyring, Tokens } from "./Tokens.ts"
import { Unsaved } from "./Unsaved.ts"

/** Who takes up a session. */
export interface Claim {
  readonly holder: Holder
  readonly identities: Identity.Identities
  readonly subject: string | undefined
  /** The token of an earlier welcome. */
  readonly resume: string | null
}

/** What became of the tokens that clients came with. */
export interface Resumes {
  resumed: number
  /** There is no such session, any more or at all, or it never had this token. */
  unknown: number
  /** The token had been replaced: somebody has a copy of it. */
  reused: number
  /** The credentials are of somebody else. */
  mismatched: number
}

/** A session that may outlive its connection. */
interface Kept {
  readonly session: Session
  readonly keys: Keyring
  readonly codec: Codec.Codec
  subject: string | undefined
}

/** What a connection is given. */
export interface Entered {
  readonly session: Session
  /** What to come back with; undefined where nothing is kept. */
  readonly token: string | undefined
}

export class Sessions {
  readonly resumes: Resumes = { resumed: 0, unknown: 0, reused: 0, mismatched: 0 }
  private readonly core: Core
  private readonly tokens: Tokens
  private readonly store: SessionStore | undefined
  private readonly kept = new Map<string, Kept>()
  /** Those without a connection, the one that is so for longest first. */
  private readonly detached = new Set<Kept>()
  private readonly windows: Deadlines<Kept>
  private readonly nowhere = new Map<Codec.Codec, Outbox>()
  /** What became of them is not in the store. */
  private readonly unsaved: Unsaved
  private stopped = false

  constructor(core: Core, tokens: Tokens, store: SessionStore | undefined) {
    this.core = core
    this.tokens = tokens
    this.store = store
    this.unsaved = new Unsaved(core, (session) => this.rewrite(session))
    this.windows = new Deadlines(core, core.limits.sessionWindow, (kept) => this.expire(kept))
  }

  /** Sessions with a connection, of those that may be kept. */
  get attachedCount(): number {
    return this.kept.size - this.detached.size
  }

  get detachedCount(): number {
    return this.detached.size
  }

  /** Gives a connection the session it has a token of, or a new one. */
  enter(claim: Claim): Entered {
    const { holder: { outbox }, identities } = claim
    const { core } = this
    const keeps = core.limits.sessionWindow > 0
    const resumed = claim.resume === null || !keeps ? undefined : this.resume(claim, claim.resume)
    if (resumed !== undefined) return resumed
    const session = this.make(core.nextId(), outbox, identities, keeps)
    session.holder = claim.holder
    if (!keeps) return { session, token: undefined }
    const secret = this.tokens.make()
    const keys = new Keyring({ newest: this.tokens.hash(secret), former: undefined, retired: [] })
    const kept = { session, keys, codec: outbox.codec, subject: claim.subject }
    this.kept.set(session.id, kept)
    this.save(kept)
    return { session, token: tokenOf(session, secret) }
  }

  /** A frame has come over the connection that was given the newest token. */
  confirm(session: Session): void {
    session.isUnconfirmed = false
    const kept = this.kept.get(session.id)
    if (kept?.keys.confirm() === true) this.save(kept)
  }

  /** The client has shown new credentials. */
  renew(session: Session, identities: Identity.Identities, subject: string | undefined): void {
    session.identities = identities
    const kept = this.kept.get(session.id)
    if (kept === undefined || kept.subject === subject) return
    kept.subject = subject
    this.save(kept)
  }

  /** The connection of a session, if it got that far, has ended with this close code. */
  part(session: Session | undefined, code: number): void {
    if (session === undefined) return
    if (code === CloseCode.serviceRestart.code) this.leave(session)
    else if (code === CloseCode.noStatus.code || CloseCode.action(code) !== "reconnect") {
      // One of the two is done with the other: nobody comes back.
      this.end(session, "lost")
    } else this.lose(session)
  }

  /** The connection of a session is lost: keeps the session for its window, or ends it if there is nothing to keep. */
  private lose(session: Session): void {
    const kept = this.kept.get(session.id)
    if (kept === undefined || this.stopped) return this.end(session, "lost")
    this.detach(kept)
    if (!session.isWorthKeeping) return this.end(session, "lost")
    session.holder = undefined
    this.detached.add(kept)
    this.openWindow(kept)
    this.save(kept)
    this.trim()
  }

  /** Ends the session that is without a connection for longest if there are too many. */
  private trim(): void {
    if (this.detached.size <= this.core.limits.sessions) return
    for (const oldest of this.detached) return this.end(oldest.session, "lost")
  }

  /** Ends a session, and forgets it. */
  private end(session: Session, reason: LeaveReason): void {
    this.forget(session)
    session.erase()
    session.end(reason)
  }

  /** The engine stops: what is kept nowhere else ends. */
  readonly stop = (): void => {
    this.stopped = true
    for (const { session } of [...this.kept.values()]) this.leave(session)
  }

  /** The process ends a session; a store still has it. */
  private leave(session: Session): void {
    const kept = this.kept.get(session.id)
    this.forget(session)
    if (kept !== undefined) this.save(kept, true)
    session.end("stopped")
  }

  // ------------------------------------------------------------- resuming

  private resume(claim: Claim, token: string): Entered | undefined {
    const end = token.lastIndexOf(".")
    const hash = this.tokens.hash(token.slice(end + 1))
    const kept = this.find(token.slice(0, Math.max(0, end)), claim.holder.outbox.codec)
    const verdict = kept?.keys.judge(hash) ?? "unknown"
    if (kept === undefined || verdict === "unknown") return this.refuse("unknown")
    if (verdict === "reused") {
      // One of two has a copy. Whoever is connected came with a newer one.
      if (kept.session.holder === undefined) this.end(kept.session, "lost")
      return this.refuse("reused")
    }
    if (kept.subject !== claim.subject) return this.refuse("mismatched")
    return this.attach(kept, claim, hash)
  }

  private refuse(why: keyof Resumes): undefined {
    this.resumes[why]++
    this.core.stats?.resumed(why)
  }

  private attach(kept: Kept, { holder, identities }: Claim, hash: string): Entered {
    const { session } = kept
    const older = session.holder
    if (older !== undefined) {
      this.detach(kept)
      this.openWindow(kept)
      older.replace()
    }
    this.detached.delete(kept)
    session.holder = holder
    session.outbox = holder.outbox
    session.identities = identities
    const secret = this.tokens.make()
    session.isUnconfirmed = true
    kept.keys.rotate(hash, this.tokens.hash(secret))
    this.save(kept)
    this.resumes.resumed++
    this.core.stats?.resumed("resumed")
    return { session, token: tokenOf(session, secret) }
  }

  /** The session with this id, here or in the store. One speaks the same subprotocol all its life. */
  private find(id: string, codec: Codec.Codec): Kept | undefined {
    // One that ended may still be in the store.
    const kept = this.kept.get(id) ?? (this.unsaved.has(id) ? undefined : this.restore(id, codec))
    // One that was sent away has ended, and does not come back.
    return kept?.codec === codec && !kept.session.ended ? kept : undefined
  }

  private restore(id: string, codec: Codec.Codec): Kept | undefined {
    const { core, store } = this
    const record = store?.load(id, core.now())
    if (record === undefined || record.protocol !== codec.subprotocol) return undefined
    const outbox = this.nowhereFor(codec)
    const session = this.make(id, outbox, new Map(), true)
    session.requests.restore(record.lastSeq, record.answers)
    const kept: Kept = {
      session,
      keys: new Keyring(record.tokens),
      codec,
      subject: record.subject
    }
    this.kept.set(id, kept)
    this.detached.add(kept)
    this.windows.add(kept)
    this.trim()
    return kept
  }

  // ------------------------------------------------------------- detaching

  private detach({ codec, session }: Kept): void {
    session.detach(this.nowhereFor(codec))
  }

  /** From now on its client has so long to come back, and to come back to what it is in. */
  private openWindow(kept: Kept): void {
    this.windows.remove(kept)
    this.windows.add(kept)
  }

  private nowhereFor(codec: Codec.Codec): Outbox {
    let outbox = this.nowhere.get(codec)
    if (outbox === undefined) this.nowhere.set(codec, outbox = makeNowhere(codec))
    return outbox
  }

  /** The window after the last loss of a connection has passed. */
  private expire(kept: Kept): void {
    if (kept.session.holder === undefined) this.end(kept.session, "lost")
    else kept.session.endAbsent()
  }

  private forget(session: Session): void {
    const kept = this.kept.get(session.id)
    if (kept === undefined) return
    this.kept.delete(session.id)
    this.detached.delete(kept)
    this.windows.remove(kept)
  }

  private save({ codec, keys, session, subject }: Kept, isOver = session.holder === undefined): void {
    session.write((store) =>
      store.save({
        id: session.id,
        tokens: keys.hashes,
        subject,
        protocol: codec.subprotocol,
        expiresAt: isOver ? this.core.now() + this.core.limits.sessionWindow : undefined
      })
    )
  }

  private make(id: string, outbox: Outbox, identities: Identity.Identities, keeps: boolean): Session {
    const { core: { hub, stats }, store } = this
    return new Session({ id, outbox, identities, keeps, stats, store, commits: hub.commits, onRevoked: this.revoked })
  }

  // ------------------------------------------------------------- commits that fail

  /** A commit failed: what was done for any of them in a log may be undone. */
  readonly doubt = (): void => {
    for (const { session } of this.kept.values()) session.doubt()
  }

  private readonly revoked = (session: Session): void => {
    if (this.store !== undefined && !this.stopped) this.unsaved.add(session)
  }

  private rewrite(session: Session): void {
    const kept = this.kept.get(session.id)
    if (kept?.session === session) this.save(kept)
    else session.erase()
  }
}

/** The sessions of an engine that starts, with those that the one before it left in the store. */
export const makeSessions = Effect.fnUntraced(function*(core: Core) {
  const { limits: { sessionWindow }, now } = core
  const tokens = yield* Tokens
  const store = sessionWindow > 0 ? yield* SessionStore : undefined
  if (store !== undefined) {
    store.open(now(), now() + sessionWindow, core.limits.sessions)
    // By then everybody who was there before has come back, or will not.
    fork(core, Effect.delay(Effect.sync(() => store.expire(now())), sessionWindow))
  }
  return new Sessions(core, tokens, store)
})

const tokenOf = ({ id }: Session, secret: string): string => `${id}.${secret}`
