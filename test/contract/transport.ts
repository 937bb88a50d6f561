/**
 * What every transport must do, as cases that the three runtimes and the in-memory transport run.
 *
 * A difference between them is a field of `capabilities`, and the case looks at it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, Scope } from "effect"
import type { Connect } from "../../src/client/Connector.ts"
import * as Transport from "../../src/engine/Transport.ts"
import { type Peer, until } from "./transportClient.ts"

/** How the suite reaches a transport from outside. */
export interface Harness<R> {
  readonly connect: Effect.Effect<Connect, never, R>
  readonly fetch: Effect.Effect<(request: Request) => Promise<Response>, never, R>
  /** An open client that can stall, and be cut off. */
  readonly peer: (address: Transport.Address, path?: string) => Effect.Effect<Peer, never, R | Scope.Scope>
}

/** One accepted socket with all that came up from it. */
export interface Accepted {
  readonly request: Transport.UpgradeRequest
  readonly socket: Transport.Socket
  readonly messages: Array<string | Uint8Array>
  readonly closes: Array<{ readonly code: number; readonly reason: string }>
  drains: number
  /** Callbacks that came after `close`: must stay 0. */
  late: number
}

export interface ServeOptions {
  readonly maxMessageBytes?: number
  readonly upgrade?: (
    request: Transport.UpgradeRequest
  ) => Transport.Refusal | { readonly protocol: string | undefined }
  readonly open?: (accepted: Accepted) => void
  readonly message?: (accepted: Accepted, data: string | Uint8Array) => void
  readonly drain?: (accepted: Accepted) => void
  readonly fetch?: (request: Request) => Promise<Response>
}

export interface Served {
  readonly address: Transport.Address
  readonly sockets: ReadonlyArray<Accepted>
  readonly open: () => number
}

/** Listens with an acceptor that records everything. */
export const serve = Effect.fnUntraced(function*(options: ServeOptions = {}) {
  const transport = yield* Transport.Transport
  const sockets: Array<Accepted> = []
  const address = yield* transport.listen({
    maxMessageBytes: options.maxMessageBytes ?? 1 << 20,
    fetch: options.fetch ?? (() => Promise.resolve(new Response("plain"))),
    upgrade: (asked) => {
      const request = asked.copy()
      const verdict = options.upgrade?.(request) ?? { protocol: undefined }
      if ("_tag" in verdict) return verdict
      return {
        _tag: "Accepted",
        protocol: verdict.protocol,
        open: (socket) => {
          const accepted: Accepted = { request, socket, messages: [], closes: [], drains: 0, late: 0 }
          const note = () => accepted.closes.length > 0 && accepted.late++
          sockets.push(accepted)
          options.open?.(accepted)
          return {
            message: (data) => {
              note()
              accepted.messages.push(data)
              options.message?.(accepted, data)
            },
            drain: () => {
              note()
              accepted.drains++
              options.drain?.(accepted)
            },
            close: (code, reason) => {
              note()
              accepted.closes.push({ code, reason })
            }
          }
        }
      }
    }
  })
  const served: Served = {
    address,
    sockets,
    open: () => sockets.filter(({ closes }) => closes.length === 0).length
  }
  return served
})

const socketUrl = (address: Transport.Address, path = "/") => address.url.replace("http", "ws") + path

/** A well-behaved client with all that came to it. */
const client = (connect: Connect, address: Transport.Address, path = "/", protocols: ReadonlyArray<string> = []) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const messages: Array<string | Uint8Array> = []
      const opens: Array<string> = []
      const closes: Array<{ readonly code: number; readonly reason: string }> = []
      const socket = connect(socketUrl(address, path), protocols, {
        open: (protocol) => opens.push(protocol),
        message: (data) => messages.push(data),
        close: (code, reason) => closes.push({ code, reason })
      })
      return { socket, messages, opens, closes }
    }),
    ({ closes, opens, socket }) =>
      Effect.andThen(
        until("the client opens or ends", () => opens.length + closes.length > 0),
        Effect.sync(() => socket.close(1000, ""))
      )
  )

const echo = (accepted: Accepted, data: string | Uint8Array) => accepted.socket.send(data as string)

