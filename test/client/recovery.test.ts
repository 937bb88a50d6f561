/**
 * Guarantee 2 from end to end: whatever connections do, a member sees contiguous events, or `synced`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Logger, Random, Schema, Stream, SubscriptionRef } from "effect"
import { TestClock } from "effect/testing"
import * as Client from "../../src/client/Client.ts"
import { Connector } from "../../src/client/Connector.ts"
import * as Room from "../../src/contract/Room.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { MemoryNetwork } from "../../src/testing/MemoryTransport.ts"
import * as MemoryTransport from "../../src/testing/MemoryTransport.ts"

class Counter extends Room.make("counter", {
  presence: Schema.Int,
  snapshot: { count: Schema.Int },
  requests: { Add: { success: Schema.Int }, Crash: {} },
  events: { Added: { count: Schema.Int }, Noise: Room.volatile({}) }
}) {}

/** `added` counts what handlers did, over all instances of the room. */
const counterLive = (history: number, onAdd: () => void) => {
  let count = 0
  return Counter.toLayer((room) => ({
    join: () => Effect.succeed(0),
    snapshot: () => Effect.succeed({ count }),
    Add: () =>
      Effect.suspend(() => {
        onAdd()
        count++
        return Effect.as(Effect.andThen(room.emit("Noise"), room.emit("Added", { count })), count)
      }),
    Crash: () => Effect.die(new Error("crash"))
  }), { history: { capacity: history } })
}

interface Member {
  readonly room: Client.Joined<typeof Counter>
  readonly client: Client.Client
  readonly reasons: Array<string>
  count: number
  wrong: string | undefined
}

const simulate = Effect.fnUntraced(function*(history: number, slow: boolean) {
  let added = 0
  const context = yield* Layer.build(
    Engine.layer({ path: "/live", rooms: [counterLive(history, () => added++)] }).pipe(
      Layer.provideMerge(MemoryTransport.layer)
    )
  )
  const network = Context.get(context, MemoryNetwork)
  const { address } = Context.get(context, Engine.Engine)
  const join = Effect.gen(function*() {
    const client = yield* Client.make({
      url: `${address.url.replace("http", "ws")}/live`,
      reconnect: { base: 100, max: 1_000 },
      eventBuffer: slow ? 8 : 1_024
    }).pipe(Effect.provideService(Connector, network.connect))
    const room = yield* client.join(Counter, "one")
    const member: Member = { client, room, reasons: [], count: -1, wrong: undefined }
    yield* room.events.pipe(
      Stream.runForEach((event) =>
        Effect.suspend(() => {
          if (event._tag === "synced") {
            member.reasons.push(event.reason)
            member.count = event.snapshot.count
          } else if (event._tag === "Added") {
            if (event.payload.count !== member.count + 1) member.wrong ??= `${member.count} -> ${event.payload.count}`
            member.count = event.payload.count
          }
          return slow && event._tag === "Added" ? Effect.sleep(50) : Effect.void
        })
      ),
      Effect.forkChild
    )
    return member
  })
  const members = [yield* join, yield* join, yield* join]
  const crashes = new Map<unknown, number>()
  const requests: Array<Fiber.Fiber<Exit.Exit<number, Client.RequestError>>> = []
  for (let step = 0; step < 120; step++) {
    const { room } = members[yield* Random.nextIntBetween(0, 2)]!
    const dice = yield* Random.nextIntBetween(0, 99)
    if (dice < 70) requests.push(yield* Effect.forkChild(Effect.exit(room.Add())))
    else if (dice < 80) {
      const connections = network.connections()
      if (connections.length > 0) connections[yield* Random.nextIntBetween(0, connections.length - 1)]!.cut()
    } else if (dice < 81) {
      // The third one within a minute would send its client away.
      const before = crashes.get(room) ?? 0
      crashes.set(room, before + 1)
      if (before < 2) yield* Effect.forkChild(Effect.ignore(room.Crash()))
    } else yield* TestClock.adjust(yield* Random.nextIntBetween(0, 300))
  }
  yield* TestClock.adjust("1 minute")
  const succeeded: Array<number> = []
  let mayHaveRun = 0
  for (const request of requests) {
    const exit = request.pollUnsafe()
    assert.isDefined(exit, "every request is answered")
    const answer = yield* Fiber.join(request)
    if (Exit.isSuccess(answer)) succeeded.push(answer.value)
    else mayHaveRun++
  }
  assert.strictEqual(new Set(succeeded).size, succeeded.length, "no request ran twice")
  assert.isAtLeast(added, succeeded.length)
  assert.isAtMost(added, succeeded.length + mayHaveRun)
  for (const { client, count, room, wrong } of members) {
    assert.isUndefined(wrong)
    assert.strictEqual(count, added)
    assert.strictEqual(SubscriptionRef.getUnsafe(client.state)._tag, "online")
    assert.deepStrictEqual(
      [...SubscriptionRef.getUnsafe(room.presence).keys()].sort(),
      members.map(({ room }) => room.memberId).sort()
    )
  }
  return members.flatMap(({ reasons }) => reasons)
})

describe("members of a room whose connections break at any moment", () => {
  for (
    const [what, history, slow] of [["a history", 1_000, false], ["a short history", 3, false], [
      "slow readers",
      1_000,
      true
    ]] as const
  ) {
    it.effect(`see no gap, with ${what}`, () =>
      Effect.gen(function*() {
        const reasons = new Set<string>()
        for (let seed = 0; seed < 25; seed++) {
          const run = Effect.scoped(simulate(history, slow)).pipe(Random.withSeed(seed))
          for (const reason of yield* run) reasons.add(reason)
        }
        assert.isTrue(reasons.has("joined"))
        assert.strictEqual(reasons.has("gap"), history === 3 || slow, `${[...reasons]}`)
        assert.isTrue(reasons.has("restarted"))
      }).pipe(Effect.provide(Logger.layer([]))))
  }
})
