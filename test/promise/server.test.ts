/**
 * The promise client against a server on the network, with `connect` as its users call it.
 */
import { spawn } from "node:child_process"
import process from "node:process"
import { assert, describe, it, onTestFinished } from "vitest"
import type * as PromiseClient from "../../src/client/PromiseClient.ts"
import { connect } from "../../src/client/PromiseClient.ts"
import { Chat, Muted } from "./contract.ts"
import { serve } from "./server.ts"
import { countingUnhandled, rejection } from "./world.ts"

const open = (port: number, options: Partial<PromiseClient.ConnectOptions> = {}) => {
  const client = connect({ url: `ws://127.0.0.1:${port}/live`, reconnect: { base: 20, max: 100 }, ...options })
  onTestFinished(() => client.close())
  return client
}

describe("on a network", () => {
  it("two clients see each other", () =>
    countingUnhandled(async () => {
      const server = await serve(0)
      onTestFinished(server.stop)
      const ada = await open(server.port).join(Chat, "lobby", { name: "ada" })
      const eve = await open(server.port, { token: async () => "secret" }).join(Chat, "lobby", { name: "eve" })
      const heard = new Promise((resolve) => eve.on("Said", ({ text }, { offset }) => resolve([text, offset])))
      assert.strictEqual(await ada.Say({ text: "hello" }), 1)
      assert.deepStrictEqual(await heard, ["hello", 1])
      assert.instanceOf(await rejection(eve.Say({ text: "" })), Muted)
    }))

  it("a server that is killed and comes back is waited for, and its rooms are told anew", () =>
    countingUnhandled(async () => {
      const first = await serve(0)
      const client = open(first.port)
      const states: Array<string> = []
      client.state.subscribe(({ _tag }) => {
        if (states.at(-1) !== _tag) states.push(_tag)
      })
      const room = await client.join(Chat, "lobby", { name: "ada" })
      const seen: Array<string> = []
      const back = new Promise<void>((resolve) => {
        room.on("synced", ({ reason, snapshot }) => {
          seen.push(`${reason} ${snapshot.said}`)
          if (reason === "gap") resolve()
        })
      })
      await room.Say({ text: "1" })
      const lost = rejection(room.Never())
      const waiting = new Promise<void>((resolve) => {
        client.state.subscribe(({ _tag }) => _tag === "waiting" && resolve())
      })
      await first.stop()
      await waiting
      const meanwhile = room.Say({ text: "2" })
      const second = await serve(first.port)
      onTestFinished(second.stop)
      await back
      assert.strictEqual(await meanwhile, 1)
      assert.deepInclude((await lost).reason, { _tag: "ConnectionLost", mayHaveRun: true })
      assert.deepStrictEqual(seen, ["joined 0", "gap 0"])
      assert.deepStrictEqual(states.slice(0, 3), ["connecting", "online", "waiting"])
      assert.strictEqual(states.at(-1), "online")
    }))

  it("an address that is none stops the client, which says why", () =>
    countingUnhandled(async () => {
      const client = connect({ url: "ws://" })
      const error = await rejection(client.join(Chat, "lobby", { name: "ada" }))
      assert.strictEqual(error.reason._tag, "ClientClosed")
      const { current } = client.state
      assert(current._tag === "stopped")
      assert.include(current.reason, "SyntaxError")
      await client.close()
    }))

  it("options that are none are refused at once", () => {
    assert.throws(() => connect({ url: "ws://localhost", requestTimeout: "soon" as never }))
  })

  it("a process whose client was closed exits by itself", async () => {
    const server = await serve(0)
    onTestFinished(server.stop)
    const visitor = spawn(process.execPath, ["test/promise/visitor.ts", `ws://127.0.0.1:${server.port}/live`])
    onTestFinished(() => void visitor.kill("SIGKILL"))
    let output = ""
    visitor.stdout.on("data", (data) => output += data)
    visitor.stderr.on("data", (data) => output += data)
    const code = await new Promise((resolve) => visitor.on("exit", resolve))
    assert.strictEqual(code, 0, output)
    assert.deepStrictEqual([...new Set(output.trim().split("\n"))].sort(), [
      "closed",
      "connecting",
      "ended",
      "hello",
      "online",
      "stopped"
    ])
  })
})
