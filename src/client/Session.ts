/**
 * The session of a client: who it is to the server from one connection to the next.
 */
import type * as Frame from "../wire/Frame.ts"
import type { SessionStore } from "./SessionStore.ts"

/** Stores of clients that live: another client leaves them alone, or both would use one session. */
const inUse = new WeakSet<SessionStore>()

export class Session {
  private id = ""
  /** The newest token; null while there is no session to go on with. Never told to anybody but server and store. */
  private token: string | null = null
  private store: SessionStore | undefined

  constructor(store: SessionStore | undefined) {
    if (store === undefined || inUse.has(store)) return
    this.store = store
    inUse.add(store)
    this.read(store.load())
  }

  get resume(): string | null {
    return this.token
  }

  /** Takes the session of a welcome; whether it is the one before. */
  welcome({ resume, session }: Pick<Frame.ServerFrames["welcome"], "resume" | "session">): boolean {
    const goesOn = this.token !== null && session === this.id
    this.id = session
    this.token = resume
    this.store?.save(resume === null ? null : `${session.length}:${session}${resume}`)
    return goesOn
  }

  /** Somebody else has it, or nobody. */
  forget(): void {
    this.token = null
    this.store?.save(null)
  }

  /** Forgets it for good. Idempotent. */
  close(): void {
    this.forget()
    if (this.store !== undefined) inUse.delete(this.store)
    this.store = undefined
  }

  private read(text: string | null): void {
    if (text === null) return
    const [length = ""] = text.split(":", 1)
    const from = length.length + 1
    const to = from + Number(length)
    this.id = text.slice(from, to)
    this.token = text.slice(to)
  }
}
