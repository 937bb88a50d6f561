import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Schema, Stream } from "effect"
import * as Endpoint from "../../src/engine/Endpoint.ts"
import { acceptor, serve, statusOf, until } from "./lab.ts"

const Echo = Endpoint.make("/echo", {
  handle: (socket) => socket.messages.pipe(Stream.runForEach(socket.send))
})

const tell = (value: unknown) => JSON.stringify(value)

const Room = Endpoint.make("/rooms/:room/:page", {
  params: { page: Schema.Int },
  query: {
    since: Schema.optionalKey(Schema.FiniteFromString),
    tag: Schema.Array(Schema.String).pipe(Schema.withDecodingDefaultKey(Effect.succeed([]))),
    strict: Schema.optionalKey(Schema.Boolean)
  },
  handle: ({ params, query, send }) => send(tell({ params, query }))
})

describe("the path of an endpoint", () => {
  it.effect("decodes its parameters and the query's, which are otherwise text", () =>
    serve([Room, Echo])(Effect.fnUntraced(function*({ end, open }) {
      const one = yield* open("/rooms/caf%C3%A9%2F+%26/7?since=1.5&tag=a&tag=b&strict=true&other=1")
      assert.deepStrictEqual(yield* end(one), { code: 1000, reason: "" })
      assert.deepStrictEqual(one.messages, [
        tell({ params: { room: "café/+&", page: 7 }, query: { since: 1.5, tag: ["a", "b"], strict: true } })
      ])
      const two = yield* open("/rooms/x/8?tag=only")
      yield* end(two)
      assert.deepStrictEqual(two.messages, [tell({ params: { room: "x", page: 8 }, query: { tag: ["only"] } })])
    })))

  it.effect("refuses what does not fit with 400, names it, and does not say what stood there", () =>
    Effect.gen(function*() {
      const { upgrade } = yield* acceptor({ endpoints: [Room] })
      const cases = [
        ["/rooms/x/secret", "path parameter page: Expected number\n"],
        ["/rooms/x/1.5", "path parameter page: Expected an integer\n"],
        ["/rooms/x/1?since=secret", "query parameter since: Expected a finite number\n"],
        ["/rooms/x/1?since=1&since=2", "query parameter since: Expected number\n"],
        ["/rooms/x/1?strict=secret", "query parameter strict: Expected \"true\" | \"false\"\n"]
      ] as const
      for (const [url, body] of cases) assert.deepInclude(upgrade(url), { status: 400, body })
    }))

  it.effect("is found by its shape, the more literal first, and by nothing else", () =>
    Effect.gen(function*() {
      const answer = (name: string) => ({ handle: (socket: Endpoint.Socket) => socket.send(name) })
      const { upgrade } = yield* acceptor({ endpoints: [Echo, Room] })
      for (const url of ["/", "/echo/", "/Echo", "/echo/x", "/rooms/x", "/rooms//1", "/rooms/x/1/", "//echo", "*"]) {
        assert.strictEqual(statusOf(upgrade(url)), 404, url)
      }
      assert.strictEqual(upgrade("/echo?x=1"), "accepted without subprotocol")
      assert.strictEqual(upgrade("/%65cho"), "accepted without subprotocol")
      yield* serve([
        Endpoint.make("/:a/:b", answer("/:a/:b")),
        Endpoint.make("/a/:b", answer("/a/:b")),
        Endpoint.make("/:a/b", answer("/:a/b")),
        Endpoint.make("/a/b", answer("/a/b"))
      ])(Effect.fnUntraced(function*({ end, open }) {
        for (const [url, path] of [["/a/b", "/a/b"], ["/a/x", "/a/:b"], ["/x/b", "/:a/b"], ["/x/y", "/:a/:b"]]) {
          const client = yield* open(url!)
          yield* end(client)
          assert.deepStrictEqual(client.messages, [path!])
        }
      }))
    }))

  it.effect("is nobody else's", () =>
    Effect.gen(function*() {
      const at = (path: `/${string}`) => Endpoint.make(path, { handle: () => Effect.void })
      const fails = (endpoints: ReadonlyArray<Endpoint.Any>, rooms?: []) =>
        Effect.map(
          Effect.exit(Effect.scoped(acceptor({ endpoints, path: "/live", ...(rooms && { rooms }) }))),
          Exit.hasDies
        )
      assert.isTrue(yield* fails([at("/a/:b"), at("/a/:c")]))
      assert.isTrue(yield* fails([at("/live")], []))
      for (const path of ["/a//b", "/a/", "/:", "/:a/:a", "/a?b", "/a b", "/%20"] as const) {
        assert.isTrue(yield* fails([at(path)]), path)
      }
      assert.isFalse(yield* fails([at("/a/:b"), at("/a/b"), at("/"), at("/live")]))
    }))

  it.effect("obeys the engine's rules of method, origin, subprotocol and number of connections", () =>
    Effect.gen(function*() {
      const Chat = Endpoint.make("/chat", { protocols: ["chat.v2", "chat.v1"], handle: () => Effect.never })
      const { fetch, upgrade } = yield* acceptor({ endpoints: [Echo, Chat], origins: ["https://a.example"] })
      assert.strictEqual(statusOf(upgrade("/echo", { method: "POST" })), 426)
      const from = (origin: string) => upgrade("/echo", { headers: { host: "memory", origin } })
      assert.strictEqual(statusOf(from("https://b.example")), 403)
      assert.strictEqual(from("https://a.example"), "accepted without subprotocol")
      assert.strictEqual(from("http://memory"), "accepted without subprotocol")
      const offering = (...protocols: ReadonlyArray<string>) => upgrade("/chat", { protocols })
      assert.strictEqual(offering("x", "chat.v1", "chat.v2"), "accepted chat.v1")
      assert.strictEqual(offering(), "accepted without subprotocol")
      assert.deepInclude(offering("chat.v3"), {
        status: 400,
        body: "none of the offered subprotocols is served: use chat.v2, chat.v1\n"
      })
      assert.strictEqual(statusOf(offering("bearer.secret")), 400)
      assert.strictEqual(offering("bearer.secret", "chat.v1"), "accepted chat.v1")
      assert.strictEqual(statusOf(upgrade("/echo", { protocols: ["chat.v1"] })), 400)
      const status = (path: string) =>
        Effect.map(Effect.promise(() => fetch(new Request(`http://memory${path}`))), ({ status }) => status)
      assert.strictEqual(yield* status("/echo"), 426)
      assert.strictEqual(yield* status("/other"), 404)
    }))

  it.effect("counts its connections with the engine's, and its handlers until they have ended", () =>
    serve([Echo], { limits: { connections: 2 } })(Effect.fnUntraced(function*({ empty, engine, open }) {
      const one = yield* open("/echo")
      const two = yield* open("/echo")
      assert.strictEqual(yield* engine.connections, 2)
      assert.strictEqual((yield* open("/echo")).protocol, undefined)
      one.close()
      yield* until("one is gone", () => Effect.runSync(engine.connections) === 1)
      assert.strictEqual((yield* open("/echo")).protocol, "")
      two.cut()
      yield* until("another is gone", () => Effect.runSync(engine.connections) === 1)
      assert.strictEqual(yield* engine.connections, 1)
      void empty
    })))

  it.effect("serves no rooms where there are none", () =>
    Effect.gen(function*() {
      const { upgrade } = yield* acceptor({ endpoints: [Echo] })
      assert.strictEqual(statusOf(upgrade("/", { protocols: ["heddle.v1+json"] })), 404)
      const both = yield* acceptor({ endpoints: [Echo], rooms: [] })
      assert.strictEqual(both.upgrade("/", { protocols: ["heddle.v1+json"] }), "accepted heddle.v1+json")
    }))

  it.effect("tells the handler about the request", () =>
    serve([
      Endpoint.make("/who", {
        protocols: ["a"],
        handle: ({ address, headers, id, protocol, send, token, url }) =>
          send(tell([address, headers.get("x-test"), protocol, token, url.href, id.length > 5]))
      })
    ])(Effect.fnUntraced(function*({ end, open }) {
      const ask = Effect.fnUntraced(function*(headers: Record<string, string>, protocols: ReadonlyArray<string>) {
        const client = yield* open("/who?q=1", { headers: { "x-test": "y", ...headers }, protocols })
        yield* end(client)
        return JSON.parse(client.messages[0] as string)
      })
      const url = "http://memory:1/who?q=1"
      assert.deepStrictEqual(yield* ask({ authorization: "Bearer abc" }, ["a"]), [
        "127.0.0.1",
        "y",
        "a",
        "abc",
        url,
        true
      ])
      assert.deepStrictEqual(yield* ask({}, ["bearer.x.y", "a"]), ["127.0.0.1", "y", "a", "x.y", url, true])
      assert.deepStrictEqual(yield* ask({ authorization: "Basic abc" }, []), ["127.0.0.1", "y", null, null, url, true])
    })))
})
