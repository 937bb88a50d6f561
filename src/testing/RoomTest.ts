/**
 * Property tests of rooms: clients do at random what the contract allows, in an order that a seed decides, and a failure
 * is shrunk to the few commands that it takes.
 */
import * as Arbitrary from "effect/Arbitrary"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Formatter from "effect/Formatter"
import type * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import type * as Room from "../contract/Definition.ts"
import type { Behavior } from "../contract/Room.ts"
import type { Limits } from "../engine/Limits.ts"
import type { Fault, Payloads } from "./RoomCommand.ts"
import * as RoomCommand from "./RoomCommand.ts"
import type { Life } from "./RoomCommand.ts"
import * as RoomLife from "./RoomLife.ts"
import type { AnyModel, Model } from "./RoomModel.ts"
import { Violation } from "./RoomWatch.ts"
import type { RoomWatch } from "./RoomWatch.ts"

export type { Fault } from "./RoomCommand.ts"
export type {
  InterruptedStep,
  JoinStep,
  LeaveStep,
  Model,
  NoticeStep,
  RequestStep,
  StepOf,
  Steps,
  View
} from "./RoomModel.ts"

/** How a room is tested. */
export interface Options<R extends Room.Any, S> {
  /** What the room should do; without it, only the laws that hold for every room are checked. */
  readonly model?: Model<R, S>
  /** How many clients take part: 3 unless said. */
  readonly clients?: number
  /** How many lives the room leads, unless one fails: 100 unless said. */
  readonly runs?: number
  /** The most commands of one life, the last ones being the longest: 40 unless said. */
  readonly commands?: number
  /** The same seed, the same runs. Chosen at random unless said, and told with each failure. */
  readonly seed?: number
  /** The token of a failure: runs that one alone, given the same options. */
  readonly replay?: string
  /**
   * What goes wrong beside: connections that are lost (unless said otherwise), crashes of the room. Half of the time a
   * client that loses its connection is back before its session ends, and half of the time the room loses it.
   */
  readonly faults?: ReadonlyArray<Fault>
  /** How many smaller failures to try: 500 unless said. */
  readonly shrinks?: number
  /** The key of the room; `"room"` unless said. */
  readonly key?: Room.Key<R>
  /** Generators of payloads, where those of the schemas will not do. */
  readonly payloads?:
    & { readonly join?: Arbitrary.Arbitrary<Room.JoinPayload<R>> }
    & { readonly [N in keyof Room.Requests<R>]?: Arbitrary.Arbitrary<Room.RequestPayload<Room.Requests<R>[N]>> }
    & { readonly [N in keyof Room.Notices<R>]?: Arbitrary.Arbitrary<Room.TypeOf<Room.Notices<R>[N]>> }
  /** The token that each client connects with, counting from 0, for rooms whose handlers need an identity. */
  readonly token?: (client: number) => string
  /** Bounds of the engine that differ from the defaults. */
  readonly limits?: Partial<Limits>
}

/** What was tested. */
export interface Report {
  readonly runs: number
  /** How often the room handled what: worth a look, as a law is easily kept by a room that does nothing. */
  readonly handled: { readonly [step: string]: number }
}

/** The room does not do what it should. The message tells the shortest way found to make it do so. */
export class Falsified extends Data.TaggedError("Falsified")<{
  readonly room: string
  /** What does not hold. */
  readonly law: string
  /** How that was noticed. */
  readonly detail: string
  /** What clients did, in words. */
  readonly commands: ReadonlyArray<string>
  /** What the room handled, in words. */
  readonly handled: ReadonlyArray<string>
  /** The run that failed, counting from 1. */
  readonly runs: number
  /** How often the failure was made smaller. */
  readonly shrinks: number
  readonly seed: number
  /** Give it as `replay` to run this alone. */
  readonly replay: string
}> {
  override get message() {
    return [
      `room "${this.room}" is falsified by run ${this.runs} of seed ${this.seed}, after ${this.shrinks} shrinks`,
      `${this.law}: ${this.detail}`,
      "",
      ...numbered(this.commands),
      "",
      "what the room handled:",
      ...numbered(this.handled),
      "",
      `to run this alone: { replay: '${this.replay}' }`
    ].join("\n")
  }
}

/** The token's failure does not come again: the room, its contract or the options are not those that it is of. */
export class NotReplayed extends Data.TaggedError("NotReplayed")<{ readonly reason: string }> {
  override get message() {
    return `the failure does not come again: ${this.reason}`
  }
}

const numbered = (lines: ReadonlyArray<string>) => lines.map((line, index) => `  ${index + 1}. ${line}`)

/** In how many orders a smaller list of commands is tried, since a race may need another one to show. */
const orders = 3

