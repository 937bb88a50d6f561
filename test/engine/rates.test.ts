/** Bounds that several connections share: those of one user, and those from one address. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Scope, Stream } from "effect"
import * as Identity from "../../src/contract/Identity.ts"
import { Addresses, Connections } from "../../src/engine/Addresses.ts"
import * as Endpoint from "../../src/engine/Endpoint.ts"
import type * as Engine from "../../src/engine/Engine.ts"
import { FrameRate } from "../../src/engine/FrameRate.ts"
import * as Limits from "../../src/engine/Limits.ts"
import type { Refusal, Upgrade } from "../../src/engine/Transport.ts"
import { Users } from "../../src/engine/Users.ts"
import { acceptor, statusOf } from "../endpoint/lab.ts"
import { guardedLayer, User } from "./guarded.ts"
import { memory, serve, type World } from "./harness.ts"
import { connect, errorOf, type Peer } from "./peer.ts"
import { settle } from "./stage.ts"

const authenticators = new Map([["user", {
  identity: "user",
  authenticate: () => Effect.never,
  subject: (value: unknown) => (value as { readonly id: string }).id
}]])

describe("the rate of a user", () => {
  const limits = { userRate: 10, userBurst: 4 }

  const userTest = (
    sentence: string,
    body: (world: World) => Effect.Effect<void, unknown, Scope.Scope | Engine.Engine>,
    options: Identity.Options<{ readonly name: string }> = { subject: ({ name }) => name },
    more: Partial<Limits.Limits> = {}
  ) =>
    it.effect(sentence, () => {
      const Auth = Identity.layer(User, ({ token }) => Effect.succeed({ name: token! }), options)
      return serve(memory, {
        rooms: [guardedLayer.pipe(Layer.provide(Auth))],
        limits: { ...limits, ...more },
        http: { metrics: true }
      })(body)
    })

  /** Sends so many frames at once; the names of the errors that answer them. `NotServed` is what was taken. */
  const errors = (peer: Peer, frames: number) =>
    Effect.forEach(
      Array.from({ length: frames }, () => peer.ask({ _tag: "subscribe", topic: "none", key: "k", position: null })),
      (ref) => Effect.map(peer.answer(ref), errorOf)
    )
  const taken = (peer: Peer, frames: number) =>
    Effect.map(errors(peer, frames), (all) => all.filter((error) => error === "NotServed").length)

  userTest("is shared by all its connections, and by nobody else", ({ pass, peer }) =>
    Effect.gen(function*() {
      const [one, two, other] = [yield* peer("ada"), yield* peer("ada"), yield* peer("bob")]
      assert.deepStrictEqual(yield* errors(one, 3), ["NotServed", "NotServed", "NotServed"])
      assert.deepStrictEqual(yield* errors(two, 3), ["NotServed", "RateLimited", "RateLimited"])
      assert.strictEqual(yield* taken(one, 1), 0)
      assert.strictEqual(yield* taken(other, 4), 4)
      yield* pass(300)
      assert.strictEqual(yield* taken(two, 4), 3)
      // Its own rate allows far more.
      assert.isUndefined(one.closed)
    }))

  userTest("is told with when to try again", ({ pass, peer }) =>
    Effect.gen(function*() {
      const one = yield* peer("ada")
      yield* errors(one, 4)
      yield* pass(40)
      const ref = one.ask({ _tag: "subscribe", topic: "none", key: "k", position: null })
      assert.deepInclude(yield* one.answer(ref), { error: { _tag: "RateLimited", retryAfter: 60 } })
      yield* pass(60)
      assert.strictEqual(yield* taken(one, 1), 1)
    }))

  userTest(
    "closes the connection that goes on in spite of it with 4429, and no other",
    ({ peer }) =>
      Effect.gen(function*() {
        const [one, two] = [yield* peer("ada"), yield* peer("ada")]
        for (let frame = 0; frame < 30; frame++) {
          one.ask({ _tag: "subscribe", topic: "none", key: "k", position: null })
        }
        assert.strictEqual(yield* one.closeCode, 4429)
        assert.strictEqual(one.all("error").filter(({ error }) => error._tag === "RateLimited").length, 20)
        assert.isUndefined(two.closed)
      }),
    undefined,
    { frameBurst: 20, frameRate: 1_000 }
  )

  userTest("never keeps anybody from leaving", ({ peer }) =>
    Effect.gen(function*() {
      const one = yield* peer("ada")
      const { channel } = yield* one.join("guarded", "a")
      yield* errors(one, 4)
      assert.strictEqual((yield* one.answer(one.ask({ _tag: "leave", channel })))._tag, "ok")
    }))

  userTest("is not full again because somebody comes back", ({ empty, pass, peer }) =>
    Effect.gen(function*() {
      const one = yield* peer("ada")
      yield* errors(one, 4)
      one.close()
      yield* empty
      const again = yield* peer("ada")
      assert.strictEqual(yield* taken(again, 1), 0)
      again.close()
      yield* empty
      yield* pass(100)
      assert.strictEqual(yield* taken(yield* peer("ada"), 2), 1)
    }))

  userTest("is another's once the credentials are", ({ peer }) =>
    Effect.gen(function*() {
      const [one, bob] = [yield* peer("ada"), yield* peer("bob")]
      assert.strictEqual(yield* taken(bob, 3), 3)
      yield* one.answer(one.ask({ _tag: "renew", token: "bob" }))
      assert.strictEqual(yield* taken(one, 2), 1)
      yield* one.answer(one.ask({ _tag: "leave", channel: 1 }))
      assert.strictEqual(yield* taken(yield* peer("ada"), 4), 3, "the renewal was ada's")
    }))

  userTest(
    "is forgotten some time after its last connection: at the next heartbeat",
    ({ empty, network, engine, pass, peer }) =>
      Effect.gen(function*() {
        const users = Effect.map(
          Effect.promise(async () => (await network.fetch(new Request(`${engine.address.url}/metrics`))).text()),
          (text) => Number(/^heddle_users (\d+)$/m.exec(text)![1])
        )
        const peers = [yield* peer("ada"), yield* peer("ada"), yield* peer("bob")]
        for (const one of peers) yield* errors(one, 2)
        assert.strictEqual(yield* users, 2)
        for (const one of peers) one.close()
        yield* empty
        assert.strictEqual(yield* users, 2)
        yield* pass(Limits.defaults.heartbeat)
        assert.strictEqual(yield* users, 0)
      })
  )

  userTest("is none for those who are nobody in particular", ({ peer }) =>
    Effect.gen(function*() {
      const [one, two] = [yield* peer("ada"), yield* peer("ada")]
      assert.deepStrictEqual([yield* taken(one, 10), yield* taken(two, 10)], [10, 10])
    }), {})
})

