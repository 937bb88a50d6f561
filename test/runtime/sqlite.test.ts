import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Room from "../../src/contract/Room.ts"
import { canContinue } from "../../src/engine/Log.ts"
import type { Log } from "../../src/engine/LogStore.ts"
import * as Sqlite from "../../src/store/Sqlite.ts"
import { SqliteLogs } from "../../src/store/SqliteLogs.ts"
import { json } from "../../src/wire/Json.ts"
import { type Harness, memory, serve, type World } from "../engine/harness.ts"
import { logStoreContract, type Stored } from "../engine/logStore.ts"

/** Opened again and again, as long as a test lasts. */
const inFile = (filename: string, maxBytes: number): Stored => {
  const store = new SqliteLogs(new DatabaseSync(filename), maxBytes, 0)
  let isOpen = true
  return {
    store,
    again: () => inFile(filename, maxBytes),
    close: () => {
      if (isOpen) store.close()
      isOpen = false
    }
  }
}

const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "heddle-"))
afterAll(() => Fs.rmSync(folder, { recursive: true, force: true }))

let files = 0
logStoreContract("SQLite", ({ maxBytes }) => inFile(Path.join(folder, `${files++}.db`), maxBytes))

describe("a SQLite file whose end is lost", () => {
  it("continues no position from what is gone, whichever term it was in", () => {
    const filename = Path.join(folder, "lost.db")
    const frame = (offset: number) =>
      json.encode({ _tag: "event", channel: 1, offset, name: "Said", payload: null, except: null })
    const write = (now: number, count: number) => {
      const store = new SqliteLogs(new DatabaseSync(filename), 1e9, now)
      store.transaction.begin()
      const log = store.open("a", { capacity: 100, timeToLive: Infinity }, () => "e")
      for (let index = 0; index < count; index++) log.append(frame(log.head + 1), now)
      store.transaction.commit()
      const { term } = log
      const can = (term: number, offset: number) => canContinue(log, ["e", term, offset], now)
      return { can, term, head: log.head, close: () => store.close() }
    }
    const first = write(1_000, 5)
    first.close()
    Fs.copyFileSync(filename, `${filename}.old`)
    const second = write(2_000, 3)
    second.close()
    // The second opening is lost as a whole, its term with it.
    Fs.copyFileSync(`${filename}.old`, filename)
    const third = write(3_000, 5)
    assert.deepStrictEqual([third.head, third.can(first.term, 5), third.can(first.term, 6)], [10, true, false])
    assert.deepStrictEqual([third.can(second.term, 5), third.can(second.term, 8)], [false, false])
    third.close()
    const fourth = write(4_000, 0)
    fourth.close()
    // What is in the file now ends before where the first opening did.
    const database = new DatabaseSync(filename)
    database.exec("UPDATE logs SET head = 4; DELETE FROM events WHERE \"offset\" > 4")
    database.close()
    const fifth = write(5_000, 3)
    assert.deepStrictEqual([4, 5].map((offset) => fifth.can(first.term, offset)), [true, false])
    fifth.close()
  })
})

describe("a log in a SQLite file whose events are all too old", () => {
  it("is remembered for 30 days, for who missed none of them", () => {
    const filename = Path.join(folder, "old.db")
    const day = 24 * 3_600_000
    const open = <A>(now: number, use: (log: Log) => A): A => {
      const store = new SqliteLogs(new DatabaseSync(filename), 1e9, now)
      store.transaction.begin()
      const used = use(store.open("a", { capacity: 100, timeToLive: 60_000 }, () => `e${now}`))
      store.transaction.commit()
      store.close()
      return used
    }
    const encoded = json.encode({ _tag: "event", channel: 1, offset: 1, name: "Said", payload: null, except: null })
    const term = open(1_000, (log) => {
      log.append(encoded, 1_000)
      return log.term
    })
    const late = 1_000 + 29 * day
    assert.deepStrictEqual(open(late, (log) => [log.epoch, log.head, canContinue(log, ["e1000", term, 1], late)]), [
      "e1000",
      1,
      true
    ])
    const tooLate = 1_000 + 30 * day
    assert.deepStrictEqual(open(tooLate, ({ epoch, head }) => [epoch, head]), [`e${tooLate}`, 0])
  })
})

class Book extends Room.make("book", {
  snapshot: { pages: Schema.Int },
  requests: { Write: { payload: { text: Schema.String }, success: Schema.Int } },
  events: { Wrote: { text: Schema.String } }
}) {}

const BookLive = Book.toLayer((room) => {
  let pages = 0
  return {
    snapshot: () => Effect.succeed({ pages }),
    Write: ({ payload }) => {
      pages++
      return Effect.map(room.emit("Wrote", payload), ({ offset }) => offset)
    }
  }
}, { history: { capacity: 100 } })

