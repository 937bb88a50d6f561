/**
 * `kill -9` in the middle of writes: what anybody was told is in the log, and stays under its offset. Sessions go on, and a
 * request whose answer was kept and lost on its way is answered as it was; nothing runs twice.
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
import { type Connect, Connector } from "../../src/client/Connector.ts"
import { json } from "../../src/wire/Json.ts"
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

/** What a process that is no more has left. */
interface Left {
  /** Tokens by offset. */
  readonly log: ReadonlyMap<number, number>
  /** The values of answers, by session and number. */
  readonly answers: ReadonlyMap<string, number>
}

/** Reads a copy, as the next process will. */
const leftIn = (folder: string): Left => {
  const copy = Fs.mkdtempSync(Path.join(Os.tmpdir(), "heddle-killed-"))
  try {
    for (const file of Fs.readdirSync(folder)) Fs.copyFileSync(Path.join(folder, file), Path.join(copy, file))
    const database = new DatabaseSync(Path.join(copy, "db"))
    const rows = database.prepare("SELECT \"offset\", frame FROM events ORDER BY \"offset\"").all()
    const [log] = database.prepare("SELECT head FROM logs").all()
    const answers = database.prepare("SELECT session, seq, data FROM answers").all()
    database.close()
    assert.strictEqual(log?.["head"] ?? 0, rows.length, "the head is the last event")
    const tokens = rows.map((row, index) => {
      assert.strictEqual(row["offset"], index + 1, "offsets are contiguous")
      return JSON.parse(row["frame"] as string)[4].token as number
    })
    assert.strictEqual(new Set(tokens).size, tokens.length, "nothing ran twice")
    return {
      log: new Map(tokens.map((token, index) => [index + 1, token])),
      answers: new Map(answers.flatMap(({ data, seq, session }) => {
        const [frame] = json.decodeServer(data as string, 1)!
        return frame?._tag === "ok" ? [[`${session} ${seq}`, frame.value as number]] : []
      }))
    }
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
        /** The session of each client, and the name of each request in the store. */
        const sessions: Array<Set<string>> = []
        const names = new Map<number, string>()
        /** What was answered in a process that was killed, by that name. */
        const known = new Map<string, number>()
        /** What the server says now is lost on its way. */
        let isDeaf = false
        const webSocket = yield* Connector
        const tapped = (index: number): Connect => (url, protocols, events) => {
          const of = sessions[index] ??= new Set()
          const socket = webSocket(url, protocols, {
            ...events,
            message: (data) => {
              if (isDeaf) return
              for (const frame of json.decodeServer(data, Infinity)!) {
                if (frame._tag === "welcome") of.add(frame.session)
              }
              events.message(data)
            }
          })
          return {
            ...socket,
            send: (data) => {
              for (const frame of json.decodeClient(data, Infinity)!) {
                if (frame._tag !== "request") continue
                if (frame.again === true) repeated++
                names.set((frame.payload as { token: number }).token, `${[...of].at(-1)} ${frame.seq}`)
              }
              socket.send(data)
            }
          }
        }
        let tokens = 0
        let [answered, lost, repeated, recalled] = [0, 0, 0, 0]
        const heads = Array.from({ length: clients }, () => 0)
        const take = (index: number) =>
          Effect.gen(function*() {
            const client = yield* Client.make({
              url: `ws://127.0.0.1:${port}/live`,
              reconnect: { base: 30, max: 100 },
              eventBuffer: 100_000
            }).pipe(Effect.provideService(Connector, tapped(index)))
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
                  const before = known.get(names.get(token)!)
                  if (before === undefined) return
                  recalled++
                  if (before !== offset) faults.push(`${token} is answered with ${offset}, and was with ${before}`)
                },
                onFailure: ({ reason }) => {
                  lost++
                  if (reason._tag !== "ConnectionLost" || !reason.mayHaveRun) faults.push(reason)
                  if (known.has(names.get(token)!)) faults.push(`${token} was answered`)
                }
              })
            }).pipe(Effect.tapCause((cause) => Effect.sync(() => void faults.push(cause))))
            for (let count = 0; count < 8; count++) yield* Effect.forkScoped(Effect.forever(add))
          })
        for (let index = 0; index < clients; index++) yield* take(index)

        for (let round = 0; round < kills; round++) {
          const before = answered
          yield* until("all of them write", () => answered >= before + 100 + random.below(200), 20_000)
          // Every other time, what was answered last was not heard.
          isDeaf = round % 2 === 0
          if (isDeaf) yield* Effect.sleep(random.below(20))
          running.kill("SIGKILL")
          yield* running.endsWithin(5_000)
          isDeaf = false
          const { answers, log } = leftIn(folder)
          for (const [name, offset] of answers) known.set(name, offset)
          for (const [offset, token] of told) assert.strictEqual(log.get(offset), token, `told at ${offset}`)
          running = yield* start(`${port}`, filename)
          yield* running.address
        }
        const head = Math.max(...told.keys())
        yield* until("everybody is back", () => heads.every((one) => one > head), 20_000)
        assert.deepStrictEqual(faults, [])
        for (const of of sessions) assert.strictEqual(of.size, 1, "a session goes on")
        assert.isAbove(recalled, 0, "answers are known after a kill")
        // A kill hits what was sent and not begun, often enough.
        if (kills >= 20) assert.isAbove(lost, 0, "requests are lost")
        // Nobody missed anything, so nobody was told a new state.
        assert.deepStrictEqual(gaps.sort(), heads.map((_, index) => `${index} joined`))
        process.stdout.write(
          `continuity: ${name}, ${kills} kills, ${answered} answers, ${lost} lost, ` +
            `${repeated} asked about, ${recalled} known, ${head} events\n`
        )
      }).pipe(Effect.scoped, Effect.provide(Logger.layer([]))), 240_000)
  }
})
