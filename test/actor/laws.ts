/**
 * What must hold for any mailbox and any actor, as functions of the component and a seed.
 *
 * Each law fails with a message that names the seed; the same seed fails again.
 */
import { Cause, Clock, type Duration, Effect, Exit, Schedule, Scope } from "effect"
import { TestClock } from "effect/testing"
import type * as Actor from "../../src/actor/Actor.ts"
import * as Dispatcher from "../../src/actor/Dispatcher.ts"
import * as Mailbox from "../../src/actor/Mailbox.ts"

/** A seeded source of choices. */
export const makeChoices = (seed: number) => {
  let state = BigInt(seed) * 6_364_136_223_846_793_005n + 1_442_695_040_888_963_407n
  const below = (bound: number) => {
    state = BigInt.asUintN(64, state * 6_364_136_223_846_793_005n + 1_442_695_040_888_963_407n)
    return Number((state >> 33n) % BigInt(bound))
  }
  return { below, chance: (percent: number) => below(100) < percent }
}

const check = (seed: number, holds: boolean, law: string) => {
  if (!holds) throw new Error(`${law} (seed ${seed})`)
}

/** Runs a law for many seeds; `SEED=n` runs one. */
export const forSeeds = <A>(count: number, law: (seed: number) => Effect.Effect<A>) =>
  process.env["SEED"] === undefined
    ? Effect.forEach(Array.from({ length: count }, (_, seed) => seed), law)
    : Effect.map(law(Number(process.env["SEED"])), (a) => [a])

/** A mailbox behaves like two lists, of which the second is bounded. */
export const mailboxLaws = (make: typeof Mailbox.make, seed: number): void => {
  const { below } = makeChoices(seed)
  const capacity = 1 + below(40)
  const mailbox = make<number, string>(capacity)
  const data: Array<number> = []
  const controls: Array<string> = []
  const offering = 1 + below(9)
  for (let step = 0; step < 400; step++) {
    const choice = below(12)
    if (choice < offering) {
      const accepted = mailbox.offer(step)
      check(seed, accepted === data.length < capacity, "a data message is accepted if fewer than capacity wait")
      if (accepted) data.push(step)
    } else if (choice === 10) {
      mailbox.control(`c${step}`)
      controls.push(`c${step}`)
    } else if (choice === 11 && below(20) === 0) {
      const left = [...controls.splice(0), ...data.splice(0)]
      check(seed, mailbox.clear().join() === left.join(), "clear answers with what waited, in order")
    } else {
      check(seed, mailbox.controlNext === controls.length > 0, "controlNext tells the lane of the next message")
      const expected = controls.shift() ?? data.shift() ?? Mailbox.Empty
      check(seed, mailbox.take() === expected, "control before data, each in order")
    }
    check(seed, mailbox.size === data.length + controls.length, "size counts both lanes")
    check(seed, mailbox.capacity === capacity, "the capacity stays what it was")
  }
}

interface Message {
  readonly number: number
  readonly lane: "data" | "control"
  readonly does: "returns" | "void" | "sync" | "sleeps" | "yields" | "throws" | "dies" | "sleeps and dies" | "tells"
}

const deeds: ReadonlyArray<Message["does"]> = [
  "returns",
  "returns",
  "void",
  "sync",
  "sync",
  "sleeps",
  "yields",
  "throws",
  "dies",
  "sleeps and dies",
  "tells"
]

/** Lets everything run that can run without time passing. */
export const settle = (until: () => boolean, most = 300) =>
  Effect.gen(function*() {
    for (let rounds = 0; rounds < most && !until(); rounds++) yield* Effect.yieldNow
  })

/**
 * An actor under random messages, crashes, suspensions, interruptions and ends, with turns in a random order,
 * keeps order, bounds and fates.
 */
