/**
 * What a server is told by its types.
 */
import { Effect, type Layer } from "effect"
import { Engine, Identity, type Room, type Topic, type Transport } from "heddle"
import * as Runtime from "heddle/runtime"
import { describe, expect, it } from "tstyche"
import { Board, Chat, CurrentUser, Db, Lobby, Muted, Prices, RoomFull, type TooLong } from "./contract.ts"

type ChatMember = Room.Member<typeof Chat>

const ChatLive = Chat.toLayer((room) => ({
  join: ({ payload }) => Effect.succeed({ name: payload.name }),
  snapshot: () => Effect.succeed({ lastId: 0 }),
  Say: Effect.fnUntraced(function*({ payload }) {
    const user = yield* CurrentUser
    if (user.muted) return yield* new Muted({ until: new Date(0) })
    return (yield* room.emit("Said", { from: user.id, text: payload.text })).offset
  }),
  Count: () => Effect.succeed({ total: 0 }),
  Find: () => Effect.succeed([]),
  Typing: () => Effect.void,
  Moved: () => Effect.void
}))

describe("handlers", () => {
  Chat.toLayer((room) => {
    it("know their room", () => {
      expect(room).type.toBe<Room.Handle<typeof Chat>>()
      expect(room.key).type.toBe<string>()
      expect(room.members).type.toBe<ReadonlyMap<string, ChatMember>>()
      expect(room.emit("Cleared")).type.toBe<Effect.Effect<Room.Emitted, Room.EmitError>>()
      expect(room.emit).type.toBeCallableWith("Cleared", undefined, {})
      expect(room.emit("Cleared", undefined, { wait: true })).type.toBe<Effect.Effect<Room.Taken, Room.EmitError>>()
      expect(room.emit("Counted", 1, { except: [] })).type.toBe<Effect.Effect<Room.Emitted, Room.EmitError>>()
      expect(room.emit("Counted", 1, { wait: false })).type.toBe<Effect.Effect<Room.Emitted, Room.EmitError>>()
      expect(room.emit).type.not.toBeCallableWith("Counted", 1, { waits: true })
      expect(room.emit).type.toBeCallableWith("Counted", 1)
      expect(room.emit).type.not.toBeCallableWith("Counted")
      expect(room.emit).type.not.toBeCallableWith("Sayd", { from: "a", text: "b" })
    })
    return {
      join: ({ payload, memberId, cause }) => {
        it("join", () => {
          expect(payload).type.toBe<{ readonly name: string }>()
          expect(memberId).type.toBe<string>()
          expect(cause).type.toBe<"join" | "restart">()
        })
        return room.members.size < 100
          ? Effect.succeed({ name: payload.name })
          : Effect.fail(new RoomFull({ limit: 100 }))
      },
      snapshot: ({ member }) => {
        it("snapshot", () => expect(member).type.toBeAssignableTo<ChatMember>())
        return Effect.succeed({ lastId: 0 })
      },
      leave: ({ member, reason }) => {
        it("leave", () => {
          expect(member).type.toBeAssignableTo<ChatMember>()
          expect(reason).type.toBe<"left" | "kicked" | "lost" | "stopped">()
        })
        return Effect.void
      },
      Say: Effect.fnUntraced(function*({ payload, member }) {
        it("a request, as a generator", () => {
          expect(payload).type.toBe<{ readonly text: string; readonly urgent?: boolean }>()
          expect(member).type.toBeAssignableTo<ChatMember>()
          expect(member.presence).type.toBe<{ readonly name: string }>()
          expect(member.send("Said", { from: "a", text: "b" })).type.toBe<Effect.Effect<void, Room.EmitError>>()
          expect(member.send).type.not.toBeCallableWith("Said", { from: "a" })
        })
        return yield* Effect.succeed(payload.text.length)
      }),
      Count: ({ payload }) => {
        it("a request without payload", () => expect(payload).type.toBe<void>())
        return Effect.succeed({ total: 1 })
      },
      Find: ({ payload }) => {
        it("a request as a plain function", () => expect(payload).type.toBe<{ readonly limit?: number }>())
        return Effect.succeed([])
      },
      Typing: ({ payload }) => {
        it("a notice without payload", () => expect(payload).type.toBe<void>())
        return room.emit("Typing", { from: "a" })
      },
      Moved: ({ payload }) => {
        it("a notice", () => expect(payload).type.toBe<{ readonly x: number }>())
        return Effect.void
      }
    }
  })

  it("know a key that is not a string", () => {
    Board.toLayer((board) => {
      expect(board.key).type.toBe<number>()
      return { Draw: () => Effect.void }
    })
  })

  it("may be left out where the contract says nothing", () => {
    expect(Lobby.toLayer(() => ({}))).type.toBe<Layer.Layer<Room.Behavior<"lobby">>>()
  })
})