describe("Users", () => {
  const make = (limits: Partial<Limits.Limits> = {}) => {
    const clock = { now: 0 }
    const users = new Users(
      { ...Limits.defaults, userRate: 10, userBurst: 10, ...limits },
      authenticators,
      () => clock.now
    )
    const spend = (subject: string, tokens: number) => {
      const user = users.enter(subject)
      for (let token = 0; token < tokens; token++) user.bucket.take(clock.now)
      return user
    }
    return { clock, users, spend }
  }

  it("forgets who has gone at once if nothing is owed, else when the bucket is full", () => {
    const { clock, spend, users } = make()
    users.leave(spend("quiet", 0))
    assert.strictEqual(users.size, 0)
    users.leave(spend("busy", 10))
    clock.now = 999
    users.sweep()
    assert.strictEqual(users.size, 1)
    clock.now = 1_000
    users.sweep()
    assert.strictEqual(users.size, 0)
  })

  it("keeps a user as long as one connection is left", () => {
    const { clock, users } = make()
    const user = users.enter("ada")
    assert.strictEqual(users.enter("ada"), user)
    users.leave(user)
    clock.now = 1e6
    users.sweep()
    assert.strictEqual(users.size, 1)
    users.leave(user)
    assert.strictEqual(users.size, 0)
  })

  it("keeps who has come back", () => {
    const { clock, spend, users } = make()
    users.leave(spend("ada", 10))
    users.enter("ada")
    clock.now = 1e6
    users.sweep()
    assert.strictEqual(users.size, 1)
  })

  it("keeps no more of those who have gone than there may be connections: the first leaves", () => {
    const { spend, users } = make({ connections: 3 })
    const first = spend("0", 10)
    users.leave(first)
    for (let index = 1; index <= 20; index++) users.leave(spend(`${index}`, 10))
    assert.strictEqual(users.size, 3)
    assert.notStrictEqual(users.enter("0"), first)
  })
})

describe("FrameRate", () => {
  const ping = { _tag: "request" }
  const [ada, bob] = ["ada", "bob"].map((id): Identity.Identities => new Map([["user", { id }]]))
  const make = (limits: Partial<Limits.Limits> = {}) => {
    const users = new Users({ ...Limits.defaults, ...limits }, authenticators, () => 0)
    return { users, rate: new FrameRate(users, 0) }
  }

  it("forgives once the connection's bucket and the user's are full", () => {
    const { rate } = make({ frameRate: 100, frameBurst: 2, userRate: 1, userBurst: 1 })
    rate.of(ada!)
    const take = (now: number) => {
      const refusal = rate.take(ping, now)
      return typeof refusal === "object" ? refusal.retryAfter : refusal
    }
    assert.deepStrictEqual([take(0), take(0), take(0)], [undefined, 1_000, 1_000])
    assert.strictEqual(take(999), "goes on")
    assert.deepStrictEqual([take(2_000), take(2_000), take(2_000)], [undefined, 1_000, 1_000])
    assert.strictEqual(take(2_000), "goes on")
  })

  it("counts its connection for one user at a time, and for none in the end", () => {
    const { rate, users } = make()
    for (const identities of [ada!, ada!, bob!, new Map(), ada!]) {
      rate.of(identities)
      assert.strictEqual(users.size, identities.size)
    }
    rate.end()
    rate.end()
    // The credentials were still being checked when the connection went.
    rate.of(bob!)
    assert.strictEqual(users.size, 0)
  })
})

