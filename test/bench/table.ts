/**
 * From single runs to medians, and to the table.
 */
import type { Result } from "./generator.ts"
import type { Contender, Workload } from "./workloads.ts"

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

export interface Row {
  readonly workload: Workload
  readonly contender: Contender
  readonly cost: Spread | undefined
  /** Cost of the baseline in the same round by the cost here: above 1 is better than the baseline. */
  readonly ratio: Spread | undefined
  readonly perSecond: Spread | undefined
  readonly p50: Spread | undefined
  readonly p99: Spread | undefined
  readonly generatorShare: Spread | undefined
  readonly waitingShare: Spread | undefined
  /** Runs without a result. */
  readonly failed: number
}

/** Past this share of its core the generator, not the server, may be what is measured. */
const busyGenerator = 0.7

/** Past this share of the time, during which other programs had the server's core, its caches were not its own. */
const disturbed = 0.1

const spread = (values: ReadonlyArray<number | undefined>): Spread | undefined => {
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b)
  if (sorted.length === 0) return undefined
  const upper = sorted[sorted.length >> 1]!
  const median = sorted.length % 2 === 1 ? upper : (upper + sorted[(sorted.length >> 1) - 1]!) / 2
  return { median, min: sorted[0]!, max: sorted.at(-1)! }
}

/** Processor time for a message, or memory for a connection. */
export const cost = (result: Result | undefined): number | undefined =>
  result?.bytes_per_connection ?? result?.server_us_per_message

export const summarize = (
  runs: ReadonlyArray<Run>,
  workloads: ReadonlyArray<Workload>,
  contenders: ReadonlyArray<Contender>,
  baseline: Contender
): ReadonlyArray<Row> =>
  workloads.flatMap((workload) =>
    contenders.map((contender) => {
      const of = (name: string) => runs.filter((run) => run.workload === workload.name && run.contender === name)
      const own = of(contender.name)
      const base = new Map(of(baseline.name).map((run) => [run.round, cost(run.result)]))
      const ratios = own.map((run) => {
        const [here, there] = [cost(run.result), base.get(run.round)]
        return here !== undefined && there !== undefined && here > 0 ? there / here : undefined
      })
      const each = (pick: (result: Result) => number | undefined) => spread(own.map((r) => r.result && pick(r.result)))
      return {
        workload,
        contender,
        cost: each(cost),
        ratio: spread(ratios),
        perSecond: each((result) => result.per_second),
        p50: each((result) => result.p50_us),
        p99: each((result) => result.p99_us),
        generatorShare: each((result) => result.generator_cpu),
        waitingShare: each((result) => result.server_waiting),
        failed: own.filter((run) => run.result === undefined).length
      }
    })
  )

const digits = (value: number, places: number) =>
  value.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places })

const middle = (value: Spread | undefined, places = 0) => value === undefined ? "" : digits(value.median, places)

const whole = (value: Spread | undefined, places: number) =>
  value === undefined
    ? ""
    : `${digits(value.median, places)} (${digits(value.min, places)}–${digits(value.max, places)})`

/** The largest share of all rounds, marked where it is too large. */
const percent = (share: Spread | undefined, limit: number) =>
  share === undefined ? "" : `${digits(share.max * 100, 0)} %${share.max > limit ? " !" : "  "}`

const head = [
  "workload",
  "server",
  "cost (min–max)",
  "ratio (min–max)",
  "msg/s",
  "p50 µs",
  "p99 µs",
  "generator",
  "waiting",
  ""
]

const cells = (row: Row): ReadonlyArray<string> => [
  row.workload.name,
  row.contender.name,
  row.cost === undefined ? "" : `${whole(row.cost, row.workload.unit === "B/conn" ? 0 : 2)} ${row.workload.unit}`,
  whole(row.ratio, 2),
  middle(row.perSecond),
  middle(row.p50),
  middle(row.p99),
  percent(row.generatorShare, busyGenerator),
  percent(row.waitingShare, disturbed),
  row.failed === 0 ? "" : `${row.failed} failed`
]

/** The table as lines of text, with notes on what is marked in it. */
export const render = (rows: ReadonlyArray<Row>, baseline: Contender): string => {
  const lines = [head, ...rows.map(cells)]
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  const text = lines.map((line) =>
    line.map((cell, column) => column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)).join("  ")
      .trimEnd()
  )
  const notes = [
    "Cost is processor time of the server for one reply or delivery, or memory for one connection; medians of all rounds.",
    `Ratio is the cost of ${baseline.name} in the same round by the cost here: above 1 is better than ${baseline.name}.`
  ]
  if (rows.some((row) => (row.generatorShare?.max ?? 0) > busyGenerator)) {
    notes.push("! The generator used over 70 % of its core: the row may show its limit and not the server's.")
  }
  if (rows.some((row) => (row.waitingShare?.max ?? 0) > disturbed)) {
    notes.push("! The server waited for its core over 10 % of the time: other programs disturbed the row.")
  }
  return [...text, "", ...notes].join("\n")
}
