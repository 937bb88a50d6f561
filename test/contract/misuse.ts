/**
 * What an application can do wrong in a handler, and what it may cost: its caller an error, its room a restart,
 * nobody else anything.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Schema } from "effect"
import * as Room from "../../src/contract/Room.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { type Harness, serve, type World } from "../engine/harness.ts"
import { errorOf } from "../engine/peer.ts"

const secret = "hunter2"
const limit = 300
const flood = 2_000

class Own extends Schema.TaggedError<Own>()("Own", { why: Schema.String }) {}

class Lab extends Room.make("lab", {
  requests: {
    Say: { payload: { text: Schema.String }, success: Schema.Int },
    Throw: {},
    Async: {},
    Reject: {},
    Die: {},
    LateDie: {},
    Hang: {},
    Flood: { success: Schema.Int },
    WrongAnswer: { success: Schema.Int },
    WrongError: { error: Own },
    NotAnEffect: {},
    Interrupt: {},
    BadEvent: {}
  },
  notices: { Throw2: {}, Fail: {} },
  events: { Said: { text: Schema.String }, Flooded: { number: Schema.Int } }
}) {}

const wrong = (value: unknown) => value as never

/** Counts its instances by key, so that a test sees a restart. */
const makeLab = (instances: Map<string, number>) =>
  Lab.toLayer((room) => {
    instances.set(room.key, (instances.get(room.key) ?? 0) + 1)
    return {
      Say: ({ payload }) => Effect.map(room.emit("Said", { text: payload.text }), ({ offset }) => offset),
      Throw: () => {
        throw new Error(secret)
      },
      // A promise where an effect should be, as someone new to Effect would write it.
      Async: wrong(async () => {
        throw new Error(secret)
      }),
      Reject: () => Effect.promise(() => Promise.reject(new Error(secret))),
      Die: () => Effect.die(new Error(secret)),
      LateDie: () => Effect.andThen(Effect.yieldNow, Effect.die(new Error(secret))),
      Hang: () => Effect.never,
      Flood: () =>
        Effect.gen(function*() {
          for (let number = 1; number < flood; number++) yield* room.emit("Flooded", { number })
          return (yield* room.emit("Flooded", { number: flood })).offset
        }),
      WrongAnswer: () => Effect.succeed(wrong({ secret })),
      WrongError: () => Effect.fail(wrong(new Error(secret))),
      NotAnEffect: wrong(() => 42),
      Interrupt: () => Effect.interrupt,
      BadEvent: () => Effect.asVoid(room.emit("Said", wrong({ text: 42, secret }))),
      Throw2: () => {
        throw new Error(secret)
      },
      Fail: () => Effect.fail(wrong(new Error(secret)))
    }
  }, { deadline: Duration.millis(limit) })

