/**
 * What is left of a process when it has ended: nothing, or what its store has committed.
 */
import { Layer } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Sqlite from "../../src/store/Sqlite.ts"

/** The offset of the last event of a log, and the last of its terms; 0 for one that is not there. */
export interface Committed {
  readonly head: number
  readonly term: number
}

export interface Disk {
  readonly isDurable: boolean
  /** The stores of a process that begins with what is on the disk. */
  readonly layer: Layer.Layer<never>
  /** What is committed at this moment, as a disk of its own. */
  readonly copy: () => Disk
  /** What is committed of a log. */
  readonly logOf: (address: string) => Committed
  /** The sessions that are committed. */
  readonly sessions: () => ReadonlySet<string>
  readonly dispose: () => void
}

/** Keeps nothing: the logs are in memory. */
export const none = (): Disk => ({
  isDurable: false,
  layer: Layer.empty,
  copy: none,
  logOf: () => ({ head: 0, term: 0 }),
  sessions: () => new Set(),
  dispose: () => {}
})

const newFolder = () => Fs.mkdtempSync(Path.join(Os.tmpdir(), "heddle-disk-"))

const inFolder = (folder: string): Disk => {
  const filename = Path.join(folder, "db")
  /** Reads what is committed; undefined where nothing was ever written. */
  const read = <A>(body: (database: DatabaseSync) => A): A | undefined => {
    const database = new DatabaseSync(filename)
    try {
      return body(database)
    } catch {
      return undefined
    } finally {
      database.close()
    }
  }
  return {
    isDurable: true,
    layer: Layer.orDie(Sqlite.layer({ filename })),
    // What a process that is killed leaves: the file and its log, in which what was not committed does not count.
    copy: () => {
      const other = newFolder()
      for (const file of Fs.readdirSync(folder)) Fs.copyFileSync(Path.join(folder, file), Path.join(other, file))
      return inFolder(other)
    },
    logOf: (address) => {
      const row = read((database) => database.prepare("SELECT head, term FROM logs WHERE address = ?").get(address))
      return { head: Number(row?.["head"] ?? 0), term: Number(row?.["term"] ?? 0) }
    },
    sessions: () => {
      const rows = read((database) => database.prepare("SELECT id FROM sessions").all()) ?? []
      return new Set(rows.map((row) => row["id"] as string))
    },
    dispose: () => Fs.rmSync(folder, { recursive: true, force: true })
  }
}

/** A SQLite file, which survives its process and can be put back as it once was. */
export const sqlite = (): Disk => inFolder(newFolder())
