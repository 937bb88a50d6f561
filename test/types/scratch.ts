import { Effect, Layer, Schema } from "effect"
import * as Identity from "../../src/contract/Identity.ts"
import * as Room from "../../src/contract/Room.ts"

const Name = Schema.NonEmptyString
const Text = Schema.String.check(Schema.isMaxLength(2000))
export class RoomFull extends Schema.TaggedError<RoomFull>()("RoomFull", { limit: Schema.Int }) {}
export class Muted extends Schema.TaggedError<Muted>()("Muted", { until: Schema.Date }) {}

export class Chat extends Room.make("chat", {
  join: { payload: { name: Name }, error: RoomFull },
  presence: { name: Name },
  snapshot: { lastId: Schema.Int },
  requests: {
    /** Says something to everybody in the room. */
    Say: { payload: { text: Text }, success: Schema.Int, error: Muted }
  },
  notices: { Typing: {} },
  events: { Said: { from: Name, text: Text }, Typing: Room.volatile({ from: Name }), Cleared: {} }
}) {}
class CurrentUser extends Identity.Service<CurrentUser, { readonly id: string; readonly muted: boolean }>()(
  "app/CurrentUser"
) {}

export const ChatLive = Chat.toLayer((room) => {
  let lastId = 0
  return {
    join: ({ payload }) =>
      room.members.size < 100 ? Effect.succeed({ name: payload.name }) : Effect.fail(new RoomFull({ limit: 100 })),
    snapshot: () => Effect.succeed({ lastId }),
    leave: ({ member }) => room.emit("Said", { from: member.presence.name, text: "bye" }),
    Say: Effect.fnUntraced(function*({ payload, member }) {
      const user = yield* CurrentUser
      if (user.muted) return yield* new Muted({ until: new Date(0) })
      const { offset } = yield* room.emit("Said", { from: member.presence.name, text: payload.text }, {
        except: member
      })
      yield* room.emit("Cleared")
      yield* room.kick(member)
      for (const m of room.members.values()) {
        if (m !== member) yield* room.kick(m)
        yield* m.send("Cleared")
      }
      lastId = offset
      return offset
    }),
    Typing: ({ member }) => room.emit("Typing", { from: member.presence.name })
  }
})
const AuthLive = Identity.layer(
  CurrentUser,
  ({ token }) => token === undefined ? Identity.unauthorized("no token") : Effect.succeed({ id: token, muted: false })
)
export const x: Layer.Layer<Room.Behavior<"chat">> = ChatLive.pipe(Layer.provide(AuthLive))
