/**
 * The examples as a stranger runs them: as processes of their own, on every runtime.
 */
import { afterAll, assert, describe, it, vi } from "@effect/vitest"
import type { ChildProcessByStdio } from "node:child_process"
import { spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import type { Readable, Writable } from "node:stream"

// Two processes may share one core with everything else that is tested.
vi.setConfig({ testTimeout: 60_000 })

type Child = ChildProcessByStdio<Writable, Readable, Readable>

const runtimes: { readonly [name: string]: ReadonlyArray<string> } = {
  node: ["node_modules/.bin/node"],
  bun: ["node_modules/.bin/bun"],
  deno: ["node_modules/.bin/deno", "run", "-A"]
}

/** A program that does nothing. */
const nothing: { readonly [name: string]: ReadonlyArray<string> } = {
  node: ["node_modules/.bin/node", "-e", ""],
  bun: ["node_modules/.bin/bun", "-e", ""],
  deno: ["node_modules/.bin/deno", "eval", ""]
}

const millisUntil = async (ended: Promise<unknown>): Promise<number> => {
  const start = performance.now()
  await ended
  return performance.now() - start
}

const children = new Set<Running>()
afterAll(() => {
  for (const { child } of children) child.kill("SIGKILL")
})

/** One example that runs, and what it has printed so far. */
class Running {
  readonly child: Child
  readonly exited: Promise<number | null>
  output = ""
  private readonly runtime: string
  private readonly waiting = new Set<() => void>()

  constructor(runtime: string, args: ReadonlyArray<string>, env: { readonly [name: string]: string }) {
    const [command, ...first] = runtimes[runtime]!
    this.runtime = runtime
    this.child = spawn(command!, [...first, ...args], { env: { ...process.env, HOST: "127.0.0.1", ...env } })
    this.exited = new Promise((resolve) => this.child.once("close", resolve))
    const add = (text: string) => {
      this.output += text
      for (const look of this.waiting) look()
    }
    this.child.stdout.setEncoding("utf8").on("data", add)
    this.child.stderr.setEncoding("utf8").on("data", add)
    children.add(this)
  }

  /** Waits until it has printed something, and answers with the match. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = pattern.exec(this.output)
        if (found === null) return
        this.waiting.delete(look)
        resolve(found)
      }
      this.waiting.add(look)
      look()
      void this.exited.then((code) => reject(new Error(`exited with ${code} before ${pattern}:\n${this.output}`)))
    })
  }

  /**
   * Ends it as a service manager would: it must be gone, calmly, within two seconds. What a program that
   * does nothing takes just then is the machine's, and may come on top.
   */
  async stops(): Promise<void> {
    const [command, ...args] = nothing[this.runtime]!
    const idle = spawn(command!, args, { stdio: "ignore" })
    this.child.kill("SIGTERM")
    const took = await Promise.all([
      millisUntil(this.exited),
      millisUntil(new Promise((resolve) => idle.once("close", resolve)))
    ])
    assert.strictEqual(await this.exited, 0, this.output)
    assert.isBelow(took[0], 2_000 + took[1])
  }
}

const serve = async (runtime: string, file: string) => {
  const server = new Running(runtime, [file], { PORT: "0" })
  const [, port] = await server.printed(/listening on http:\/\/127\.0\.0\.1:(\d+)\b/)
  return { server, port: port! }
}

/** Sends frames from a plain WebSocket client, until so many frames have come back. */
const exchange = (port: string, frames: ReadonlyArray<unknown>, count: number): Promise<ReadonlyArray<unknown>> =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/live`, "heddle.v1+json")
    const received: Array<unknown> = []
    socket.onopen = () => socket.send(frames.map((frame) => JSON.stringify(frame)).join("\n"))
    socket.onclose = ({ code }) => reject(new Error(`closed with ${code} after ${JSON.stringify(received)}`))
    socket.onmessage = ({ data }) => {
      received.push(...String(data).split("\n").map((frame) => JSON.parse(frame)))
      if (received.length < count) return
      resolve(received)
      socket.close()
    }
  })

// Most of the time the clients wait for when they may come back.
describe.concurrent("chat", () => {
  it.each(Object.keys(runtimes))(
    "two terminals and a plain client talk, through a restart of the server, on %s",
    async (runtime) => {
      const { server, port } = await serve(runtime, "examples/chat/server.ts")
      const ada = new Running(runtime, ["examples/chat/client.ts", "ada"], { PORT: port })
      await ada.printed(/\* in lobby: ada\n/)
      const bob = new Running(runtime, ["examples/chat/client.ts", "bob"], { PORT: port })
      await bob.printed(/\* in lobby: ada, bob\n/)
      await ada.printed(/\* bob joined\n/)

      bob.child.stdin.write("hello\n")
      await ada.printed(/bob: hello\n/)
      await exchange(port, [
        ["hello"],
        ["join", 1, "chat", "lobby", { name: "plain" }],
        ["request", 2, 1, 1, 0, "Say", { text: "by hand" }]
      ], 5)
      await ada.printed(/plain: by hand\n\* plain left\n/)

      await server.stops()
      await ada.printed(/\* no connection/)
      ada.child.stdin.write("are you there?\n")
      const restarted = new Running(runtime, ["examples/chat/server.ts"], { PORT: port })
      await ada.printed(/\* connected\n/)
      await bob.printed(/ada: are you there\?\n/)

      ada.child.stdin.end("bye\n")
      assert.strictEqual(await ada.exited, 0)
      await bob.printed(/ada: bye\n\* ada left\n/)
      bob.child.stdin.write("/quit\n")
      assert.strictEqual(await bob.exited, 0)
      await restarted.stops()
    }
  )
})

describe.each(Object.keys(runtimes))("on %s", (runtime) => {
  it("echo answers a plain WebSocket client, and stops", async () => {
    const { server, port } = await serve(runtime, "examples/echo.ts")
    const frames = await exchange(port, [
      ["hello"],
      ["join", 1, "echo", "lobby"],
      ["request", 2, 1, 1, 0, "Say", { text: "hi" }]
    ], 3)
    assert.deepStrictEqual(frames[2], ["ok", 2, "hi"])
    await server.stops()
  })

  it("ticker publishes to a subscriber, and both stop", async () => {
    const { server, port } = await serve(runtime, "examples/ticker.ts")
    const client = new Running(runtime, ["examples/ticker.ts", "--client", "LOOM"], { PORT: port })
    await client.printed(/(LOOM \d+\.\d\d\n){2}/)
    await client.stops()
    await server.stops()
  })

  it("chat: a refused name is one line and exit code 1", async () => {
    const { server, port } = await serve(runtime, "examples/chat/server.ts")
    const first = new Running(runtime, ["examples/chat/client.ts", "ada"], { PORT: port })
    await first.printed(/\* in lobby: ada\n/)
    const second = new Running(runtime, ["examples/chat/client.ts", "ada"], { PORT: port })
    assert.strictEqual(await second.exited, 1)
    assert.match(second.output, /^.*the name ada is taken\n$/)
    await first.stops()
    await server.stops()
  })

  it("counter runs to its end", async () => {
    const counter = new Running(runtime, ["examples/counter.ts"], {})
    assert.strictEqual(await counter.exited, 0, counter.output)
    assert.match(counter.output, /total: 42\n[^]*total after the crash: 7\n/)
  })

  it("testing finds its bug, and tells it as the README does", async () => {
    const testing = new Running(runtime, ["examples/testing.ts"], {})
    assert.strictEqual(await testing.exited, 0, testing.output)
    assert.include(Fs.readFileSync("README.md", "utf8"), "\n```\n" + testing.output + "```\n")
  })

  it.each(["echo", "chat/server", "ticker"])("%s says in one line that a port is taken", async (example) => {
    const other = Http.createServer().listen(0, "127.0.0.1")
    await new Promise((resolve) => other.once("listening", resolve))
    const { port } = other.address() as AddressInfo
    const server = new Running(runtime, [`examples/${example}.ts`], { PORT: String(port) })
    assert.strictEqual(await server.exited, 1)
    assert.match(server.output, new RegExp(`^.*cannot listen on 127\\.0\\.0\\.1:${port}: the port is taken\\n$`))
    other.close()
  })

  it("says in one line that PORT is not a port", async () => {
    const server = new Running(runtime, ["examples/echo.ts"], { PORT: "http" })
    assert.strictEqual(await server.exited, 1)
    assert.match(server.output, /^.* at \["PORT"\]\n$/)
  })
})

describe("on node", () => {
  it("the chat's client without a name tells its usage", async () => {
    const client = new Running("node", ["examples/chat/client.ts"], {})
    assert.strictEqual(await client.exited, 2)
    assert.strictEqual(client.output, "usage: npm run chat -- NAME [ROOM]\n")
  })
})
