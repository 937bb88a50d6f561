/** Rooms that keep crashing, at a size at which something would get lost if anything could. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule, Schema, type Scope } from "effect"
import * as Room from "../../src/contract/Room.ts"
import type * as Engine from "../../src/engine/Engine.ts"
import { memory, serve, type World } from "../engine/harness.ts"
import { errorOf, type Peer } from "../engine/peer.ts"
import { settle } from "../engine/stage.ts"

class Work extends Room.make("work", {
  requests: { Do: { payload: { id: Schema.Int, poison: Schema.Boolean }, success: Schema.Int } }
}) {}

interface Seat {
  readonly peer: Peer
  readonly channel: number
}

/** An engine whose rooms die in turn by each of the ways there are to die: of poison and, if asked to, so often. */
const crashTest = (
  sentence: string,
  supervision: Room.Supervision | undefined,
  dyingEvery: number,
  body: (stage: {
    readonly world: World
    /** How often each request was handled, by its id. */
    readonly runs: Map<number, number>
    readonly instances: Map<string, number>
    readonly seats: (count: number, key: string) => Effect.Effect<ReadonlyArray<Seat>, never, Scope.Scope>
    readonly ask: (seat: Seat, id: number, poison?: boolean) => number
  }) => Effect.Effect<void, unknown, Scope.Scope | Engine.Engine>
) =>
  it.effect(sentence, () => {
    const runs = new Map<number, number>()
    const instances = new Map<string, number>()
    let handled = 0
    const layer = Work.toLayer(
      ({ key }) => {
        instances.set(key, (instances.get(key) ?? 0) + 1)
        return {
          Do: ({ payload: { id, poison } }) => {
            runs.set(id, (runs.get(id) ?? 0) + 1)
            const mustDie = poison || (key === "a" && ++handled % dyingEvery === 0)
            if (!mustDie) return id % 3 === 0 ? Effect.as(Effect.yieldNow, id) : Effect.succeed(id)
            if (id % 3 === 0) throw new Error("thrown")
            return id % 3 === 1 ? Effect.die("died") : Effect.andThen(Effect.yieldNow, Effect.die("died late"))
          }
        }
      },
      supervision === undefined ? {} : { supervision }
    )
    return serve(memory, { rooms: [layer], limits: { heartbeat: 1e9, outboxFrames: 1e5 } })((world) =>
      body({
        world,
        runs,
        instances,
        seats: (count, key) =>
          Effect.forEach(Array.from({ length: count }), () =>
            Effect.gen(function*() {
              const peer = yield* world.peer()
              const { channel } = yield* peer.join("work", key)
              return { peer, channel }
            })),
        ask: ({ channel, peer }, id, poison = false) => peer.sendRequest(channel, "Do", { id, poison })
      })
    )
  }, 60_000)

