/**
 * Looks after outboxes on a runtime that does not tell when it has room again.
 */
import * as Effect from "effect/Effect"
import type { Core } from "./Core.ts"
import { fork } from "./Core.ts"
import type { Stalled } from "./Outbox.ts"

const pollMillis = 5

/** Takes stalled outboxes and calls `drained` on each every 5 ms, with one fiber that exists while there are any. */
export const make = (core: Core): (outbox: Stalled) => void => {
  const stalled = new Set<Stalled>()
  const poll: Effect.Effect<void> = Effect.suspend(() => {
    for (const outbox of stalled) {
      if (outbox.drained()) stalled.delete(outbox)
    }
    return stalled.size === 0 ? Effect.void : Effect.delay(poll, pollMillis)
  })
  return (outbox) => {
    stalled.add(outbox)
    if (stalled.size === 1) fork(core, poll)
  }
}
