import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import * as Identity from "../../src/contract/Identity.ts"
import { Ids } from "../../src/engine/Ids.ts"
import { Keyring, Tokens } from "../../src/engine/Tokens.ts"
import { msgpack } from "../../src/wire/Msgpack.ts"
import { guardedLayer, User } from "./guarded.ts"
import { memory, serve, type World } from "./harness.ts"
import { Client, sessionTest } from "./returning.ts"
import { count, settle } from "./stage.ts"

describe("ids", () => {
  it.effect("are random in every bit", () =>
    Effect.gen(function*() {
      const ids = Array.from({ length: 5_000 }, yield* yield* Ids)
      const letters = (at: number) => new Set(ids.map((id) => id[at])).size
      assert.deepStrictEqual(Array.from({ length: 16 }, (_, at) => letters(at)), Array.from({ length: 16 }, () => 64))
      assert.isTrue(ids.every((id) => /^[\w-]{16}$/.test(id)))
    }))
})

describe("tokens", () => {
  it.effect("are never the same, have 128 random bits at least, and are kept as hashes only", () =>
    Effect.gen(function*() {
      const { hash, make } = yield* Tokens
      const secrets = Array.from({ length: 1_000 }, make)
      assert.strictEqual(new Set(secrets).size, 1_000)
      for (const secret of secrets) {
        assert.match(secret, /^[\w-]{22,}$/)
        assert.strictEqual(hash(secret).length, 43)
      }
      assert.notInclude(hash(secrets[0]!), secrets[0]!)
    }))

  it("of a session: the newest is good, the one before it until the newest has arrived, older ones are recognised", () => {
    const keys = new Keyring({ newest: "1", former: undefined, retired: [] })
    keys.rotate("1", "2")
    assert.deepStrictEqual(["1", "2", "3"].map((hash) => keys.judge(hash)), ["good", "good", "unknown"])
    // Its welcome was lost.
    keys.rotate("1", "3")
    assert.deepStrictEqual(["1", "2", "3"].map((hash) => keys.judge(hash)), ["good", "reused", "good"])
    assert.isTrue(keys.confirm())
    assert.isFalse(keys.confirm())
    assert.deepStrictEqual(["1", "2", "3"].map((hash) => keys.judge(hash)), ["reused", "reused", "good"])
    for (let next = 4; next < 14; next++) {
      keys.rotate(`${next - 1}`, `${next}`)
      keys.confirm()
    }
    assert.strictEqual(keys.hashes.retired.length, 8)
    assert.deepStrictEqual(["3", "5", "12", "13"].map((hash) => keys.judge(hash)), [
      "unknown",
      "reused",
      "reused",
      "good"
    ])
  })

  sessionTest(
    "are told in the welcome, with the window and the number of the last request",
    {},
    ({ client }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        assert.deepInclude(ada.first, { window: 120_000, seq: 0 })
        assert.isTrue(ada.token.startsWith(`${ada.first.session}.`))
        yield* ada.join("ada")
        for (const what of ["1", "2"]) yield* ada.request(what)
        yield* ada.drop
        assert.deepInclude(yield* ada.resume, { session: ada.first.session, seq: 2 })
      })
  )

  sessionTest(
    "are not there where sessions are switched off",
    {},
    ({ client, stats, trace }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        assert.deepInclude(ada.first, { resume: null, window: null, seq: null })
        yield* ada.join("ada")
        yield* ada.drop
        assert.strictEqual(count(trace, "leave ada lost"), 1)
        assert.deepInclude(yield* stats, { sessions: { attached: 0, detached: 0 } })
        assert.deepInclude(yield* ada.resumeWith("any.token"), { resume: null })
      }),
    {},
    { limits: { sessionWindow: 0 } }
  )

  sessionTest(
    "that were replaced are refused, and the session of who is connected goes on",
    {},
    ({ client, stats }) =>
      Effect.gen(function*() {
        const [ada, eve] = [yield* client(), yield* client()]
        yield* ada.join("ada")
        const stolen = ada.token
        yield* ada.drop
        yield* ada.resume
        const { memberId } = yield* ada.join("ada")
        assert.notStrictEqual((yield* eve.resumeWith(stolen)).session, ada.first.session)
        assert.isUndefined(ada.peer.closed)
        assert.deepInclude((yield* stats).resumes, { resumed: 1, reused: 1 })
        yield* ada.drop
        assert.strictEqual((yield* ada.resume).session, ada.first.session)
        assert.strictEqual((yield* ada.join("ada")).memberId, memberId)
      })
  )

  sessionTest(
    "that were replaced end a session that nobody is connected to",
    {},
    ({ client, trace }) =>
      Effect.gen(function*() {
        const [ada, eve] = [yield* client(), yield* client()]
        yield* ada.join("ada")
        const stolen = ada.token
        yield* ada.drop
        yield* ada.resume
        yield* ada.drop
        assert.notStrictEqual((yield* eve.resumeWith(stolen)).session, ada.first.session)
        assert.strictEqual(count(trace, "leave ada lost"), 1)
        assert.notStrictEqual((yield* ada.resume).session, ada.first.session)
      })
  )

  sessionTest(
    "are good as long as the welcome with the next one may be lost",
    {},
    ({ client }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        yield* ada.join("ada")
        const { token } = ada
        for (let time = 0; time < 5; time++) {
          yield* ada.drop
          // The welcome never arrived, as far as the server knows.
          assert.strictEqual((yield* ada.resumeWith(token, false)).session, ada.first.session)
        }
        yield* ada.drop
        const { resume, session } = yield* ada.resumeWith(token)
        assert.strictEqual(session, ada.first.session)
        yield* ada.drop
        assert.notStrictEqual((yield* ada.resumeWith(token)).session, ada.first.session)
        // Who came with the old one had a copy.
        assert.notStrictEqual((yield* ada.resumeWith(resume!)).session, ada.first.session)
      })
  )

  sessionTest(
    "are good as soon as they are told, though nobody has confirmed it",
    {},
    ({ client }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        yield* ada.join("ada")
        yield* ada.drop
        const { resume } = yield* ada.resumeWith(ada.token, false)
        yield* ada.drop
        assert.strictEqual((yield* ada.resumeWith(resume!)).session, ada.first.session)
      })
  )

  sessionTest(
    "are not confirmed by what was sent before the welcome came",
    {},
    ({ client, open }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        yield* ada.join("ada")
        const { token } = ada
        yield* ada.drop
        const eager = yield* open
        eager.send({ _tag: "hello", token: null, resume: token }, { _tag: "pong" }, { _tag: "pong" })
        yield* eager.next("welcome")
        yield* settle
        assert.strictEqual((yield* ada.resumeWith(token)).session, ada.first.session)
      })
  )

  sessionTest("that nobody was ever given are refused", {}, ({ client, stats }) =>
    Effect.gen(function*() {
      const ada = yield* client()
      yield* ada.join("ada")
      const wrong = ["", ".", "x", ada.first.session, `${ada.first.session}.`, `${ada.token}x`, `${ada.token}.`]
      for (const token of [...wrong, ada.token.slice(0, -1), "x".repeat(10_000)]) {
        const eve = yield* client()
        assert.notStrictEqual((yield* eve.resumeWith(token)).session, ada.first.session)
      }
      assert.deepInclude((yield* stats).resumes, { unknown: wrong.length + 2, resumed: 0, reused: 0 })
      assert.isUndefined(ada.peer.closed)
    }))

  sessionTest(
    "are good for the subprotocol that the session began with only",
    {},
    ({ client, network, engine }) =>
      Effect.gen(function*() {
        const ada = yield* client()
        yield* ada.join("ada")
        yield* ada.drop
        const messages: Array<Uint8Array> = []
        const socket = network.connect(`${engine.address.url.replace("http", "ws")}/live`, [msgpack.subprotocol], {
          open: () => socket.send(msgpack.encode({ _tag: "hello", token: null, resume: ada.token }).data),
          message: (data) => messages.push(data as Uint8Array),
          close: () => {}
        })
        yield* settle
        const [welcome] = msgpack.decodeServer(messages[0]!, 1)!
        assert.deepInclude(welcome, { _tag: "welcome" })
        assert.notStrictEqual((welcome as { readonly session: string }).session, ada.first.session)
        assert.strictEqual((yield* ada.resume).session, ada.first.session)
      })
  )
})

