/**
 * What users of other servers complain about when their clients come back, one by one.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type * as Frame from "../../src/wire/Frame.ts"
import { Lab, makeLab } from "../engine/lab.ts"
import type { Peer } from "../engine/peer.ts"
import * as disks from "./disk.ts"
import { pass, play, type Stage } from "./stage.ts"

const hour = 3_600_000

const served = (history?: { readonly capacity: number; readonly timeToLive?: number }) => ({
  rooms: [
    makeLab(
      {
        do: (room, _, what) => Effect.as(room.emit(what.startsWith("blink") ? "Blinked" : "Said", { text: what }), what)
      },
      history === undefined ? {} : { history }
    ).layer
  ]
})

/** Joins the room from a position; answers with the texts that were missed, or undefined where it could not go on. */
const comeBack = (stage: Stage, position: Frame.Position) =>
  Effect.gen(function*() {
    const peer = yield* stage.peer
    const answer = yield* peer.answer(peer.sendJoin("lab", "a", { name: "back" }, position))
    assert.strictEqual(answer._tag, "joined")
    const joined = answer as Frame.ServerFrames["joined"]
    // What comes after the answer of a request comes after everything that was missed.
    yield* peer.request(joined.channel, "Do", { what: "blink" })
    let next = joined.position[2]
    for (const { offset } of peer.all("event")) assert.strictEqual(offset, ++next, "contiguous")
    return joined.recovered ? texts(peer) : undefined
  })

const texts = (peer: Peer) => peer.events().map((payload) => (payload as { readonly text: string }).text)

const emit = (stage: Stage, ...said: ReadonlyArray<string>) =>
  Effect.forEach(said, (text) => Effect.orDie(stage.engine().emit(Lab, "a", "Said", { text })), { discard: true })

/** Where a newcomer begins. */
const here = (stage: Stage) =>
  Effect.gen(function*() {
    const peer = yield* stage.peer
    const { position } = yield* peer.join("lab", "a", { name: "here" })
    peer.close()
    return position
  })

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => `${from + index}`)

