/**
 * The sessions of which a store does not have what it should: a commit of theirs failed. They are written once more a
 * little later, when the store may have recovered.
 */
import * as Effect from "effect/Effect"
import type { Core } from "./Core.ts"
import { fork } from "./Core.ts"
import type { Session } from "./Session.ts"

/** How long to wait before they are tried again, in milliseconds. */
const patience = 1_000

export class Unsaved {
  private readonly core: Core
  private readonly write: (session: Session) => void
  private sessions = new Map<string, Session>()

  constructor(core: Core, write: (session: Session) => void) {
    this.core = core
    this.write = write
  }

  has(id: string): boolean {
    return this.sessions.has(id)
  }

  /** Past the bound the first is given up: its row goes with its window, once an engine begins. */
  add(session: Session): void {
    const { core, sessions } = this
    if (sessions.size === 0) fork(core, Effect.delay(Effect.sync(() => this.flush()), patience))
    sessions.set(session.id, session)
    if (sessions.size <= core.limits.sessions) return
    for (const first of sessions.keys()) return void sessions.delete(first)
  }

  private flush(): void {
    const { sessions } = this
    // Where it fails again they are added again.
    this.sessions = new Map()
    for (const session of sessions.values()) this.write(session)
  }
}
