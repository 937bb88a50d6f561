/**
 * A store with transactions that fails when it is told to, written as plainly as it can be: a list of all events.
 */
import type { Entry, Log, LogStore, Page, Retention } from "../../src/engine/LogStore.ts"
import type { Encoded } from "../../src/wire/Codec.ts"

interface Row extends Entry {
  readonly address: string
  readonly at: number
}

interface Meta {
  readonly epoch: string
  readonly term: number
  readonly ends: { readonly [term: number]: number }
  readonly head: number
}

interface State {
  readonly rows: ReadonlyArray<Row>
  readonly logs: { readonly [address: string]: Meta }
}

export class DurableLogs implements LogStore {
  private readonly maxBytes: number
  private committed: State
  private state: State
  private isOpen = false
  /** What was done, in order: appends with their offset, and how transactions ended. */
  readonly journal: Array<string> = []
  failing: "begin" | "append" | "commit" | "open" | undefined

  constructor(maxBytes = 1e9, state: State = { rows: [], logs: {} }) {
    this.maxBytes = maxBytes
    this.committed = state
    this.state = state
  }

  /** What another process finds after this one has died; perhaps the disk lost the newest events, too. */
  again(lost = 0): DurableLogs {
    const { logs, rows } = this.committed
    const gone = new Set(lost === 0 ? [] : rows.slice(-lost))
    const heads = Object.entries(logs).map(([address, log]) => {
      const less = rows.filter((row) => row.address === address && gone.has(row)).length
      return [address, { ...log, head: log.head - less }] as const
    })
    return new DurableLogs(this.maxBytes, {
      rows: rows.filter((row) => !gone.has(row)),
      logs: Object.fromEntries(heads)
    })
  }

  /** Whether an event would survive now. */
  isCommitted(address: string, offset: number): boolean {
    return (this.committed.logs[address]?.head ?? 0) >= offset
  }

  readonly transaction = {
    begin: () => {
      this.fail("begin")
      if (this.isOpen) throw new Error("there is a transaction already")
      this.isOpen = true
    },
    commit: () => {
      this.fail("commit")
      this.isOpen = false
      this.committed = this.state
      this.journal.push("commit")
    },
    rollback: () => {
      this.isOpen = false
      this.state = this.committed
      this.journal.push("rollback")
    }
  }

  open(address: string, retention: Retention, nextEpoch: () => string): Log {
    this.fail("open")
    const before = this.state.logs[address]
    const epoch = before?.epoch ?? nextEpoch()
    const term = (before?.term ?? 0) + 1
    const ends = Object.fromEntries(
      Object.entries(before === undefined ? {} : { ...before.ends, [before.term]: before.head })
        .map(([one, end]) => [one, Math.min(end, before!.head)])
    )
    this.meta(address, { epoch, term, ends, head: before?.head ?? 0 })
    const of = () => this.state.rows.filter((row) => row.address === address)
    const head = () => this.state.logs[address]!.head
    const first = (now: number) => of().find(({ at }) => at + retention.timeToLive > now)?.offset ?? head() + 1
    const take = (rows: ReadonlyArray<Row>, { bytes, events }: Page) => {
      let left = bytes
      return rows.filter(({ encoded }, index) => index < events && ((left -= encoded.bytes) >= 0 || index === 0))
    }
    return {
      epoch,
      term,
      get head() {
        return head()
      },
      endOf: (one) => one === term ? head() : ends[one],
      first,
      append: (encoded, now) => {
        this.fail("append")
        if (!this.isOpen) throw new Error("there is no transaction")
        const offset = head() + 1
        const keep = Math.max(first(now), offset + 1 - retention.capacity)
        this.meta(address, { ...this.state.logs[address]!, head: offset })
        this.keep([
          ...this.state.rows.filter((row) => row.address !== address || row.offset >= keep),
          { address, at: now, offset, encoded }
        ])
        this.journal.push(`append ${offset}`)
      },
      read: (after, page) => {
        const rows = of().filter(({ offset }) => offset > after)
        return rows[0]?.offset === after + 1 ? take(rows, page) : []
      },
      readBefore: (before, from, page) =>
        [...take(of().filter(({ offset }) => offset < before && offset >= from).reverse(), page)].reverse(),
      close: () => {}
    }
  }

  private keep(rows: Array<Row>): void {
    let bytes = rows.reduce((sum, { encoded }: { readonly encoded: Encoded }) => sum + encoded.bytes, 0)
    while (bytes > this.maxBytes) bytes -= rows.shift()!.encoded.bytes
    this.state = { ...this.state, rows }
  }

  private meta(address: string, meta: Meta): void {
    this.state = { ...this.state, logs: { ...this.state.logs, [address]: meta } }
    if (!this.isOpen) this.committed = this.state
  }

  private fail(step: typeof this.failing): void {
    if (this.failing === step) throw new Error(`the ${step} failed`)
  }
}
