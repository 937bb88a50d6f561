/**
 * Child processes that end with this one, also when it is interrupted.
 */
import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process"
import process from "node:process"

const running = new Set<ChildProcess>()

process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL")
})
// By default these would end the process without its `exit` event.
process.on("SIGINT", () => process.exit(130))
process.on("SIGTERM", () => process.exit(143))
process.on("SIGHUP", () => process.exit(129))

export interface Child {
  readonly process: ChildProcess
  /** Everything it wrote so far. */
  readonly output: { stdout: string; stderr: string }
  /** Its exit code, or what ended it. */
  readonly ended: Promise<number | string>
}

/** Starts a program and collects what it writes. */
export const start = (command: string, args: ReadonlyArray<string>, options: SpawnOptions = {}): Child => {
  const child = spawn(command, args, { ...options, stdio: "pipe" })
  running.add(child)
  const output = { stdout: "", stderr: "" }
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text) => output[name] = (output[name] + text).slice(-10_000))
  }
  const ended = new Promise<number | string>((resolve) => {
    child.on("error", (error) => resolve(error.message))
    child.on("close", (code, signal) => resolve(code ?? signal ?? "unknown"))
  })
  ended.then(() => running.delete(child))
  return { process: child, output, ended }
}

export const stop = async (child: Child): Promise<void> => {
  child.process.kill("SIGKILL")
  await child.ended
}