/** Runs the suite for one transport. */
export const transportContract = <R = never>(
  name: string,
  layer: Layer.Layer<Transport.Transport | R, Transport.ListenError>,
  harness: Harness<R>
): void => {
  describe(`transport: ${name}`, () => {
    const test = <E>(sentence: string, body: Effect.Effect<void, E, Transport.Transport | R | Scope.Scope>) =>
      it.live(sentence, () => Effect.provide(Effect.scoped(body), layer))

    const openClient = (address: Transport.Address, path?: string, protocols?: ReadonlyArray<string>) =>
      Effect.gen(function*() {
        const opened = yield* client(yield* harness.connect, address, path, protocols)
        yield* until("the client is open", () => opened.opens.length > 0)
        return opened
      })

    test(
      "carries text and bytes of every length both ways",
      Effect.gen(function*() {
        const { address, sockets } = yield* serve({ message: echo })
        const one = yield* openClient(address)
        const sent: Array<string | Uint8Array<ArrayBuffer>> = ["", "a", "é😀\u0000\n"]
        for (const length of [0, 1, 125, 126, 65_535, 65_536, 200_000]) {
          sent.push("x".repeat(length), Uint8Array.from({ length }, (_, index) => index & 255))
        }
        for (const data of sent) one.socket.send(data)
        yield* until("everything came back", () => one.messages.length === sent.length)
        assert.deepStrictEqual(one.messages, sent)
        assert.deepStrictEqual(sockets[0]!.messages, sent)
        assert.isTrue(sockets[0]!.messages.every((data) => typeof data === "string" || data.constructor === Uint8Array))
      })
    )

    test(
      "sends the bytes of a view and no others",
      Effect.gen(function*() {
        const { address } = yield* serve({
          open: ({ socket }) => socket.send(Uint8Array.of(1, 2, 3, 4, 5).subarray(1, 4))
        })
        const one = yield* openClient(address)
        yield* until("the message is there", () => one.messages.length === 1)
        assert.deepStrictEqual(one.messages, [Uint8Array.of(2, 3, 4)])
      })
    )

    test(
      "keeps the order of messages, text and bytes mixed",
      Effect.gen(function*() {
        const { address } = yield* serve({ message: echo })
        const one = yield* openClient(address)
        const sent = Array.from({ length: 500 }, (_, index) => index % 2 ? `${index}` : Uint8Array.of(index & 255))
        for (const data of sent) one.socket.send(data)
        yield* until("everything came back", () => one.messages.length === sent.length)
        assert.deepStrictEqual(one.messages, sent)
      })
    )

    test(
      "refuses before the upgrade: no socket opens on either end",
      Effect.gen(function*() {
        const { address, sockets } = yield* serve({ upgrade: () => ({ _tag: "Refusal", status: 403 }) })
        const one = yield* client(yield* harness.connect, address)
        yield* until("the client ends", () => one.closes.length > 0)
        assert.deepStrictEqual([one.opens.length, one.closes.length, sockets.length], [0, 1, 0])
      })
    )

    test(
      "answers with exactly the subprotocol that was chosen",
      Effect.gen(function*() {
        const { address } = yield* serve({ upgrade: ({ protocols }) => ({ protocol: protocols[1] }) })
        const one = yield* openClient(address, "/", ["token.abc", "heddle.v1+json", "other"])
        assert.deepStrictEqual(one.opens, ["heddle.v1+json"])
      })
    )

    test(
      "copies the request, which stays readable after the connection has ended",
      Effect.gen(function*() {
        const { address, sockets } = yield* serve({ upgrade: () => ({ protocol: "a" }) })
        const one = yield* openClient(address, "/live/x?room=1&q=%C3%A9", ["a", "b"])
        one.socket.close(1000, "")
        yield* until("the server's end closes", () => sockets[0]?.closes.length === 1)
        const { request } = sockets[0]!
        assert.deepInclude(request, { method: "GET", url: "/live/x?room=1&q=%C3%A9", protocols: ["a", "b"] })
        assert.strictEqual(request.headers["upgrade"]?.toLowerCase(), "websocket")
        assert.match(request.headers["sec-websocket-protocol"]!, /^a, ?b$/)
        assert.isTrue(request.headers["host"]?.startsWith(address.hostname))
        assert.isUndefined(request.headers["constructor"])
        assert.strictEqual(request.address, "127.0.0.1")
      })
    )

    test(
      "closes with the server's code and reason, once, and the first close counts",
      Effect.gen(function*() {
        const { address, sockets } = yield* serve({
          open: ({ request: { url }, socket }) => {
            const flush = () => {
              const code = Number(url.slice(1))
              socket.close(code, `reason é ${code}`)
              assert.strictEqual(sockets.at(-1)!.closes.length, 0, "close calls back only after close has returned")
              socket.close(4999, "second")
              socket.send("too late")
            }
            socket.tickEnd({ flush })
          }
        })
        const codes = [1000, 1001, 1002, 1007, 1008, 1009, 1011, 1012, 1013, 4000, 4408, 4999]
        for (const [index, code] of codes.entries()) {
          const one = yield* openClient(address, `/${code}`)
          yield* until(`both ends close with ${code}`, () => one.closes.length > 0 && sockets[index]!.closes.length > 0)
          assert.deepStrictEqual(one.closes, [{ code, reason: `reason é ${code}` }])
          assert.deepStrictEqual(one.messages, [])
          // The client answers with the code; whether with the reason is up to it.
          assert.deepStrictEqual(sockets[index]!.closes.map(({ code }) => code), [code])
        }
      })
    )

    test(
      "closes with the client's code and reason, once",
      Effect.gen(function*() {
        const { address, sockets } = yield* serve()
        for (const code of [1000, 3000, 4321]) {
          const one = yield* openClient(address)
          const accepted = sockets.at(-1)!
          one.socket.close(code, `bye é ${code}`)
          yield* until("both ends close", () => accepted.closes.length > 0 && one.closes.length > 0)
          assert.deepStrictEqual(accepted.closes, [{ code, reason: `bye é ${code}` }])
          assert.deepStrictEqual(one.closes.map(({ code }) => code), [code])
          // Harmless once closed.
          accepted.socket.send("nobody")
          accepted.socket.close(1000, "")
          accepted.socket.terminate?.()
          accepted.socket.pause?.()
          accepted.socket.resume?.()
          accepted.socket.tickEnd({ flush: () => accepted.socket.send("nobody") })
          assert.isNumber(accepted.socket.bufferedAmount())
        }
        assert.deepStrictEqual(sockets.map(({ closes, late }) => [closes.length, late]), [[1, 0], [1, 0], [1, 0]])
      })
    )

    test(
      "tells of a connection that was cut with 1006",
      Effect.gen(function*() {
        const { address, sockets } = yield* serve({ message: echo })
        const peer = yield* harness.peer(address)
        peer.send("hello")
        yield* until("the echo is there", () => peer.messages.length === 1)
        peer.cut()
        yield* until("the server's end closes", () => sockets[0]!.closes.length > 0)
        assert.deepStrictEqual(sockets[0]!.closes, [{ code: 1006, reason: "" }])
      })
    )

    test(
      "calls a flush once, after the callback that asked, and sends of one tick arrive in order",
      Effect.gen(function*() {
        const steps: Array<string> = []
        const flusher = (accepted: Accepted, label: string) => ({
          flush: () => {
            steps.push(`flush ${label}`)
            for (let index = 0; index < 3; index++) accepted.socket.send(`${label} ${index}`)
          }
        })
        const { address, sockets } = yield* serve({
          message: (accepted) => {
            const other = sockets.find((one) => one !== accepted)!
            steps.push("start")
            accepted.socket.tickEnd(flusher(accepted, "own"))
            other.socket.tickEnd(flusher(other, "other"))
            queueMicrotask(() => steps.push("microtask"))
            steps.push("end")
          }
        })
        const one = yield* openClient(address)
        const two = yield* openClient(address)
        one.socket.send("go")
        yield* until("both have all", () => one.messages.length === 3 && two.messages.length === 3)
        assert.deepStrictEqual(steps.slice(0, 2), ["start", "end"])
        assert.deepStrictEqual(steps.slice(2).sort(), ["flush other", "flush own", "microtask"])
        // Bun writes once for all that is sent within the socket's own callback, and only there.
        const { capabilities } = yield* Transport.Transport
        if (capabilities.runtime === "bun") assert.deepStrictEqual(steps.slice(2, 4), ["flush own", "microtask"])
        assert.deepStrictEqual(one.messages, ["own 0", "own 1", "own 2"])
        assert.deepStrictEqual(two.messages, ["other 0", "other 1", "other 2"])

        // Outside of every callback.
        steps.length = 0
        sockets[0]!.socket.tickEnd(flusher(sockets[0]!, "outside"))
        assert.deepStrictEqual(steps, [])
        yield* until("the flush came", () => one.messages.length === 6)
        assert.deepStrictEqual(steps, ["flush outside"])
      })
    )

    test(
      "lets bufferedAmount grow for a peer that does not read, and nothing is lost once it reads",
      Effect.gen(function*() {
        const { capabilities } = yield* Transport.Transport
        const { address, sockets } = yield* serve()
        const peer = yield* harness.peer(address)
        yield* until("the server's end is open", () => sockets.length === 1)
        const { socket } = sockets[0]!
        peer.stall()
        const chunk = "x".repeat(16_384)
        let sent = 0
        let quiet = 0
        // Hands over no more than the engine does, until the operating systems of both ends are full.
        yield* until("the peer's buffers are full", () => {
          quiet++
          while (socket.bufferedAmount() < 65_536) {
            assert.isBelow(sent, 10_000, "bufferedAmount never grows")
            socket.send(`${sent++} ${chunk}`)
            quiet = 0
          }
          return quiet > 200
        })
        assert.isAtLeast(socket.bufferedAmount(), 65_536)
        assert.isAtMost(socket.bufferedAmount(), 65_536 + 2 * 16_384)
        const drains = sockets[0]!.drains
        peer.unstall()
        yield* until("everything arrives", () => peer.messages.length === sent)
        assert.deepStrictEqual(
          peer.messages.map((data) => Number.parseInt(data as string)),
          Array.from({ length: sent }, (_, index) => index)
        )
        yield* until("nothing is buffered", () => socket.bufferedAmount() === 0)
        if (capabilities.drain) yield* until("drain is called", () => sockets[0]!.drains > drains)
        else assert.strictEqual(sockets[0]!.drains, 0)
      })
    )

    test(
      "pauses and resumes reading, where it can",
      Effect.gen(function*() {
        const { capabilities } = yield* Transport.Transport
        const { address, sockets } = yield* serve()
        const one = yield* openClient(address)
        const { messages, socket } = sockets[0]!
        assert.deepStrictEqual([socket.pause !== undefined, socket.resume !== undefined], [
          capabilities.pause,
          capabilities.pause
        ])
        if (!capabilities.pause) return
        socket.pause!()
        const text = "x".repeat(65_536)
        for (let index = 0; index < 400; index++) one.socket.send(`${index} ${text}`)
        // The client's own buffer does not drain: the server does not read.
        const two = yield* openClient(address)
        two.socket.send("meanwhile")
        yield* until("another connection is served", () => sockets[1]!.messages.length === 1)
        assert.deepStrictEqual(messages, [])
        socket.resume!()
        yield* until("all messages come", () => messages.length === 400)
        assert.deepStrictEqual(messages.map((data) => Number.parseInt(data as string)), [...Array(400).keys()])
      })
    )

    test(
      "closes a paused connection",
      Effect.gen(function*() {
        const { capabilities } = yield* Transport.Transport
        if (!capabilities.pause) return
        const { address, sockets } = yield* serve()
        const one = yield* openClient(address)
        sockets[0]!.socket.pause!()
        sockets[0]!.socket.close(1013, "later")
        yield* until("both ends close", () => one.closes.length > 0 && sockets[0]!.closes.length > 0)
        assert.deepStrictEqual(one.closes, [{ code: 1013, reason: "later" }])
      })
    )

    test(
      "terminates at once, where it can",
      Effect.gen(function*() {
        const { capabilities } = yield* Transport.Transport
        const { address, sockets } = yield* serve()
        const peer = yield* harness.peer(address)
        yield* until("the server's end is open", () => sockets.length === 1)
        const { closes, socket } = sockets[0]!
        assert.strictEqual(socket.terminate !== undefined, capabilities.terminate)
        if (!capabilities.terminate) return
        peer.stall()
        socket.close(1000, "this peer will not answer")
        socket.terminate!()
        assert.deepStrictEqual(closes, [], "close calls back only after terminate has returned")
        yield* until("the server's end closes", () => closes.length > 0)
        assert.strictEqual(closes.length, 1)
        peer.unstall()
        yield* until("the peer is gone", peer.gone)
      })
    )

    test(
      "closes a peer that does not read once it reads again, after all that was sent before",
      Effect.gen(function*() {
        const { address, sockets } = yield* serve()
        const peer = yield* harness.peer(address)
        yield* until("the server's end is open", () => sockets.length === 1)
        const { closes, socket } = sockets[0]!
        peer.stall()
        let sent = 0
        while (socket.bufferedAmount() < 65_536 && sent < 10_000) socket.send(`${sent++} ${"x".repeat(16_384)}`)
        socket.close(4409, "slow")
        socket.send("ignored")
        peer.unstall()
        yield* until("both ends close", () => closes.length > 0 && peer.gone())
        assert.deepStrictEqual(peer.messages.length, sent)
        assert.deepStrictEqual(closes.map(({ code }) => code), [4409])
      })
    )

    test(
      "refuses a message over the limit with 1009, or delivers it where it has no limit",
      Effect.gen(function*() {
        const { capabilities } = yield* Transport.Transport
        const { address, sockets } = yield* serve({ maxMessageBytes: 1000 })
        const one = yield* openClient(address)
        one.socket.send("x".repeat(1000))
        one.socket.send("é".repeat(501))
        if (capabilities.limitsMessages) {
          yield* until("both ends close", () => one.closes.length > 0 && sockets[0]!.closes.length > 0)
          assert.strictEqual(one.closes[0]!.code, 1009)
          assert.strictEqual(sockets[0]!.messages.length, 1)
          assert.strictEqual(sockets[0]!.closes.length, 1)
        } else {
          yield* until("both messages come", () => sockets[0]!.messages.length === 2)
        }
      })
    )

    test(
      "stays healthy while clients are cut off at random",
      Effect.gen(function*() {
        const { address, open, sockets } = yield* serve({ message: echo })
        const peers = yield* Effect.forEach(
          Array.from({ length: 50 }, (_, index) => index),
          (index) => harness.peer(address, `/${index}`),
          { concurrency: 50 }
        )
        for (const [index, peer] of peers.entries()) {
          if (index % 3 === 0) peer.send("hello")
          if (index % 3 === 1) sockets[index]?.socket.send("x".repeat(100_000))
          peer.cut()
        }
        yield* until("every end closes", () => sockets.length === 50 && open() === 0)
        assert.isTrue(sockets.every(({ closes, late }) => closes.length === 1 && late === 0))
        const one = yield* openClient(address)
        one.socket.send("still there?")
        yield* until("a new client is served", () => one.messages.length === 1)
      })
    )

    test(
      "answers plain HTTP with the acceptor's fetch",
      Effect.gen(function*() {
        const { address } = yield* serve({
          fetch: async (request) => {
            const url = new URL(request.url)
            return Response.json(
              {
                method: request.method,
                path: url.pathname + url.search,
                a: request.headers.get("a"),
                body: await request.text()
              },
              { status: 201, headers: { "x-b": "b" } }
            )
          }
        })
        const send = yield* harness.fetch
        const got = yield* Effect.promise(() => send(new Request(`${address.url}/p/q?r=1`, { headers: { a: "1" } })))
        assert.deepStrictEqual([got.status, got.headers.get("x-b")], [201, "b"])
        assert.deepStrictEqual(yield* Effect.promise(() => got.json()), {
          method: "GET",
          path: "/p/q?r=1",
          a: "1",
          body: ""
        })
        const posted = yield* Effect.promise(() =>
          send(new Request(`${address.url}/`, { method: "POST", body: "x".repeat(300_000) }))
        )
        assert.strictEqual((yield* Effect.promise(() => posted.json())).body.length, 300_000)
      })
    )

    test(
      "ends every socket with its scope, and its handlers hear of it before the scope has closed",
      Effect.gen(function*() {
        const clientScope = yield* Effect.scope
        const { clients, sockets } = yield* Effect.scoped(Effect.gen(function*() {
          const { address, sockets } = yield* serve()
          const clients = yield* Effect.forEach(Array.from({ length: 10 }), () => openClient(address)).pipe(
            Scope.provide(clientScope)
          )
          return { sockets, clients }
        }))
        assert.strictEqual(sockets.length, 10)
        assert.isTrue(sockets.every(({ closes }) => closes.length === 1))
        yield* until("every client ends", () => clients.every(({ closes }) => closes.length === 1))
        assert.isTrue(sockets.every(({ late }) => late === 0))
      })
    )
  })
}
