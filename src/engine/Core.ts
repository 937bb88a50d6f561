/**
 * What every part of one engine shares.
 */
import type * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { Group } from "../actor/Home.ts"
import type { Drops } from "./Fate.ts"
import type { Hub } from "./Hub.ts"
import type { Limits } from "./Limits.ts"
import type { Stats } from "./Stats.ts"

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
