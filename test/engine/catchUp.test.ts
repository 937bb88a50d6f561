/** Members that are behind: what they get from the log, in which place, and what when the log has lost it. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Schema, type Scope } from "effect"
import * as Room from "../../src/contract/Room.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { Subscription } from "../../src/engine/Subscription.ts"
import type * as Frame from "../../src/wire/Frame.ts"
import { memory, serve, type World } from "./harness.ts"
import type { Peer } from "./peer.ts"
import { settle } from "./stage.ts"

const Text = { text: Schema.String }

class Feed extends Room.make("feed", {
  presence: Schema.String,
  snapshot: { count: Schema.Int },
  requests: { Say: { payload: Text, success: Schema.Int }, Later: {} },
  notices: { Die: {} },
  events: { Said: Text, Noise: Room.volatile(Text) },
  whenFull: "catchUp"
}) {}

let count = 0

const feed = (history: Room.Options["history"], snapshot: Effect.Effect<void> = Effect.void) =>
  Feed.toLayer((room) => ({
    join: ({ memberId }) => Effect.succeed(memberId),
    snapshot: () => Effect.map(snapshot, () => ({ count })),
    Say: ({ payload }) => Effect.map(room.emit("Said", payload), ({ offset }) => (count = offset)),
    Later: Effect.fnUntraced(function*({ member }) {
      yield* Effect.sleep(1_000)
      yield* room.emit("Said", { text: "caused" })
      yield* member.send("Said", { text: "whispered" })
    }),
    Die: () => Effect.die("x")
  }), { history: history! })

const filling = "x".repeat(70_000)

interface Stage extends World {
  readonly slow: Peer
  readonly channel: number
  readonly position: Frame.Position
  readonly stall: () => void
  readonly unstall: () => void
  /** Emits so many events. */
  readonly say: (many: number) => Effect.Effect<void, unknown, Engine.Engine>
  /** Fills the runtime of whoever does not read, and the outbox behind it. */
  readonly fill: Effect.Effect<void, unknown, Engine.Engine>
}

const feedTest = (
  sentence: string,
  body: (stage: Stage) => Effect.Effect<void, unknown, Scope.Scope | Engine.Engine>,
  history: Room.Options["history"] = { capacity: 1_000 },
  snapshot?: Effect.Effect<void>
) =>
  it.effect(
    sentence,
    () =>
      serve(memory, { rooms: [feed(history, snapshot)], limits: { outboxFrames: 8 } })((world) =>
        Effect.gen(function*() {
          const slow = yield* world.peer()
          const { channel, position } = yield* slow.join("feed", "a")
          const connection = world.network.connections()[0]!
          const say = (many: number, text = "said") =>
            Effect.gen(function*() {
              for (let index = 0; index < many; index++) {
                count = (yield* Engine.emit(Feed, "a", "Said", { text })).offset
              }
              yield* settle
            })
          yield* body({
            ...world,
            slow,
            channel,
            position,
            say,
            stall: connection.stall,
            unstall: connection.unstall,
            fill: Effect.andThen(say(2, filling), say(20))
          })
        })
      )
  )

/** Checks what a member was sent: contiguous from its position on, or from that of the last `synced`. */
const assertContiguous = (peer: Peer, position: Frame.Position) => {
  let offset = position[2]
  for (const frame of peer.frames) {
    if (frame._tag === "synced") offset = frame.position[2]
    if (frame._tag === "event") assert.strictEqual(frame.offset, ++offset)
  }
  return offset
}

