/**
 * What a test of a room is told by the contract's types, and the mistakes that do not compile.
 */
import type { Effect, Layer, Result } from "effect"
import type { Room } from "heddle"
import { RoomTest, TestServer } from "heddle/testing"
import { describe, expect, it } from "tstyche"
import type { Received } from "../../src/testing/Received.ts"
import { Board, Chat } from "../types/contract.ts"
import type { Muted, RoomFull, TooLong } from "../types/contract.ts"

declare const chatLive: Layer.Layer<Room.Behavior<"chat">>
declare const boardLive: Layer.Layer<Room.Behavior<"board">>

describe("a model", () => {
  it("is given the steps of the contract", () => {
    const test = RoomTest.check(Chat, chatLive, {
      model: {
        initial: 0,
        next: {
          join: (state, { outcome, payload }) => {
            expect(payload).type.toBe<{ readonly name: string }>()
            expect(outcome).type.toBe<Result.Result<{ readonly name: string }, RoomFull>>()
            return state + 1
          },
          leave: (state, { reason }) => {
            expect(reason).type.toBe<Room.LeaveReason>()
            return state
          },
          Say: (state, { _tag, outcome, payload }) => {
            expect(state).type.toBe<number>()
            expect(_tag).type.toBe<"Say">()
            expect(payload.text).type.toBe<string>()
            expect(outcome).type.toBe<Result.Result<number, Muted | TooLong>>()
            return state
          },
          Moved: (state, { payload }) => {
            expect(payload).type.toBe<{ readonly x: number }>()
            return state
          }
        },
        invariant: (state, { members, snapshot }) => {
          expect(members).type.toBe<ReadonlyMap<string, { readonly name: string }>>()
          expect(snapshot).type.toBe<{ readonly lastId: number } | undefined>()
          return state >= 0
        }
      }
    })
    expect(test).type.toBe<Effect.Effect<RoomTest.Report, RoomTest.Falsified | RoomTest.NotReplayed>>()
  })

  it("has no steps but those", () => {
    expect(RoomTest.check).type.not.toBeCallableWith(Chat, chatLive, {
      model: { initial: 0, next: { Sayd: (state: number) => state } }
    })
    expect(RoomTest.check).type.not.toBeCallableWith(Chat, chatLive, {
      model: { initial: 0, next: { Say: () => "" } }
    })
  })
})

describe("a test", () => {
  it("is of the contract's own room and key", () => {
    expect(RoomTest.check).type.toBeCallableWith(Board, boardLive, { key: 7 })
    expect(RoomTest.check).type.not.toBeCallableWith(Board, boardLive, { key: "seven" })
    expect(RoomTest.check).type.not.toBeCallableWith(Chat, boardLive)
  })

  it("knows what a member receives", () => {
    const joined = null as unknown as { readonly events: import("heddle").Client.Joined<typeof Chat>["events"] }
    const received = TestServer.received(joined)
    expect<Effect.Success<typeof received>>().type.toBe<Received<Room.Event<typeof Chat>>>()
    type Next = Effect.Success<ReturnType<typeof next>>
    const next = () => (null as unknown as Received<Room.Event<typeof Chat>>).next("Said")
    expect<Next["payload"]["text"]>().type.toBe<string>()
    expect((null as unknown as Received<Room.Event<typeof Chat>>).next).type.not.toBeCallableWith("Sayd")
  })
})
