/**
 * What every transport on a real network must do, down to the bytes: the second half of the contract.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, Scope } from "effect"
import * as Transport from "../../src/engine/Transport.ts"
import { type Accepted, serve } from "./transport.ts"
import { connectRaw, frame, openRaw, type RawClient, until, upgradeRequest } from "./transportClient.ts"

const echo = (accepted: Accepted, data: string | Uint8Array) => accepted.socket.send(data as string)

/** Runs the suite for one transport; `layer` is given the port to listen on. */
export const networkContract = (
  name: string,
  layer: (port: number) => Layer.Layer<Transport.Transport, Transport.ListenError>
): void => {
  describe(`transport on the network: ${name}`, () => {
    const test = <E>(sentence: string, body: Effect.Effect<void, E, Transport.Transport | Scope.Scope>) =>
      it.live(sentence, () => Effect.provide(Effect.scoped(body), layer(0)))

    /** Sends bytes that are wrong, and tells how the server ended it. */
    const offend = Effect.fnUntraced(function*(bytes: Uint8Array) {
      const { address, sockets } = yield* serve({ message: echo })
      const bad = yield* openRaw(address)
      const good = yield* openRaw(address)
      bad.write(bytes)
      yield* until("the offender is gone", bad.gone)
      yield* until("its handler is closed", () => sockets[0]!.closes.length > 0)
      good.send("unharmed")
      yield* until("another client is served", () => good.messages.length === 1)
      assert.deepStrictEqual([sockets[0]!.closes.length, sockets[0]!.late, sockets[0]!.messages], [1, 0, []])
      return bad.close?.code
    })

    test(
      "refuses with status, headers and body, and tells the client to go",
      Effect.gen(function*() {
        const { address, sockets } = yield* serve({
          upgrade: () => ({
            _tag: "Refusal",
            status: 503,
            headers: { "retry-after": "7", "x-why": "full" },
            body: "no é"
          })
        })
        const client = yield* openRaw(address)
        yield* until("the body arrives", () => client.body.length >= 4)
        assert.deepStrictEqual(
          [client.status, client.headers.get("retry-after"), client.headers.get("x-why"), client.body],
          [503, "7", "full", "no é"]
        )
        assert.strictEqual(client.headers.get("connection")?.toLowerCase(), "close")
        assert.deepStrictEqual(sockets, [])
      })
    )

    test(
      "echoes no subprotocol unless one was chosen",
      Effect.gen(function*() {
        const { address } = yield* serve({
          upgrade: ({ url }) => ({ protocol: url === "/chosen" ? "heddle.v1+json" : undefined })
        })
        const offer = { "Sec-WebSocket-Protocol": "token.secret, heddle.v1+json" }
        const none = yield* openRaw(address, "/none", offer)
        assert.deepStrictEqual([none.status, none.headers.has("sec-websocket-protocol")], [101, false])
        assert.notInclude(none.head, "secret")
        const chosen = yield* openRaw(address, "/chosen", offer)
        assert.deepStrictEqual([chosen.status, chosen.headers.get("sec-websocket-protocol")], [101, "heddle.v1+json"])
        assert.notInclude(chosen.head, "secret")
        const dense = yield* openRaw(address, "/chosen", { "Sec-WebSocket-Protocol": "token.secret,heddle.v1+json" })
        assert.deepStrictEqual([dense.status, dense.headers.get("sec-websocket-protocol")], [101, "heddle.v1+json"])
      })
    )

    test(
      "compresses nothing",
      Effect.gen(function*() {
        const { address } = yield* serve()
        const client = yield* openRaw(address, "/", { "Sec-WebSocket-Extensions": "permessage-deflate" })
        assert.deepStrictEqual([client.status, client.headers.has("sec-websocket-extensions")], [101, false])
      })
    )

    test(
      "refuses a handshake without a key",
      Effect.gen(function*() {
        const { address, sockets } = yield* serve()
        const client = yield* openRaw(address, "/", { "Sec-WebSocket-Key": undefined })
        assert.strictEqual(client.status, 400)
        assert.deepStrictEqual(sockets, [])
      })
    )

    test(
      "joins repeated headers and copies their names in lower case",
      Effect.gen(function*() {
        const { address, sockets } = yield* serve()
        yield* openRaw(address, "/", { "X-Forwarded-For": "10.0.0.1\r\nX-Forwarded-For: 10.0.0.2" })
        yield* until("the server's end is open", () => sockets.length === 1)
        assert.strictEqual(sockets[0]!.request.headers["x-forwarded-for"], "10.0.0.1, 10.0.0.2")
      })
    )

    test(
      "answers another upgrade than WebSocket as plain HTTP",
      Effect.gen(function*() {
        const { address, sockets } = yield* serve()
        const client = yield* openRaw(address, "/", { "Upgrade": "h2c" })
        yield* until("the body arrives", () => client.body.includes("plain"))
        assert.deepStrictEqual([client.status, sockets.length], [200, 0])
      })
    )

    test(
      "delivers what came with the handshake in one packet",
      Effect.gen(function*() {
        const { address } = yield* serve({ message: echo })
        const client = yield* connectRaw(
          address,
          (client) =>
            client.write(Buffer.concat([Buffer.from(upgradeRequest("/")), frame(1, "early"), frame(1, "bird")]))
        )
        yield* until("both came back", () => client.messages.length === 2)
        assert.deepStrictEqual(client.messages, ["early", "bird"])
      })
    )

    test(
      "puts fragments together, with control frames in between",
      Effect.gen(function*() {
        const { address, sockets } = yield* serve({ message: echo })
        const client = yield* openRaw(address)
        const letter = Buffer.from("é")
        client.write(frame(1, Buffer.concat([Buffer.from("a"), letter.subarray(0, 1)]), { fin: false }))
        client.write(frame(9, "are you there"))
        client.write(frame(0, letter.subarray(1), { fin: false }))
        client.write(frame(10, "unasked"))
        client.write(frame(0, "z"))
        client.write(frame(2, Uint8Array.of(1), { fin: false }))
        client.write(frame(0, ""))
        yield* until("both messages came back", () => client.messages.length === 2)
        assert.deepStrictEqual(client.messages, ["aéz", Uint8Array.of(1)])
        assert.deepStrictEqual(client.pongs, ["are you there"])
        assert.strictEqual(sockets[0]!.messages.length, 2)
      })
    )

    test(
      "puts 10,000 fragments together, empty ones among them",
      Effect.gen(function*() {
        const { address, sockets } = yield* serve()
        const client = yield* openRaw(address)
        client.write(frame(1, "a", { fin: false }))
        client.write(
          Buffer.concat(Array.from({ length: 9998 }, (_, index) => frame(0, index % 2 ? "" : "b", { fin: false })))
        )
        client.write(frame(0, "c"))
        yield* until("the message is there", () => sockets[0]!.messages.length === 1)
        assert.deepStrictEqual(sockets[0]!.messages, [`a${"b".repeat(4999)}c`])
      })
    )

    test(
      "ends a connection that sends invalid UTF-8",
      Effect.gen(function*() {
        const { capabilities } = yield* Transport.Transport
        const code = yield* offend(frame(1, Uint8Array.of(0xc3, 0x28)))
        assert.strictEqual(code, capabilities.closesOnInvalidFrames ? 1007 : undefined)
      })
    )

    test(
      "ends a connection that uses a reserved opcode",
      Effect.gen(function*() {
        const { capabilities } = yield* Transport.Transport
        const code = yield* offend(frame(3, "x"))
        assert.strictEqual(code, capabilities.closesOnInvalidFrames ? 1002 : undefined)
      })
    )

    test(
      "ends a connection that sets a reserved bit",
      Effect.gen(function*() {
        const { capabilities } = yield* Transport.Transport
        const code = yield* offend(frame(1, "x", { reserved: 0x40 }))
        assert.strictEqual(code, capabilities.closesOnInvalidFrames ? 1002 : undefined)
      })
    )

    test(
      "refuses an unmasked frame, or delivers it where it cannot",
      Effect.gen(function*() {
        const { capabilities } = yield* Transport.Transport
        if (capabilities.refusesUnmaskedFrames) {
          const code = yield* offend(frame(1, "x", { masked: false }))
          assert.strictEqual(code, capabilities.closesOnInvalidFrames ? 1002 : undefined)
        } else {
          const { address } = yield* serve({ message: echo })
          const client = yield* openRaw(address)
          client.write(frame(1, "x", { masked: false }))
          yield* until("it came back", () => client.messages.length === 1)
        }
      })
    )

    test(
      "tells of a connection that ends without a close frame with 1006, and of an empty one with 1005",
      Effect.gen(function*() {
        const { address, sockets } = yield* serve()
        const ended = yield* openRaw(address)
        ended.socket.end()
        yield* until("the handler is closed", () => sockets[0]?.closes.length === 1)
        const empty = yield* openRaw(address)
        empty.write(frame(8, ""))
        yield* until("the handler is closed", () => sockets[1]?.closes.length === 1)
        assert.deepStrictEqual(sockets.map(({ closes }) => closes), [
          [{ code: 1006, reason: "" }],
          [{ code: 1005, reason: "" }]
        ])
      })
    )

    test(
      "stays healthy while 200 clients reset at random moments of the handshake",
      Effect.gen(function*() {
        const { address, open, sockets } = yield* serve({ open: ({ socket }) => socket.send("x".repeat(10_000)) })
        const request = upgradeRequest("/", { "X-Padding": "x".repeat(300) })
        const moments: ReadonlyArray<(client: RawClient) => void> = [
          (client) => client.cut(),
          (client) => (client.write(request.slice(0, 8)), client.cut()),
          (client) => (client.write(request.slice(0, 120)), client.cut()),
          (client) => client.socket.write(request, () => client.cut()),
          (client) => (client.write(request), client.socket.once("data", () => client.cut())),
          (
            client
          ) => (client.write(request),
            client.socket.once("data", () => client.socket.end(frame(1, "half").subarray(0, 5))))
        ]
        const clients = yield* Effect.forEach(
          Array.from({ length: 200 }, (_, index) => moments[index % moments.length]!),
          (moment) => connectRaw(address, moment)
        )
        yield* until("every client is gone", () => clients.every((client) => client.gone()))
        const one = yield* openRaw(address)
        yield* until("a new client is served", () => one.messages.length === 1)
        yield* until("only it is open", () => open() === 1)
        assert.isTrue(sockets.every(({ closes, late }) => closes.length <= 1 && late === 0))
      })
    )

    test(
      "stays healthy while clients reset as they are being refused",
      Effect.gen(function*() {
        const body = "x".repeat(4_000_000)
        const { address } = yield* serve({
          upgrade: ({ url }) => url === "/" ? { protocol: undefined } : { _tag: "Refusal", status: 403, body },
          message: echo
        })
        const request = upgradeRequest("/refused")
        const clients = yield* Effect.forEach(
          Array.from({ length: 40 }),
          (_, index) =>
            connectRaw(address, (client) => {
              client.write(request)
              if (index % 2) client.socket.once("data", () => client.cut())
              else client.stall()
            })
        )
        yield* until("half of them are gone", () => clients.filter((client) => client.gone()).length === 20)
        for (const client of clients) if (!client.gone()) client.cut()
        yield* until("all of them are gone", () => clients.every((client) => client.gone()))
        const one = yield* openRaw(address)
        one.send("still there?")
        yield* until("a new client is served", () => one.messages.length === 1)
      })
    )

    test(
      "stays healthy when an upgrade comes behind a request that is not answered yet",
      Effect.gen(function*() {
        const answers: Array<() => void> = []
        const { address } = yield* serve({
          upgrade: ({ url }) => url === "/refused" ? { _tag: "Refusal", status: 403 } : { protocol: undefined },
          message: echo,
          fetch: () => new Promise((resolve) => answers.push(() => resolve(new Response("plain"))))
        })
        for (const path of ["/", "/refused"]) {
          const client = yield* connectRaw(
            address,
            (client) => client.write(`GET /plain HTTP/1.1\r\nHost: test\r\n\r\n${upgradeRequest(path)}`)
          )
          yield* until("the first one is there", () => answers.length > 0)
          // What is read together is handled by then.
          const one = yield* openRaw(address)
          answers.shift()!()
          one.send("still there?")
          yield* until("another client is served", () => one.messages.length === 1)
          yield* until("the first one is answered, or both are gone", () => client.status === 200 || client.gone())
        }
      })
    )

    test(
      "never drops a message while no more than 64 KiB wait, however slow the peer",
      Effect.gen(function*() {
        const { capabilities } = yield* Transport.Transport
        let next = 0
        const total = 400
        const text = "y".repeat(65_000)
        const fill = ({ socket }: Accepted) => {
          while (next < total && socket.bufferedAmount() < 65_536) socket.send(`${next++} ${text}`)
        }
        const { address, sockets } = yield* serve({ open: fill, ...(capabilities.drain ? { drain: fill } : {}) })
        const client = yield* openRaw(address)
        let turns = 0
        yield* until("everything arrives", () => {
          // Reads a little, then not at all, then a little again.
          if (turns++ % 2) client.stall()
          else client.unstall()
          // Where there is no drain, `bufferedAmount` is polled.
          if (!capabilities.drain) fill(sockets[0]!)
          return client.messages.length === total
        })
        assert.deepStrictEqual(client.messages.map((data) => Number.parseInt(data as string)), [...Array(total).keys()])
      })
    )

    test(
      "streams a response, and tells the application when the client goes away",
      Effect.gen(function*() {
        let cancelled = false
        const { address } = yield* serve({
          fetch: () =>
            Promise.resolve(
              new Response(
                new ReadableStream({
                  pull: (controller) => controller.enqueue(new Uint8Array(1000)),
                  cancel: () => {
                    cancelled = true
                  }
                }),
                { headers: [["set-cookie", "a=1"], ["set-cookie", "b=2"]] }
              )
            )
        })
        const controller = new AbortController()
        const response = yield* Effect.promise(() => fetch(address.url, { signal: controller.signal }))
        assert.deepStrictEqual(response.headers.getSetCookie(), ["a=1", "b=2"])
        const reader = response.body!.getReader()
        assert.isAbove((yield* Effect.promise(() => reader.read())).value!.length, 0)
        controller.abort()
        yield* until("the body is cancelled", () => cancelled)
      })
    )

    test(
      "gives the application a signal that says when a waiting client has gone",
      Effect.gen(function*() {
        let aborted = false
        let started = false
        const { address } = yield* serve({
          fetch: (request) =>
            new Promise(() => {
              started = true
              request.signal.addEventListener("abort", () => aborted = true)
            })
        })
        const client = yield* connectRaw(address, (client) => client.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
        yield* until("the request is being answered", () => started)
        client.cut()
        yield* until("the signal came", () => aborted)
      })
    )

    test(
      "survives a client that goes away in the middle of its request body",
      Effect.gen(function*() {
        const outcomes: Array<string> = []
        const { address } = yield* serve({
          fetch: async (request) => {
            if (request.method === "GET") return new Response("fine")
            if (request.url.endsWith("/ignore")) {
              outcomes.push("ignored")
              return new Response("ignored")
            }
            return request.text().then((text) => {
              outcomes.push("whole")
              return new Response(text)
            }, () => {
              outcomes.push("cut")
              return new Response(null, { status: 499 })
            })
          }
        })
        const post = (path: string) => `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nonly this`
        const reading = yield* connectRaw(address, (client) => client.write(post("/read")))
        const ignoring = yield* connectRaw(address, (client) => client.write(post("/ignore")))
        yield* until("one was answered", () => outcomes.length === 1 && reading.connected)
        ignoring.cut()
        reading.socket.end()
        reading.cut()
        yield* until("the reader learns of it", () => outcomes.length === 2)
        assert.deepStrictEqual(outcomes, ["ignored", "cut"])
        assert.strictEqual(yield* Effect.promise(() => fetch(address.url).then((response) => response.text())), "fine")
      })
    )

    test(
      "answers 500 when fetch rejects, and says nothing about why",
      Effect.gen(function*() {
        const { address } = yield* serve({ fetch: () => Promise.reject(new Error("secret")) })
        const response = yield* Effect.promise(() => fetch(address.url))
        assert.strictEqual(response.status, 500)
        assert.notInclude(yield* Effect.promise(() => response.text()), "secret")
      })
    )

    test(
      "frees its port with its scope, even with connections open, paused, stalled and half way",
      Effect.gen(function*() {
        const outer = yield* Effect.scope
        let port = 0
        const clients: Array<RawClient> = []
        const sockets = yield* Effect.scoped(Effect.gen(function*() {
          const { address, sockets } = yield* serve({ fetch: () => new Promise(() => {}) })
          port = address.port
          const open = (path: string) => Scope.provide(openRaw(address, path), outer)
          clients.push(yield* open("/open"), yield* open("/paused"), yield* open("/stalled"))
          clients.push(yield* Scope.provide(connectRaw(address, (one) => one.write("GET / HT")), outer))
          clients.push(
            yield* Scope.provide(connectRaw(address, (one) => one.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")), outer)
          )
          yield* until("all are connected", () => sockets.length === 3 && clients.every((one) => one.connected))
          sockets[1]!.socket.pause?.()
          clients[2]!.stall()
          const { socket } = sockets[2]!
          const chunk = "x".repeat(65_536)
          let quiet = 0
          let sent = 0
          yield* until("the stalled one is full", () => {
            quiet++
            while (socket.bufferedAmount() < 65_536) {
              assert.isBelow(sent++, 10_000)
              socket.send(chunk)
              quiet = 0
            }
            return quiet > 50
          })
          return sockets
        }))
        assert.isTrue(sockets.every(({ closes }) => closes.length === 1))
        clients[2]!.unstall()
        yield* until("every connection ends", () => clients.every((one) => one.gone()))
        // The same port again.
        const again = yield* Effect.provide(serve({ message: echo }), layer(port))
        assert.strictEqual(again.address.port, port)
        const client = yield* openRaw(again.address)
        client.send("again")
        yield* until("the new server answers", () => client.messages.length === 1)
      })
    )

    test(
      "fails with ListenError when the port is taken, the address is not here, or the port is none",
      Effect.gen(function*() {
        const { address } = yield* serve()
        const taken = yield* Effect.flip(Effect.provide(serve(), layer(address.port)))
        assert.instanceOf(taken, Transport.ListenError)
        assert.deepStrictEqual([taken.reason, taken.port], ["AddressInUse", address.port])
        assert.strictEqual(taken.message, `cannot listen on 127.0.0.1:${address.port}: the port is taken`)
        const none = yield* Effect.flip(Effect.provide(serve(), layer(70_000)))
        assert.strictEqual(none.reason, "Other")
      })
    )

    test(
      "listens twice, each with its own acceptor",
      Effect.gen(function*() {
        const one = yield* serve({ fetch: () => Promise.resolve(new Response("one")) })
        const two = yield* serve({ fetch: () => Promise.resolve(new Response("two")) })
        const text = (address: Transport.Address) => Effect.promise(() => fetch(address.url).then((got) => got.text()))
        assert.deepStrictEqual([yield* text(one.address), yield* text(two.address)], ["one", "two"])
      })
    )
  })
}
