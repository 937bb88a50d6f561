import * as Path from "node:path"
import { defineConfig } from "vitest/config"

// What Node compiled for one process serves the next: the tests start a hundred of them.
process.env["NODE_COMPILE_CACHE"] ??= Path.resolve("node_modules/.cache/node")

export default defineConfig({
  test: {
    projects: [
      // What depends on no runtime: runs on Node once.
      {
        test: {
          name: "core",
          include: ["test/**/*.test.ts"],
          exclude: ["test/{runtime,system,faults,continuity}/**"],
          // Most files take less time than what they import.
          isolate: false,
          // A test that computes for seconds may share its core.
          testTimeout: 30_000
        }
      },
      // What must hold on every runtime: runs on Node, Bun and Deno.
      { test: { name: "runtime", include: ["test/runtime/**/*.test.ts"], testTimeout: 30_000 } },
      // The same, with programs that are not on every machine: nginx, openssl, Python's websockets.
      { test: { name: "system", include: ["test/system/**/*.test.ts"], testTimeout: 30_000 } },
      // What breaks while it runs: clients, rooms, the process. Of it what is about sockets runs on all three.
      {
        test: {
          name: "faults",
          include: [
            "test/faults/**/*.test.ts",
            "test/engine/{fates,slow,catchUp}.test.ts",
            "test/runtime/drain.test.ts"
          ],
          testTimeout: 60_000
        }
      },
      // Recovery, at length: models in virtual time, processes that are killed, thousands of clients.
      { test: { name: "continuity", include: ["test/continuity/**/*.test.ts"], testTimeout: 120_000 } }
    ]
  }
})
