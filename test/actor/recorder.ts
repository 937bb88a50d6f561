/** An actor for tests that notes what happens to it, and does what its messages say. */
import { Deferred, Effect, Schedule, Scope } from "effect"
import * as Actor from "../../src/actor/Actor.ts"

export type Message = string | Effect.Effect<void> | (() => Effect.Effect<void> | void)

export const recorder = Effect.fnUntraced(
  function*(options: Partial<Actor.Options<Message, Message, never, never>> = {}) {
    const seen: Array<string> = []
    const handle = (message: Message) => {
      if (typeof message === "function") return message()
      if (typeof message === "string") return void seen.push(message)
      return message
    }
    const name = (message: Message) => typeof message === "string" ? message : "effect"
    const actor = yield* Actor.spawn<Message, Message>({
      id: "recorder",
      supervision: { schedule: Schedule.spaced("1 second") },
      init: () => Effect.succeed({ receive: handle, control: handle }),
      onAbandoned: (message, why) => void seen.push(`abandoned ${name(message)}: ${why._tag}`),
      onDiscarded: (message) => void seen.push(`discarded ${name(message)}`),
      onRestarted: () => void seen.push("restarted"),
      onStopped: (reason) => void seen.push(`stopped: ${reason._tag}`),
      ...options
    })
    return { actor, seen, note: (text: string) => Effect.sync(() => void seen.push(text)) }
  }
)

/** A handler that waits until it is let go. */
export const gate = () => {
  const opened = Deferred.makeUnsafe<void>()
  return { wait: Deferred.await(opened), open: () => void Deferred.doneUnsafe(opened, Effect.void) }
}

/** Lets queued turns run; no time passes. */
export const turns = Effect.forEach(Array.from({ length: 10 }), () => Effect.yieldNow, { discard: true })

/** A scope that the test closes. */
export const ownScope = Effect.sync(() => Scope.makeUnsafe())
