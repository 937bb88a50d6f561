/**
 * Clients that know nothing of heddle, each in a process of its own, against an endpoint of the runtime under test.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import * as Child from "node:child_process"
import { fileURLToPath } from "node:url"
import * as Endpoint from "../../src/engine/Endpoint.ts"
import * as Engine from "../../src/engine/Engine.ts"
import type * as Transport from "../../src/engine/Transport.ts"
import { until } from "./transportClient.ts"

const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url))
const installed = (name: string) => fileURLToPath(new URL(`../../node_modules/.bin/${name}`, import.meta.url))

const script = fixture("stockClient.ts")

/** The command of each client, for a URL. */
interface Clients {
  readonly [name: string]: (url: string) => { readonly command: string; readonly args: ReadonlyArray<string> }
}

/** Those that come with the project. */
export const installedClients: Clients = {
  "WebSocket of Node": (url) => ({ command: installed("node"), args: [script, url] }),
  "WebSocket of Bun": (url) => ({ command: installed("bun"), args: [script, url] }),
  "WebSocket of Deno": (url) => ({ command: installed("deno"), args: ["run", "-A", script, url] }),
  "ws": (url) => ({ command: installed("node"), args: [script, url, "ws"] })
}

/** Those that the machine must have. */
export const systemClients: Clients = {
  // The system's: where python3 of the path is another one, it has no websockets.
  "websockets of Python": (url) => ({ command: "/usr/bin/python3", args: [fixture("stockClient.py"), url] })
}

const run = (command: string, args: ReadonlyArray<string>) =>
  Effect.callback<string>((resume) => {
    const child = Child.execFile(command, [...args], { timeout: 25_000 }, (error, stdout, stderr) => {
      if (error === null) resume(Effect.succeed(stdout))
      else if (/No module named 'websockets'|ENOENT.*python3/.test(`${stderr}${error.message}`)) {
        resume(Effect.die(new Error("this test needs Python's websockets: apt-get install python3-websockets")))
      } else resume(Effect.die(new Error(`${command} failed: ${error.message} ${stderr}`)))
    })
    return Effect.sync(() => child.kill())
  })

/** Runs every client against the transport of one runtime. */
export const stockClients = (
  name: string,
  transport: Layer.Layer<Transport.Transport, Transport.ListenError>,
  clients: Clients
): void => {
  describe(`an endpoint on ${name} and a client with`, () => {
    for (const [client, commandOf] of Object.entries(clients)) {
      it.live(client, () => {
        const ends: Array<Endpoint.CloseEvent> = []
        const Echo = Endpoint.make("/echo", {
          protocols: ["chat.v1"],
          handle: (socket) =>
            socket.messages.pipe(
              Stream.runForEach((message) =>
                message === "close" ? socket.close(4001, "server é") : socket.send(message)
              ),
              Effect.andThen(socket.closed),
              Effect.map((event) => ends.push(event))
            )
        })
        return Effect.gen(function*() {
          const { address } = yield* Engine.Engine
          const { args, command } = commandOf(`${address.url.replace("http", "ws")}/echo`)
          const output = yield* run(command, args)
          assert.deepStrictEqual(JSON.parse(output), {
            protocol: "chat.v1",
            messages: ["text 3 é😀", "text 0 ", "bytes 1035", "text 65000 xxxxxxxx"],
            code: 4001,
            reason: "server é"
          })
          yield* until("both handlers have ended", () => ends.length === 2)
          assert.deepStrictEqual(ends, [{ code: 4001, reason: "server é" }, { code: 4002, reason: "client é" }])
        }).pipe(Effect.provide(Engine.layer({ endpoints: [Echo] }).pipe(Layer.provide(transport))))
      })
    }
  })
}
