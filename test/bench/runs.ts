/**
 * Single measurements, and how those of one round compare.
 */
import type { Result } from "./generator.ts"
import { type Workload, workloads } from "./workloads.ts"

/** One measurement: a result, or why there is none. */
export interface Run {
  readonly round: number
  readonly workload: string
  readonly contender: string
  readonly result: Result | undefined
  readonly problem: string | undefined
}

export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

export const spread = (values: ReadonlyArray<number | undefined>): Spread | undefined => {
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b)
  if (sorted.length === 0) return undefined
  const upper = sorted[sorted.length >> 1]!
  const median = sorted.length % 2 === 1 ? upper : (upper + sorted[(sorted.length >> 1) - 1]!) / 2
  return { median, min: sorted[0]!, max: sorted.at(-1)! }
}

export const workloadOf = (name: string): Workload => workloads.find((workload) => workload.name === name)!

/** The cost of a run, in its workload's unit. */
export const costOf = (run: Run): number | undefined => run.result && workloadOf(run.workload).cost(run.result)

export const runsOf = (runs: ReadonlyArray<Run>, workload: string, contender: string): ReadonlyArray<Run> =>
  runs.filter((run) => run.workload === workload && run.contender === contender)

interface Of {
  readonly workload: string
  readonly contender: string
}

/** Two costs of each round, compared; undefined for a round that lacks one of them. */
const compare = (runs: ReadonlyArray<Run>, left: Of, right: Of, how: (left: number, right: number) => number) => {
  const others = new Map(runsOf(runs, right.workload, right.contender).map((run) => [run.round, costOf(run)]))
  return runsOf(runs, left.workload, left.contender).map((run) => {
    const [here, there] = [costOf(run), others.get(run.round)]
    return here === undefined || there === undefined ? undefined : how(here, there)
  })
}

/** Cost of the reference by the cost of the contender, of each round: above 1 is better than the reference. */
export const ratios = (
  runs: ReadonlyArray<Run>,
  workload: string,
  contender: string,
  reference: string
): ReadonlyArray<number | undefined> =>
  compare(runs, { workload, contender }, { workload, contender: reference }, (here, there) => there / here)

/** What the contender costs beyond the reference, of each round. */
export const differences = (
  runs: ReadonlyArray<Run>,
  workload: string,
  contender: string,
  reference: string
): ReadonlyArray<number | undefined> =>
  compare(runs, { workload, contender }, { workload, contender: reference }, (here, there) => here - there)

/** How many times the cost of one workload another one costs, of each round. */
export const growth = (
  runs: ReadonlyArray<Run>,
  contender: string,
  from: string,
  to: string
): ReadonlyArray<number | undefined> =>
  compare(runs, { workload: to, contender }, { workload: from, contender }, (here, there) => here / there)
