/** Fixtures that run as processes of their own, on the runtime that runs the suite unless another is said. */
import { Effect, type Scope } from "effect"
import * as Child from "node:child_process"
import { until } from "./transportClient.ts"

/** A running fixture and what it said so far. */
export class Running {
  output = ""
  exit: { readonly code: number | null; readonly signal: string | null } | undefined
  readonly child: Child.ChildProcess

  constructor(args: ReadonlyArray<string>, runtime = process.execPath) {
    this.child = Child.spawn(runtime, [...args], { stdio: ["ignore", "pipe", "pipe"] })
    this.child.stdout!.on("data", (chunk) => this.output += chunk)
    this.child.stderr!.on("data", (chunk) => this.output += chunk)
    this.child.on("close", (code, signal) => this.exit = { code, signal })
  }
  // Not `child.kill`: after it Deno reports the signal, whatever the process made of it.
  kill = (signal: "SIGTERM" | "SIGINT" | "SIGKILL") => void process.kill(this.child.pid!, signal)
  says = (what: string | RegExp) => until(`it says ${what}: ${this.output}`, () => this.output.match(what) !== null)
  endsWithin = (millis: number) =>
    Effect.map(until(`it ends within ${millis} ms`, () => this.exit !== undefined, millis), () => this.exit!)
  /** The exit code and signal, which must come within 2 seconds. */
  ends = Effect.suspend(() => this.endsWithin(2_000))
  address = Effect.suspend(() =>
    Effect.map(this.says(/listening \d+/), () => {
      const port = Number(this.output.match(/listening (\d+)/)![1])
      return { hostname: "127.0.0.1", port, url: `http://127.0.0.1:${port}` }
    })
  )
}

/** Starts a fixture with its arguments, until the scope closes; `command` is what follows the runtime's name. */
export const runner =
  (command: ReadonlyArray<string>, fixture: string, runtime?: string) =>
  (...args: ReadonlyArray<string>): Effect.Effect<Running, never, Scope.Scope> =>
    Effect.acquireRelease(
      Effect.sync(() => new Running([...command, fixture, ...args], runtime)),
      (running) => Effect.sync(() => running.exit ?? running.kill("SIGKILL"))
    )
