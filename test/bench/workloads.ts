/**
 * What is measured, and on which servers.
 */

/** A program under `servers/`, and what the generator must speak to it. */
export interface Contender {
  readonly name: string
  readonly program: string
  readonly protocol: "raw" | "heddle"
}

/** The first is the baseline of all ratios. */
export const contenders: ReadonlyArray<Contender> = [
  { name: "ws", program: "ws.ts", protocol: "raw" },
  { name: "heddle", program: "heddle.ts", protocol: "heddle" }
]

export interface Workload {
  readonly name: string
  readonly title: string
  /** What one unit of the cost is; less of it is better. */
  readonly unit: "µs/msg" | "B/conn"
  /** Options of the generator. */
  readonly load: ReadonlyArray<string>
}

const echo = (inFlight: number): Workload => ({
  name: `echo${inFlight}`,
  title: `echo, ${inFlight} in flight on each of 100 connections`,
  unit: "µs/msg",
  load: ["--mode", "echo", "--connections", "100", "--in-flight", `${inFlight}`]
})

const fanOut = (burst: number): Workload => ({
  name: `fanout${burst}`,
  title: `fan-out to 1,000 members, ${burst === 1 ? "isolated events" : `bursts of ${burst}`}`,
  unit: "µs/msg",
  load: ["--mode", "fanout", "--connections", "1000", "--burst", `${burst}`]
})

const idle: Workload = {
  name: "memory",
  title: "memory of an idle joined connection, slope from 1,000 to 6,000",
  unit: "B/conn",
  load: ["--mode", "idle", "--base", "1000", "--connections", "5000"]
}

export const workloads: ReadonlyArray<Workload> = [echo(1), echo(10), fanOut(1), fanOut(10), idle]
