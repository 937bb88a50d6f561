import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Actor from "../../src/actor/Actor.ts"
import { turns } from "./recorder.ts"

interface Question {
  readonly does: (reply: Actor.Reply<number, "no">) => Effect.Effect<unknown> | void
  readonly reply: Actor.Reply<number, "no">
}

const oracle = (options: Partial<Actor.Options<Question, never, never, never>> = {}) =>
  Actor.spawn<Question>({
    id: "oracle",
    init: () => Effect.succeed({ receive: ({ does, reply }) => does(reply) as Effect.Effect<void> | void }),
    ...options
  })

const ask = (actor: Actor.Actor<Question>, does: Question["does"]) =>
  actor.ask<number, "no">((reply) => ({ does, reply }))

describe("ask", () => {
  it.effect("gives the answer, a value or a failure", () =>
    Effect.gen(function*() {
      const actor = yield* oracle()
      assert.strictEqual(yield* ask(actor, (reply) => reply.succeed(42)), 42)
      assert.strictEqual(yield* ask(actor, (reply) => void reply.doneUnsafe(Exit.succeed(43))), 43)
      assert.strictEqual(yield* Effect.flip(ask(actor, (reply) => reply.fail("no"))), "no")
    }))

  it.effect("takes the first answer only", () =>
    Effect.gen(function*() {
      const actor = yield* oracle()
      const answers: Array<boolean> = []
      const first = yield* ask(actor, (reply) => {
        answers.push(reply.doneUnsafe(Exit.succeed(1)), reply.doneUnsafe(Exit.succeed(2)))
      })
      assert.deepStrictEqual([first, answers], [1, [true, false]])
    }))

  it.effect("may be answered after the handling has ended", () =>
    Effect.gen(function*() {
      const actor = yield* oracle()
      let later: Actor.Reply<number, "no"> | undefined
      const asking = yield* Effect.forkChild(ask(actor, (reply) => void (later = reply)))
      yield* turns
      yield* later!.succeed(7)
      assert.strictEqual(yield* Fiber.join(asking), 7)
    }))

  it.effect("times out after 5 seconds, or as told", () =>
    Effect.gen(function*() {
      const actor = yield* oracle()
      let late: Actor.Reply<number, "no"> | undefined
      const asking = yield* Effect.forkChild(Effect.flip(ask(actor, (reply) => void (late = reply))))
      const quick = yield* Effect.forkChild(
        Effect.flip(actor.ask<number, "no">((reply) => ({ does: () => {}, reply }), { timeout: "1 second" }))
      )
      yield* turns
      yield* TestClock.adjust("1 second")
      assert.strictEqual(String(yield* Fiber.join(quick)), "AskTimeout: actor oracle did not answer within 1000 ms")
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(String(yield* Fiber.join(asking)), "AskTimeout: actor oracle did not answer within 5000 ms")
      yield* late!.succeed(1)
      const cell = actor as unknown as { questions: { open: Map<unknown, unknown> } }
      assert.strictEqual(cell.questions.open.size, 0)
    }))

  it.effect("fails at once when the handling crashes, is interrupted, or takes too long", () =>
    Effect.gen(function*() {
      const actor = yield* oracle({ deadline: "1 second" })
      const failure = (does: Question["does"]) => Effect.forkChild(Effect.flip(ask(actor, does)))
      const crashed = yield* failure(() => Effect.die("boom"))
      yield* turns
      assert.deepInclude(yield* Fiber.join(crashed), { _tag: "Unanswered", why: "Crashed" })
      yield* TestClock.adjust("100 millis")
      const interrupted = yield* failure(() => Effect.never)
      yield* turns
      actor.interruptCurrent(() => true, "cancelled")
      assert.deepInclude(yield* Fiber.join(interrupted), { _tag: "Unanswered", why: "Interrupted" })
      const late = yield* failure(() => Effect.never)
      yield* turns
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* Fiber.join(late), { _tag: "Unanswered", why: "Deadline" })
    }))

  it.effect("fails with Stopped when the question is discarded, or kept by an actor that stops", () =>
    Effect.gen(function*() {
      const actor = yield* oracle()
      const kept = yield* Effect.forkChild(Effect.flip(ask(actor, () => {})))
      const handled = yield* Effect.forkChild(Effect.flip(ask(actor, () => Effect.never)))
      const waiting = yield* Effect.forkChild(Effect.flip(ask(actor, () => {})))
      yield* turns
      yield* actor.stop("discard")
      const failures = yield* Fiber.joinAll([kept, handled, waiting])
      assert.deepStrictEqual(failures.map(String), [
        "Stopped: actor oracle has stopped",
        "Unanswered: actor oracle ended the handling of the question without an answer (Interrupted)",
        "Stopped: actor oracle has stopped"
      ])
      assert.deepInclude(yield* Effect.flip(ask(actor, () => {})), { _tag: "Stopped" })
    }))

  it.effect("fails at once when the mailbox is full", () =>
    Effect.gen(function*() {
      const actor = yield* oracle({ mailbox: 1 })
      const asking = yield* Effect.forkChild(ask(actor, () => {}), { startImmediately: true })
      assert.deepInclude(yield* Effect.flip(ask(actor, () => {})), { _tag: "MailboxFull", capacity: 1 })
      yield* Fiber.interrupt(asking)
    }))
})
