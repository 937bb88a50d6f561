/**
 * The server under test, as a process of its own on its own core.
 */
import { once } from "node:events"
import * as Net from "node:net"
import * as Path from "node:path"
import process from "node:process"
import { setTimeout as sleep } from "node:timers/promises"
import * as Children from "./children.ts"
import type { Contender } from "./contenders.ts"
import { type Cores, pinned } from "./cores.ts"
import { RunFailed } from "./failure.ts"

export interface Server {
  readonly pid: number
  readonly port: number
  readonly stop: () => Promise<void>
  /** What it complained about, if it has ended by itself. */
  readonly crash: () => string | undefined
}

const freePort = async (): Promise<number> => {
  const probe = Net.createServer().listen(0, "127.0.0.1")
  await once(probe, "listening")
  const { port } = probe.address() as Net.AddressInfo
  probe.close()
  await once(probe, "close")
  return port
}

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = Net.connect(port, "127.0.0.1")
    socket.on("connect", () => resolve(true)).on("error", () => resolve(false)).on("connect", () => socket.destroy())
  })

/** The line of a program's complaint that names the error. */
const firstError = (stderr: string) => {
  const lines = stderr.split("\n").map((line) => line.trim()).filter((line) => line !== "")
  return lines.find((line) => /error/i.test(line)) ?? lines[0] ?? "no error message"
}

const installed = (name: string) => Path.join(import.meta.dirname, "../../node_modules/.bin", name)

/** How each runtime runs a program, able to collect garbage when told. */
const commands: Readonly<Record<Contender["runtime"], readonly [command: string, ...args: ReadonlyArray<string>]>> = {
  node: [process.execPath, "--expose-gc"],
  bun: [installed("bun")],
  deno: [installed("deno"), "run", "-A", "--v8-flags=--expose-gc"]
}

/** Starts a server and waits until it accepts connections. */
export const start = async (
  contender: Contender,
  cores: Cores | string,
  env: Readonly<Record<string, string>>
): Promise<Server> => {
  const port = await freePort()
  const [command, ...args] = commands[contender.runtime]
  const program = Path.join(import.meta.dirname, "servers", contender.program)
  const child = Children.start(
    ...pinned(cores, "server", command, [...args, program]),
    { env: { ...process.env, ...contender.env, ...env, PORT: `${port}` } }
  )
  let ended = false
  child.ended.then(() => ended = true)
  for (const deadline = performance.now() + 10_000; !await accepts(port);) {
    if (ended) throw new RunFailed(`the server did not start: ${firstError(child.output.stderr)}`)
    if (performance.now() > deadline) {
      await Children.stop(child)
      throw new RunFailed("the server did not listen within 10 seconds")
    }
    await sleep(20)
  }
  return {
    pid: child.process.pid!,
    port,
    stop: () => Children.stop(child),
    crash: () => ended ? firstError(child.output.stderr) : undefined
  }
}
