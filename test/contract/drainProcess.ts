/**
 * A deploy as the clients of a process see it: SIGTERM under load, and a second process on the same port.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, Stream, SubscriptionRef } from "effect"
import { fileURLToPath } from "node:url"
import * as Client from "../../src/client/Client.ts"
import { Connector } from "../../src/client/Connector.ts"
import { Work } from "./fixtures/drainRoom.ts"
import { runner } from "./running.ts"
import { until } from "./transportClient.ts"

const fixture = fileURLToPath(new URL("./fixtures/drain.ts", import.meta.url))
const spread = 3_000

/** Runs the cases; `command` is what follows the runtime's name to run a file. */
export const drainContract = (name: string, command: ReadonlyArray<string>): void => {
  const start = runner(command, fixture)

  const connect = (port: number) =>
    Effect.flatMap(Connector, (connect) =>
      Effect.provideService(
        Client.make({ url: `ws://127.0.0.1:${port}/live`, reconnect: { base: 100, max: 500 } }),
        Connector,
        connect
      ))

  const ran = (output: string) => [...output.matchAll(/ran ([^;]+);/g)].map(([, id]) => id!)

  const live = (sentence: string, body: Effect.Effect<void, unknown, any>) =>
    it.live(sentence, () => Effect.provide(Effect.scoped(body), Logger.layer([])) as Effect.Effect<void>)

  describe(`a process that is told to stop: ${name}`, () => {
    live(
      "loses no answer and runs nothing twice, and its clients come back one by one to the next",
      Effect.gen(function*() {
        const first = yield* start("0", `${spread}`, "3000")
        const { port } = yield* first.address
        const answered: Array<string> = []
        const refused: Array<string> = []
        const lost: Array<string> = []
        const waits: Array<number> = []
        /** By how many milliseconds each came back later than it was told to. */
        const late: Array<number> = []
        let stop = false
        const isBack = new Set<number>()
        let restarted = false
        /** Works without a pause until it was answered by the second server. */
        const work = Effect.fnUntraced(function*(index: number) {
          const client = yield* connect(port)
          let due: number | undefined
          yield* Effect.forkScoped(
            Stream.runForEach(SubscriptionRef.changes(client.state), (state) =>
              Effect.sync(() => {
                if (state._tag === "waiting" && state.code === 1012) {
                  waits.push(state.retryIn)
                  due = performance.now() + state.retryIn
                } else if (state._tag === "connecting" && due !== undefined) {
                  late.push(performance.now() - due)
                  due = undefined
                }
              }))
          )
          const room = yield* client.join(Work, `${index % 4}`)
          for (let count = 0; !stop && count < 5_000; count++) {
            const id = `${index}-${count}`
            const result = yield* Effect.result(room.Do({ id, millis: 20 + index }))
            if (result._tag === "Success") {
              answered.push(id)
              assert.strictEqual(result.success, `${index % 4} ${id}`)
              if (restarted) isBack.add(index)
            } else if ("reason" in result.failure) {
              const reason = result.failure.reason._tag
              ;(reason === "ConnectionLost" || reason === "Interrupted" ? lost : refused).push(id)
            }
          }
        })
        const clients = 20
        for (let index = 0; index < clients; index++) yield* Effect.forkScoped(work(index))
        yield* until("they work", () => answered.length > 60)
        first.kill("SIGTERM")
        assert.deepStrictEqual(yield* first.endsWithin(3_500), { code: 0, signal: null }, first.output)
        const before = answered.length
        const next = yield* start(`${port}`, `${spread}`, "3000")
        yield* next.address
        restarted = true
        yield* until("all are back", () => isBack.size === clients, 15_000)
        stop = true
        assert.isAbove(answered.length, before)
        const allRuns = () => [...ran(first.output), ...ran(next.output)]
        // What it says takes another way than what it answers.
        yield* until("what is answered has run", () => answered.every((id) => allRuns().includes(id)))
        const runs = allRuns()
        assert.strictEqual(new Set(runs).size, runs.length, "nothing runs twice")
        assert.deepStrictEqual(lost, [], "the deadline was enough")
        assert.deepStrictEqual(refused.filter((id) => runs.includes(id)), [], "what is refused has not run")
        // What the first server ran, it answered.
        assert.deepStrictEqual(ran(first.output).filter((id) => !answered.includes(id)), [])
        assert.strictEqual(first.output.split("left stopped").length - 1, clients)
        assert.strictEqual(waits.length, clients)
        const sorted = waits.toSorted((one, other) => one - other)
        for (let third = 0; third < 3; third++) {
          const inside = sorted.filter((wait) => Math.min(2, Math.floor(wait / 1_000)) === third)
          assert.isAbove(inside.length, 3, `${sorted}`)
        }
        assert.strictEqual(late.length, clients)
        for (const millis of late) assert.isAbove(millis, -20, "nobody comes back before its time")
      })
    )

    live(
      "interrupts what still runs at the deadline, and ends with 0",
      Effect.gen(function*() {
        const running = yield* start("0", "0", "500")
        const client = yield* connect((yield* running.address).port)
        const room = yield* client.join(Work, "1")
        const fiber = yield* Effect.forkScoped(Effect.flip(room.Do({ id: "slow", millis: 20_000 })))
        yield* running.says("ran slow")
        running.kill("SIGTERM")
        assert.deepStrictEqual(yield* running.ends, { code: 0, signal: null }, running.output)
        const exit = yield* Effect.fromNullishOr(fiber.pollUnsafe())
        assert.match(JSON.stringify(exit), /Interrupted/)
      })
    )

    live(
      "ends at once on the second signal, whatever runs",
      Effect.gen(function*() {
        const running = yield* start("0", "0", "20000")
        const { port } = yield* running.address
        const room = yield* (yield* connect(port)).join(Work, "1")
        yield* Effect.forkScoped(Effect.ignore(room.Do({ id: "slow", millis: 30_000 })))
        yield* running.says("ran slow")
        running.kill("SIGTERM")
        const status = Effect.promise(() => fetch(`http://127.0.0.1:${port}/live`).then((response) => response.status))
        assert.strictEqual(yield* status, 426, "it still serves")
        running.kill("SIGTERM")
        assert.notDeepEqual(yield* running.ends, { code: 0, signal: null })
      })
    )
  })
}
