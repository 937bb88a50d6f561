/**
 * How a process that serves ends, with the runtime that runs the suite: the third part of the contract.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Net from "node:net"
import { fileURLToPath } from "node:url"
import { runner } from "./running.ts"
import { openRaw, until } from "./transportClient.ts"

const fixture = fileURLToPath(new URL("./fixtures/process.ts", import.meta.url))

/** Runs the cases; `command` is what follows the runtime's name to run a file. */
export const processContract = (name: string, command: ReadonlyArray<string>): void => {
  const start = runner(command, fixture)

  describe(`a process that serves: ${name}`, () => {
    it.live("ends by itself once its scope has closed, with sockets open on both sides", () =>
      Effect.gen(function*() {
        const running = yield* start("ends")
        yield* running.says(/closed 1006/)
        assert.deepStrictEqual(yield* running.ends, { code: 0, signal: null }, running.output)
      }))

    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      it.live(`closes its scope on ${signal} and ends with 0`, () =>
        Effect.gen(function*() {
          const running = yield* start("serves")
          const client = yield* openRaw(yield* running.address)
          running.kill(signal)
          assert.deepStrictEqual(yield* running.ends, { code: 0, signal: null }, running.output)
          yield* until("the client's connection ends", client.gone)
          assert.match(running.output, /closed 1006/)
          assert.match(running.output, /finalized/)
          assert.notMatch(running.output, /ERROR/)
        }))
    }

    it.live("ends although a client reads nothing of what waits for it, not even the close frame", () =>
      Effect.gen(function*() {
        const running = yield* start("serves")
        const client = yield* openRaw(yield* running.address, "/flood")
        client.stall()
        yield* running.says("flooded")
        running.kill("SIGTERM")
        assert.deepStrictEqual(yield* running.ends, { code: 0, signal: null }, running.output)
      }))

    it.live("ends at once on the second signal", () =>
      Effect.gen(function*() {
        const running = yield* start("hangs")
        yield* running.address
        running.kill("SIGTERM")
        yield* running.says("hanging")
        running.kill("SIGTERM")
        assert.notDeepEqual(yield* running.ends, { code: 0, signal: null })
      }))

    it.live("logs an unhandled rejection and serves on", () =>
      Effect.gen(function*() {
        const running = yield* start("serves")
        const { url } = yield* running.address
        const get = (path: string) => Effect.promise(() => fetch(url + path).then((response) => response.text()))
        yield* get("/reject")
        yield* running.says("nobody handles me")
        assert.strictEqual(yield* get("/"), "served")
        running.kill("SIGTERM")
        assert.deepStrictEqual(yield* running.ends, { code: 0, signal: null }, running.output)
      }))

    it.live("reports a taken port in one line and ends with 1", () =>
      Effect.gen(function*() {
        const taken = yield* Effect.acquireRelease(
          Effect.callback<Net.Server>((resume) => {
            const server = Net.createServer()
            server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
          }),
          (server) => Effect.sync(() => server.close())
        )
        const { port } = taken.address() as Net.AddressInfo
        const running = yield* start("serves", `${port}`)
        yield* until("it ends", () => running.exit !== undefined)
        assert.deepStrictEqual(running.exit, { code: 1, signal: null })
        const lines = running.output.trim().split("\n").filter((line) => line !== "finalized")
        assert.strictEqual(lines.length, 1, running.output)
        assert.include(lines[0]!, `cannot listen on 127.0.0.1:${port}: the port is taken`)
      }))

    it.live("reports a defect with where it came from and ends with 1", () =>
      Effect.gen(function*() {
        const running = yield* start("dies")
        yield* running.says("a defect")
        assert.deepStrictEqual(yield* running.ends, { code: 1, signal: null })
        assert.match(running.output, /TypeError: a defect\n\s+at /)
      }))
  })
}