describe("a member that does not read", () => {
  feedTest("is not closed, waits with no more than its outbox holds, and gets everything once it reads", ({
    engine,
    fill,
    position,
    say,
    slow,
    stall,
    unstall
  }) =>
    Effect.gen(function*() {
      stall()
      yield* fill
      yield* say(500)
      assert.isUndefined(slow.closed)
      assert.deepStrictEqual((yield* engine.stats).drops.disconnect, 0)
      unstall()
      yield* slow.next("event", 522)
      yield* say(3)
      yield* slow.next("event", 525)
      assert.strictEqual(assertContiguous(slow, position), 525)
      assert.deepStrictEqual(slow.all("synced"), [])
    }))

  feedTest("gets answers behind the events that they follow from, and the rest in its place", ({
    channel,
    fill,
    pass,
    slow,
    stall,
    unstall
  }) =>
    Effect.gen(function*() {
      const ref = slow.sendRequest(channel, "Later")
      yield* settle
      stall()
      yield* fill
      yield* Engine.emit(Feed, "a", "Noise", { text: "noise" })
      yield* pass(1_000)
      yield* Engine.emit(Feed, "a", "Said", { text: "last" })
      unstall()
      yield* slow.next("event", 24)
      const tail = slow.frames.slice(slow.frames.findIndex(({ _tag }) => _tag === "volatile"))
      assert.deepStrictEqual(
        tail.map((frame) => frame._tag === "event" ? frame.offset : "ref" in frame ? frame.ref : frame._tag),
        ["volatile", 23, "direct", ref, 24]
      )
    }))

  feedTest("gets the whole state, once it reads, when the log has lost the next event", ({
    fill,
    peer,
    position,
    say,
    slow,
    stall,
    unstall
  }) =>
    Effect.gen(function*() {
      stall()
      yield* fill
      yield* say(100)
      const bob = yield* peer()
      const { memberId } = yield* bob.join("feed", "a")
      unstall()
      const synced = yield* slow.next("synced")
      assert.deepInclude(synced, { reason: "gap", position: [position[0], position[1], 122], snapshot: { count: 122 } })
      yield* say(2)
      yield* slow.next("event")
      assert.strictEqual(assertContiguous(slow, position), 124)
      assert.strictEqual(slow.all("synced").length, 1)
      const present = slow.frames.slice(slow.frames.indexOf(synced)).find(({ _tag }) => _tag === "present")
      assert.deepInclude(present, { all: true })
      assert.include(JSON.stringify(present), memberId)
    }), { capacity: 10 })

  feedTest(
    "is told of a restart of its room only when it reads",
    ({ channel, fill, pass, say, slow, stall, unstall }) =>
      Effect.gen(function*() {
        stall()
        yield* fill
        slow.notice(channel, "Die")
        yield* settle
        yield* pass(1_000)
        yield* say(50)
        assert.isUndefined(slow.closed)
        unstall()
        assert.deepInclude(yield* slow.next("synced"), { reason: "restarted", snapshot: { count: 72 } })
        yield* settle
        assert.strictEqual(slow.all("synced").length, 1)
        const next = slow.all("event").length + 1
        yield* say(1)
        assert.strictEqual((yield* slow.next("event", next)).offset, 73)
      })
  )

  feedTest("that leaves meanwhile is answered everything, and nothing follows", ({
    channel,
    fill,
    say,
    slow,
    stall,
    unstall
  }) =>
    Effect.gen(function*() {
      stall()
      yield* fill
      const refs = [slow.sendRequest(channel, "Say", { text: "1" }), slow.ask({ _tag: "leave", channel })]
      yield* settle
      yield* say(5)
      unstall()
      for (const ref of refs) assert.strictEqual((yield* slow.answer(ref))._tag, "ok")
      yield* settle
      assert.strictEqual(slow.frames.at(-1), slow.answersTo(refs[1]!)[0])
    }))
})

describe("whenFull", () => {
  it.effect("catchUp needs a history, and says so when the engine starts", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(serve(memory, { rooms: [feed(undefined)] })(() => Effect.void))
      assert.isTrue(Exit.isFailure(exit) && Cause.pretty(exit.cause).includes("needs the option history"))
    }))
})

