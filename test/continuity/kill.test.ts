/**
 * `kill -9` in the middle of writes: what anybody was told is in the log, and stays under its offset.
 *
 * Each runtime serves in a process of its own, which is killed `HEDDLE_KILLS` times, 20 unless said.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, Stream } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { fileURLToPath } from "node:url"
import * as Client from "../../src/client/Client.ts"
import { runner } from "../contract/running.ts"
import { until } from "../contract/transportClient.ts"
import { makeRandom, seedOf } from "../engine/random.ts"
import { Ledger } from "./fixtures/ledger.ts"

const kills = Number(process.env["HEDDLE_KILLS"] ?? 20)
const clients = 4
const fixture = fileURLToPath(new URL("./fixtures/server.ts", import.meta.url))

const runtimes: { readonly [name: string]: ReadonlyArray<string> } = {
  node: ["node_modules/.bin/node"],
  bun: ["node_modules/.bin/bun"],
  deno: ["node_modules/.bin/deno", "run", "-A"]
}

/** What is in the log of a process that is no more: tokens by offset. Reads a copy, as the next process will. */
const logOf = (folder: string): ReadonlyMap<number, number> => {
  const copy = Fs.mkdtempSync(Path.join(Os.tmpdir(), "heddle-killed-"))
  try {
    for (const file of Fs.readdirSync(folder)) Fs.copyFileSync(Path.join(folder, file), Path.join(copy, file))
    const database = new DatabaseSync(Path.join(copy, "db"))
    const rows = database.prepare("SELECT \"offset\", frame FROM events ORDER BY \"offset\"").all()
    const [log] = database.prepare("SELECT head FROM logs").all()
    database.close()
    assert.strictEqual(log?.["head"] ?? 0, rows.length, "the head is the last event")
    return new Map(rows.map((row, index) => {
      assert.strictEqual(row["offset"], index + 1, "offsets are contiguous")
      return [index + 1, JSON.parse(row["frame"] as string)[4].token as number]
    }))
  } finally {
    Fs.rmSync(copy, { recursive: true })
  }
}

describe("a server that is killed while it writes", () => {
  for (const [name, command] of Object.entries(runtimes)) {
    it.live(`on ${name}, ${kills} times, takes nothing back that anybody was told`, () =>
      Effect.gen(function*() {
        const random = makeRandom(seedOf(1))
        const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "heddle-ledger-"))
        yield* Effect.addFinalizer(() => Effect.sync(() => Fs.rmSync(folder, { recursive: true })))
        const start = runner(command.slice(1), fixture, Path.resolve(command[0]!))
        const filename = Path.join(folder, "db")
        let running = yield* start("0", filename)
        const { port } = yield* running.address

        /** The token that anybody was told at each offset. */
        const told = new Map<number, number>()
        const hear = (offset: number, token: number) => {
          if (told.has(offset)) assert.strictEqual(token, told.get(offset), `another event at ${offset}`)
          told.set(offset, token)
        }
        const faults: Array<unknown> = []
        const gaps: Array<string> = []
        let tokens = 0
        let [answered, lost] = [0, 0]
        const heads = Array.from({ length: clients }, () => 0)
        const take = (index: number) =>
          Effect.gen(function*() {
            const client = yield* Client.make({
              url: `ws://127.0.0.1:${port}/live`,
              reconnect: { base: 30, max: 100 },
              eventBuffer: 100_000
            })
            const room = yield* client.join(Ledger, "a")
            yield* Effect.forkScoped(
              Stream.runForEach(room.events, (element) =>
                Effect.sync(() => {
                  if (element._tag === "synced") return void gaps.push(`${index} ${element.reason}`)
                  const offset = element.offset!
                  if (heads[index] !== 0) assert.strictEqual(offset, heads[index]! + 1, "contiguous")
                  heads[index] = offset
                  hear(offset, element.payload.token)
                })).pipe(Effect.tapCause((cause) => Effect.sync(() => void faults.push(cause))))
            )
            const add = Effect.suspend(() => {
              const token = ++tokens
              return Effect.match(room.Add({ token }), {
                onSuccess: (offset) => {
                  answered++
                  hear(offset, token)
                },
                onFailure: ({ reason }) => {
                  lost++
                  if (reason._tag !== "ConnectionLost" || !reason.mayHaveRun) faults.push(reason)
                }
              })
            }).pipe(Effect.tapCause((cause) => Effect.sync(() => void faults.push(cause))))
            for (let count = 0; count < 8; count++) yield* Effect.forkScoped(Effect.forever(add))
          })
        for (let index = 0; index < clients; index++) yield* take(index)

        for (let round = 0; round < kills; round++) {
          const before = answered
          yield* until("all of them write", () => answered >= before + 100 + random.below(200), 20_000)
          running.kill("SIGKILL")
          yield* running.endsWithin(5_000)
          const log = logOf(folder)
          for (const [offset, token] of told) assert.strictEqual(log.get(offset), token, `told at ${offset}`)
          running = yield* start(`${port}`, filename)
          yield* running.address
        }
        const head = Math.max(...told.keys())
        yield* until("everybody is back", () => heads.every((one) => one > head), 20_000)
        assert.deepStrictEqual(faults, [])
        // Nobody missed anything, so nobody was told a new state.
        assert.deepStrictEqual(gaps.sort(), heads.map((_, index) => `${index} joined`))
        process.stdout.write(`continuity: ${name}, ${kills} kills, ${answered} answers, ${lost} lost, ${head} events\n`)
      }).pipe(Effect.scoped, Effect.provide(Logger.layer([]))), 240_000)
  }
})
