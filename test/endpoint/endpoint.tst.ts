/**
 * What the handler of an endpoint is told by its types, and what an engine requires for it.
 */
import { Context, Effect, Layer, Schema, type Scope, Stream } from "effect"
import { describe, expect, it } from "tstyche"
import * as Identity from "../../src/contract/Identity.ts"
import * as Endpoint from "../../src/engine/Endpoint.ts"
import * as Engine from "../../src/engine/Engine.ts"
import type { ListenError, Transport } from "../../src/engine/Transport.ts"

class Db extends Context.Service<Db, { readonly name: string }>()("app/Db") {}
class Session extends Context.Service<Session, { readonly of: string }>()("app/Session") {}
class CurrentUser extends Identity.Service<CurrentUser, { readonly id: string }>()("app/CurrentUser") {}
class Boom extends Schema.TaggedError<Boom>()("Boom", {}) {}

const nothing = () => Effect.void

describe("make", () => {
  it("gives the handler the parameters of the path, as text unless a schema says otherwise", () => {
    Endpoint.make("/rooms/:room/pages/:page", {
      params: { page: Schema.Int },
      handle: ({ params, query }) => {
        expect(params).type.toBe<{ readonly room: string; readonly page: number }>()
        expect(query).type.toBe<{}>()
        return Effect.void
      }
    })
  })

  it("gives the handler the parameters of the query", () => {
    Endpoint.make("/", {
      query: { since: Schema.optionalKey(Schema.FiniteFromString), tags: Schema.Array(Schema.String), at: Schema.Date },
      handle: ({ params, query }) => {
        expect(params).type.toBe<{}>()
        expect(query).type.toBe<
          { readonly tags: ReadonlyArray<string>; readonly at: Date; readonly since?: number }
        >()
        return Effect.void
      }
    })
  })

  it("knows the parameters in a generator, too", () => {
    Endpoint.make("/:room", {
      handle: Effect.fnUntraced(function*({ params, query }) {
        expect(params).type.toBe<{ readonly room: string }>()
        expect(query).type.toBe<{}>()
        yield* Effect.void
      })
    })
    Endpoint.make("/:room", {
      params: { room: Schema.Int },
      query: { q: Schema.String },
      handle: Effect.fnUntraced(function*({ params, query }) {
        expect(params).type.toBe<{ readonly room: number }>()
        expect(query).type.toBe<{ readonly q: string }>()
        yield* Effect.void
      })
    })
  })

  it("knows no other parameters", () => {
    expect(Endpoint.make).type.toBeCallableWith("/:a", { params: { a: Schema.Int }, handle: nothing })
    expect(Endpoint.make).type.not.toBeCallableWith("/:a", { params: { b: Schema.Int }, handle: nothing })
    expect(Endpoint.make).type.not.toBeCallableWith("/", { params: { a: Schema.Int }, handle: nothing })
    expect(Endpoint.make).type.not.toBeCallableWith("no-slash", { handle: nothing })
  })

  it("requires what the handler requires, but not what every connection has", () => {
    expect(Endpoint.make("/", { handle: nothing })).type.toBe<Endpoint.Endpoint<never>>()
    expect(Endpoint.make("/", {
      handle: Effect.fnUntraced(function*() {
        yield* Db
        yield* Endpoint.Request
        yield* Engine.Engine
        yield* Effect.addFinalizer(nothing)
      })
    })).type.toBe<Endpoint.Endpoint<Db>>()
  })

  it("takes only failures that close a connection", () => {
    expect(Endpoint.make).type.not.toBeCallableWith("/", { handle: () => Effect.fail(new Boom()) })
    expect(Endpoint.make).type.toBeCallableWith("/", { handle: () => new Endpoint.Reject({ code: 4000 }) })
    expect(Endpoint.make).type.toBeCallableWith("/", { handle: () => Identity.unauthorized("no") })
    expect(Endpoint.make).type.not.toBeCallableWith("/", { handle: async () => {} })
  })
})

declare const socket: Endpoint.Socket

describe("a socket", () => {
  it("streams messages and takes them", () => {
    expect(socket.messages).type.toBe<Stream.Stream<string | Uint8Array>>()
    expect(socket.messages.pipe(Stream.runForEach(socket.send))).type.toBe<Effect.Effect<void, Endpoint.Closed>>()
    expect(socket.publish("a", "b", { except: socket })).type.toBe<Effect.Effect<number>>()
    expect(socket.send).type.not.toBeCallableWith({ text: "an object" })
  })
})

const needy = Endpoint.make("/", {
  handle: Effect.fnUntraced(function*() {
    yield* Session
    yield* CurrentUser
  })
})

const SessionLive = Layer.effect(
  Session,
  Effect.gen(function*() {
    yield* Endpoint.Request
    yield* Effect.addFinalizer(nothing)
    const { name } = yield* Db
    return { of: name }
  })
)

describe("provide", () => {
  it("takes the service from what is required, and adds what its layer requires", () => {
    expect(needy).type.toBe<Endpoint.Endpoint<Session | CurrentUser>>()
    expect(needy.pipe(Endpoint.provide(SessionLive))).type.toBe<Endpoint.Endpoint<Db | CurrentUser>>()
    expect(Endpoint.provide(needy, SessionLive)).type.toBe<Endpoint.Endpoint<Db | CurrentUser>>()
  })

  it("takes only layers whose failures close a connection", () => {
    expect(Endpoint.provide).type.toBeCallableWith(needy, Layer.effect(Session, new Endpoint.Reject({ code: 4000 })))
    expect(Endpoint.provide).type.not.toBeCallableWith(needy, Layer.effect(Session, Effect.fail(new Boom())))
  })
})

describe("authenticate", () => {
  it("requires the authenticator of the identity", () => {
    expect(needy.pipe(Endpoint.authenticate(CurrentUser))).type.toBe<
      Endpoint.Endpoint<Session | Identity.Authenticator<CurrentUser>>
    >()
  })
})

describe("Engine.layer", () => {
  it("requires what its endpoints require, and no rooms", () => {
    expect(Engine.layer({ endpoints: [Endpoint.make("/", { handle: nothing })] })).type.toBe<
      Layer.Layer<Engine.Engine, ListenError, Transport>
    >()
    const served = needy.pipe(Endpoint.provide(SessionLive), Endpoint.authenticate(CurrentUser))
    expect(Engine.layer({ rooms: [], endpoints: [served] })).type.toBe<
      Layer.Layer<Engine.Engine, ListenError, Transport | Db | Identity.Authenticator<CurrentUser>>
    >()
  })

  it("is not content with an identity that is the same for everybody", () => {
    const engine = Engine.layer({ endpoints: [needy.pipe(Endpoint.provide(SessionLive))] })
    const provided = Layer.provide(
      engine,
      Layer.mergeAll(
        Layer.succeed(CurrentUser, { id: "everybody" } as never),
        Layer.succeed(Db, { name: "db" })
      )
    )
    expect(provided).type.toBe<
      Layer.Layer<Engine.Engine, ListenError, Transport | Endpoint.NotAuthenticated<CurrentUser>>
    >()
  })
})

describe("publish", () => {
  it("requires the engine", () => {
    expect(Endpoint.publish("a", "b")).type.toBe<Effect.Effect<number, never, Engine.Engine>>()
    expect<Scope.Scope>().type.not.toBe<Engine.Engine>()
  })
})
