/**
 * What is measured.
 */
import { type Contender, contenders } from "./contenders.ts"
import type { Result } from "./generator.ts"

export interface Workload {
  readonly name: string
  readonly title: string
  /** What its cost is, less of it being better. */
  readonly axis: string
  readonly unit: "µs" | "B"
  readonly cost: (result: Result) => number | undefined
  /** Options of the generator. */
  readonly load: ReadonlyArray<string>
  /** Only in full runs, unless asked for. */
  readonly full: boolean
  /** Shows what variants differ in. */
  readonly variants: boolean
}

const cpu = {
  axis: "CPU of the server for a message, µs",
  unit: "µs",
  cost: (result: Result) => result.server_us_per_message,
  full: false,
  variants: true
} as const

const delivery = { ...cpu, axis: "CPU of the server for a delivery, µs" } as const

const requests = (inFlight: number): Workload => ({
  ...cpu,
  name: `request-${inFlight}`,
  title: `requests and replies, ${inFlight} in flight on each of 100 connections`,
  load: ["--mode", "echo", "--connections", "100", "--in-flight", `${inFlight}`]
})

const fanOut = (name: string, how: string, members: number, ...load: ReadonlyArray<string>): Workload => ({
  ...delivery,
  name,
  title: `fan-out to ${members.toLocaleString("en")} members, ${how}`,
  load: ["--mode", "fanout", "--connections", `${members}`, ...load]
})

const scale = { full: true, variants: false } as const

const rooms = (count: number): Workload => ({
  ...delivery,
  ...scale,
  name: `rooms-${count}`,
  title: count === 1 ? "1 room of 10 members" : `${count.toLocaleString("en")} rooms of 10 members, in turn`,
  load: ["--mode", "fanout", "--connections", `${count * 10}`, "--rooms", `${count}`]
})

export const workloads: ReadonlyArray<Workload> = [
  requests(1),
  requests(10),
  fanOut("fanout", "isolated events", 1_000),
  fanOut("fanout-4", "4 events in flight", 1_000, "--in-flight", "4"),
  fanOut("fanout-burst", "bursts of 10 events", 1_000, "--burst", "10"),
  {
    ...cpu,
    name: "open",
    title: "opening connections, and joining a room",
    axis: "CPU of the server for a connection, µs",
    load: ["--mode", "open", "--connections", "1000"],
    variants: false
  },
  {
    name: "memory",
    title: "memory of an idle joined connection, of 10,000",
    axis: "bytes for a connection",
    unit: "B",
    cost: (result) => result.bytes_per_connection,
    load: ["--mode", "idle", "--base", "1000", "--connections", "9000"],
    full: false,
    variants: false
  },
  {
    ...scale,
    name: "latency",
    title: "latency of requests at half of the rate that one in flight on each of 100 connections reaches",
    axis: "99th percentile of the time to the reply, µs",
    unit: "µs",
    cost: (result) => result.p99_us,
    load: ["--mode", "latency", "--connections", "100"]
  },
  { ...fanOut("fanout-100", "isolated events", 100), ...scale },
  { ...fanOut("fanout-10000", "isolated events", 10_000), ...scale },
  rooms(1),
  rooms(1_000)
]

/** One thing to measure, again in every round. */
export interface Pair {
  readonly workload: Workload
  readonly contender: Contender
}

/** Which contenders meet which workloads: those named, else the standard or the full ones. */
export const pairs = (
  only: ReadonlyArray<string> | undefined,
  servers: ReadonlyArray<string> | undefined,
  full: boolean
): ReadonlyArray<Pair> => {
  const chosen = workloads.filter(({ full: later, name }) => only === undefined ? full || !later : only.includes(name))
  const standing = contenders.filter(({ name, role }) =>
    servers === undefined ? full || role === "standard" : servers.includes(name)
  )
  return chosen.flatMap((workload) =>
    standing
      .filter(({ role }) => role !== "variant" || workload.variants || servers !== undefined)
      .map((contender) => ({ workload, contender }))
  )
}