export const misuse = (harness: Harness): void => {
  const test = harness.live ? it.live : it.effect

  const run = (
    sentence: string,
    body: (world: World & { readonly instances: ReadonlyMap<string, number> }) => Effect.Effect<void, unknown, any>
  ) =>
    test(sentence, () => {
      const instances = new Map<string, number>()
      return serve(harness, { rooms: [makeLab(instances)] })((world) => body({ ...world, instances }))
    })

  /** One caller and one bystander in the same room, another one next door. */
  const scene = Effect.fnUntraced(function*(world: World) {
    const [caller, mate, neighbour] = [yield* world.peer(), yield* world.peer(), yield* world.peer()]
    const { channel } = yield* caller.join("lab", "one")
    yield* mate.join("lab", "one")
    const next = (yield* neighbour.join("lab", "two")).channel
    return { caller, mate, neighbour, channel, next }
  })

  type Scene = Effect.Success<ReturnType<typeof scene>>

  /** Nobody was disconnected, nothing was told that is nobody's business, and both rooms still serve everybody. */
  const unharmed = Effect.fnUntraced(function*({ caller, channel, mate, neighbour, next }: Scene) {
    assert.strictEqual((yield* neighbour.request(next, "Say", { text: "next door" }))._tag, "ok")
    assert.strictEqual((yield* mate.request(channel, "Say", { text: "from mate" }))._tag, "ok")
    assert.strictEqual((yield* caller.request(channel, "Say", { text: "from caller" }))._tag, "ok")
    for (const peer of [caller, mate]) {
      yield* peer.waitFor("both events are there", () => peer.events(channel).length >= 2)
      assert.deepStrictEqual(peer.events(channel).slice(-2), [{ text: "from mate" }, { text: "from caller" }])
    }
    assert.deepStrictEqual(neighbour.events(), [{ text: "next door" }])
    for (const peer of [caller, mate, neighbour]) {
      assert.isUndefined(peer.closed)
      assert.notInclude(peer.messages.join(), secret)
      assert.notInclude(peer.messages.join(), ".ts:")
      assert.strictEqual(peer.all("left").length, 0)
    }
  })

  describe(`misuse by the application: ${harness.name}`, () => {
    const crashes = {
      "throws before it returns an effect": "Throw",
      "is an async function whose promise rejects": "Async",
      "runs a promise that rejects": "Reject",
      "dies": "Die",
      "dies after it has suspended": "LateDie",
      "returns something that is no effect": "NotAnEffect"
    } as const

    for (const [what, name] of Object.entries(crashes)) {
      run(
        `a handler that ${what} costs its caller HandlerFailed and its room a restart`,
        (world) =>
          Effect.gen(function*() {
            const set = yield* scene(world)
            const { caller, channel, mate, neighbour } = set
            assert.strictEqual(errorOf(yield* caller.request(channel, name)), "HandlerFailed")
            yield* world.pass(200)
            for (const peer of [caller, mate]) assert.strictEqual((yield* peer.next("synced")).reason, "restarted")
            assert.strictEqual(neighbour.all("synced").length, 0)
            yield* unharmed(set)
            assert.deepStrictEqual([...world.instances], [["one", 2], ["two", 1]])
          })
      )
    }

    const refusals = {
      "answers with what is not in the contract": "WrongAnswer",
      "fails with what is not in the contract": "WrongError",
      "emits an event that does not fit": "BadEvent"
    } as const

    for (const [what, name] of Object.entries(refusals)) {
      run(
        `a handler that ${what} costs its caller HandlerFailed, and the room goes on`,
        (world) =>
          Effect.gen(function*() {
            const set = yield* scene(world)
            assert.strictEqual(errorOf(yield* set.caller.request(set.channel, name)), "HandlerFailed")
            yield* unharmed(set)
            assert.deepStrictEqual([...world.instances], [["one", 1], ["two", 1]])
            assert.strictEqual(set.mate.all("synced").length, 0)
          })
      )
    }

    run(
      "a handler that interrupts itself costs its caller Interrupted, and the room goes on",
      (world) =>
        Effect.gen(function*() {
          const set = yield* scene(world)
          assert.strictEqual(errorOf(yield* set.caller.request(set.channel, "Interrupt")), "Interrupted")
          yield* unharmed(set)
          assert.deepStrictEqual([...world.instances], [["one", 1], ["two", 1]])
        })
    )

    run(
      "a handler that hangs is interrupted at its limit, its caller gets HandlerTimeout, and the room goes on",
      (world) =>
        Effect.gen(function*() {
          const set = yield* scene(world)
          const { caller, channel, mate, neighbour, next } = set
          const hung = caller.sendRequest(channel, "Hang")
          // Waits behind the hanging one; the room next door does not.
          const waiting = mate.sendRequest(channel, "Say", { text: "waited" })
          assert.strictEqual((yield* neighbour.request(next, "Say", { text: "meanwhile" }))._tag, "ok")
          assert.deepStrictEqual([caller.answersTo(hung), mate.answersTo(waiting)], [[], []])
          yield* world.pass(limit)
          const answer = yield* caller.answer(hung)
          assert.deepInclude(answer, { _tag: "error", error: { _tag: "HandlerTimeout", millis: limit } })
          assert.strictEqual((yield* mate.answer(waiting))._tag, "ok")
          assert.deepStrictEqual([...world.instances], [["one", 1], ["two", 1]])
          assert.isUndefined(caller.closed)
        })
    )

    run(
      `a handler that emits ${flood} events in one turn disconnects no healthy member, and none is missing`,
      (world) =>
        Effect.gen(function*() {
          const set = yield* scene(world)
          const { caller, channel, mate } = set
          const ref = caller.sendRequest(channel, "Flood")
          assert.deepInclude(yield* caller.answer(ref), { _tag: "ok", value: flood })
          for (const peer of [caller, mate]) {
            yield* peer.waitFor("all events are there", () => peer.all("event").length >= flood)
            assert.deepStrictEqual(
              peer.all("event").map(({ offset, payload }) => [offset, payload]),
              Array.from({ length: flood }, (_, index) => [index + 1, { number: index + 1 }])
            )
          }
          // Cause before effect, also here.
          assert.strictEqual(caller.frames.at(-1)!._tag, "ok")
          yield* unharmed(set)
        })
    )

    run(
      "a notice whose handler throws or fails is nobody's error frame, and everybody stays",
      (world) =>
        Effect.gen(function*() {
          const set = yield* scene(world)
          set.caller.notice(set.channel, "Fail")
          set.caller.notice(set.channel, "Throw2")
          yield* set.mate.waitFor("the room crashed", () => (world.instances.get("one") ?? 0) > 1 || !harness.live)
          yield* world.pass(200)
          yield* set.mate.next("synced")
          assert.deepStrictEqual(set.caller.all("error"), [])
          yield* unharmed(set)
        })
    )

    run(
      "a room that crashes too often stops: its members are told, and a new join starts it afresh",
      (world) =>
        Effect.gen(function*() {
          const { caller, channel, mate, neighbour, next } = yield* scene(world)
          const third = yield* world.peer()
          yield* third.join("lab", "one")
          // Two crashes each: with a third it would be sent away.
          const members = [caller, mate, third]
          for (let crash = 1; crash <= 6; crash++) {
            assert.strictEqual(errorOf(yield* members[crash % 3]!.request(channel, "Die")), "HandlerFailed")
            yield* world.pass(2_000)
            if (harness.live && crash < 6) { for (const peer of members) yield* peer.next("synced", crash) }
          }
          for (const peer of members) {
            assert.deepInclude(yield* peer.next("left"), { channel, reason: "stopped" })
            assert.strictEqual(errorOf(yield* peer.request(channel, "Say", { text: "gone" })), "NotJoined")
            assert.isUndefined(peer.closed)
          }
          assert.strictEqual((yield* neighbour.request(next, "Say", { text: "unharmed" }))._tag, "ok")
          const again = yield* caller.join("lab", "one")
          assert.strictEqual((yield* caller.request(again.channel, "Say", { text: "again" }))._tag, "ok")
        })
    )

    run("nothing of it is left once the clients have gone", (world) =>
      Effect.gen(function*() {
        const { caller, channel, mate, neighbour } = yield* scene(world)
        for (const name of ["Die", "Flood", "Hang"]) caller.sendRequest(channel, name)
        yield* caller.answer(1 + 1)
        for (const peer of [caller, mate, neighbour]) peer.close()
        yield* world.pass(1_000)
        yield* world.empty
        assert.strictEqual(yield* (yield* Engine.Engine).connections, 0)
      }))
  })
}
