/**
 * A transport that serves TLS itself, beside what the contract says of every transport.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, type Scope } from "effect"
import * as Net from "node:net"
import * as Transport from "../../src/engine/Transport.ts"
import { fetchTrusting, runtime, selfSigned } from "./mountServers.ts"
import { serve } from "./transport.ts"
import { connectRaw, openRaw, type Peer, until } from "./transportClient.ts"

interface Tls {
  readonly cert: string
  readonly key: string
}

/**
 * A client behind a relay of its bytes, which is what stalls and is cut: on Deno a TLS client that is paused goes on
 * reading.
 */
export const relayed = Effect.fnUntraced(function*(address: Transport.Address, path = "/") {
  const sockets: Array<Net.Socket> = []
  const relay = yield* Effect.acquireRelease(
    Effect.callback<Net.Server>((resume) => {
      const server = Net.createServer((near) => {
        const far = Net.connect(address.port, address.hostname)
        for (const [from, to] of [[near, far], [far, near]] as const) {
          from.on("data", (chunk) => to.write(chunk))
          from.on("error", () => {})
          from.on("close", () => to.destroy())
          sockets.push(to)
        }
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        for (const socket of sockets) socket.destroy()
      })
  )
  const client = yield* openRaw({ ...address, port: (relay.address() as Net.AddressInfo).port }, path)
  const far = sockets[0]!
  const peer: Peer = {
    messages: client.messages,
    send: client.send,
    gone: client.gone,
    stall: () => void far.pause(),
    unstall: () => void far.resume(),
    cut: () => void far.resetAndDestroy()
  }
  return peer
})

/** Runs the suite. */
export const tlsContract = (
  layer: (port: number, tls?: Tls) => Layer.Layer<Transport.Transport, Transport.ListenError>
): void => {
  describe(`TLS: ${runtime}`, () => {
    const test = <E>(sentence: string, body: Effect.Effect<void, E, Transport.Transport | Scope.Scope>) =>
      it.live(sentence, () => Effect.suspend(() => Effect.provide(Effect.scoped(body), layer(0, selfSigned()))))

    test(
      "tells of it in the address, in upgrades and in plain requests",
      Effect.gen(function*() {
        const { address, sockets } = yield* serve({
          fetch: (request) => Promise.resolve(new Response(request.url))
        })
        assert.strictEqual(address.url, `https://127.0.0.1:${address.port}`)
        yield* openRaw(address)
        yield* until("the server's end is open", () => sockets.length === 1)
        assert.deepStrictEqual([sockets[0]!.request.secure, sockets[0]!.request.address], [true, "127.0.0.1"])
        const got = yield* Effect.promise(() => fetchTrusting(selfSigned().cert)(new Request(`${address.url}/p?q=1`)))
        assert.strictEqual(yield* Effect.promise(() => got.text()), `${address.url}/p?q=1`)
        const plain = yield* Effect.provide(serve(), layer(0))
        yield* openRaw(plain.address)
        yield* until("the other server's end is open", () => plain.sockets.length === 1)
        assert.isNotTrue(plain.sockets[0]!.request.secure)
      })
    )

    test(
      "survives clients that do not speak TLS, or leave in the middle of the handshake",
      Effect.gen(function*() {
        const { address } = yield* serve({ message: ({ socket }, data) => socket.send(data as string) })
        const plain = { ...address, url: `http://127.0.0.1:${address.port}` }
        const rude = yield* Effect.forEach(
          ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00", ""],
          (bytes) => connectRaw(plain, (client) => client.socket.write(bytes, () => client.cut()))
        )
        const polite = yield* connectRaw(plain, (client) => client.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
        yield* until("they are gone", () => [...rude, polite].every((client) => client.gone()))
        const one = yield* openRaw(address)
        one.send("still there?")
        yield* until("a new client is served", () => one.messages.length === 1)
      })
    )

    it.live("fails with ListenError when the certificate is none, and says nothing of the key", () =>
      Effect.gen(function*() {
        const { cert, key } = selfSigned()
        const wrong = yield* Effect.flip(Effect.scoped(Effect.provide(serve(), layer(0, { cert: "no cert", key }))))
        assert.instanceOf(wrong, Transport.ListenError)
        assert.strictEqual(wrong.reason, "Other")
        assert.notInclude(wrong.message, key.split("\n")[1])
        const other = yield* Effect.flip(Effect.scoped(Effect.provide(serve(), layer(0, { cert, key: "no key" }))))
        assert.strictEqual(other.reason, "Other")
      }))
  })
}
