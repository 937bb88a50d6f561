/**
 * What heddle may cost, and whether it does: `budget.json`.
 */
import budget from "./budget.json" with { type: "json" }
import { differences, growth, ratios, type Run, type Spread, spread } from "./runs.ts"
import { type Pair, workloads } from "./workloads.ts"

export interface Comparison {
  readonly title: string
  readonly contender: string
  readonly reference: string
  /** Ratio to reach, by workload. */
  readonly ratios: Readonly<Record<string, number>>
  /** Bytes that it may cost beyond the reference, by workload. */
  readonly moreBytes?: Readonly<Record<string, number>>
}

export interface Growth {
  readonly from: string
  readonly to: string
  readonly contenders: ReadonlyArray<string>
  /** How many times its cost at `from` it may cost at `to`. */
  readonly atMost: number
}

export const comparisons: ReadonlyArray<Comparison> = budget.comparisons
export const growths: ReadonlyArray<Growth> = budget.growth

/** A measured value and the budget it has. */
export interface Verdict {
  readonly workload: string
  readonly contender: string
  readonly reference: string | undefined
  /** Of growth: the workload that it grew from. */
  readonly from?: string
  readonly kind: "ratio" | "bytes" | "growth"
  readonly limit: number
  readonly measured: Spread
  readonly met: boolean
  /** Every round missed the budget by more than half of it. */
  readonly failed: boolean
}

const isNumber = (value: number | undefined): value is number => value !== undefined

const judge = (
  about: Pick<Verdict, "workload" | "contender" | "reference" | "from" | "kind" | "limit">,
  rounds: ReadonlyArray<number | undefined>
): ReadonlyArray<Verdict> => {
  const values = rounds.filter(isNumber)
  const measured = spread(values)
  if (measured === undefined) return []
  const { kind, limit } = about
  const met = kind === "ratio" ? measured.median >= limit : measured.median <= limit
  const failed = values.every((value) => kind === "ratio" ? value < limit / 2 : value > limit * 2)
  return [{ ...about, measured, met, failed }]
}

/** The verdicts on all that was measured, in the order of the workloads. */
export const verdicts = (runs: ReadonlyArray<Run>): ReadonlyArray<Verdict> => [
  ...workloads.flatMap(({ name: workload }) =>
    comparisons.flatMap(({ contender, moreBytes, ratios: atLeast, reference }) => {
      const about = { workload, contender, reference }
      const [ratio, bytes] = [atLeast[workload], moreBytes?.[workload]]
      return [
        ...(ratio === undefined
          ? []
          : judge({ ...about, kind: "ratio", limit: ratio }, ratios(runs, workload, contender, reference))),
        ...(bytes === undefined
          ? []
          : judge({ ...about, kind: "bytes", limit: bytes }, differences(runs, workload, contender, reference)))
      ]
    })
  ),
  ...growths.flatMap(({ atMost, contenders, from, to }) =>
    contenders.flatMap((contender) =>
      judge(
        { workload: to, contender, reference: undefined, from, kind: "growth", limit: atMost },
        growth(runs, contender, from, to)
      )
    )
  )
]

/** What has failed so far. */
export const suspects = (runs: ReadonlyArray<Run>): ReadonlyArray<Verdict> =>
  verdicts(runs).filter(({ failed }) => failed)

/** What another round must measure to save a suspect; everything else has passed already. */
export const inDoubt = (pairs: ReadonlyArray<Pair>, runs: ReadonlyArray<Run>): ReadonlyArray<Pair> => {
  const doubts = suspects(runs)
  return pairs.filter(({ contender, workload }) =>
    doubts.some((doubt) =>
      [doubt.workload, doubt.from].includes(workload.name) &&
      [doubt.contender, doubt.reference].includes(contender.name)
    )
  )
}
