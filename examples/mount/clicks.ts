/**
 * The room that the servers of this folder serve: everybody sees every click.
 */
import { Effect, Schema } from "effect"
import { Room } from "heddle"

class Clicks extends Room.make("clicks", {
  snapshot: { count: Schema.Int },
  requests: { Click: { success: Schema.Int } },
  events: { Clicked: { count: Schema.Int } }
}) {}

export const ClicksLive = Clicks.toLayer((room) => {
  let count = 0
  return {
    snapshot: () => Effect.sync(() => ({ count })),
    Click: Effect.fnUntraced(function*() {
      yield* room.emit("Clicked", { count: ++count })
      return count
    })
  }
})