describe("a room that dies on every tenth message", () => {
  const members = 100
  const rounds = 100

  crashTest(
    "answers each of 10,000 requests of 100 members once, keeps them all, and harms no other room",
    { schedule: Schedule.spaced("1 second"), intensity: { restarts: 10_000, within: "10 seconds" } },
    10,
    ({ ask, instances, runs, seats, world }) =>
      Effect.gen(function*() {
        const all = yield* seats(members, "a")
        const [neighbour] = yield* seats(1, "b")
        const asked: Array<{ readonly seat: Seat; readonly ref: number; readonly id: number }> = []
        for (let round = 0; round < rounds; round++) {
          // Each round begins with another member, so that it is another one's message that is the tenth.
          const now = Array.from({ length: members }, (_, index) => {
            const id = round * members + index
            const seat = all[(index + round) % members]!
            return { seat, id, ref: ask(seat, id) }
          })
          asked.push(...now)
          yield* settle
          // The room is dead, and the one next door answers.
          assert.strictEqual((yield* neighbour!.peer.answer(ask(neighbour!, -1 - round)))._tag, "ok")
          for (let restart = 0; restart < members / 10; restart++) yield* world.pass(1_000)
          yield* now.at(-1)!.seat.peer.answer(now.at(-1)!.ref)
        }
        const outcomes = { ok: 0, HandlerFailed: 0 }
        const answers = new Map(all.map(({ peer }) => {
          const byRef = new Map<number, Array<Peer["frames"][number]>>()
          for (const frame of peer.frames) {
            if ("ref" in frame && frame.ref !== null) byRef.set(frame.ref, [...byRef.get(frame.ref) ?? [], frame])
          }
          return [peer, byRef]
        }))
        for (const { id, ref, seat } of asked) {
          const given = answers.get(seat.peer)!.get(ref) ?? []
          assert.strictEqual(given.length, 1, `request ${id} has one answer`)
          const [answer] = given
          if (answer!._tag === "ok") assert.strictEqual(answer!.value, id)
          outcomes[answer!._tag === "ok" ? "ok" : errorOf(answer!) as "HandlerFailed"]++
        }
        assert.deepStrictEqual(outcomes, { ok: 9_000, HandlerFailed: 1_000 })
        assert.deepStrictEqual([...new Set(runs.values())], [1], "each ran once")
        assert.deepStrictEqual([instances.get("a"), instances.get("b")], [1_001, 1])
        for (const { peer } of [...all, neighbour!]) {
          assert.deepStrictEqual([peer.closed, peer.all("left").length], [undefined, 0])
        }
        for (const { peer } of all) assert.strictEqual(peer.all("synced").length, 1_000)
        assert.deepInclude((yield* world.engine.rooms).find(({ key }) => key === "a"), { members })
      })
  )
})

describe("one poisoned client", () => {
  crashTest(
    "is closed before the schedule is spent, whatever it still sends, and the others go on",
    undefined,
    Infinity,
    ({ ask, instances, runs, seats, world }) =>
      Effect.gen(function*() {
        const all = yield* seats(20, "a")
        const [poisoned, ...others] = all
        for (let id = 0; id < 50; id++) ask(poisoned!, id, true)
        const refs = others.map((seat, index) => [seat, ask(seat, 1_000 + index)] as const)
        for (let second = 0; second < 5; second++) yield* world.pass(1_000)
        assert.strictEqual(yield* poisoned!.peer.closeCode, 4500)
        for (const [{ peer }, ref] of refs) {
          assert.strictEqual((yield* peer.answer(ref))._tag, "ok")
          assert.deepStrictEqual([peer.closed, peer.all("left").length], [undefined, 0])
        }
        assert.strictEqual(poisoned!.peer.all("error").map(errorOf).join(), "HandlerFailed,HandlerFailed,HandlerFailed")
        assert.deepStrictEqual([...runs.keys()].filter((id) => id < 1_000), [0, 1, 2])
        assert.strictEqual(instances.get("a"), 4)
      })
  )
})

describe("a room whose schedule is spent", () => {
  crashTest(
    "tells each of 100 members that it stopped, and answers each request once",
    undefined,
    Infinity,
    ({ ask, instances, seats, world }) =>
      Effect.gen(function*() {
        const all = yield* seats(100, "a")
        // Six poison it, and everybody waits for something behind the sixth.
        for (const [id, seat] of all.slice(0, 6).entries()) ask(seat, id, true)
        yield* settle
        const waiting = all.map((seat, index) => [seat, ask(seat, 100 + index)] as const)
        yield* settle
        for (let second = 0; second < 20; second++) yield* world.pass(1_000)
        for (const [{ channel, peer }, ref] of waiting) {
          const left = yield* peer.next("left")
          assert.deepStrictEqual(left, { _tag: "left", channel, reason: "stopped", detail: "it crashed too often" })
          assert.strictEqual(peer.all("left").length, 1)
          assert.deepStrictEqual(peer.answersTo(ref).map(errorOf), ["RoomStopped"])
          assert.isUndefined(peer.closed)
        }
        for (const { peer } of all.slice(0, 6)) {
          assert.deepStrictEqual(peer.answersTo(2).map(errorOf), ["HandlerFailed"])
        }
        assert.strictEqual(instances.get("a"), 6)
        assert.deepStrictEqual(yield* world.engine.rooms, [])
      })
  )
})
