/**
 * Which core the server has and which the generator, so that neither disturbs the other.
 */
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"

export interface Cores {
  readonly server: number
  readonly generator: number
}

/** `0-2,8` as numbers. */
const parseList = (list: string): ReadonlyArray<number> =>
  list.trim().split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number)
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })

const allowed = (): ReadonlyArray<number> =>
  parseList(/Cpus_allowed_list:\s*(\S+)/.exec(Fs.readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0")

/** The hardware threads that share a core with this one. */
const siblings = (cpu: number): ReadonlyArray<number> => {
  const file = `/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`
  return Fs.existsSync(file) ? parseList(Fs.readFileSync(file, "utf8")) : [cpu]
}

const hasTaskset = () => {
  try {
    execFileSync("taskset", ["-c", `${allowed()[0]}`, "true"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}

/** Two cores of this machine, or why nothing is pinned. */
export const choose = (): Cores | string => {
  const [server, ...others] = allowed()
  if (server === undefined || others.length === 0) return "only one core; server and generator share it"
  if (!hasTaskset()) return "no taskset; server and generator are not pinned to cores"
  return { server, generator: others.find((cpu) => !siblings(server).includes(cpu)) ?? others[0]! }
}

/** A command on one core, where cores are pinned. */
export const pinned = (
  cores: Cores | string,
  role: keyof Cores,
  command: string,
  args: ReadonlyArray<string>
): readonly [command: string, args: ReadonlyArray<string>] =>
  typeof cores === "string" ? [command, args] : ["taskset", ["-c", `${cores[role]}`, command, ...args]]