export const actorLaws = (spawn: typeof Actor.spawn, seed: number): Effect.Effect<ReadonlyArray<string>> =>
  Effect.gen(function*() {
    const { below, chance } = makeChoices(seed)
    const holds = (holds: boolean, law: string) => check(seed, holds, law)
    const capacity = 1 + below(6)
    const accepted: Record<Message["lane"], Array<Message>> = { data: [], control: [] }
    const begun: Record<Message["lane"], Array<Message>> = { data: [], control: [] }
    const fates = new Map<Message, string>()
    let inHandler = 0
    let instances = 0
    let stopped = 0
    let numbers = 0
    const notes: Array<string> = []

    const fate = (message: Message, what: string) => {
      holds(stopped === 0, "onStopped is last")
      holds(!fates.has(message), `message ${message.number} has one fate, not ${fates.get(message)} and ${what}`)
      holds(accepted[message.lane].includes(message), "only accepted messages have a fate")
      fates.set(message, what)
      notes.push(`${message.lane} ${what}`)
    }
    const waiting = () =>
      accepted.data.length - begun.data.length - [...fates].filter(([m, f]) => m.lane === "data" && f === "discarded")
        .length

    const tell = () => {
      const lane = chance(20) ? "control" : "data"
      const message: Message = { number: numbers++, lane, does: deeds[below(deeds.length)]! }
      const full = waiting() >= capacity
      // The handling may begin inside the call.
      accepted[lane].push(message)
      const told = lane === "data" ? actor.tellUnsafe(message) : actor.controlUnsafe(message)
      if (told === "accepted" || told === true) {
        holds(lane === "control" || !full, "no more than capacity wait")
        if (full) notes.push("control accepted when full")
        return
      }
      accepted[lane].pop()
      notes.push("refused")
      holds(
        actor.state === "stopping" || actor.state === "stopped" || ending || (lane === "data" && full),
        "refused with room"
      )
    }

    const handle = (message: Message): Effect.Effect<void> | void => {
      holds(inHandler === 0, "one message at a time")
      holds(!fates.has(message) && !begun[message.lane].includes(message), `message ${message.number} runs once`)
      holds(message.lane === "control" || begun.control.length === accepted.control.length, "control goes first")
      begun[message.lane].push(message)
      const order = accepted[message.lane].filter((m) => fates.get(m) !== "discarded")
      holds(order[begun[message.lane].length - 1] === message, "messages of a lane are handled in order")
      const done = Effect.sync(() => fate(message, "handled"))
      const during = <A>(effect: Effect.Effect<A>) =>
        Effect.suspend(() => {
          inHandler++
          return Effect.ensuring(effect, Effect.sync(() => inHandler--))
        })
      switch (message.does) {
        case "tells":
          if (numbers < 400) tell()
          return fate(message, "handled")
        case "returns":
          return fate(message, "handled")
        case "void":
          fate(message, "handled")
          return Effect.void
        case "sync":
          return done
        case "sleeps":
          return Effect.andThen(during(Effect.sleep(1 + below(50))), done)
        case "yields":
          return Effect.andThen(during(Effect.yieldNow), done)
        case "throws":
          throw new Error("thrown")
        case "dies":
          return Effect.die("died")
        case "sleeps and dies":
          return Effect.andThen(during(Effect.sleep(1 + below(50))), Effect.die("died late"))
      }
    }

    const spent = chance(15)
    const owner = Scope.makeUnsafe()
    const clock = yield* Clock.Clock
    let timers = 0
    const counting: Clock.Clock = Object.create(clock, {
      sleep: {
        value: (duration: Duration.Duration) =>
          Effect.suspend(() => {
            timers++
            return Effect.ensuring(clock.sleep(duration), Effect.sync(() => timers--))
          })
      }
    })
    let failures = 0
    let ending = false
    const violations: Array<unknown> = []
    const guarded = (message: Message) => {
      if (violations.length > 0) return
      const before = begun.data.length + begun.control.length
      try {
        return handle(message)
      } catch (error) {
        if (begun.data.length + begun.control.length === before || message.does !== "throws") violations.push(error)
        throw error
      }
    }
    const noting = <A extends Array<any>>(f: (...args: A) => void) => (...args: A) => {
      try {
        f(...args)
      } catch (error) {
        violations.push(error)
      }
    }
    const actor: Actor.Actor<Message, Message> = yield* spawn<Message, Message>({
      id: "a",
      mailbox: capacity,
      ...(chance(40) ? { deadline: 1 + below(50) } : {}),
      supervision: {
        schedule: Schedule.spaced(below(3) * 10),
        intensity: { restarts: spent ? 2 : 10_000, within: "1 hour" }
      },
      init: () =>
        Effect.gen(function*() {
          yield* Effect.acquireRelease(Effect.sync(() => instances++), () => Effect.sync(() => instances--))
          if (chance(30)) yield* Effect.sleep(below(20))
          if (chance(15) && failures++ < 5) yield* Effect.die("init failed")
          return { receive: guarded, control: guarded }
        }),
      onAbandoned: noting((message, why) => {
        fate(message, "abandoned")
        notes.push(why._tag)
      }),
      onRestarted: () => void notes.push("restarted"),
      onDiscarded: noting((message) => fate(message, "discarded")),
      onStopped: noting((reason) => {
        stopped++
        notes.push(reason._tag)
      })
    }).pipe(
      Scope.provide(owner),
      Effect.provideService(Dispatcher.Dispatcher, Dispatcher.makeSeeded(seed)),
      Effect.provideService(Clock.Clock, counting)
    )

    const quiet = () => actor.isIdle || actor.state === "stopped" || violations.length > 0
    const steps = 10 + below(50)
    for (let step = 0; step < steps && violations.length === 0; step++) {
      const choice = below(100)
      if (choice < 60) tell()
      else if (choice < 70) yield* TestClock.adjust(below(30))
      else if (choice < 92) yield* Effect.yieldNow
      else actor.interruptCurrent(() => chance(80), "asked to")
    }
    // Whatever was accepted is handled in the end, as long as the actor lives and time goes on.
    for (let hours = 0; hours < 400 && !(quiet() && actor.isIdle); hours++) {
      yield* TestClock.adjust("1 minute")
      yield* settle(quiet)
      if (violations.length > 0) return yield* Effect.die(violations[0])
      if (actor.state === "stopped") break
      if (actor.isIdle) break
    }
    holds(!quiet() || timers === 0, "an idle actor has no timer")
    holds(actor.state === "stopped" || waiting() === 0, "an idle actor has nothing waiting")
    holds(actor.state === "stopped" || fates.size === numbersAccepted(), "all that was accepted has a fate")

    for (let more = below(8); more > 0; more--) tell()
    if (chance(50)) yield* Effect.yieldNow
    ending = true
    const end = below(3)
    if (end === 0) actor.stopUnsafe("drain")
    else if (end === 1) actor.stopUnsafe("discard")
    else yield* Effect.forkChild(Scope.close(owner, Exit.void), { startImmediately: true })
    for (let hours = 0; hours < 400 && stopped === 0 && violations.length === 0; hours++) {
      yield* TestClock.adjust("1 minute")
      yield* settle(() => stopped > 0)
    }
    if (violations.length > 0) return yield* Effect.die(violations[0])
    holds(stopped === 1, "onStopped is called once")
    holds(inHandler === 0, "no handler outlives its actor")
    holds(timers === 0, "no timer outlives its actor")
    holds(instances === 0, "no instance outlives its actor")
    holds(fates.size === numbersAccepted(), "every accepted message has a fate in the end")
    holds(actor.pending === 0 && actor.state === "stopped", "nothing waits for an actor that has stopped")
    holds(actor.tellUnsafe({ number: -1, lane: "data", does: "returns" }) === "stopped", "a stopped actor refuses")
    holds(owner.state._tag !== "Open", "a stopped actor leaves nothing in its scope")
    yield* Scope.close(owner, Exit.void)
    yield* TestClock.adjust("1 hour")
    if (violations.length > 0) return yield* Effect.die(violations[0])
    holds(stopped === 1, "onStopped is called once")
    return notes

    function numbersAccepted() {
      return accepted.data.length + accepted.control.length
    }
  }).pipe(
    Effect.catchCause((cause) => Effect.die(Cause.squash(cause)))
  )