describe("the requirements of a layer", () => {
  it("have an authenticator in place of an identity that a handler needs", () => {
    expect(ChatLive).type.toBe<Layer.Layer<Room.Behavior<"chat">, never, Identity.Authenticator<CurrentUser>>>()
  })

  it("are what `init` and the handlers need, but no scope", () => {
    const BoardLive = Board.toLayer(Effect.fnUntraced(function*(board) {
      yield* (yield* Db).last(String(board.key))
      return Board.of({ Draw: () => Effect.addFinalizer(() => Effect.void) })
    }))
    expect(BoardLive).type.toBe<Layer.Layer<Room.Behavior<"board">, never, Db>>()
  })

  it("are those of the rooms, and the transport, for the engine", () => {
    expect(Engine.layer({ rooms: [ChatLive, Prices] })).type.toBe<
      Layer.Layer<Engine.Engine, Transport.ListenError, Identity.Authenticator<CurrentUser> | Transport.Transport>
    >()
    expect(Runtime.layer()).type.toBe<Layer.Layer<Transport.Transport>>()
  })

  it("of a topic are those of who decides about subscribers", () => {
    const PricesLive = Prices.toLayer({
      authorize: Effect.fnUntraced(function*({ key }) {
        expect(key).type.toBe<"HDL" | "LOOM">()
        yield* CurrentUser
      })
    })
    expect(PricesLive).type.toBe<
      Layer.Layer<Topic.Behavior<"prices">, never, Identity.Authenticator<CurrentUser>>
    >()
  })
})

describe("an identity", () => {
  const live = (options?: Identity.Options<{ readonly id: string; readonly muted: boolean }>) =>
    Identity.layer(CurrentUser, () => Effect.succeed({ id: "1", muted: false }), options)

  it("may say its subject, or that it has none", () => {
    expect(live()).type.toBe<Layer.Layer<Identity.Authenticator<CurrentUser>>>()
    expect(live).type.toBeCallableWith({ subject: ({ id }: { readonly id: string }) => id })
    expect(live).type.toBeCallableWith({ subject: () => undefined })
    expect(live).type.not.toBeCallableWith({ subject: ({ muted }: { readonly muted: boolean }) => muted })
    expect(live).type.not.toBeCallableWith({ subject: ({ name }: { readonly name: string }) => name })
  })

  it("knows its value where it says so", () => {
    Identity.layer(CurrentUser, () => Effect.succeed({ id: "1", muted: false }), {
      subject: (user) => {
        expect(user).type.toBe<{ readonly id: string; readonly muted: boolean }>()
        return user.id
      }
    })
  })
})

describe("publishing from outside", () => {
  it("to a room", () => {
    expect(Engine.emit(Chat, "lobby", "Said", { from: "a", text: "b" })).type.toBe<
      Effect.Effect<Room.Emitted, Room.EmitError, Engine.Engine>
    >()
  })

  it("to a topic", () => {
    expect(Engine.publish(Prices, "HDL", { price: 1 })).type.toBe<
      Effect.Effect<Room.Emitted, Room.EmitError, Engine.Engine>
    >()
  })
})

it("errors of the contract are the only ones a handler may fail with", () => {
  type Say = ReturnType<Room.Handlers<typeof Chat>["Say"]>
  expect<Say>().type.toBe<Effect.Effect<number, Muted | TooLong | Room.EmitError, any>>()
})
