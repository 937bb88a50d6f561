/**
 * What a client is told by its types.
 */
import type { Effect, Scope, Stream, SubscriptionRef } from "effect"
import type { Client, RequestError, Room } from "heddle"
import { describe, expect, it } from "tstyche"
import { Board, Chat, Lobby, type Muted, Prices, type RoomFull, type TooLong } from "./contract.ts"

declare const client: Client.Client
declare const room: Client.Joined<typeof Chat>

type Failed = RequestError.RequestError

describe("joining", () => {
  it("fails with the contract's own errors, and belongs to a scope", () => {
    expect(client.join(Chat, "lobby", { name: "ada" })).type.toBe<
      Effect.Effect<Client.Joined<typeof Chat>, RoomFull | Failed, Scope.Scope>
    >()
  })

  it("has no payload where the contract has none", () => {
    expect(client.join(Lobby, "lobby")).type.toBe<
      Effect.Effect<Client.Joined<typeof Lobby>, Failed, Scope.Scope>
    >()
    expect(client.join).type.not.toBeCallableWith(Chat, "lobby")
  })

  it("takes how many events it begins back, after the payload", () => {
    expect(client.join).type.toBeCallableWith(Chat, "lobby", { name: "ada" }, { last: 50 })
    expect(client.join).type.toBeCallableWith(Lobby, "lobby", undefined, { last: 50 })
    expect(client.join).type.not.toBeCallableWith(Chat, "lobby", { name: "ada" }, { last: "50" })
    expect(client.join).type.not.toBeCallableWith(Chat, "lobby", { name: "ada" }, { lsat: 50 })
    expect(client.join).type.not.toBeCallableWith(Chat, "lobby", { last: 50 })
  })

  it("takes the key in the contract's form", () => {
    expect(client.join).type.toBeCallableWith(Board, 7)
    expect(client.join).type.not.toBeCallableWith(Board, "7")
  })
})

describe("a joined room", () => {
  it("has a method for each request", () => {
    expect(room.Say).type.toBe<
      (payload: { readonly text: string; readonly urgent?: boolean }) => Effect.Effect<number, Muted | TooLong | Failed>
    >()
    expect(room.Count).type.toBe<() => Effect.Effect<{ readonly total: number }, Failed>>()
    expect(room.Find()).type.toBe<Effect.Effect<ReadonlyArray<string>, Failed>>()
  })

  it("has a method for each notice", () => {
    expect(room.Typing).type.toBe<() => Effect.Effect<void, Failed>>()
    expect(room.Moved).type.toBe<(payload: { readonly x: number }) => Effect.Effect<void, Failed>>()
  })

  it("yields `synced` and the events, and nothing else", () => {
    expect(room.events).type.toBe<Stream.Stream<Room.Event<typeof Chat>, Failed>>()
    expect<Room.Event<typeof Chat>["_tag"]>().type.toBe<"synced" | "Said" | "Typing" | "Counted" | "Cleared">()
    type Tagged<Tag> = Extract<Room.Event<typeof Chat>, { readonly _tag: Tag }>
    expect<Tagged<"Said">["payload"]>().type.toBe<{ readonly from: string; readonly text: string }>()
    expect<Tagged<"Counted">["payload"]>().type.toBe<number>()
    expect<Tagged<"Said">["offset"]>().type.toBe<number | undefined>()
    expect<Tagged<"synced">["snapshot"]>().type.toBe<{ readonly lastId: number }>()
    expect<Tagged<"synced">["reason"]>().type.toBe<"joined" | "gap" | "restarted">()
  })

  it("looks back at reliable events, which have an offset", () => {
    expect(room.history).type.toBeCallableWith({ limit: 10 })
    expect(room.history).type.toBeCallableWith({ limit: 10, before: 7 })
    expect(room.history).type.toBeCallableWith({ limit: 10, before: undefined })
    expect(room.history).type.not.toBeCallableWith({ before: 7 })
    expect(room.history({ limit: 10 })).type.toBe<Effect.Effect<Client.Page<Client.Past<typeof Chat>>, Failed>>()
    expect<Client.Past<typeof Chat>["_tag"]>().type.toBe<"Said" | "Counted" | "Cleared">()
    expect<Client.Past<typeof Chat>["offset"]>().type.toBe<number>()
    expect<Extract<Client.Past<typeof Chat>, { readonly _tag: "Said" }>["payload"]>().type.toBe<
      { readonly from: string; readonly text: string }
    >()
  })

  it("knows who is there", () => {
    expect(room.presence).type.toBe<
      SubscriptionRef.SubscriptionRef<ReadonlyMap<string, { readonly name: string }>>
    >()
    expect(room.memberId).type.toBe<string>()
    expect(room.key).type.toBe<string>()
  })
})

it("a subscription yields what is published", () => {
  expect(client.subscribe(Prices, "HDL")).type.toBe<Stream.Stream<{ readonly price: number }, Failed>>()
  expect(client.subscribe).type.not.toBeCallableWith(Prices, "MSFT")
})

it("the state of the connection is watched", () => {
  expect(client.state).type.toBe<SubscriptionRef.SubscriptionRef<Client.ConnectionState>>()
  expect<Client.ConnectionState["_tag"]>().type.toBe<"connecting" | "online" | "waiting" | "stopped">()
})
