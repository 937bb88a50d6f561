import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import * as Identity from "../../src/contract/Identity.ts"
import type * as Frame from "../../src/wire/Frame.ts"
import { guardedLayer, User } from "./guarded.ts"
import { memory, serve, type World } from "./harness.ts"
import { connect, errorOf, greeting as upgrading } from "./peer.ts"
import { settle } from "./stage.ts"

describe("identity", () => {
  const secret = "hunter2"

  const guarded = (
    sentence: string,
    body: (world: World & { readonly asked: Array<string | undefined> }) => Effect.Effect<void, unknown, Scope.Scope>,
    authenticate?: (handshake: Identity.Handshake) => Effect.Effect<{ readonly name: string }, Identity.Unauthorized>
  ) =>
    it.effect(sentence, () => {
      const asked: Array<string | undefined> = []
      const Auth = Identity.layer(User, (handshake) => {
        asked.push(handshake.token)
        if (authenticate !== undefined) return authenticate(handshake)
        return handshake.token?.startsWith("token-") === true
          ? Effect.succeed({ name: handshake.token.slice(6) })
          : Identity.unauthorized("the token is not accepted")
      })
      return serve(memory, { rooms: [guardedLayer.pipe(Layer.provide(Auth))] })((world) => body({ ...world, asked }))
    })

  guarded(
    "is asked for once per connection, and visible in every handler of it",
    ({ asked, peer }) =>
      Effect.gen(function*() {
        const [ada, bob] = [yield* peer("token-ada"), yield* peer("token-bob")]
        const { channel } = yield* ada.join("guarded", "a")
        yield* bob.join("guarded", "a")
        assert.deepInclude(yield* ada.request(channel, "Who"), { value: "ada" })
        assert.deepInclude(yield* bob.request(channel, "Who"), { value: "bob" })
        assert.deepInclude(yield* bob.request(channel, "Others"), { value: "ada,bob" })
        assert.deepStrictEqual(asked, ["token-ada", "token-bob"])
        assert.deepStrictEqual(ada.events(), [{ text: "ada joined" }, { text: "bob joined" }].slice(1))
      })
  )

  guarded(
    "refuses with an error and 4401, and neither tells the token",
    ({ engine, errors, open }) =>
      Effect.gen(function*() {
        for (const token of [secret, null]) {
          const one = yield* open
          one.send({ _tag: "hello", token, resume: null })
          assert.deepInclude(yield* one.next("error"), {
            ref: null,
            error: { _tag: "Unauthorized", detail: "the token is not accepted" }
          })
          assert.strictEqual(yield* one.closeCode, 4401)
          assert.notInclude(one.messages.join(), secret)
        }
        assert.strictEqual(yield* engine.connections, 0)
        assert.deepStrictEqual(errors, [])
      })
  )

  const greeting = (token: string): ReadonlyArray<Frame.ClientFrame> => [
    { _tag: "hello", token, resume: null },
    { _tag: "join", ref: 1, room: "guarded", key: "a", payload: null, position: null, last: null },
    { _tag: "join", ref: 2, room: "guarded", key: "b", payload: null, position: null, last: null }
  ]

  guarded(
    "that is known at once is answered in one message, with what was sent behind hello",
    ({ open }) =>
      Effect.gen(function*() {
        const one = yield* open
        one.send(...greeting("token-ada"))
        yield* one.answer(2)
        assert.deepStrictEqual(one.kinds(), ["welcome", "joined", "present", "joined", "present"])
        assert.lengthOf(one.messages, 1)
      })
  )

  guarded(
    "is awaited: what was sent behind hello is handled after it, in order",
    ({ open, pass }) =>
      Effect.gen(function*() {
        const one = yield* open
        one.send(...greeting("ada"))
        yield* settle
        assert.deepStrictEqual(one.frames, [])
        yield* pass(5_000)
        yield* one.answer(2)
        assert.deepStrictEqual(one.kinds(), ["welcome", "joined", "present", "joined", "present"])
      }),
    ({ token }) => Effect.delay(Effect.succeed({ name: token! }), 5_000)
  )

  for (const [when, millis] of [["at once", 0], ["later", 5_000]] as const) {
    guarded(
      `that is refused ${when} leaves nothing of what was sent behind hello`,
      ({ engine, open, pass }) =>
        Effect.gen(function*() {
          const one = yield* open
          one.send(...greeting("eve"))
          yield* pass(millis)
          assert.strictEqual(yield* one.closeCode, 4401)
          assert.deepStrictEqual(one.frames, [
            { _tag: "error", ref: null, error: { _tag: "Unauthorized", detail: "not you" } }
          ])
          assert.deepStrictEqual(yield* engine.rooms, [])
        }),
      () => {
        const refusal = Identity.unauthorized("not you")
        return millis === 0 ? refusal : Effect.delay(refusal, millis)
      }
    )
  }

  guarded("closes with 4408 when it takes longer than the handshake may", ({ open, pass }) =>
    Effect.gen(function*() {
      const one = yield* open
      one.send({ _tag: "hello", token: "ada", resume: null })
      yield* pass(10_000)
      assert.strictEqual(yield* one.closeCode, 4408)
      assert.strictEqual(one.all("welcome").length, 0)
    }), () => Effect.never)

  guarded(
    "closes with 1011 when the authenticator dies, and tells nothing of it",
    ({ errors, open }) =>
      Effect.gen(function*() {
        const one = yield* open
        one.send({ _tag: "hello", token: "x", resume: null })
        assert.strictEqual(yield* one.closeCode, 1011)
        assert.deepStrictEqual(one.messages, [])
        assert.isAbove(errors.length, 0)
      }),
    () => Effect.die(new Error(secret))
  )

  guarded(
    "serves a client whose Host is nonsense like any other",
    ({ errors, network, until, engine }) =>
      Effect.gen(function*() {
        const connector = network.connectWith({ headers: { host: "a b[" } })
        const one = yield* connect(connector, engine.address, "/live", until)
        yield* one.open
        one.send({ _tag: "hello", token: "token-ada", resume: null })
        yield* one.next("welcome")
        assert.deepStrictEqual(errors, [])
      })
  )

  it.effect("is told by a hello that came with the upgrade, of which the authenticator sees the token only", () => {
    const seen: Array<Identity.Handshake> = []
    const Auth = Identity.layer(User, (handshake) => {
      seen.push(handshake)
      return Effect.succeed({ name: "ada" })
    })
    return serve(memory, { rooms: [guardedLayer.pipe(Layer.provide(Auth))] })(({ engine, errors, network, until }) =>
      Effect.gen(function*() {
        const one = yield* connect(network.connect, engine.address, "/live", until, upgrading(...greeting(secret)))
        yield* one.answer(2)
        assert.deepStrictEqual(seen.map(({ token }) => token), [secret])
        assert.strictEqual(seen[0]!.headers.get("sec-websocket-protocol"), "heddle.v1+json")
        assert.deepStrictEqual(errors, [])
      })
    )
  })

  guarded("is replaced by a renewal, for the requests after it", ({ peer }) =>
    Effect.gen(function*() {
      const one = yield* peer("token-ada")
      const { channel } = yield* one.join("guarded", "a")
      assert.strictEqual((yield* one.answer(one.ask({ _tag: "renew", token: "token-eve" })))._tag, "ok")
      assert.deepInclude(yield* one.request(channel, "Who"), { value: "eve" })
    }))

  guarded("closes with 4401 when a renewal is refused", ({ peer }) =>
    Effect.gen(function*() {
      const one = yield* peer("token-ada")
      const ref = one.ask({ _tag: "renew", token: secret })
      assert.strictEqual(errorOf(yield* one.answer(ref)), "Unauthorized")
      assert.strictEqual(yield* one.closeCode, 4401)
    }))

  guarded(
    "closes with 4408 when a renewal takes longer than a handshake may",
    ({ pass, peer }) =>
      Effect.gen(function*() {
        const one = yield* peer("token-ada")
        one.ask({ _tag: "renew", token: "hang" })
        yield* settle
        yield* pass(10_000)
        assert.strictEqual(yield* one.closeCode, 4408)
      }),
    ({ token }) => token === "hang" ? Effect.never : Effect.succeed({ name: token! })
  )
})
