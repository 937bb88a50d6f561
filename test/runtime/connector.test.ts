/**
 * The platform's own WebSocket, as clients use it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { hash } from "node:crypto"
import { once } from "node:events"
import * as Net from "node:net"
import { Connector } from "../../src/client/Connector.ts"
import { frame, until } from "../contract/transportClient.ts"
import { makeRandom } from "../engine/random.ts"

const accept = (request: string): string => {
  const key = /sec-websocket-key: (.*)\r\n/i.exec(request)![1]!
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${
    hash("sha1", `${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`, "base64")
  }\r\n\r\n`
}

/** Accepts whoever comes, sends a message and resets the connection at a random moment. */
const rude = (random: { readonly below: (bound: number) => number }) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = Net.createServer((socket) => {
        socket.on("error", () => {})
        socket.once("data", (request) => {
          socket.write(Buffer.concat([Buffer.from(accept(request.toString())), frame(1, "a", { masked: false })]))
          setTimeout(() => socket.resetAndDestroy(), random.below(4))
        })
      }).listen(0, "127.0.0.1")
      await once(server, "listening")
      return server
    }),
    (server) => Effect.sync(() => server.close())
  )

describe("the WebSocket of the platform", () => {
  it.live("tells of its end once, and of nothing after it, also where it is closed as the server resets it", () =>
    Effect.gen(function*() {
      const random = makeRandom(1)
      const connect = yield* Connector
      const { port } = (yield* rude(random)).address() as Net.AddressInfo
      for (let round = 0; round < 20; round++) {
        const said = Array.from({ length: 30 }, () => {
          const callbacks: Array<string> = []
          const socket = connect(`ws://127.0.0.1:${port}`, [], {
            open: () => {
              callbacks.push("open")
              socket.send("b")
              setTimeout(() => socket.close(1000, ""), random.below(4))
            },
            message: () => callbacks.push("message"),
            close: () => callbacks.push("close")
          })
          return callbacks
        })
        yield* until("all have ended", () => said.every((callbacks) => callbacks.includes("close")))
        yield* Effect.sleep(20)
        for (const callbacks of said) assert.strictEqual(callbacks.indexOf("close"), callbacks.length - 1)
      }
    }).pipe(Effect.scoped))
})
