/**
 * What every part of one engine shares.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { Group } from "../actor/Home.ts"
import * as CloseCode from "../contract/CloseCode.ts"
import { Commits } from "./Commits.ts"
import type { Drops } from "./Fate.ts"
import { noDrops } from "./Fate.ts"
import { Hub } from "./Hub.ts"
import { Ids } from "./Ids.ts"
import type { Limits } from "./Limits.ts"
import { LogStore } from "./LogStore.ts"
import type { Outbox } from "./Outbox.ts"
import { Stats } from "./Stats.ts"

/** Bounds, time, names, the hub and the scope of one engine. */
export interface Core {
  readonly limits: Limits
  readonly hub: Hub
  /** Undefined unless metrics are on. */
  readonly stats: Stats | undefined
  /** What all outboxes have dropped. */
  readonly drops: Drops
  /** Milliseconds of effect's `Clock`. */
  readonly now: () => number
  readonly nextId: () => string
  /** Services of whoever built the engine: clock, random, logger. */
  readonly context: Context.Context<Scope.Scope>
  /** Ends with the engine; owns whatever `fork` starts. */
  readonly scope: Scope.Scope
  /** The actors of the engine: of its connections and rooms. */
  readonly actors: Group
}

/** Starts a fiber that ends with the engine. */
export const fork = (core: Core, effect: Effect.Effect<void>): Fiber.Fiber<void> =>
  Fiber.runIn(Effect.runForkWith(core.context)(effect), core.scope)

/** Logs from synchronous code. */
export const logError = (core: Core, message: string, cause: Cause.Cause<unknown>): void => {
  Effect.runForkWith(core.context)(Effect.logError(message, cause))
}

/** Gives subscribers what they should have been delivered and were not, and says so. */
export const repair = (core: Core): void => {
  const repaired = core.hub.repair()
  if (repaired === 0) return
  logError(core, "subscribers were not delivered everything; they get it from the log", Cause.fail({ repaired }))
}

/** A connection, as far as it matters what it was not told. */
export interface Told {
  readonly outbox: Outbox
  readonly shut: (code: CloseCode.CloseCode, reason: string) => void
}

/** Makes the core of an engine in the current scope. */
export const make = Effect.fnUntraced(function*(
  limits: Limits,
  isMeasured: boolean,
  connections: ReadonlySet<Told>,
  /** Called when a commit has failed. */
  onRevoked: () => void = () => {}
) {
  // Forked first, so that it closes last: rooms and connections are there for what happens when the engine closes.
  const scope = yield* Scope.fork(yield* Effect.scope)
  const context = Context.add(yield* Effect.context<never>(), Scope.Scope, scope)
  const clock = yield* Clock.Clock
  const nextId = yield* yield* Ids
  const now = () => clock.currentTimeMillisUnsafe()
  const store = yield* LogStore
  const stats = isMeasured ? new Stats(context) : undefined
  if (stats !== undefined) yield* Scope.addFinalizer(scope, Effect.sync(() => stats.end()))
  const commits = store?.transaction === undefined ? undefined : new Commits({
    transaction: store.transaction,
    soon: (commit) => void fork(core, Effect.andThen(Effect.yieldNow, Effect.sync(commit))),
    onFailed: (error, outboxes) => {
      const heard = [...connections].filter(({ outbox }) => outbox.queuedFrames > 0 || outboxes.has(outbox))
      for (const { outbox } of heard) outbox.abort()
      onRevoked()
      logError(core, "a commit failed: nothing of its tick is delivered", Cause.fail(error))
      // Perhaps in the middle of a publish: nobody may leave a channel now.
      const close = Effect.sync(() => {
        for (const connection of heard) connection.shut(CloseCode.internalError, "what was sent could not be kept")
      })
      fork(core, Effect.andThen(Effect.yieldNow, close))
    }
  })
  if (commits !== undefined) yield* Scope.addFinalizer(scope, Effect.sync(() => void commits.commit()))
  const hub = new Hub({
    maxChannels: limits.rooms,
    historyBytes: limits.historyBytes,
    now,
    nextEpoch: nextId,
    store,
    commits
  })
  const actors = new Group()
  yield* Scope.addFinalizer(scope, actors.close)
  const core: Core = { limits, hub, stats, drops: noDrops(), now, nextId, context, scope, actors }
  return core
})