/**
 * Actors that talk to each other, with turns in a random order, hear each other in the order of speaking; the same
 * seed gives the same conversation.
 */
export const conversationLaws = (spawn: typeof Actor.spawn, seed: number): Effect.Effect<void> => {
  interface Said {
    readonly from: number
    readonly number: number
    readonly hops: number
  }

  const conversation = Effect.gen(function*() {
    const { below, chance } = makeChoices(seed)
    const dispatcher = Dispatcher.makeSeeded(seed)
    const actors: Array<Actor.Actor<Said>> = []
    const said = new Map<string, number>()
    const heard = new Map<string, number>()
    const trace: Array<string> = []
    const count = 2 + below(4)
    let left = 300
    let open = 0
    let wrong: string | undefined

    const say = (from: number, hops: number) => {
      if (left-- <= 0) return
      const to = below(count)
      const pair = `${from} to ${to}`
      const number = (said.get(pair) ?? 0) + 1
      said.set(pair, number)
      open++
      actors[to]!.tellUnsafe({ from, number, hops })
    }
    for (let me = 0; me < count; me++) {
      actors.push(
        yield* spawn<Said>({
          id: `${me}`,
          mailbox: 10_000,
          init: () =>
            Effect.succeed({
              receive: ({ from, hops, number }) => {
                const pair = `${from} to ${me}`
                open--
                trace.push(`${pair}: ${number}`)
                if (number !== (heard.get(pair) ?? 0) + 1) wrong ??= `${number} after ${heard.get(pair)} from ${pair}`
                heard.set(pair, number)
                const speak = () => {
                  for (let more = hops > 0 ? below(4) : 0; more > 0; more--) say(me, hops - 1)
                }
                return chance(30) ? Effect.andThen(Effect.yieldNow, Effect.sync(speak)) : speak()
              }
            })
        }).pipe(Effect.provideService(Dispatcher.Dispatcher, dispatcher))
      )
    }
    for (let from = 0; from < count; from++) say(from, 6)
    yield* settle(() => open === 0 && actors.every((actor) => actor.isIdle), 3_000)
    check(seed, wrong === undefined, `messages of one sender are heard in order, not ${wrong}`)
    check(seed, open === 0, "all that was said is heard")
    return trace.join()
  })

  return Effect.gen(function*() {
    const first = yield* Effect.scoped(conversation)
    const second = yield* Effect.scoped(conversation)
    check(seed, first === second, "the same seed gives the same order")
  })
}
