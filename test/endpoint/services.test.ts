import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Identity from "../../src/contract/Identity.ts"
import * as Room from "../../src/contract/Room.ts"
import * as Endpoint from "../../src/engine/Endpoint.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { serve, until } from "./lab.ts"

class CurrentUser extends Identity.Service<CurrentUser, { readonly name: string }>()("test/CurrentUser") {}

const UserLive = Identity.layer(CurrentUser, ({ token }) =>
  token === undefined || token === "bad"
    ? Identity.unauthorized("a token is needed")
    : token === "slow"
    ? Effect.never
    : Effect.succeed({ name: token }))

class Pool extends Context.Service<Pool, { readonly log: Array<string> }>()("test/Pool") {}

/** Of one connection, and made from the pool of the application, the request and the identity. */
class Session extends Context.Service<Session, { readonly number: number; readonly of: string }>()("test/Session") {}

const SessionLive = Layer.effect(
  Session,
  Effect.gen(function*() {
    const { log } = yield* Pool
    const { params } = yield* Endpoint.Request
    const { name } = yield* CurrentUser
    if (params["room"] === "closed") return yield* new Endpoint.Reject({ code: 4404, reason: "closed" })
    const number = log.push(`begin ${name}`)
    yield* Effect.addFinalizer(() => Effect.sync(() => log.push(`end ${name}`)))
    return { number, of: `${params["room"]}` }
  })
)

/** Made from the session, and again only once for a connection. */
class Greeter extends Context.Service<Greeter, { readonly greet: string }>()("test/Greeter") {}

const GreeterLive = Layer.effect(
  Greeter,
  Effect.gen(function*() {
    const { number, of } = yield* Session
    return { greet: `hello in ${of}: ${number}` }
  })
)

const Greeting = Endpoint.make("/rooms/:room", {
  protocols: ["greeting"],
  handle: Effect.fnUntraced(function*(socket) {
    const { greet } = yield* Greeter
    const { number } = yield* Session
    const { name } = yield* CurrentUser
    yield* socket.send(`${greet} = ${number} ${name}`)
    yield* socket.messages.pipe(Stream.runForEach(socket.send))
  })
}).pipe(
  Endpoint.provide(GreeterLive),
  Endpoint.provide(SessionLive),
  Endpoint.authenticate(CurrentUser)
)

const Open = Endpoint.make("/open", { handle: (socket) => socket.send("come in") })

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })

describe("the services of an endpoint", () => {
  const withPool = (log: Array<string>) => Effect.provide(Layer.merge(UserLive, Layer.succeed(Pool, { log })))

  it.effect("are made for each connection, once, and released when it ends", () => {
    const log: Array<string> = []
    return serve([Greeting])(Effect.fnUntraced(function*({ empty, open }) {
      const ada = yield* open("/rooms/a", bearer("ada"))
      const bob = yield* open("/rooms/b", { protocols: ["bearer.bob", "greeting"] })
      assert.strictEqual(bob.protocol, "greeting")
      yield* until("both are greeted", () => ada.messages.length + bob.messages.length === 2)
      assert.deepStrictEqual(ada.messages, ["hello in a: 1 = 1 ada"])
      assert.deepStrictEqual(bob.messages, ["hello in b: 2 = 2 bob"])
      ada.cut()
      yield* until("one is released", () => log.length === 3)
      bob.close()
      yield* empty
      assert.deepStrictEqual(log, ["begin ada", "begin bob", "end ada", "end bob"])
    })).pipe(withPool(log))
  })

  it.effect("may refuse the connection; nobody who is not known is let in, and nobody else is asked", () => {
    const log: Array<string> = []
    return serve([Greeting, Open])(Effect.fnUntraced(function*({ empty, end, errors, open }) {
      const ends = yield* Effect.forEach(
        [{}, bearer("bad"), { headers: { authorization: "Basic x" } }],
        (how) => Effect.flatMap(open("/rooms/a", how), end)
      )
      for (const event of ends) assert.deepStrictEqual(event, { code: 4401, reason: "a token is needed" })
      assert.deepStrictEqual(yield* Effect.flatMap(open("/rooms/closed", bearer("ada")), end), {
        code: 4404,
        reason: "closed"
      })
      const anybody = yield* open("/open")
      assert.strictEqual((yield* end(anybody)).code, 1000)
      assert.deepStrictEqual(anybody.messages, ["come in"])
      yield* empty
      assert.deepStrictEqual([log, errors], [[], []])
    })).pipe(withPool(log))
  })

  it.effect("must be there within the handshake time; what the client sends meanwhile waits", () => {
    const Slow = Endpoint.make("/slow", { handle: (socket) => Stream.runForEach(socket.messages, socket.send) }).pipe(
      Endpoint.provide(Layer.effectDiscard(Effect.sleep("9 seconds")))
    )
    return serve([Greeting, Slow])(Effect.fnUntraced(function*({ empty, end, open }) {
      const never = yield* open("/rooms/a", bearer("slow"))
      const slow = yield* open("/slow")
      slow.send("early")
      yield* TestClock.adjust("9999 millis")
      assert.isUndefined(never.closed)
      assert.deepStrictEqual(slow.messages, ["early"])
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* end(never)).code, 4408)
      yield* TestClock.adjust("1 minute")
      assert.isUndefined(slow.closed)
      slow.close()
      yield* empty
    })).pipe(withPool([]))
  })

  it.effect("are given up when the connection ends before they are there", () => {
    const log: Array<string> = []
    const Half = Endpoint.make("/half", { handle: () => Effect.die("not reached") }).pipe(
      Endpoint.provide(Layer.effectDiscard(Effect.gen(function*() {
        yield* Effect.addFinalizer(() => Effect.sync(() => log.push("released")))
        yield* Effect.never
      })))
    )
    return serve([Half])(Effect.fnUntraced(function*({ empty, errors, open }) {
      const client = yield* open("/half")
      client.cut()
      yield* empty
      assert.deepStrictEqual([log, errors], [["released"], []])
    }))
  })

  it.effect("say nothing of the token, even when everything is printed", () => {
    const printed: Array<string> = []
    const Print = Endpoint.make("/print", {
      protocols: ["a"],
      handle: (socket) =>
        Effect.gen(function*() {
          printed.push(JSON.stringify(socket), JSON.stringify(yield* Endpoint.Request), `${socket}`)
          return yield* Effect.die(new Error("crash"))
        })
    })
    return serve([Print])(Effect.fnUntraced(function*({ end, errors, open }) {
      yield* end(yield* open("/print?token=secret", { ...bearer("secret"), protocols: ["bearer.secret", "a"] }))
      assert.notInclude([...printed, ...errors].join(), "secret")
    }))
  })

  it.effect("include the engine: an endpoint is a bridge to rooms", () => {
    class Chat extends Room.make("chat", { events: { Said: { text: Schema.String } } }) {}
    const Bridge = Endpoint.make("/bridge", {
      handle: (socket) =>
        Stream.runForEach(socket.messages, (text) =>
          Engine.emit(Chat, "lobby", "Said", { text: `${text}` }).pipe(
            Effect.flatMap(({ offset }) => socket.send(`${offset}`)),
            Effect.catchTag(["EventInvalid", "EventTooLarge"], Effect.die)
          ))
    })
    const options = { rooms: [Chat.toLayer(() => ({}))] } as never
    return serve([Bridge], options)(Effect.fnUntraced(function*({ open }) {
      const client = yield* open("/bridge")
      client.send("a")
      client.send("b")
      yield* until("both are emitted", () => client.messages.length === 2)
      assert.deepStrictEqual(client.messages, ["1", "2"])
    }))
  })
})