describe("credentials", () => {
  const guarded = (
    sentence: string,
    body: (
      world: World,
      client: (name: string) => Effect.Effect<Client, never, any>
    ) => Effect.Effect<void, unknown, any>
  ) =>
    it.effect(sentence, () => {
      const Auth = Identity.layer(
        User,
        ({ token }) => {
          const name = Option.fromUndefinedOr(token).pipe(Option.filter((text) => text !== "nobody"))
          return Option.isSome(name) ? Effect.succeed({ name: name.value }) : Identity.unauthorized("who?")
        },
        { subject: ({ name }) => name.split("-")[0] }
      )
      return serve(memory, { rooms: [guardedLayer.pipe(Layer.provide(Auth))] })((world) =>
        body(world, (name) => Effect.map(world.peer(name), (peer) => new Client(world, peer, name)))
      )
    })

  guarded("are shown again by who comes back, and become those of the session", (_, client) =>
    Effect.gen(function*() {
      const ada = yield* client("ada-1")
      const { channel, memberId } = yield* ada.peer.join("guarded", "a")
      yield* ada.drop
      ada.credentials = "ada-2"
      assert.strictEqual((yield* ada.resume).session, ada.first.session)
      assert.strictEqual((yield* ada.peer.join("guarded", "a")).memberId, memberId)
      assert.deepInclude(yield* ada.peer.answer(ada.peer.sendRequest(channel, "Who", null, 1)), { value: "ada-2" })
    }))

  guarded(
    "of somebody else get a new session, and the old one waits for its owner",
    ({ engine }, client) =>
      Effect.gen(function*() {
        const ada = yield* client("ada")
        const { memberId } = yield* ada.peer.join("guarded", "a")
        yield* ada.drop
        const eve = yield* client("eve")
        assert.notStrictEqual((yield* eve.resumeWith(ada.token)).session, ada.first.session)
        assert.deepInclude((yield* engine.stats).resumes, { mismatched: 1, resumed: 0 })
        assert.strictEqual((yield* ada.resume).session, ada.first.session)
        assert.strictEqual((yield* ada.peer.join("guarded", "a")).memberId, memberId)
      })
  )

  guarded("that are refused leave the session to its owner", ({ open }, client) =>
    Effect.gen(function*() {
      const ada = yield* client("ada")
      yield* ada.drop
      const other = yield* open
      other.send({ _tag: "hello", token: "nobody", resume: ada.token })
      assert.strictEqual(yield* other.closeCode, 4401)
      // A client that was let in has something to come back for.
      assert.strictEqual((yield* ada.resume).session, ada.first.session)
    }))

  guarded("that were renewed are those that who comes back must match", (_, client) =>
    Effect.gen(function*() {
      const ada = yield* client("ada")
      assert.strictEqual((yield* ada.peer.answer(ada.peer.ask({ _tag: "renew", token: "eve" })))._tag, "ok")
      yield* ada.drop
      assert.notStrictEqual((yield* ada.resume).session, ada.first.session)
      ada.credentials = "eve"
      assert.strictEqual((yield* ada.resumeWith(ada.first.resume!)).session, ada.first.session)
    }))

  guarded("that a renewal does not have end the session", ({ engine }, client) =>
    Effect.gen(function*() {
      const ada = yield* client("ada")
      yield* ada.peer.join("guarded", "a")
      ada.peer.ask({ _tag: "renew", token: "nobody" })
      assert.strictEqual(yield* ada.peer.closeCode, 4401)
      assert.deepInclude((yield* engine.rooms)[0], { members: 0 })
      assert.notStrictEqual((yield* ada.resume).session, ada.first.session)
    }))
})