describe("a member that comes back", () => {
  feedTest("gets all it missed, however much, while events go on", ({ peer, position, say }) =>
    Effect.gen(function*() {
      yield* say(900)
      const bob = yield* peer()
      const joined = yield* bob.answer(bob.sendJoin("feed", "a", null, position))
      assert.deepInclude(joined, { recovered: true, position })
      yield* say(5)
      yield* bob.next("event", 905)
      assert.strictEqual(assertContiguous(bob, position), 905)
      assert.deepStrictEqual(bob.kinds().slice(0, 4), ["welcome", "joined", "present", "event"])
    }))

  feedTest(
    "with `last` begins so many events back, as far as they are kept",
    ({ peer, position: [epoch, term], say }) =>
      Effect.gen(function*() {
        yield* say(30)
        const begin = Effect.fnUntraced(function*(last: number | null, position: Frame.Position | null = null) {
          const bob = yield* peer()
          const joined = yield* bob.answer(
            bob.ask({ _tag: "join", room: "feed", key: "a", payload: null, position, last })
          )
          yield* settle
          return [
            (joined as Frame.ServerFrames["joined"]).position[2],
            (joined as Frame.ServerFrames["joined"]).recovered,
            bob.all("event").length
          ]
        })
        assert.deepStrictEqual(yield* begin(5), [25, false, 5])
        assert.deepStrictEqual(yield* begin(0), [30, false, 0])
        assert.deepStrictEqual(yield* begin(100), [10, false, 20])
        assert.deepStrictEqual(yield* begin(5, [epoch, term, 28]), [28, true, 2])
        assert.deepStrictEqual(yield* begin(5, ["other", term, 28]), [25, false, 5])
        assert.deepStrictEqual(yield* begin(5, [epoch, term, 9]), [25, false, 5])
        assert.deepStrictEqual(yield* begin(5, [epoch, term, 10]), [10, true, 20])
      }),
    { capacity: 20 }
  )

  feedTest(
    "gets nothing from before it joined, where members see only what came since",
    ({ peer, position, say }) =>
      Effect.gen(function*() {
        yield* say(10)
        const bob = yield* peer()
        const joined = yield* bob.answer(
          bob.ask({ _tag: "join", room: "feed", key: "a", payload: null, position, last: 5 })
        )
        assert.deepInclude(joined, { recovered: false, position: [position[0], position[1], 10] })
        yield* say(3)
        const { channel } = joined as Frame.ServerFrames["joined"]
        bob.ask({ _tag: "history", channel, before: null, limit: 10 })
        const { events, more } = yield* bob.next("page")
        assert.deepStrictEqual([events.map(([offset]) => offset), more], [[11, 12, 13], false])
      }),
    { capacity: 100, visible: "sinceJoin" }
  )
})

describe("a live member that an event was not delivered to", () => {
  const losing = (lost: (offset: number) => boolean) => {
    const { deliver } = Subscription.prototype
    Subscription.prototype.deliver = function(frame, offset) {
      return lost(offset) ? false : deliver.call(this, frame, offset)
    }
    return Effect.sync(() => void (Subscription.prototype.deliver = deliver))
  }

  feedTest(
    "gets it with the next sweep of the heartbeat",
    ({ errors, pass, position, say, slow }) =>
      Effect.gen(function*() {
        const mend = losing((offset) => offset === 2 || offset === 3)
        yield* Effect.ensuring(say(3), mend)
        assert.deepStrictEqual(slow.all("event").map(({ offset }) => offset), [1])
        yield* pass(12_500)
        yield* slow.next("event", 3)
        yield* say(1)
        yield* slow.next("event", 4)
        assert.strictEqual(assertContiguous(slow, position), 4)
        assert.include(errors.join(), "were not delivered everything")
        const before = errors.length
        yield* pass(60_000)
        assert.strictEqual(errors.length, before)
      })
  )

  feedTest(
    "gets the whole state with it, when the log has lost it too",
    ({ pass, say, slow }) =>
      Effect.gen(function*() {
        const mend = losing(() => true)
        yield* Effect.ensuring(say(9), mend)
        yield* pass(12_500)
        assert.deepInclude(yield* slow.next("synced"), { reason: "gap" })
      }),
    { capacity: 3 }
  )
})