describe("an engine with SQLite", () => {
  it.effect("gives who comes back after a restart of the server what it missed", () =>
    Effect.gen(function*() {
      const sqlite = Sqlite.layer({ filename: Path.join(folder, "book.db") })
      const served = serve(memory, { rooms: [BookLive] })
      const position = yield* served(({ peer }) =>
        Effect.gen(function*() {
          const ada = yield* peer()
          const { channel, position } = yield* ada.join("book", "a")
          for (const text of ["1", "2", "é"]) yield* ada.request(channel, "Write", { text })
          return position
        })
      ).pipe(Effect.provide(sqlite))
      yield* served(({ peer }) =>
        Effect.gen(function*() {
          const ada = yield* peer()
          const again = yield* ada.answer(ada.sendJoin("book", "a", null, [position[0], position[1], 1]))
          assert.deepInclude(again, { recovered: true, position: [position[0], 2, 1] })
          yield* ada.request((again as { readonly channel: number }).channel, "Write", { text: "4" })
          assert.deepStrictEqual(ada.all("event").map(({ channel, offset, payload }) => [channel, offset, payload]), [
            [1, 2, { text: "2" }],
            [1, 3, { text: "é" }],
            [1, 4, { text: "4" }]
          ])
        })
      ).pipe(Effect.provide(sqlite))
    }))

  it.live("has a file of its own, and says who cannot have it", () =>
    Effect.gen(function*() {
      const filename = Path.join(folder, "shared.db")
      const nothing = Effect.void
      const error = yield* Effect.flip(nothing.pipe(
        Effect.provide(Sqlite.layer({ filename, patience: 0 })),
        Effect.provide(Sqlite.layer({ filename }))
      ))
      assert.instanceOf(error, Sqlite.SqliteError)
      assert.include(error.message, filename)
      yield* Effect.provide(nothing, Sqlite.layer({ filename, patience: 0, survives: "power" }))
      const broken = Path.join(folder, "no.db")
      Fs.writeFileSync(broken, "this is no database, and long enough to be seen as none".repeat(50))
      assert.instanceOf(
        yield* Effect.flip(Effect.provide(nothing, Sqlite.layer({ filename: broken }))),
        Sqlite.SqliteError
      )
    }))
})

describe("sessions in a SQLite file", () => {
  class Counter extends Room.make("counter", { requests: { Add: { success: Schema.Int } } }) {}

  it.live("go on with the next process, which knows what was answered", () =>
    Effect.gen(function*() {
      const filename = Path.join(folder, "sessions.db")
      let count = 0
      const CounterLive = Counter.toLayer(() => ({ Add: () => Effect.sync(() => ++count) }))
      const durable: Harness = {
        ...memory,
        transport: Layer.provideMerge(memory.transport, Sqlite.layer({ filename })) as any
      }
      const engine = <A>(body: (world: World) => Effect.Effect<A, unknown, any>) =>
        serve(durable, { rooms: [CounterLive] })((world) =>
          Effect.tap(body(world) as Effect.Effect<A>, () => world.engine.drain)
        )
      const [session, token] = yield* engine((world) =>
        Effect.gen(function*() {
          const ada = yield* world.peer()
          ada.acknowledges = false
          const { channel } = yield* ada.join("counter", "a")
          for (let value = 1; value <= 3; value++) {
            assert.deepInclude(yield* ada.request(channel, "Add"), { _tag: "ok", value })
          }
          const { resume, session } = ada.all("welcome")[0]!
          return [session, resume!] as const
        })
      )
      yield* engine((world) =>
        Effect.gen(function*() {
          const ada = yield* world.open
          assert.deepInclude(yield* ada.hello(null, token), { session, seq: 3 })
          const { channel } = yield* ada.join("counter", "a")
          const ask = (seq: number, ack: number, again: boolean | null) =>
            Effect.suspend(() =>
              ada.answer(ada.ask({ _tag: "request", channel, seq, ack, name: "Add", payload: null, again }))
            )
          assert.deepInclude(yield* ask(2, 0, true), { _tag: "ok", value: 2 })
          assert.deepInclude(yield* ask(4, 0, true), {
            error: { _tag: "ConnectionLost", code: 1006, mayHaveRun: true }
          })
          assert.deepInclude(yield* ask(5, 4, null), { _tag: "ok", value: 4 })
          assert.strictEqual(count, 4)
        })
      )
      const database = new DatabaseSync(filename)
      const rows = (table: string) => database.prepare(`SELECT * FROM ${table}`).all()
      assert.strictEqual(rows("sessions").length, 1)
      assert.deepStrictEqual(rows("answers").map((row) => row["seq"]), [5])
      assert.notInclude(JSON.stringify(rows("sessions")), token.split(".")[1]!)
      database.close()
    }).pipe(Effect.scoped) as Effect.Effect<void>)
})