/**
 * Tests a room with real clients of a real engine, in memory and in virtual time.
 *
 * **Details**
 *
 * Commands are every request and notice of the contract with payloads from its schemas, joins, leaves, lost connections,
 * time that passes and, where asked for, crashes. Some wait until everything is quiet, some happen at once. Checked are
 *
 * - that every request is answered, with success or an error of its contract, and that no handler dies or hangs;
 * - that all members receive all events, in one order;
 * - that presence is who is there, and that every join has one leave;
 * - and the model.
 *
 * Fails with {@link Falsified}, whose message is meant to be read. Works in any test runner, as an `Effect` or with
 * `Effect.runPromise`.
 *
 * **Gotchas**
 *
 * The layer is built anew for each life. What it shares with other lives (a database, a variable of the module) makes
 * failures that do not come again; so do timers and other things that are not of this process.
 *
 * @example
 * ```ts
 * RoomTest.check(Counter, CounterLive, {
 *   model: {
 *     initial: 0,
 *     next: { Add: (total, { payload }) => total + payload.amount },
 *     invariant: (total, { snapshot }) => snapshot === undefined || snapshot.total === total
 *   }
 * })
 * ```
 */
export const check = Effect.fnUntraced(function*<const R extends Room.Any, E, RX, S = undefined>(
  room: R,
  layer: Layer.Layer<Behavior<R["roomName"]>, E, RX>,
  options: Options<R, S> = {}
): Effect.fn.Return<Report, Falsified | NotReplayed | E, RX> {
  const { clients = 3, commands = 40, faults = ["drop"], runs = 100, shrinks = 500 } = options
  const seed = options.seed ?? (yield* Random.nextIntBetween(0, 2 ** 31))
  const lives = RoomCommand.arbitrary(room, {
    clients,
    commands,
    faults,
    payloads: (options.payloads ?? {}) as Payloads
  })
  const led: RoomLife.Options = {
    room,
    layer,
    key: options.key ?? "room",
    clients,
    faults,
    model: options.model as AnyModel | undefined,
    token: options.token,
    limits: options.limits ?? {}
  }
  const handled: Record<string, number> = {}
  /** The law that failed first: what breaks another is no smaller form of the same failure. */
  let law: string | undefined
  let last: RoomWatch | undefined
  const property = Effect.fnUntraced(function*(life: Life) {
    for (let order = 0; order < (law === undefined ? 1 : orders); order++) {
      const watch = yield* RoomLife.lead(led, life, (life.order + order) % 2 ** 31)
      if (law === undefined) { for (const { _tag } of watch.trace) handled[_tag] = (handled[_tag] ?? 0) + 1 }
      const [violation] = watch.violations
      if (violation === undefined || violation.law !== (law ?? violation.law)) continue
      law = violation.law
      last = watch
      return yield* Effect.fail(violation)
    }
    return true
  }) as (life: Life) => Effect.Effect<boolean, Violation | E, RX>
  const result = yield* Arbitrary.checkEffect(lives, property, {
    runs,
    // The later half of the runs has lists of any length.
    size: 2 * commands,
    seed,
    maxShrinks: shrinks,
    replay: options.replay
  })
  switch (result._tag) {
    case "Passed":
      return { runs: result.runs, handled }
    case "Falsified": {
      const error = result.failure._tag === "PropertyError" ? result.failure.error : undefined
      if (!(error instanceof Violation)) return yield* Effect.fail(error as E)
      return yield* new Falsified({
        room: room.roomName,
        law: error.law,
        detail: error.detail,
        commands: last!.commands,
        handled: last!.trace.map((step) => formatStep(last!, step)),
        runs: result.runs,
        shrinks: result.shrinks,
        seed,
        replay: result.replay
      })
    }
    case "ReplayMismatch":
      return yield* new NotReplayed({ reason: result.reason })
    case "Exhausted":
      return yield* Effect.die(new Error(`heddle: the schemas of room "${room.roomName}" yield too few payloads`))
  }
})

const formatStep = ({ names }: RoomWatch, step: RoomWatch["trace"][number]): string => {
  const { _tag, memberId, name, outcome, payload, reason } = step
  const what = _tag === "interrupted" ? `${name} (interrupted)` : _tag
  const given = payload === undefined ? "" : ` ${Formatter.format(payload)}`
  const why = reason === undefined ? "" : `, ${reason}`
  const who = names.get(memberId) ?? "somebody"
  if (outcome === undefined) return `${who}: ${what}${given}${why}`
  const answer = Result.isSuccess(outcome) ? outcome.success : outcome.failure
  const kind = Result.isSuccess(outcome) ? "→" : "✗"
  return `${who}: ${what}${given}${why}${answer === undefined ? "" : ` ${kind} ${Formatter.format(answer)}`}`
}
