/**
 * The tables of logs in SQLite, and what is asked of them.
 *
 * Each log knows its head and its oldest event without asking. Rows have the order in which they were appended, to
 * whichever log, so that the oldest of all leave first without a search.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite"
import type { Entry, Log, LogStore, Page, Retention, Transaction } from "../engine/LogStore.ts"
import type { Encoded } from "../wire/Codec.ts"
import { prepare } from "./statements.ts"

const schema = `
  CREATE TABLE IF NOT EXISTS logs (
    id INTEGER PRIMARY KEY,
    address TEXT NOT NULL UNIQUE,
    epoch TEXT NOT NULL,
    term INTEGER NOT NULL,
    ends TEXT NOT NULL,
    head INTEGER NOT NULL,
    at REAL NOT NULL DEFAULT 0,
    ttl REAL NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY,
    log INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    at REAL NOT NULL,
    bytes INTEGER NOT NULL,
    frame TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX IF NOT EXISTS places ON events (log, "offset");
`

/** What a row takes beside its frame, about. */
const rowBytes = 100

/** Terms of which a log remembers where they ended; positions of older ones cannot be continued. */
const maxTerms = 100

/** How long after its last event a log without events is remembered, so that who missed none goes on: 30 days. */
const forgetAfter = 30 * 24 * 3_600_000

/** For ever, in a column that has no infinity. */
const never = 1e300

const statements = {
  find: "SELECT id, epoch, term, ends, head FROM logs WHERE address = ?",
  create: "INSERT INTO logs (address, epoch, term, ends, head, ttl) VALUES (?, ?, ?, '[]', 0, ?) RETURNING id",
  reopen: "UPDATE logs SET term = ?, ends = ?, ttl = ? WHERE id = ?",
  advance: "UPDATE logs SET head = ?, at = ? WHERE id = ?",
  append: "INSERT INTO events (log, \"offset\", at, bytes, frame) VALUES (?, ?, ?, ?, ?)",
  oldest: "SELECT \"offset\", at FROM events WHERE log = ? AND \"offset\" >= ? ORDER BY \"offset\" LIMIT 1",
  young: "SELECT \"offset\" FROM events WHERE log = ? AND at > ? ORDER BY \"offset\" LIMIT 1",
  trim: "DELETE FROM events WHERE log = ? AND \"offset\" < ? RETURNING bytes",
  eldest: "SELECT id, log, \"offset\", bytes FROM events ORDER BY id LIMIT 64",
  dropUpTo: "DELETE FROM events WHERE id <= ?",
  after: "SELECT \"offset\", bytes, frame FROM events WHERE log = ? AND \"offset\" > ? ORDER BY \"offset\" LIMIT ?",
  before: `SELECT "offset", bytes, frame FROM events
    WHERE log = ? AND "offset" < ? AND "offset" >= ? ORDER BY "offset" DESC LIMIT ?`,
  forget: "DELETE FROM logs WHERE at <= ? AND NOT EXISTS (SELECT 1 FROM events WHERE log = logs.id)",
  expire: "DELETE FROM events WHERE at <= ? - (SELECT ttl FROM logs WHERE id = log)",
  total: `SELECT coalesce(sum(bytes + ${rowBytes}), 0) AS total FROM events`
}

type Row = Record<string, any>

export class SqliteLogs implements LogStore {
  readonly transaction: Transaction
  readonly sql: { readonly [name in keyof typeof statements]: StatementSync }
  /** Open logs, by the number of their row. */
  readonly opened = new Map<number, SqliteLog>()
  /**
   * The least that a term may be: the time at which the file was opened. The newest term may be lost with the end of the
   * file, and must not come again for other events.
   */
  readonly era: number
  private readonly database: DatabaseSync
  private readonly maxBytes: number
  private bytes = 0

  constructor(database: DatabaseSync, maxBytes: number, now: number) {
    this.database = database
    this.era = Math.floor(now)
    this.maxBytes = maxBytes
    database.exec(schema)
    this.sql = prepare(database, statements)
    this.sql.expire.run(now)
    this.sql.forget.run(now - forgetAfter)
    this.count()
    this.transaction = {
      begin: () => database.exec("BEGIN IMMEDIATE"),
      commit: () => database.exec("COMMIT"),
      rollback: () => {
        this.opened.clear()
        try {
          database.exec("ROLLBACK")
        } finally {
          this.count()
        }
      }
    }
  }

  open(address: string, retention: Retention, nextEpoch: () => string): Log {
    return new SqliteLog(this, address, retention, nextEpoch)
  }

  /** Counts bytes that came or left; past the bound the oldest events leave. */
  add(bytes: number): void {
    this.bytes += bytes
    while (this.bytes > this.maxBytes) {
      let last = 0
      for (const { bytes, id, log, offset } of this.sql.eldest.all() as ReadonlyArray<Row>) {
        if (this.bytes <= this.maxBytes) break
        this.bytes -= bytes + rowBytes
        last = id
        this.opened.get(log)?.lost(offset)
      }
      if (last === 0) return
      this.sql.dropUpTo.run(last)
    }
  }

