/**
 * What the promise client is told by its types, and the mistakes that do not compile.
 */
import { describe, expect, it } from "tstyche"
import type { Page, Past, SessionStore } from "../../src/client/Client.ts"
import { sessionStorage } from "../../src/client/Client.ts"
import type * as PromiseClient from "../../src/client/PromiseClient.ts"
import { connect } from "../../src/client/PromiseClient.ts"
import type { RequestError } from "../../src/contract/RequestError.ts"
import type * as Room from "../../src/contract/Room.ts"
import { Board, Chat, Lobby, Prices } from "../types/contract.ts"

declare const client: PromiseClient.PromiseClient
declare const room: PromiseClient.PromiseJoined<typeof Chat>
declare const signal: AbortSignal

describe("connecting", () => {
  it("takes durations as milliseconds or text, and a token that may come late", () => {
    expect(connect).type.toBeCallableWith({ url: "ws://localhost" })
    expect(connect).type.toBeCallableWith({ url: "", token: "secret", requestTimeout: 5_000 })
    expect(connect).type.toBeCallableWith({ url: "", token: () => "secret", reconnect: { base: 100, max: "1 minute" } })
    expect(connect).type.toBeCallableWith({ url: "", token: async () => "secret", offlineQueue: 1, eventBuffer: 1 })
    expect(connect).type.not.toBeCallableWith({})
    expect(connect).type.not.toBeCallableWith({ url: "", token: 1 })
    expect(connect({ url: "" })).type.toBe<PromiseClient.PromiseClient>()
    expect(connect({ url: "" }).reconnect()).type.toBe<void>()
  })

  it("keeps its session where it is told to", () => {
    expect(sessionStorage).type.toBe<(key?: string) => SessionStore>()
    expect(connect).type.toBeCallableWith({ url: "", session: sessionStorage() })
    expect(connect).type.toBeCallableWith({ url: "", session: { load: () => null, save: () => {} } })
    expect(connect).type.not.toBeCallableWith({ url: "", session: "key" })
  })

  it("shows its state", () => {
    expect(client.state.current._tag).type.toBe<"connecting" | "online" | "waiting" | "stopped">()
    expect(client.state.subscribe((state) => state._tag)).type.toBe<() => void>()
  })
})

describe("joining", () => {
  it("gives the room of the contract", () => {
    expect(client.join(Chat, "lobby", { name: "ada" })).type.toBe<Promise<PromiseClient.PromiseJoined<typeof Chat>>>()
    expect(client.join(Lobby, "lobby")).type.toBe<Promise<PromiseClient.PromiseJoined<typeof Lobby>>>()
    expect(client.join(Board, 7)).type.toBe<Promise<PromiseClient.PromiseJoined<typeof Board>>>()
  })

  it("takes options after the payload", () => {
    expect(client.join).type.toBeCallableWith(Chat, "lobby", { name: "ada" }, { signal })
    expect(client.join).type.toBeCallableWith(Lobby, "lobby", undefined, { signal })
    expect(client.join).type.toBeCallableWith(Chat, "lobby", { name: "ada" }, { signal, last: 50 })
    expect(client.join).type.not.toBeCallableWith(Chat, "lobby", { name: "ada" }, { last: "50" })
  })

  it("refuses what the contract does not have", () => {
    expect(client.join).type.not.toBeCallableWith(Chat, "lobby")
    expect(client.join).type.not.toBeCallableWith(Chat, "lobby", { nam: "ada" })
    expect(client.join).type.not.toBeCallableWith(Board, "7")
    expect(client.join).type.not.toBeCallableWith(Prices, "HDL")
  })
})

describe("a joined room", () => {
  it("looks back at reliable events, which have an offset", () => {
    expect(room.history({ limit: 10 })).type.toBe<Promise<Page<Past<typeof Chat>>>>()
    expect(room.history).type.toBeCallableWith({ limit: 10, before: 7 })
    expect(room.history).type.not.toBeCallableWith({ before: 7 })
  })

  it("has a method for each request", () => {
    expect(room.Say).type.toBe<
      (
        payload: { readonly text: string; readonly urgent?: boolean },
        options?: PromiseClient.CallOptions
      ) => Promise<number>
    >()
    expect(room.Count).type.toBe<
      (payload?: undefined, options?: PromiseClient.CallOptions) => Promise<{ readonly total: number }>
    >()
    expect(room.Find()).type.toBe<Promise<ReadonlyArray<string>>>()
    expect(room.Find).type.toBeCallableWith({ limit: 3 }, { signal })
  })

  it("has a method for each notice", () => {
    expect(room.Typing).type.toBe<() => Promise<void>>()
    expect(room.Moved).type.toBe<(payload: { readonly x: number }) => Promise<void>>()
  })

  it("has handlers with the payload and the event", () => {
    room.on("Said", (payload, event) => {
      expect(payload).type.toBe<{ readonly from: string; readonly text: string }>()
      expect(event.offset).type.toBe<number | undefined>()
      expect(event._tag).type.toBe<"Said">()
    })
    room.on("Counted", (count) => expect(count).type.toBe<number>())
    room.on("synced", ({ reason, snapshot }) => {
      expect(snapshot).type.toBe<{ readonly lastId: number }>()
      expect(reason).type.toBe<"joined" | "gap" | "restarted">()
    })
    expect(room.on("Cleared", async () => {})).type.toBe<() => void>()
  })

  it("has events to loop over, presence, and an end", () => {
    expect(room.events).type.toBe<AsyncIterable<Room.Event<typeof Chat>>>()
    expect(room.presence.current).type.toBe<ReadonlyMap<string, { readonly name: string }>>()
    expect(room.closed).type.toBe<Promise<RequestError | undefined>>()
    expect(room.leave()).type.toBe<Promise<void>>()
    expect(room.key).type.toBe<string>()
    expect(room.memberId).type.toBe<string>()
  })

  it("says what is wrong", () => {
    // @ts-expect-error 'txt' does not exist in type '{ readonly text: string; readonly urgent?: boolean; }'. Did you mean to write 'text'?
    room.Say({ txt: "hello" })
    // @ts-expect-error Property 'Sya' does not exist on type 'PromiseJoined<typeof Chat>'
    room.Sya({ text: "hello" })
    // @ts-expect-error Expected 1-2 arguments, but got 0
    room.Say()
    // @ts-expect-error Expected 0 arguments, but got 1
    room.Typing({})
    // @ts-expect-error No overload matches this call
    room.on("Sayd", () => {})
    // @ts-expect-error Property 'txt' does not exist on type '{ readonly from: string; readonly text: string; }'
    room.on("Said", ({ txt }) => txt)
  })
})

describe("a subscription", () => {
  it("calls back, or is looped over", () => {
    expect(client.subscribe(Prices, "HDL")).type.toBe<AsyncIterable<{ readonly price: number }>>()
    expect(client.subscribe(Prices, "HDL", ({ price }) => expect(price).type.toBe<number>())).type.toBe<() => void>()
    expect(client.subscribe(Prices, "HDL", () => {}, (error) => expect(error).type.toBe<RequestError>())).type
      .toBe<() => void>()
  })

  it("takes the key in the contract's form", () => {
    expect(client.subscribe).type.not.toBeCallableWith(Prices, "MSFT")
    expect(client.subscribe).type.not.toBeCallableWith(Chat, "lobby")
  })
})
