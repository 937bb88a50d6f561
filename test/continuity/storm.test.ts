/**
 * Thousands of clients after a restart of their server: they come back one by one, each once.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { fileURLToPath } from "node:url"
import { Connector } from "../../src/client/Connector.ts"
import { runner } from "../contract/running.ts"
import { until } from "../contract/transportClient.ts"
import { type Guest, makeCrowd, spreadOf } from "./crowd.ts"
import * as disks from "./disk.ts"
import { Ledger } from "./fixtures/ledger.ts"
import { pass, play, settle, type Stage } from "./stage.ts"

const spread = 10_000
/** A client adds up to so much of its own to what the server asked for. */
const base = 500

const ledger = Ledger.toLayer((room) => ({
  snapshot: () => Effect.succeed({ entries: 0 }),
  Add: ({ payload }) => Effect.orDie(Effect.map(room.emit("Added", payload), ({ offset }) => offset))
}), { history: { capacity: 10 } })

const served = { rooms: [ledger], limits: { connections: 20_000, connectionsPerAddress: 20_000 } }

const say = (text: string) => process.stdout.write(`continuity: ${text}\n`)

/** Runs until it holds, for so many milliseconds of virtual time at most. */
const within = (millis: number, holds: () => boolean, step = 100) =>
  Effect.gen(function*() {
    for (let left = millis; left > 0 && !holds(); left -= step) yield* pass(step, step)
  })

const areIn = (guests: ReadonlyArray<Guest>, rooms: number) => () => guests.every((guest) => guest.rooms === rooms)

const errorsOf = (guests: ReadonlyArray<Guest>) => guests.flatMap(({ errors }) => errors)

describe("10,000 clients in memory", () => {
  const count = 10_000

  const crowd = (stage: Stage, url: () => string, now: () => number) =>
    Effect.gen(function*() {
      const { arrive, guests } = makeCrowd((_, ...rest) => stage.network.connect(url(), ...rest), now)
      for (let index = 0; index < count; index++) yield* arrive("ws://memory", 1)
      yield* within(20_000, areIn(guests, 1))
      assert.isTrue(areIn(guests, 1)(), "all are in")
      return guests
    })

  it.live(
    "come back within the time that a server that stops has asked for, evenly",
    () =>
      play({ ...served, drain: { deadline: 0, spread } }, disks.none(), (stage) =>
        Effect.gen(function*() {
          const clock = yield* Effect.clockWith(Effect.succeed)
          const now = () => clock.currentTimeMillisUnsafe()
          const guests = yield* crowd(stage, stage.url, now)
          const stoppedAt = now()
          yield* stage.restart
          yield* within(spread + base + 2_000, areIn(guests, 1))
          assert.isTrue(areIn(guests, 1)(), "all are back")
          const { last, most } = spreadOf(guests.map(({ welcomes }) => welcomes[1]!), stoppedAt, 1_000)
          say(`${count} clients, calm restart: all back after ${last} ms, at most ${most} in a second`)
          assert.isAtMost(last, spread + base + 500)
          assert.isAtMost(most, (count / spread) * 1_000 * 1.3)
          // Nobody is sent away a second time.
          yield* pass(20_000, 500)
          for (const { ends, welcomes } of guests) assert.deepStrictEqual([ends, welcomes.length], [[1012], 2])
          assert.deepStrictEqual(errorsOf(guests), [])
        })),
    120_000
  )

  it.live(
    "come back to a server that crashed, each at a moment of its own",
    () =>
      play(served, disks.none(), (stage) =>
        Effect.gen(function*() {
          const clock = yield* Effect.clockWith(Effect.succeed)
          const now = () => clock.currentTimeMillisUnsafe()
          let isUp = true
          const guests = yield* crowd(stage, () => isUp ? stage.url() : "ws://memory:0", now)
          const down = 5_000
          isUp = false
          for (const connection of stage.network.connections()) connection.cut()
          yield* pass(down, 100)
          yield* stage.restart
          isUp = true
          const upAt = now()
          yield* within(40_000, areIn(guests, 1))
          assert.isTrue(areIn(guests, 1)(), "all are back")
          const { last, most } = spreadOf(guests.map(({ welcomes }) => welcomes[1]!), upAt, 1_000)
          say(`${count} clients, crash of ${down} ms: all back ${last} ms after it, at most ${most} in a second`)
          assert.isAtMost(most, count / 3)
          // Four or five attempts failed, so that none waits for longer than 500 ms · 2^6.
          assert.isAtMost(last, 32_000)
          yield* pass(20_000, 500)
          for (const { ends, welcomes } of guests) assert.deepStrictEqual([ends, welcomes.length], [[1006], 2])
          assert.deepStrictEqual(errorsOf(guests), [])
        })),
    120_000
  )

  it.live(
    "pace the rooms that they join again, as the server has told them",
    () =>
      play(
        { rooms: [ledger], limits: { frameRate: 20, frameBurst: 40 } },
        disks.none(),
        (stage) =>
          Effect.gen(function*() {
            const clock = yield* Effect.clockWith(Effect.succeed)
            const rooms = 100
            const { arrive, guests } = makeCrowd(
              (_, ...rest) => stage.network.connect(stage.url(), ...rest),
              () => clock.currentTimeMillisUnsafe()
            )
            for (let index = 0; index < 40; index++) yield* arrive("ws://memory", rooms)
            yield* within(20_000, areIn(guests, rooms))
            for (let round = 0; round < 3; round++) {
              for (const connection of stage.network.connections()) connection.cut()
              yield* settle(100)
              yield* within(30_000, areIn(guests, rooms))
              assert.isTrue(areIn(guests, rooms)(), "all are back in all rooms")
            }
            assert.deepStrictEqual(errorsOf(guests), [])
            for (const { ends } of guests) assert.deepStrictEqual(ends, [1006, 1006, 1006])
          })
      ),
    60_000
  )
})

