/**
 * What the compiler tells a user of the client; checked by `tsc`, and wrong uses by `@ts-expect-error`.
 */
import { assert, it } from "@effect/vitest"
import type { Effect, Scope, Stream, SubscriptionRef } from "effect"
import { Schema } from "effect"
import type * as Client from "../../src/client/Client.ts"
import * as Room from "../../src/contract/Room.ts"
import * as Topic from "../../src/contract/Topic.ts"

class Full extends Schema.TaggedError<Full>()("Full", { limit: Schema.Int }) {}
class Muted extends Schema.TaggedError<Muted>()("Muted", {}) {}

class Chat extends Room.make("chat", {
  key: Schema.NumberFromString,
  join: { payload: { name: Schema.String }, error: Full },
  presence: { since: Schema.Date },
  snapshot: { lastId: Schema.Int },
  requests: {
    Say: {
      payload: { text: Schema.String, at: Schema.optionalKey(Schema.Date) },
      success: Schema.Date,
      error: [Muted]
    },
    Clear: {},
    Search: { payload: { text: Schema.optionalKey(Schema.String) }, success: Schema.Array(Schema.String) }
  },
  notices: { Typing: {}, Moved: { x: Schema.Finite } },
  events: { Said: { text: Schema.String }, Typing: Room.volatile({ from: Schema.String }) }
}) {}

class Open extends Room.make("open", {}) {}
class Prices extends Topic.make("prices", { payload: { price: Schema.Finite } }) {}

type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false
const same = <A, B>(_: Equals<A, B>) => {}
type Failure<E> = E | Client.RequestError

declare const client: Client.Client
declare const room: Client.Joined<typeof Chat>

/** Never called: its types are the test. */
const uses = () => {
  const joining = client.join(Chat, 1, { name: "ada" })
  same<typeof joining, Effect.Effect<Client.Joined<typeof Chat>, Failure<Full>, Scope.Scope>>(true)
  const open = client.join(Open, "any")
  same<typeof open, Effect.Effect<Client.Joined<typeof Open>, Client.RequestError, Scope.Scope>>(true)
  const prices = client.subscribe(Prices, "AAPL")
  same<typeof prices, Stream.Stream<{ readonly price: number }, Client.RequestError>>(true)

  const say = room.Say({ text: "hi" })
  same<typeof say, Effect.Effect<Date, Failure<Muted>>>(true)
  const clear = room.Clear()
  same<typeof clear, Effect.Effect<void, Client.RequestError>>(true)
  const search = room.Search()
  same<typeof search, Effect.Effect<ReadonlyArray<string>, Client.RequestError>>(true)
  const moved = room.Moved({ x: 1 })
  same<typeof moved, Effect.Effect<void, Client.RequestError>>(true)
  same<typeof room.key, number>(true)
  same<typeof room.memberId, string>(true)
  same<typeof room.presence, SubscriptionRef.SubscriptionRef<ReadonlyMap<string, { readonly since: Date }>>>(true)
  same<typeof room.events, Stream.Stream<Room.Event<typeof Chat>, Client.RequestError>>(true)
  same<Room.Event<typeof Chat>["_tag"], "synced" | "Said" | "Typing">(true)

  room.on("Said", ({ text }, offset) => done(text.length + (offset ?? 0)))
  room.on("synced", ({ reason, snapshot }) => done(reason.length + snapshot.lastId))

  // @ts-expect-error the key is a number
  client.join(Chat, "1", { name: "ada" })
  // @ts-expect-error the payload is missing
  client.join(Chat, 1)
  // @ts-expect-error a field has another name
  room.Say({ txt: "hi" })
  // @ts-expect-error nothing is sent with it
  room.Typing({})
  // @ts-expect-error there is no such request
  room.Sya({ text: "hi" })
  // @ts-expect-error there is no such event
  room.on("Sayd", () => done(0))
  // @ts-expect-error a topic is not joined
  client.join(Prices, "AAPL")
}
declare const done: (n: number) => Effect.Effect<void>

it("types are checked by the compiler", () => assert.isFunction(uses))
