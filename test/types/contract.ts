/**
 * The contracts that the type tests use: one of everything.
 */
import { Context, type Effect, Schema } from "effect"
import { Identity, Room, Topic } from "heddle"

const Name = Schema.NonEmptyString
const Text = Schema.String.check(Schema.isMaxLength(2000))
export class RoomFull extends Schema.TaggedError<RoomFull>()("RoomFull", { limit: Schema.Int }) {}
export class Muted extends Schema.TaggedError<Muted>()("Muted", { until: Schema.Date }) {}
export class TooLong extends Schema.TaggedError<TooLong>()("TooLong", {}) {}
/** Not in any contract. */
export class Boom extends Schema.TaggedError<Boom>()("Boom", {}) {}

export class Chat extends Room.make("chat", {
  join: { payload: { name: Name }, error: RoomFull },
  presence: { name: Name },
  snapshot: { lastId: Schema.Int },
  requests: {
    Say: {
      payload: { text: Text, urgent: Schema.optionalKey(Schema.Boolean) },
      success: Schema.Int,
      error: [Muted, TooLong]
    },
    Count: { success: { total: Schema.Int } },
    Find: { payload: { limit: Schema.optionalKey(Schema.Int) }, success: Schema.Array(Text) }
  },
  notices: { Typing: {}, Moved: { x: Schema.Finite } },
  events: {
    Said: { from: Name, text: Text },
    Typing: Room.volatile({ from: Name }, { conflate: ({ from }) => from }),
    Counted: Schema.Int,
    Cleared: {}
  }
}) {}

/** A room of which everything may be left out. */
export class Lobby extends Room.make("lobby", { events: { Opened: {} } }) {}

export class Board extends Room.make("board", {
  key: Schema.NumberFromString,
  requests: { Draw: {} }
}) {}

export class Prices extends Topic.make("prices", {
  key: Schema.Literals(["HDL", "LOOM"]),
  payload: Room.volatile({ price: Schema.Finite }, "dropNewest")
}) {}

export class CurrentUser extends Identity.Service<CurrentUser, { readonly id: string; readonly muted: boolean }>()(
  "app/CurrentUser"
) {}

export class Db extends Context.Service<Db, { readonly last: (room: string) => Effect.Effect<number> }>()("app/Db") {}