describe("2,000 clients on real sockets", () => {
  const count = 2_000
  const fixture = fileURLToPath(new URL("./fixtures/crowd.ts", import.meta.url))
  const start = runner([], fixture)
  const stallOf = (output: string) =>
    Math.max(0, ...[...output.matchAll(/stalled (\d+)/g)].map(([, millis]) => Number(millis)))

  it.live("come back after a deploy and after a crash, each once", () =>
    Effect.gen(function*() {
      const spread = 5_000
      const first = yield* start("0", `${spread}`)
      const { port } = yield* first.address
      const { arrive, guests } = makeCrowd(yield* Connector, () => performance.now())
      for (let index = 0; index < count; index++) {
        yield* arrive(`ws://127.0.0.1:${port}/live`, 1)
        // A server takes as many at once as the kernel lets wait.
        if (index % 100 === 99) yield* until("they are in", areIn(guests, 1), 20_000)
      }

      const stoppedAt = performance.now()
      first.kill("SIGTERM")
      assert.deepStrictEqual(yield* first.endsWithin(15_000), { code: 0, signal: null }, first.output)
      const second = yield* start(`${port}`, `${spread}`)
      yield* second.address
      yield* until("all are back after the deploy", areIn(guests, 1), 30_000)
      const calm = spreadOf(guests.map(({ welcomes }) => welcomes[1]!), stoppedAt, 1_000)

      second.kill("SIGKILL")
      yield* second.endsWithin(5_000)
      const third = yield* start(`${port}`, `${spread}`)
      yield* third.address
      const upAt = performance.now()
      yield* until("all are back after the crash", areIn(guests, 1), 60_000)
      const crash = spreadOf(guests.map(({ welcomes }) => welcomes[2]!), upAt, 1_000)
      say(
        `${count} real clients: all back ${
          Math.round(calm.last)
        } ms after SIGTERM (at most ${calm.most} in a second, ` +
          `loop stalled for ${stallOf(second.output)} ms at most), ${Math.round(crash.last)} ms after a crash ` +
          `(${crash.most}, ${stallOf(third.output)} ms)`
      )
      // The time to start a process is not the clients'.
      assert.isAtMost(calm.last, spread + base + 5_000)
      // Nobody is sent away a second time.
      yield* Effect.sleep(3_000)
      for (const { ends } of guests) assert.deepStrictEqual(ends, [1012, 1006])
      assert.deepStrictEqual(errorsOf(guests), [])
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([]))), 120_000)
})
