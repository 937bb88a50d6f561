import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Layer, Schema } from "effect"
import { Identity, Room as RoomContract } from "heddle"
import { RoomTest } from "heddle/testing"
import { Room } from "../../src/engine/Room.ts"
import { Subscription } from "../../src/engine/Subscription.ts"
import * as broken from "../engine/broken.ts"
import { quickImmediates } from "../engine/immediates.ts"
import type { Bug } from "./theatre.ts"
import { makeTheatre, model, Theatre } from "./theatre.ts"

quickImmediates()

type Options = Parameters<typeof RoomTest.check<typeof Theatre, never, never, ReadonlyArray<string>>>[2]

const falsify = (bug: Bug, options: Options = {}) =>
  Effect.flip(RoomTest.check(Theatre, makeTheatre(bug), { seed: 1, model, ...options })).pipe(
    Effect.map((error) => {
      assert.instanceOf(error, RoomTest.Falsified)
      return error
    })
  )

describe("a test of a room", () => {
  it.live("passes one that does what it should, and tells what was tried", () =>
    Effect.gen(function*() {
      const report = yield* RoomTest.check(Theatre, makeTheatre(), {
        seed: 1,
        model,
        runs: 100,
        faults: ["drop", "crash"]
      })
      assert.strictEqual(report.runs, 100)
      for (const step of ["join", "leave", "Hold", "Wave"]) assert.isAbove(report.handled[step] ?? 0, 100, step)
    }), 60_000)

  it.live("finds a bug and shrinks it to the fewest commands", () =>
    Effect.gen(function*() {
      const { commands, detail, handled, law, message } = yield* falsify("replaces what was held")
      assert.strictEqual(law, "the model's invariant")
      assert.match(detail, /^false, where the model is \[\] and the snapshot \{"left":9\}$/)
      assert.isAtMost(commands.length, 5, message)
      assert.strictEqual(
        commands.filter((command) => /^(\w) sends Hold \{"seats":1\}/.test(command)).length,
        2,
        message
      )
      assert.match(handled.join("\n"), /^(A|B): Hold \{"seats":1\} → 9$[^]*^\1: Hold \{"seats":1\} → 8$/m)
      for (const line of [...commands, ...handled]) assert.include(message, line)
    }), 60_000)

  it.live("fails the same way for the same seed, and again from its token alone", () =>
    Effect.gen(function*() {
      const first = yield* falsify("replaces what was held", { seed: 7 })
      const second = yield* falsify("replaces what was held", { seed: 7 })
      assert.strictEqual(first.message, second.message)
      const { replay } = first
      const replayed = yield* falsify("replaces what was held", { replay })
      assert.deepStrictEqual(
        [replayed.commands, replayed.handled, replayed.detail, replayed.runs],
        [first.commands, first.handled, first.detail, 1]
      )
      const mended = yield* Effect.flip(RoomTest.check(Theatre, makeTheatre(), { model, replay }))
      assert.instanceOf(mended, RoomTest.NotReplayed)
    }), 60_000)

  it.live("finds what goes wrong only when things happen at once", () =>
    Effect.gen(function*() {
      const { commands, handled, message } = yield* falsify("leaks when interrupted")
      assert.isTrue(commands.some((command) => /Hold .*, and at once:$/.test(command)), message)
      assert.isTrue(handled.some((step) => step.includes("Hold (interrupted)")), message)
      assert.isAtMost(commands.length, 6, message)
    }), 60_000)

  it.live("finds what goes wrong only when a connection is lost", () =>
    Effect.gen(function*() {
      const { commands, message } = yield* falsify("forgets the lost")
      assert.include(commands.join(), "loses its connection", message)
      yield* RoomTest.check(Theatre, makeTheatre("forgets the lost"), { seed: 1, model, faults: [], runs: 50 })
    }), 60_000)

  const laws: { readonly [bug in Bug]?: readonly [law: string, detail: RegExp] } = {
    "dies": ["no handler dies", /^Hold died: no seats left$/],
    "throws": ["no handler dies", /^Hold died: three is too many$/],
    "fails to begin": ["no handler dies", /^init died: no stage$/],
    "hangs": ["every request is answered as its contract says", /^Hold of \w: the handler took longer than 30000 ms$/],
    "fails otherwise": ["handlers fail as their contract says", /^Hold failed with "sold out"$/],
    "fails a notice": ["handlers fail as their contract says", /^Wave failed with payload of event Waved does not fit/],
    "answers otherwise": ["every request is answered as its contract says", /^Hold of \w: the handler failed$/]
  }
  for (const [bug, [law, detail]] of Object.entries(laws)) {
    it.live(`needs no model to find that a room ${bug}`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(RoomTest.check(Theatre, makeTheatre(bug as Bug), { seed: 1 }))
        assert.instanceOf(error, RoomTest.Falsified)
        assert.strictEqual(error.law, law, error.message)
        assert.match(error.detail, detail)
      }), 60_000)
  }

  it.live("takes assertions that throw, in both functions of the model", () =>
    Effect.gen(function*() {
      const next = yield* Effect.flip(RoomTest.check(Theatre, makeTheatre(), {
        seed: 1,
        model: {
          initial: 0,
          next: { Hold: (count, { payload }) => (assert.notStrictEqual(payload.seats, 2, "two"), count + 1) }
        }
      }))
      assert.match(
        next.message,
        /the model's next: two.*\n\n {2}1\. A joins .*\n {2}2\. A sends Hold \{"seats":2\}\n\n/
      )
      const invariant = yield* Effect.flip(RoomTest.check(Theatre, makeTheatre(), {
        seed: 1,
        model: {
          initial: 0,
          invariant: (_, { events, members }) => {
            assert.isBelow(members.size, 3, "a crowd")
            assert.isBelow(events.length, 3, "much ado")
          }
        }
      }))
      assert.match(invariant.message, /the model's invariant: (a crowd|much ado)/)
    }), 60_000)

  it.live("notices when an engine does not tell who is there", () =>
    Effect.gen(function*() {
      const { announce } = Room.prototype
      Room.prototype.announce = () => {}
      const error = yield* Effect.flip(RoomTest.check(Theatre, makeTheatre(), { seed: 1 })).pipe(
        Effect.ensuring(Effect.sync(() => {
          Room.prototype.announce = announce
        }))
      )
      assert.match(error.message, /presence is who is there/)
    }), 60_000)

  it.live("notices when an engine loses an event, or tells members different ones", () =>
    Effect.gen(function*() {
      const faults = {
        "no event is lost": broken.engines["skips an event for one member"]!.fault,
        "one order for all": () => {
          const { deliver } = Subscription.prototype
          let count = 0
          Subscription.prototype.deliver = function(frame, offset) {
            const data = String(frame.data).replace(/"left":\d+/, () => `"left":${count++}`)
            return deliver.call(this, { ...frame, data }, offset)
          }
          return () => {
            Subscription.prototype.deliver = deliver
          }
        }
      }
      for (const [law, fault] of Object.entries(faults)) {
        const mend = fault()
        const error = yield* Effect.flip(RoomTest.check(Theatre, makeTheatre(), { seed: 1 })).pipe(
          Effect.ensuring(Effect.sync(mend))
        )
        assert.instanceOf(error, RoomTest.Falsified)
        assert.strictEqual(error.law, law, error.message)
      }
    }), 60_000)

  it.live("gives rooms their services, identities and payloads of the test's own", () =>
    Effect.gen(function*() {
      class User extends Identity.Service<User, { readonly name: string }>()("test/User") {}
      class Hall extends RoomContract.make("hall", {
        key: Schema.NumberFromString,
        requests: { Who: { payload: { suffix: Schema.String }, success: Schema.String } }
      }) {}
      const said = new Set<string>()
      const HallLive = Hall.toLayer(() => ({
        Who: ({ payload }) => Effect.map(User, ({ name }) => name + payload.suffix)
      })).pipe(
        Layer.provide(Identity.layer(User, ({ token }) => Effect.succeed({ name: String(token) })))
      )
      yield* RoomTest.check(Hall, HallLive, {
        key: 7,
        runs: 20,
        clients: 2,
        token: (client) => `user${client}`,
        payloads: { Who: Arbitrary.Constant({ suffix: "!" }) },
        model: {
          initial: undefined,
          next: { Who: (_, { outcome }) => void (outcome._tag === "Success" && said.add(outcome.success)) }
        }
      })
      assert.deepStrictEqual([...said].sort(), ["user0!", "user1!"])
    }))
})
