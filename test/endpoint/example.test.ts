/**
 * `examples/raw.ts` as a stranger runs it: a process of its own, on every runtime.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Child from "node:child_process"
import { until } from "../contract/transportClient.ts"

const runtimes: { readonly [name: string]: readonly [string, ...ReadonlyArray<string>] } = {
  node: ["node_modules/.bin/node"],
  bun: ["node_modules/.bin/bun"],
  deno: ["node_modules/.bin/deno", "run", "-A"]
}

const start = ([command, ...args]: readonly [string, ...ReadonlyArray<string>]) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = Child.spawn(command, [...args, "examples/raw.ts"], {
        env: { ...process.env, PORT: "0", HOST: "127.0.0.1" }
      })
      const running = { output: "", code: undefined as number | null | undefined, child }
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => running.output += chunk)
      child.on("close", (code) => running.code = code)
      return running
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

const open = Effect.fnUntraced(function*(url: string) {
  const messages: Array<string> = []
  const state = { open: false, code: 0 }
  const socket = yield* Effect.acquireRelease(
    Effect.sync(() => new WebSocket(url)),
    (socket) => Effect.sync(() => socket.close())
  )
  socket.onopen = () => state.open = true
  socket.onmessage = ({ data }) => messages.push(data)
  socket.onclose = ({ code }) => state.code = code
  yield* until(`${url} opens or ends`, () => state.open || state.code !== 0)
  return { socket, messages, state }
})

describe("examples/raw.ts", () => {
  for (const [name, command] of Object.entries(runtimes)) {
    it.live(`echoes, and holds a chat, on ${name}`, () =>
      Effect.gen(function*() {
        const running = yield* start(command)
        yield* until("it listens", () => /listening on \S+:\d+/.test(running.output) || running.code !== undefined)
        const base = running.output.match(/listening on http(:\S+:\d+)/)?.[1]
        assert.isDefined(base, running.output)
        const echo = yield* open(`ws${base}/echo`)
        echo.socket.send("hello")
        yield* until("it comes back", () => echo.messages.length === 1)
        assert.deepStrictEqual(echo.messages, ["hello"])

        const ada = yield* open(`ws${base}/rooms/lobby?name=ada`)
        const bob = yield* open(`ws${base}/rooms/lobby?name=bob`)
        yield* until("ada knows of bob", () => ada.messages.length === 1)
        bob.socket.send("hi")
        yield* until("both have it", () => ada.messages.length === 2 && bob.messages.length === 1)
        bob.socket.close()
        yield* until("ada knows that bob left", () => ada.messages.length === 3)
        assert.deepStrictEqual(ada.messages, ["bob joined", "bob: hi", "bob left"])
        const mallory = yield* open(`ws${base}/rooms/lobby?name=mallory`)
        yield* until("she is refused", () => mallory.state.code !== 0)
        assert.strictEqual(mallory.state.code, 4403)
        assert.isFalse((yield* open(`ws${base}/rooms/lobby`)).state.open)

        running.child.kill("SIGTERM")
        yield* until("ada is told", () => ada.state.code === 1012)
        yield* until("it ends", () => running.code !== undefined, 2000)
        assert.strictEqual(running.code, 0, running.output)
      }), 60_000)
  }
})
