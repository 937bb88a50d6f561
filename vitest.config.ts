import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    projects: [
      // What depends on no runtime: runs on Node once.
      { test: { name: "core", include: ["test/**/*.test.ts"], exclude: ["test/runtime/**", "test/system/**"] } },
      // What must hold on every runtime: runs on Node, Bun and Deno.
      { test: { name: "runtime", include: ["test/runtime/**/*.test.ts"], testTimeout: 30_000 } },
      // The same, with programs that are not on every machine: nginx, openssl, Python's websockets.
      { test: { name: "system", include: ["test/system/**/*.test.ts"], testTimeout: 30_000 } }
    ]
  }
})
