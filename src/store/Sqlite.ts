/**
 * Logs and sessions in a file, through SQLite: what was delivered is still there after the process has died.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { DatabaseSync } from "node:sqlite"
import { LogStore } from "../engine/LogStore.ts"
import { SessionStore } from "../engine/SessionStore.ts"
import { SqliteLogs } from "./SqliteLogs.ts"
import * as SqliteSessions from "./SqliteSessions.ts"

/** The file could not be opened: it is not a database, cannot be written, or another process has it. */
export class SqliteError extends Data.TaggedError("SqliteError")<{
  readonly filename: string
  readonly cause: unknown
}> {
  override get message() {
    return `cannot open ${this.filename}: ${this.cause instanceof Error ? this.cause.message : "it failed"}`
  }
}

/** Where logs are kept, and how. */
export interface Options {
  /** The file, made if need be, with two more beside it; `:memory:` keeps nothing. */
  readonly filename: string
  /** Bytes of the events of all logs, with 100 more for each; past it the oldest leave. 1 GiB unless said. */
  readonly maxBytes?: number
  /**
   * What a commit survives: with `"process"` the death of the process, at less than a tenth of a millisecond; with
   * `"power"` that of the machine too, for which it waits for the disk. `"process"` unless said. Either way nobody is told
   * that it missed nothing if it did.
   */
  readonly survives?: "process" | "power"
  /** Milliseconds for which to wait for another process to let go of the file; 5,000 unless said. */
  readonly patience?: number
}

/** How to keep 1 GiB. */
const defaultBytes = 1024 ** 3

/**
 * Keeps the history of rooms, the latest of topics, and sessions in a SQLite file.
 *
 * **Details**
 *
 * Events are durable before they are delivered: all that a tick appended is one transaction, which is committed before
 * anything is handed to a socket and before `Engine.emit` and `Engine.publish` answer. If a commit fails, nothing of that
 * tick is delivered and whoever waited for it is closed with 1011. A client that comes back after a restart of the server
 * gets what it missed. Rooms without the option `history` are not in the file. A session goes on after a restart within
 * its window: requests that were answered are answered as they were, and of one that was not `ConnectionLost` says that it
 * may have run. Rooms are joined anew.
 *
 * **Gotchas**
 *
 * The file is for one process: a second one waits for it, then fails with {@link SqliteError}. What a room keeps in its
 * own variables is not in it; see `history` of a room's handle.
 *
 * @example
 * ```ts
 * Engine.layer({ path: "/live", rooms: [ChatLive] }).pipe(
 *   Layer.provide(Sqlite.layer({ filename: "chat.db" })),
 *   Layer.provide(Runtime.layer({ port: 3000 }))
 * )
 * ```
 */
export const layer = (options: Options): Layer.Layer<never, SqliteError> =>
  Layer.effectContext(Effect.map(
    Effect.acquireRelease(
      Effect.flatMap(Clock.Clock, (clock) =>
        Effect.try({
          try: () => open(options, clock.currentTimeMillisUnsafe()),
          catch: (cause) => new SqliteError({ filename: options.filename, cause })
        })),
      ({ logs }) => Effect.sync(() => logs.close())
    ),
    ({ logs, sessions }) => Context.add(Context.make(LogStore, logs), SessionStore, sessions)
  ))

const open = (options: Options, now: number): { readonly logs: SqliteLogs; readonly sessions: SessionStore } => {
  const database = new DatabaseSync(options.filename)
  try {
    database.exec(`
      PRAGMA busy_timeout = ${Math.floor(options.patience ?? 5_000)};
      PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = ${options.survives === "power" ? "FULL" : "NORMAL"};
    `)
    return {
      logs: new SqliteLogs(database, options.maxBytes ?? defaultBytes, now),
      sessions: SqliteSessions.make(database)
    }
  } catch (error) {
    database.close()
    throw error
  }
}
