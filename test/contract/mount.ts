/**
 * An engine on a server that is the user's own: each leaves the other alone.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Scope } from "effect"
import type { Acceptor, Address } from "../../src/engine/Transport.ts"
import { attach, runtime, start } from "./mountServers.ts"
import { connectRaw, openRaw, until } from "./transportClient.ts"

/** What an engine at `path` would say, with the sockets it has open. */
const engineAt = (path: string, onMessage: (data: string) => string = (data) => `heddle: ${data}`) => {
  const open = new Set<object>()
  const requests: Array<string> = []
  const acceptor: Acceptor = {
    maxMessageBytes: 65_536,
    owns: (url) => new URL(url, "http://x").pathname === path,
    fetch: () => Promise.resolve(new Response("not for an attached engine", { status: 500 })),
    upgrade: (request) => {
      requests.push(request.url)
      if (request.url.endsWith("?full")) return { _tag: "Refusal", status: 503, body: "full" }
      return {
        _tag: "Accepted",
        protocol: undefined,
        open: (socket) => {
          open.add(socket)
          return {
            message: (data) => socket.send(onMessage(String(data))),
            drain: () => {},
            close: () => open.delete(socket)
          }
        }
      }
    }
  }
  return { acceptor, open, requests }
}

const get = (address: Address, path: string) =>
  Effect.promise(() => fetch(address.url + path).then(async (got) => [got.status, await got.text()]))

/** Opens a socket, says something and answers with what comes back; the socket stays open. */
const talk = Effect.fnUntraced(function*(address: Address, path: string) {
  const client = yield* openRaw(address, path)
  assert.strictEqual(client.status, 101, client.head)
  client.send("hi")
  yield* until("an answer comes", () => client.messages.length === 1)
  return { client, answer: client.messages[0] }
})

const mine = (request: Request) => new Response(`mine: ${request.method} ${new URL(request.url).pathname}`)

/** Runs the suite on the runtime that runs this file. */
export const mountContract = (): void => {
  describe(`attached to the user's server: ${runtime}`, () => {
    const test = <E>(sentence: string, body: Effect.Effect<void, E, Scope.Scope>) =>
      it.live(sentence, () => Effect.scoped(body))

    test(
      "takes the upgrades to its path and leaves other WebSockets and all plain HTTP to the server",
      Effect.gen(function*() {
        const server = yield* start({ port: 0, fetch: mine, echoes: "/theirs" })
        const { acceptor, requests } = engineAt("/live")
        const address = yield* attach(server, acceptor)
        assert.deepStrictEqual(address, { hostname: "", port: 0, url: "" })
        assert.strictEqual((yield* talk(server.address, "/live?room=1")).answer, "heddle: hi")
        assert.strictEqual((yield* talk(server.address, "/theirs")).answer, "theirs: hi")
        assert.deepStrictEqual(yield* get(server.address, "/page"), [200, "mine: GET /page"])
        assert.deepStrictEqual(yield* get(server.address, "/live"), [200, "mine: GET /live"])
        assert.deepStrictEqual(requests, ["/live?room=1"])
      })
    )

    test(
      "leaves an upgrade that nobody knows to the server's HTTP handlers, whatever it asks for",
      Effect.gen(function*() {
        const server = yield* start({
          port: 0,
          fetch: async (request) => request.method === "POST" ? new Response(await request.text()) : mine(request)
        })
        const { acceptor, requests } = engineAt("/live")
        yield* attach(server, acceptor)
        const socket = yield* openRaw(server.address, "/elsewhere")
        yield* until("it is answered", () => socket.body.includes("mine: GET /elsewhere"))
        assert.deepStrictEqual([socket.status, requests], [200, []])
        // Deno by itself answers 400 to a body behind any upgrade.
        if (runtime === "deno") return
        // As Java's HTTP client asks with every first request.
        const head = "Host: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 4\r\n\r\n"
        const posted = yield* connectRaw(server.address, (client) => client.write(`POST /live HTTP/1.1\r\n${head}body`))
        yield* until("it is answered", () => posted.body.includes("body"))
        assert.deepStrictEqual([posted.status, requests], [200, []])
      })
    )

    test(
      "refuses with the engine's own answer",
      Effect.gen(function*() {
        const server = yield* start({ port: 0, fetch: mine })
        yield* attach(server, engineAt("/live").acceptor)
        const client = yield* openRaw(server.address, "/live?full")
        yield* until("the body arrives", () => client.body.includes("full"))
        assert.strictEqual(client.status, 503)
      })
    )

    test(
      "closing it ends its own sockets, and nothing else of the server",
      Effect.gen(function*() {
        const server = yield* start({ port: 0, fetch: mine, echoes: "/theirs" })
        const { acceptor, open } = engineAt("/live")
        const theirs = yield* talk(server.address, "/theirs")
        const scope = yield* Scope.make()
        yield* attach(server, acceptor).pipe(Scope.provide(scope))
        const ours = yield* talk(server.address, "/live")
        assert.strictEqual(open.size, 1)
        yield* Scope.close(scope, undefined as never)
        assert.strictEqual(open.size, 0)
        yield* until("its client is gone", ours.client.gone)
        theirs.client.send("still there?")
        yield* until("the other answers", () => theirs.client.messages.length === 2)
        const late = yield* openRaw(server.address, "/theirs")
        assert.deepStrictEqual([theirs.client.gone(), late.status, server.traces()], [false, 101, 0])
        assert.deepStrictEqual(yield* get(server.address, "/page"), [200, "mine: GET /page"])
        // And once more.
        yield* attach(server, engineAt("/live").acceptor)
        assert.strictEqual((yield* talk(server.address, "/live")).answer, "heddle: hi")
      })
    )

    test(
      "leaves nothing on a server that has no WebSockets of its own",
      Effect.gen(function*() {
        const server = yield* start({ port: 0, fetch: mine })
        yield* Effect.scoped(attach(server, engineAt("/live").acceptor))
        const client = yield* openRaw(server.address, "/live")
        yield* until("it is answered", () => client.body.includes("mine: GET /live"))
        assert.deepStrictEqual([client.status, server.traces()], [200, 0])
      })
    )

    test(
      "serves several engines on one server, each at its path",
      Effect.gen(function*() {
        const server = yield* start({ port: 0, fetch: mine })
        const one = yield* Scope.make()
        yield* attach(server, engineAt("/one", () => "one").acceptor).pipe(Scope.provide(one))
        yield* attach(server, engineAt("/two", () => "two").acceptor)
        assert.deepStrictEqual([
          (yield* talk(server.address, "/one")).answer,
          (yield* talk(server.address, "/two")).answer
        ], [
          "one",
          "two"
        ])
        yield* Scope.close(one, undefined as never)
        assert.strictEqual((yield* talk(server.address, "/two")).answer, "two")
        const gone = yield* openRaw(server.address, "/one")
        assert.strictEqual(gone.status, 200)
      })
    )
  })
}
