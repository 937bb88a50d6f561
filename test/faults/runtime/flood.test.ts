/**
 * A client in a process of its own that sends for 5 seconds as fast as it can, and somebody who is served meanwhile.
 *
 * How long that one waits is the claim, so this is measured on the wall clock.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fileURLToPath } from "node:url"
import type * as Limits from "../../../src/engine/Limits.ts"
import { runner } from "../../contract/running.ts"
import { network, serve } from "../../engine/harness.ts"
import { makeLab } from "../../engine/lab.ts"
import { Observed } from "../observed.ts"
import { capabilities, command, layer } from "./here.ts"

const millis = 5_000
const most = 250

interface Flood {
  readonly connections: number
  readonly sent: number
  readonly limited: number
  readonly closes: { readonly [code: string]: number }
}

interface Outcome {
  readonly flood: Flood
  readonly observed: Pick<Observed, "closes" | "pauses">
  readonly trips: number
  readonly p99: number
}

/** One flood, and what the bystander had of it. */
const live = (manner: "reads" | "deaf", limits: Partial<Limits.Limits>) => {
  const observed = new Observed()
  const harness = network(capabilities.runtime, observed.of(layer({ port: 0 })))
  const flooder = runner(command, fileURLToPath(new URL("../fixtures/flooder.ts", import.meta.url)))
  return serve(harness, { rooms: [makeLab().layer], limits })(({ engine, peer, until }) =>
    Effect.gen(function*() {
      const bystander = yield* peer()
      const { channel } = yield* bystander.join("lab", "b", { name: "bystander" })
      const running = yield* flooder(`${engine.address.port}`, `${millis}`, manner)
      const trips: Array<number> = []
      while (running.exit === undefined && running.output === "") {
        const start = performance.now()
        const answer = yield* bystander.request(channel, "Do", { what: "x" })
        trips.push(performance.now() - start)
        assert.strictEqual(answer._tag, "ok")
        // It keeps to the rate that was announced.
        yield* Effect.sleep(15)
      }
      yield* until("the flooder has said how it went", () => running.exit !== undefined)
      const flood: Flood = JSON.parse(/flooded (.*);/.exec(running.output)?.[1] ?? assert.fail(running.output))
      const sorted = trips.toSorted((one, other) => one - other)
      const p99 = sorted[Math.floor(sorted.length * 0.99)]!
      process.stdout.write(
        `flood on ${capabilities.runtime}, ${manner}: p99 of ${trips.length} round trips ${p99.toFixed(1)} ms, ` +
          `at most ${sorted.at(-1)!.toFixed(1)} ms; ${JSON.stringify(flood)}, ${observed.pauses} pauses, ` +
          `closed with ${[...new Set(observed.closes)].join() || "nothing"}\n`
      )
      assert.isUndefined(bystander.closed)
      // Of this moment: the end of the engine closes whoever is left.
      const seen = { closes: [...observed.closes], pauses: observed.pauses }
      return { flood, observed: seen, trips: trips.length, p99 }
    })
  )
}

const isServed = ({ p99, trips }: Outcome): boolean => p99 < most && trips > 50

/** Three times at most: where another program has the cores for a second, everybody waits, and that proves nothing. */
const floodTest = (
  sentence: string,
  manner: "reads" | "deaf",
  limits: Partial<Limits.Limits>,
  body: (flood: Flood, observed: Outcome["observed"]) => void
) =>
  it.live(sentence, () =>
    Effect.gen(function*() {
      let outcome: Outcome = yield* live(manner, limits)
      for (let time = 1; time < 3 && !isServed(outcome); time++) outcome = yield* live(manner, limits)
      assert.isBelow(outcome.p99, most)
      assert.isAbove(outcome.trips, 50)
      body(outcome.flood, outcome.observed)
    }), 60_000)

describe(`a flooder: ${capabilities.runtime}`, () => {
  floodTest("is told RateLimited and then closed with 4429, as often as it comes back", "reads", {}, (
    { connections, limited },
    { closes }
  ) => {
    const closed = closes.filter((code) => code === 4429).length
    // The last is cut short by the end of the test, and one or another by its own reset.
    assert.isAbove(closed, connections * 0.9 - 1)
    assert.isAbove(closed, 1)
    assert.isAbove(limited, 0)
  })

  floodTest(
    "that may send at any rate, and reads no answer, is not read any more, or closed with 4429 where that came too late",
    "deaf",
    { frameRate: 1e9, frameBurst: 1e9 },
    (_, { closes, pauses }) => {
      // A runtime may have read more than may wait before it pauses.
      assert.deepStrictEqual(closes.filter((code) => code !== 4429), [])
      assert.isAbove(capabilities.pause ? pauses : closes.length, 0)
    }
  )
})
