/**
 * The tables of sessions in SQLite: in the file of the logs, and so in their transactions.
 */
import type { DatabaseSync } from "node:sqlite"
import type { SessionHeader, SessionRecord, SessionStore } from "../engine/SessionStore.ts"
import type { Encoded } from "../wire/Codec.ts"
import { prepare } from "./statements.ts"

const schema = `
  CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY,
    tokens TEXT NOT NULL,
    subject TEXT,
    protocol TEXT NOT NULL,
    expires REAL,
    last INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE TABLE IF NOT EXISTS answers (
    session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    kind TEXT,
    data ANY NOT NULL,
    PRIMARY KEY (session, seq)
  ) STRICT, WITHOUT ROWID;
`

const statements = {
  adopt: "UPDATE sessions SET expires = ? WHERE expires IS NULL",
  trim: "DELETE FROM sessions WHERE id NOT IN (SELECT id FROM sessions ORDER BY expires DESC, rowid DESC LIMIT ?)",
  expire: "DELETE FROM sessions WHERE expires <= ?",
  find:
    "SELECT tokens, subject, protocol, expires, last FROM sessions WHERE id = ? AND (expires IS NULL OR expires > ?)",
  answers: "SELECT seq, bytes, kind, data FROM answers WHERE session = ? ORDER BY seq",
  save: `INSERT INTO sessions (id, tokens, subject, protocol, expires) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id)
    DO UPDATE SET tokens = excluded.tokens, subject = excluded.subject, expires = excluded.expires`,
  answer: `INSERT OR REPLACE INTO answers (session, seq, bytes, kind, data)
    SELECT id, ?, ?, ?, ? FROM sessions WHERE id = ?`,
  raise: "UPDATE sessions SET last = max(last, ?) WHERE id = ?",
  acknowledge: "DELETE FROM answers WHERE session = ? AND seq <= ?",
  remove: "DELETE FROM sessions WHERE id = ?"
}

type Row = Record<string, any>

const encoded = ({ bytes, data, kind }: Row): Encoded => ({ data, bytes, ...kind === null ? {} : { kind } })

/** Keeps sessions in a database whose foreign keys are on. */
export const make = (database: DatabaseSync): SessionStore => {
  database.exec(schema)
  const sql = prepare(database, statements)
  return {
    open: (now, expiresAt, most) => {
      sql.expire.run(now)
      sql.adopt.run(expiresAt)
      sql.trim.run(most)
    },
    load: (id, now): SessionRecord | undefined => {
      const row = sql.find.get(id, now) as Row | undefined
      if (row === undefined) return undefined
      return {
        id,
        tokens: JSON.parse(row["tokens"]),
        subject: row["subject"] ?? undefined,
        protocol: row["protocol"],
        expiresAt: row["expires"] ?? undefined,
        lastSeq: row["last"],
        answers: (sql.answers.all(id) as ReadonlyArray<Row>).map((answer) => [answer["seq"], encoded(answer)])
      }
    },
    save: ({ expiresAt, id, protocol, subject, tokens }: SessionHeader) =>
      void sql.save.run(id, JSON.stringify(tokens), subject ?? null, protocol, expiresAt ?? null),
    answer: (id, seq, { bytes, data, kind }) => {
      sql.answer.run(seq, bytes, kind ?? null, data, id)
      sql.raise.run(seq, id)
    },
    acknowledge: (id, ack) => void sql.acknowledge.run(id, ack),
    remove: (id) => void sql.remove.run(id),
    expire: (now) => void sql.expire.run(now)
  }
}
