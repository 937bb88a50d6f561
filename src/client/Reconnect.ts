/**
 * One connection after another, until the client is told to stop.
 */
import * as Effect from "effect/Effect"
import * as CloseCode from "../contract/CloseCode.ts"
import * as Backoff from "./Backoff.ts"
import type { Core } from "./Core.ts"
import type { Ended } from "./Link.ts"
import * as Watched from "./Watched.ts"

/**
 * Connects, and connects again after each loss whose close code allows it; returns when the client has stopped.
 *
 * The wait grows with every attempt and starts from the shortest again after a connection that was online for ten
 * seconds. A server that drains says itself how long to wait.
 */
export const run = Effect.fnUntraced(function*(
  core: Core,
  token: string | Effect.Effect<string> | undefined,
  bounds: Backoff.Bounds
) {
  const { state } = core.options
  let attempt = 0
  while (true) {
    if (state.value._tag !== "connecting") Watched.set(state, { _tag: "connecting" })
    const { code, drain, onlineFor, reason } = yield* connect(
      core,
      Effect.isEffect(token) ? yield* token : token ?? null
    )
    const action = CloseCode.action(code)
    if (action === "stop" || (action === "reauthenticate" && !Effect.isEffect(token))) return core.stop(code, reason)
    if (onlineFor >= Backoff.stableMillis) attempt = 0
    const retryIn = drain === undefined
      ? yield* Backoff.delay(bounds, attempt)
      : yield* Backoff.afterDrain(bounds, drain)
    attempt++
    core.waiting.closeUnsafe()
    Watched.set(state, { _tag: "waiting", attempt, retryIn, code })
    yield* Effect.raceFirst(core.waiting.await, Effect.sleep(retryIn))
  }
})

/** One connection, from the opening of the socket to its end. */
const connect = (core: Core, token: string | null): Effect.Effect<Ended> =>
  Effect.callback<Ended>((resume) => {
    const link = core.connect(token, (ended) => resume(Effect.succeed(ended)))
    return Effect.sync(() => link.close(CloseCode.normal.code, "closed"))
  })