describe("connections from one address", () => {
  const Echo = Endpoint.make("/echo", {
    protocols: ["heddle.v1+json"],
    handle: ({ messages, send }) => Stream.runForEach(messages, send)
  })

  it.effect("are too many with the next, which is answered 503 and when to come again; another address is not", () =>
    Effect.gen(function*() {
      const { open, upgrade } = yield* acceptor({ rooms: [], endpoints: [Echo], limits: { connectionsPerAddress: 2 } })
      const from = (address: string, url = "/") => upgrade(url, { address })
      const gone = open("/", { address: "1.1.1.1" })
      open("/echo", { address: "1.1.1.1" })
      for (const url of ["/", "/echo"]) {
        assert.deepInclude(from("1.1.1.1", url), { status: 503, body: "too many connections from this address\n" })
      }
      assert.property((from("1.1.1.1") as Refusal).headers, "retry-after")
      assert.strictEqual(from("2.2.2.2"), "accepted without subprotocol")
      gone.close(1006, "")
      assert.strictEqual(from("1.1.1.1"), "accepted without subprotocol")
    }))

  it.effect("are those of the address that trusted proxies name", () =>
    Effect.gen(function*() {
      const { open, upgrade } = yield* acceptor({ rooms: [], trustedHops: 1, limits: { connectionsPerAddress: 1 } })
      const via = (forwarded: string) => ({
        address: "10.0.0.1",
        headers: { host: "memory", "x-forwarded-for": forwarded }
      })
      open("/", via("6.6.6.6, 1.1.1.1"))
      assert.strictEqual(statusOf(upgrade("/", via("6.6.6.7, 1.1.1.1"))), 503)
      assert.strictEqual(upgrade("/", via("2.2.2.2")), "accepted without subprotocol")
    }))

  it.effect("are not looked for, which costs a call to the system, while there is no bound on them", () =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const request: Upgrade = {
        method: "GET",
        url: "/",
        protocols: [],
        header: () => undefined,
        address: () => {
          asked.push("address")
          return "1.1.1.1"
        },
        copy: () => {
          throw new Error("nobody authenticates")
        }
      }
      const unbounded = yield* acceptor({ rooms: [] })
      assert.strictEqual(unbounded.decide(request)._tag, "Accepted")
      assert.deepStrictEqual(asked, [])
      const bounded = yield* acceptor({ rooms: [], limits: { connectionsPerAddress: 2 } })
      assert.strictEqual(bounded.decide(request)._tag, "Accepted")
      assert.deepStrictEqual(asked, ["address"])
    }))

  it.effect("are as many as there are connections unless somebody says", () =>
    Effect.gen(function*() {
      const { open, upgrade } = yield* acceptor({ rooms: [] })
      for (let index = 0; index < 1_000; index++) open("/", {})
      assert.strictEqual(upgrade("/"), "accepted without subprotocol")
    }))

  it.effect("leave a place for the next when they are gone, however they went", () =>
    serve(memory, { rooms: [], endpoints: [Echo], limits: { connectionsPerAddress: 2 } })((world) =>
      Effect.gen(function*() {
        const { engine, network, until } = world
        const from = (path: string) =>
          Effect.tap(connect(network.connectWith({ address: "1.1.1.1" }), engine.address, path, until), () => settle)
        const isOpen = (peer: Peer) => peer.opened !== undefined && peer.closed === undefined
        const ends: Record<string, (peer: Peer) => void> = {
          close: (peer) => peer.close(),
          cut: (peer) => network.connections().find(({ socket }) => socket === peer.handle)!.cut(),
          "close, then cut": (peer) => (ends["close"]!(peer), ends["cut"]!(peer)),
          "too large": (peer) => peer.raw("x".repeat(100_000))
        }
        for (const path of ["/live", "/echo"]) {
          for (const [how, end] of Object.entries(ends)) {
            const peers = [yield* from(path), yield* from(path)]
            assert.deepStrictEqual(peers.map(isOpen), [true, true], `${path}, ${how}`)
            for (let round = 0; round < 3; round++) {
              assert.isFalse(isOpen(yield* from(path)), `${path}, ${how}`)
              end(peers.shift()!)
              yield* settle
              peers.push(yield* from(path))
              assert.deepStrictEqual(peers.map(isOpen), [true, true], `${path}, ${how}`)
            }
            for (const peer of peers) ends["cut"]!(peer)
            yield* settle
            assert.strictEqual(yield* engine.connections, 0)
          }
        }
      })
    ))

  it("are counted once, and released once, whatever is called twice", () => {
    const addresses = new Addresses(1)
    const connections = new Connections<{ readonly address: string }>(addresses)
    const one = { address: "1.1.1.1" }
    connections.add(one).add(one)
    assert.isTrue(connections.delete(one))
    assert.isFalse(addresses.isFull("1.1.1.1"))
    assert.isFalse(connections.delete(one))
    connections.add(one)
    assert.isTrue(addresses.isFull("1.1.1.1"))
    connections.delete(one)
    assert.strictEqual(addresses.size, 0)
  })
})
