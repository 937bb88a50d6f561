/**
 * The commonest mistakes: none compiles, and the message says what is wrong.
 *
 * tstyche checks the text behind each directive against what the compiler says; three dots stand for anything.
 */
import { Effect, Layer, Match, Schema, Stream } from "effect"
import { type Client, Engine, Room } from "heddle"
import * as Runtime from "heddle/runtime"
import { describe, it } from "tstyche"
import { Boom, Chat, CurrentUser, Db } from "./contract.ts"

declare const handle: Room.Handle<typeof Chat>
declare const room: Client.Joined<typeof Chat>

const handlers = {
  join: () => Effect.succeed({ name: "ada" }),
  snapshot: () => Effect.succeed({ lastId: 0 }),
  Say: () => Effect.succeed(1),
  Count: () => Effect.succeed({ total: 0 }),
  Find: () => Effect.succeed([]),
  Typing: () => Effect.void,
  Moved: () => Effect.void
}
const { Typing: _, ...handlersButTyping } = handlers

const serve = <E>(layer: Layer.Layer<Engine.Engine, E>) => Runtime.runMain(Layer.launch(layer))

describe("in a handler", () => {
  it("an event that is not in the contract", () => {
    // @ts-expect-error Argument of type '"Sayd"' is not assignable to parameter of type
    handle.emit("Sayd", { from: "a", text: "b" })
  })

  it("a payload that does not fit the event", () => {
    // @ts-expect-error Type 'number' is not assignable to type 'string'
    handle.emit("Said", { from: "a", text: 1 })
  })
})

describe("in the handlers", () => {
  it("one that is missing", () => {
    // @ts-expect-error Property 'Typing' is missing in type
    Chat.of(handlersButTyping)
  })

  it("one for something that is not in the contract", () => {
    // @ts-expect-error is not assignable to type '"heddle: the contract has no \"Foo\""'
    Chat.of({ ...handlers, Foo: () => Effect.void })
  })

  it("an error that is not in the contract", () => {
    // @ts-expect-error 'Boom' is not assignable to type
    Chat.of({ ...handlers, Say: () => Effect.fail(new Boom()) })
  })
})

describe("in the wiring", () => {
  it("a service that nobody provides", () => {
    const ChatLive = Chat.toLayer(() => ({ ...handlers, Count: () => Db.pipe(Effect.as({ total: 0 })) }))
    const served = Engine.layer({ rooms: [ChatLive] }).pipe(Layer.provide(Runtime.layer()))
    // @ts-expect-error Type 'Db' is not assignable to type 'never'
    serve(served)
  })

  it("an identity that nobody authenticates", () => {
    const ChatLive = Chat.toLayer(() => ({ ...handlers, Count: () => CurrentUser.pipe(Effect.as({ total: 0 })) }))
    const served = Engine.layer({ rooms: [ChatLive] }).pipe(
      Layer.provide(Layer.succeed(CurrentUser, { id: "everybody", muted: false })),
      Layer.provide(Runtime.layer())
    )
    // @ts-expect-error Type 'Authenticator<CurrentUser>' is not assignable to type 'never'
    serve(served)
  })
})

describe("in the client", () => {
  it("a field that the payload does not have", () => {
    // @ts-expect-error 'txt' does not exist in type '{ readonly text: string; readonly urgent?: boolean; }'. Did you mean to write 'text'?
    room.Say({ txt: "hello" })
  })

  it("a request that is not in the contract", () => {
    // @ts-expect-error Property 'Sya' does not exist on type 'Joined<typeof Chat>'
    room.Sya({ text: "hello" })
  })

  it("a payload that was forgotten", () => {
    // @ts-expect-error Expected 1 arguments, but got 0
    room.Say()
  })

  it("no case for `synced`", () => {
    Stream.runForEach(
      room.events,
      // @ts-expect-error Property 'synced' is missing in type
      Match.valueTags({
        Said: () => Effect.void,
        Typing: () => Effect.void,
        Counted: () => Effect.void,
        Cleared: () => Effect.void
      })
    )
  })
})

describe("in a contract", () => {
  it("a field that a request does not have", () => {
    // @ts-expect-error 'paylod' does not exist in type 'RequestDefinition'. Did you mean to write 'payload'?
    Room.make("typo", { requests: { Say: { paylod: { text: Schema.String } } } })
  })

  it("a message that starts with a lower-case letter", () => {
    // @ts-expect-error is not assignable to type '"heddle: \"join\" must start with an upper-case letter
    Room.make("clash", { requests: { join: {} } })
  })

  it("a fate that there is not", () => {
    // @ts-expect-error Argument of type '"dropAll"' is not assignable to parameter of type
    Room.volatile({ text: Schema.String }, "dropAll")
  })

  it("a key for conflation that is not in the payload", () => {
    // @ts-expect-error Property 'nmae' does not exist on type '{ readonly name: string; }'
    Room.volatile({ name: Schema.String }, { conflate: (payload) => payload.nmae })
  })

  it("a key for conflation that is not a string", () => {
    // @ts-expect-error Type 'number' is not assignable to type 'string'
    Room.volatile({ at: Schema.Finite }, { conflate: ({ at }) => at })
  })

  it("a fate for an event that is reliable", () => {
    // @ts-expect-error Type 'string' is not assignable to type 'Codec'
    Room.make("lossy", { events: { Said: { text: Schema.String, whenFull: "dropOldest" } } })
    // @ts-expect-error Argument of type 'Volatile<...>' is not assignable to parameter of type 'SchemaOrFields'
    Room.volatile(Room.volatile({ text: Schema.String }), "dropNewest")
  })

  it("a name that is a request and a notice", () => {
    // @ts-expect-error is not assignable to type '"heddle: \"Say\" is already a request
    Room.make("twice", { requests: { Say: {} }, notices: { Say: {} } })
  })
})
