/**
 * One transaction for each tick: what is appended begins it, and whatever tells somebody about that commits it first.
 *
 * So an event is delivered and a reply released only once everything they follow from is kept. If a commit fails nothing
 * of the tick is told to anybody: whoever waits for it calls that a failure, and the logs are opened anew.
 */
import type { Transaction } from "./LogStore.ts"
import type { Outbox } from "./Outbox.ts"

/** What takes part in a transaction. */
export interface Party {
  /** What it did since the transaction began is undone. Answers with the outboxes that may have heard of it. */
  readonly revoke: () => ReadonlyArray<Outbox>
}

/** How a tick ends. */
export interface Options {
  readonly transaction: Transaction
  /** Calls `commit` soon, should nobody be told anything. */
  readonly soon: (commit: () => void) => void
  readonly onFailed: (error: unknown, outboxes: ReadonlySet<Outbox>) => void
}

export class Commits {
  private readonly options: Options
  private parties = new Set<Party>()
  private isOpen = false
  /** Which transaction it is, or will be: how many there were. */
  number = 0

  constructor(options: Options) {
    this.options = options
  }

  /** Takes part in the transaction of this tick. Throws if there can be none. */
  begin(party: Party): void {
    if (!this.isOpen) {
      this.options.transaction.begin()
      this.isOpen = true
      this.options.soon(() => this.commit())
    }
    this.parties.add(party)
  }

  /** Takes part in the transaction of this tick if there is one: what follows from it is undone with it. */
  join(party: Party): void {
    if (this.isOpen) this.parties.add(party)
  }

  /** Commits what was done so far. Answers false if that failed: then nothing of it may be told. */
  readonly commit = (): boolean => {
    if (!this.isOpen) return true
    try {
      this.options.transaction.commit()
    } catch (error) {
      this.fail(error)
      return false
    }
    this.isOpen = false
    this.number++
    this.parties.clear()
    return true
  }

  /** Undoes what was done so far, and what this party could not even begin. */
  fail(error: unknown, party?: Party): void {
    if (!this.isOpen && party === undefined) return
    const { isOpen, parties } = this
    this.isOpen = false
    this.parties = new Set()
    if (party !== undefined) parties.add(party)
    try {
      if (isOpen) this.options.transaction.rollback()
    } catch {
      // It ended with what failed.
    }
    this.options.onFailed(error, new Set([...parties].flatMap((party) => party.revoke())))
    this.number++
  }
}
