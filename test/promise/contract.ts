/**
 * What the server of the tests and its clients say to each other.
 */
import { Schema } from "effect"
import * as Room from "../../src/contract/Room.ts"
import * as Topic from "../../src/contract/Topic.ts"

export class Muted extends Schema.TaggedError<Muted>()("Muted", { until: Schema.Date }) {}
export class RoomFull extends Schema.TaggedError<RoomFull>()("RoomFull", { limit: Schema.Int }) {}

export class Chat extends Room.make("chat", {
  join: { payload: { name: Schema.NonEmptyString }, error: RoomFull },
  presence: { name: Schema.String },
  snapshot: { said: Schema.Int },
  requests: {
    Say: { payload: { text: Schema.String }, success: Schema.Int, error: Muted },
    /** Says and blinks as often, in turn, in one turn of the room. */
    Burst: { payload: { times: Schema.Int } },
    Never: {},
    Crash: {},
    Kick: {}
  },
  notices: { Typing: {} },
  events: { Said: { text: Schema.String }, Typing: Room.volatile({ from: Schema.String }) }
}) {}

/** Nobody serves it. */
export class Unserved extends Room.make("unserved", { requests: { Nothing: {} } }) {}
/** It has no state that could be told. */
export class Bell extends Room.make("bell", {
  requests: { Ring: { payload: { times: Schema.Int } } },
  events: { Rang: { times: Schema.Int } }
}) {}
export class Prices extends Topic.make("prices", { payload: { price: Schema.Finite } }) {}
export class Secrets extends Topic.make("secrets", { payload: { price: Schema.Finite } }) {}
