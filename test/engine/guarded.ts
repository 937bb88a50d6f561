/** A room whose handlers need an identity. */
import { Effect, Schema } from "effect"
import * as Identity from "../../src/contract/Identity.ts"
import * as Room from "../../src/contract/Room.ts"

export class User extends Identity.Service<User, { readonly name: string }>()("test/User") {}

export class Guarded extends Room.make("guarded", {
  join: {},
  presence: { name: Schema.String },
  requests: { Who: { success: Schema.String }, Others: { success: Schema.String } },
  events: { Said: { text: Schema.String } }
}) {}

const name = Effect.map(User, (user) => user.name)

export const guardedLayer = Guarded.toLayer((room) => ({
  join: () =>
    Effect.gen(function*() {
      const text = `${yield* name} joined`
      yield* room.emit("Said", { text })
      return { name: yield* name }
    }),
  Who: () => name,
  Others: () =>
    Effect.map(
      Effect.forEach([...room.members.values()], (member) => Identity.of(User, member)),
      (users) => users.map((user) => user.name).join()
    )
}))