  close(): void {
    this.database.close()
  }

  private count(): void {
    this.bytes = (this.sql.total.get() as Row)["total"]
  }
}

class SqliteLog implements Log {
  readonly epoch: string
  readonly term: number
  head: number
  private readonly logs: SqliteLogs
  private readonly address: string
  private readonly retention: Retention
  private readonly ends: ReadonlyArray<readonly [term: number, end: number]>
  /** The number of its row; it has none before its first event, so that who never emits leaves no trace. */
  private id: number | undefined
  /** Offset and time of the oldest event; undefined where that is to be looked up. */
  private oldest: { readonly offset: number; readonly at: number } | undefined
  private lowest = 1

  constructor(logs: SqliteLogs, address: string, retention: Retention, nextEpoch: () => string) {
    this.logs = logs
    this.address = address
    this.retention = retention
    const row = logs.sql.find.get(address) as Row | undefined
    this.head = row?.["head"] ?? 0
    this.epoch = row?.["epoch"] ?? nextEpoch()
    this.term = Math.max((row?.["term"] ?? 0) + 1, logs.era)
    const ends: Array<[number, number]> = row === undefined
      ? []
      : [...JSON.parse(row["ends"]), [row["term"], this.head]]
    // Less than an earlier opening found, if the disk has lost what came last.
    this.ends = ends.slice(-maxTerms).map(([term, end]) => [term, Math.min(end, this.head)])
    this.id = row?.["id"]
    if (this.id === undefined) return
    logs.sql.reopen.run(this.term, JSON.stringify(this.ends), this.ttl, this.id)
    logs.opened.set(this.id, this)
  }

  endOf(term: number): number | undefined {
    return term === this.term ? this.head : this.ends.find(([one]) => one === term)?.[1]
  }

  first(now: number): number {
    const oldest = this.eldest()
    if (oldest === undefined) return this.head + 1
    const { timeToLive } = this.retention
    if (oldest.at + timeToLive > now) return oldest.offset
    const young = this.logs.sql.young.get(this.id!, now - timeToLive) as Row | undefined
    return young?.["offset"] ?? this.head + 1
  }

  append({ bytes, data }: Encoded, now: number): void {
    const { sql } = this.logs
    if (this.id === undefined) {
      this.id = (sql.create.get(this.address, this.epoch, this.term, this.ttl) as Row)["id"] as number
      this.logs.opened.set(this.id, this)
    }
    const oldest = this.eldest()
    if (oldest !== undefined) {
      const keep = Math.max(this.head + 2 - this.retention.capacity, this.first(now))
      if (keep > oldest.offset) this.trim(keep)
    }
    sql.append.run(this.id, this.head + 1, now, bytes, data as string)
    this.head++
    sql.advance.run(this.head, now, this.id)
    this.logs.add(bytes + rowBytes)
  }

  read(after: number, page: Page): ReadonlyArray<Entry> {
    const oldest = this.eldest()
    if (oldest === undefined || after + 1 < oldest.offset) return []
    return take(this.logs.sql.after.iterate(this.id!, after, page.events), page)
  }

  readBefore(before: number, from: number, page: Page): ReadonlyArray<Entry> {
    if (this.id === undefined) return []
    return take(this.logs.sql.before.iterate(this.id, before, from, page.events), page).reverse()
  }

  /** Its events up to an offset have left. */
  lost(offset: number): void {
    this.lowest = offset + 1
    this.oldest = undefined
  }

  close(): void {
    if (this.id !== undefined) this.logs.opened.delete(this.id)
  }

  private get ttl(): number {
    return Math.min(this.retention.timeToLive, never)
  }

  private eldest(): { readonly offset: number; readonly at: number } | undefined {
    if (this.oldest === undefined && this.id !== undefined) {
      const row = this.logs.sql.oldest.get(this.id, this.lowest) as Row | undefined
      if (row !== undefined) this.oldest = { offset: row["offset"], at: row["at"] }
    }
    return this.oldest
  }

  private trim(keep: number): void {
    for (const { bytes } of this.logs.sql.trim.all(this.id!, keep) as ReadonlyArray<Row>) {
      this.logs.add(-bytes - rowBytes)
    }
    this.lost(keep - 1)
  }
}

const take = (rows: Iterable<unknown>, page: Page): Array<Entry> => {
  const taken: Array<Entry> = []
  let left = page.bytes
  for (const { bytes, frame, offset } of rows as Iterable<Row>) {
    left -= bytes
    if (left < 0 && taken.length > 0) break
    taken.push({ offset, encoded: { data: frame, bytes, kind: "event" } })
  }
  return taken
}
