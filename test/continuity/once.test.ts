/**
 * Exactly once: over a connection that is lost every few messages.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import type { Connect } from "../../src/client/Connector.ts"
import { Lab, makeLab } from "../engine/lab.ts"
import { makeRandom, seeds } from "../engine/random.ts"
import * as disks from "./disk.ts"
import { pass, play } from "./stage.ts"

const count = 1_000

describe("a request within a session", () => {
  for (const seed of seeds(4)) {
    it.live(`runs once and has one answer, ${count} times, over a link that keeps breaking (seed ${seed})`, () => {
      const random = makeRandom(seed)
      const ran = new Map<string, number>()
      let cuts = 0
      const lab = makeLab({
        do: (room, _, what) =>
          Effect.suspend(() => {
            ran.set(what, (ran.get(what) ?? 0) + 1)
            const said = Effect.as(room.emit("Said", { text: what }), `did ${what}`)
            return random.chance(5) ? Effect.delay(said, random.below(400)) : said
          })
      }, { history: { capacity: 2_000 } })
      const body = play(
        { rooms: [lab.layer], limits: { frameRate: 1e6, frameBurst: 1e6 } },
        seed % 2 === 0 ? disks.none() : disks.sqlite(),
        (stage) =>
          Effect.gen(function*() {
            const faulty = (connect: Connect): Connect => (url, protocols, events) => {
              let left = 3 + random.below(8)
              const use = () => {
                if (--left > 0) return
                const connection = stage.network.connections().find((one) => one.socket === socket)
                if (left === 0 && connection !== undefined) cuts++
                connection?.cut()
              }
              const socket = connect(url, protocols, {
                ...events,
                message: (data) => {
                  events.message(data)
                  use()
                }
              })
              return {
                ...socket,
                send: (data) => {
                  socket.send(data)
                  use()
                }
              }
            }
            const client = yield* stage.client(
              { reconnect: { base: 20, max: 40 }, requestTimeout: "10 minutes" },
              faulty
            )
            const joining = yield* Effect.forkChild(client.join(Lab, "a", { name: "ada" }))
            for (let round = 0; round < 100 && joining.pollUnsafe() === undefined; round++) yield* pass(50, 10)
            const room = yield* Fiber.join(joining)
            const answers = new Map<string, string>()
            const done = yield* Deferred.make<void, unknown>()
            yield* Effect.forkChild(
              Effect.forEach(
                Array.from({ length: count }, (_, index) => `${index}`),
                (what) =>
                  Effect.map(room.Do({ what }), (answer) => {
                    assert.isFalse(answers.has(what), "one answer")
                    answers.set(what, answer)
                  }),
                { concurrency: 20, discard: true }
              ).pipe(Effect.exit, Effect.flatMap((exit) => Deferred.done(done, exit)))
            )
            for (let round = 0; round < 5_000 && !(yield* Deferred.isDone(done)); round++) yield* pass(100, 20)
            yield* Deferred.await(done)
            assert.strictEqual(ran.size, count)
            for (const [what, times] of ran) assert.strictEqual(times, 1, `${what} ran ${times} times`)
            assert.strictEqual(answers.size, count)
            for (const [what, answer] of answers) assert.strictEqual(answer, `did ${what}`)
            // The link did break, and it was one member all the time.
            assert.isAbove(cuts, 40)
            assert.deepStrictEqual(lab.trace.filter((line) => /^(join|leave)/.test(line)), ["join ada"])
          }),
        seed
      )
      return body
    }, 60_000)
  }
})