for (const [kind, disk] of [["memory", disks.none], ["SQLite", disks.sqlite]] as const) {
  describe(`coming back, with the history in ${kind}`, () => {
    it.live("after an hour in which nothing happened, with nobody there, nothing is missing", () =>
      play(served({ capacity: 100 }), disk(), (stage) =>
        Effect.gen(function*() {
          yield* emit(stage, "1")
          const position = yield* here(stage)
          yield* pass(hour, 10_000)
          assert.deepStrictEqual(yield* comeBack(stage, position), [])
          yield* emit(stage, "2")
          assert.deepStrictEqual(yield* comeBack(stage, position), ["2"])
        })))

    it.live("after an hour in which nothing happened, connected all the time, nothing is missing", () =>
      play(served({ capacity: 100, timeToLive: 60_000 }), disk(), (stage) =>
        Effect.gen(function*() {
          yield* emit(stage, "1")
          const client = yield* stage.client()
          const room = yield* client.join(Lab, "a", { name: "ada" })
          const got: Array<string> = []
          yield* Effect.forkScoped(Stream.runForEach(room.events, (element) =>
            Effect.sync(() => {
              got.push(element._tag === "synced" ? element.reason : element.payload.text)
            })))
          yield* pass(hour, 10_000)
          for (const connection of stage.network.connections()) connection.cut()
          yield* emit(stage, "2")
          yield* pass(5_000)
          assert.deepStrictEqual(got, ["joined", "2"])
        })))

    it.live("who missed nothing goes on, although everything that was kept is too old", () =>
      play(served({ capacity: 100, timeToLive: 60_000 }), disk(), (stage) =>
        Effect.gen(function*() {
          yield* emit(stage, "1", "2")
          const position = yield* here(stage)
          yield* pass(hour, 10_000)
          if (kind === "SQLite") yield* stage.restart
          assert.deepStrictEqual(yield* comeBack(stage, position), [])
          yield* emit(stage, "3")
          assert.deepStrictEqual(yield* comeBack(stage, position), ["3"])
          yield* pass(61_000)
          assert.isUndefined(yield* comeBack(stage, position))
        })))

    it.live("works a hundred times, and each event is seen once", () =>
      play(served({ capacity: 100 }), disk(), (stage) =>
        Effect.gen(function*() {
          const client = yield* stage.client({ reconnect: { base: 100, max: 500 } })
          const room = yield* client.join(Lab, "a", { name: "ada" })
          const got: Array<string> = []
          yield* Effect.forkScoped(Stream.runForEach(room.events, (element) =>
            Effect.sync(() => {
              if (element._tag !== "Blinked") {
                got.push(element._tag === "synced" ? element.reason : element.payload.text)
              }
            })))
          const said: Array<string> = ["joined"]
          for (let round = 0; round < 100; round++) {
            for (const connection of stage.network.connections()) connection.cut()
            for (let count = round % 4; count > 0; count--) {
              said.push(`${said.length}`)
              yield* emit(stage, said.at(-1)!)
              yield* Effect.orDie(stage.engine().emit(Lab, "a", "Blinked", { text: "noise" }))
            }
            yield* pass(1_500)
          }
          assert.deepStrictEqual(got, said)
        })))

    it.live("volatile events in between take nothing away and add nothing", () =>
      play(served({ capacity: 5 }), disk(), (stage) =>
        Effect.gen(function*() {
          yield* emit(stage, "1")
          const position = yield* here(stage)
          for (let count = 0; count < 200; count++) {
            yield* Effect.orDie(stage.engine().emit(Lab, "a", "Blinked", { text: "noise" }))
          }
          assert.deepStrictEqual(yield* comeBack(stage, position), [])
          yield* emit(stage, "2", "3")
          assert.deepStrictEqual(yield* comeBack(stage, position), ["2", "3"])
        })))

    it.live("another log is another log, however far it has come", () =>
      play(served({ capacity: 100 }), disk(), (stage) =>
        Effect.gen(function*() {
          yield* emit(stage, "1", "2")
          const [epoch, term, offset] = yield* here(stage)
          assert.isUndefined(yield* comeBack(stage, [`${epoch}x`, term, offset]))
          assert.isUndefined(yield* comeBack(stage, [epoch, term + 1, offset]))
          assert.isUndefined(yield* comeBack(stage, [epoch, term, offset + 1]))
          yield* stage.restart
          yield* emit(stage, "3", "4", "5")
          const isKept = kind === "SQLite"
          assert.deepStrictEqual(yield* comeBack(stage, [epoch, term, offset]), isKept ? ["3", "4", "5"] : undefined)
          // The former process never came that far.
          assert.isUndefined(yield* comeBack(stage, [epoch, term, offset + 1]))
        })))

    for (const how of kind === "SQLite" ? ["", ", after a restart"] : [""]) {
      it.live(`of a log that keeps five, exactly what is kept can be missed${how}`, () =>
        play(served({ capacity: 5 }), disk(), (stage) =>
          Effect.gen(function*() {
            yield* emit(stage, ...numbers(1, 12))
            const [epoch, term] = yield* here(stage)
            if (how !== "") yield* stage.restart
            assert.isUndefined(yield* comeBack(stage, [epoch, term, 6]), "the next one has left")
            assert.deepStrictEqual(yield* comeBack(stage, [epoch, term, 7]), numbers(8, 12), "the next is the oldest")
            assert.deepStrictEqual(yield* comeBack(stage, [epoch, term, 8]), numbers(9, 12))
            assert.deepStrictEqual(yield* comeBack(stage, [epoch, term, 12]), [])
          })))

      it.live(`of a log that keeps a minute, exactly what is younger can be missed${how}`, () =>
        play(served({ capacity: 100, timeToLive: 60_000 }), disk(), (stage) =>
          Effect.gen(function*() {
            yield* emit(stage, "1", "2")
            yield* pass(1_000)
            yield* emit(stage, "3")
            const [epoch, term] = yield* here(stage)
            yield* pass(58_500)
            if (how !== "") yield* stage.restart
            assert.deepStrictEqual(yield* comeBack(stage, [epoch, term, 1]), ["2", "3"])
            yield* pass(500)
            assert.isUndefined(yield* comeBack(stage, [epoch, term, 1]), "the next one is too old")
            assert.deepStrictEqual(yield* comeBack(stage, [epoch, term, 2]), ["3"], "the next one is not")
            assert.deepStrictEqual(yield* comeBack(stage, [epoch, term, 3]), [])
          })))
    }
  })
}
