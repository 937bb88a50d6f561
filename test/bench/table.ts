/**
 * From single runs to medians, and to tables as text or Markdown.
 */
import * as Budget from "./budget.ts"
import { byName, type Contender, contenders } from "./contenders.ts"
import type { Result } from "./generator.ts"
import { costOf, differences, growth, ratios, type Run, runsOf, type Spread, spread } from "./runs.ts"
import { type Workload, workloads } from "./workloads.ts"

export interface Row {
  readonly workload: Workload
  readonly contender: Contender
  readonly cost: Spread | undefined
  /** Cost of the contender's reference in the same round by the cost here: above 1 is better than the reference. */
  readonly ratio: Spread | undefined
  readonly perSecond: Spread | undefined
  readonly p50: Spread | undefined
  readonly p99: Spread | undefined
  readonly p999: Spread | undefined
  readonly generatorShare: Spread | undefined
  readonly waitingShare: Spread | undefined
  /** Runs without a result. */
  readonly failed: number
}

/** A table as cells; the first columns, so many, hold text. */
export interface Grid {
  readonly title: string
  readonly head: ReadonlyArray<string>
  readonly rows: ReadonlyArray<ReadonlyArray<string>>
  readonly texts: number
}

/** Past this share of its core the generator, not the server, may be what is measured. */
const busyGenerator = 0.7

/** Past this share of the time, during which other programs had the server's core, its caches were not its own. */
const disturbed = 0.1

const summarizeOne = (runs: ReadonlyArray<Run>, workload: Workload, contender: Contender): Row => {
  const own = runsOf(runs, workload.name, contender.name)
  const each = (pick: (result: Result) => number | undefined) =>
    spread(own.map((run) => run.result && pick(run.result)))
  const { reference } = contender
  return {
    workload,
    contender,
    cost: spread(own.map(costOf)),
    ratio: reference === undefined ? undefined : spread(ratios(runs, workload.name, contender.name, reference)),
    perSecond: each((result) => result.per_second),
    p50: each((result) => result.p50_us),
    p99: each((result) => result.p99_us),
    p999: each((result) => result.p999_us),
    generatorShare: each((result) => result.generator_cpu),
    waitingShare: each((result) => result.server_waiting),
    failed: own.filter((run) => run.result === undefined).length
  }
}

/** One row for each workload and contender that were measured, in the order in which they are declared. */
export const summarize = (runs: ReadonlyArray<Run>): ReadonlyArray<Row> =>
  workloads.flatMap((workload) =>
    contenders.filter(({ name }) => runsOf(runs, workload.name, name).length > 0)
      .map((contender) => summarizeOne(runs, workload, contender))
  )

const digits = (value: number, places: number) =>
  value.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places })

const middle = (value: Spread | undefined, places = 0) => value === undefined ? "" : digits(value.median, places)

/** With the span of all rounds, where there is one. */
const whole = ({ max, median, min }: Spread, places: number) =>
  digits(median, places) + (min === max ? "" : ` (${digits(min, places)}–${digits(max, places)})`)

/** A cost without more digits than it is precise to. */
export const placesOf = (cost: number): number => cost >= 100 ? 0 : cost >= 10 ? 1 : 2

/** The largest share of all rounds, marked where it is too large. */
const percent = (share: Spread | undefined, limit: number) =>
  share === undefined ? "" : `${digits(share.max * 100, 0)} %${share.max > limit ? " !" : ""}`

const cells = (row: Row): ReadonlyArray<string> => [
  row.contender.title,
  row.cost === undefined ? "" : `${whole(row.cost, placesOf(row.cost.median))} ${row.workload.unit}`,
  row.ratio === undefined ? "" : whole(row.ratio, 2),
  row.contender.reference === undefined ? "" : byName(row.contender.reference).title,
  middle(row.perSecond),
  middle(row.p50),
  middle(row.p99),
  middle(row.p999),
  percent(row.generatorShare, busyGenerator),
  percent(row.waitingShare, disturbed),
  row.failed === 0 ? "" : `${row.failed} failed`
]

const head = [
  "server",
  "cost (min–max)",
  "ratio (min–max)",
  "to",
  "a second",
  "p50 µs",
  "p99 µs",
  "p99.9 µs",
  "generator"
]

/** The columns in which something stands. */
const withoutEmpty = (grid: Grid): Grid => {
  const kept = grid.head.map((_, column) => column === 0 || grid.rows.some((row) => row[column] !== ""))
  const keep = (row: ReadonlyArray<string>) => row.filter((_, column) => kept[column])
  return { ...grid, head: keep(grid.head), rows: grid.rows.map(keep) }
}

/** A table of each workload. */
export const details = (rows: ReadonlyArray<Row>): ReadonlyArray<Grid> =>
  workloads.flatMap((workload) => {
    const own = rows.filter((row) => row.workload === workload)
    const title = `${workload.name}: ${workload.title}`
    const grid = { title, head: [...head, "waiting", "failed"], rows: own.map(cells), texts: 1 }
    return own.length === 0 ? [] : [withoutEmpty(grid)]
  })

const mark = (met: boolean) => met ? "✓" : "✗"

const valueCell = (kind: Budget.Verdict["kind"], value: number) =>
  kind === "ratio"
    ? digits(value, 2)
    : kind === "bytes"
    ? `${value < 0 ? "−" : "+"}${digits(Math.abs(value) / 1024, 1)} KiB`
    : `× ${digits(value, 2)}`

const limitCell = ({ kind, limit }: Budget.Verdict) =>
  kind === "ratio" ? `≥ ${limit}` : kind === "bytes" ? `≤ +${limit / 1024} KiB` : `≤ ${limit}`

const verdictCell = (verdict: Budget.Verdict) =>
  `${valueCell(verdict.kind, verdict.measured.median)} ${mark(verdict.met)} (${limitCell(verdict)})`

/** What a budgeted value is where the protocol is spoken by hand. */
const floorCell = (runs: ReadonlyArray<Run>, { contender, kind, reference, workload }: Budget.Verdict) => {
  const { floor } = byName(contender)
  const measured = floor && spread((kind === "ratio" ? ratios : differences)(runs, workload, floor, reference!))
  return measured ? valueCell(kind, measured.median) : ""
}

const titleOf = (name: string) => workloads.find((workload) => workload.name === name)!.title

/** A row for each workload, a column for each comparison. */
const compared = (runs: ReadonlyArray<Run>, title: string, cell: (verdict: Budget.Verdict) => string): Grid => {
  const all = Budget.verdicts(runs).filter((verdict) => verdict.kind !== "growth" && cell(verdict) !== "")
  const columns = Budget.comparisons.filter(({ contender, reference }) =>
    all.some((verdict) => verdict.contender === contender && verdict.reference === reference)
  )
  const rows = workloads.filter(({ name }) => all.some(({ workload }) => workload === name)).map(({ name, title }) => [
    title,
    ...columns.map(({ contender, reference }) => {
      const found = all.find((verdict) =>
        verdict.workload === name && verdict.contender === contender && verdict.reference === reference
      )
      return found === undefined ? "" : cell(found)
    })
  ])
  return { title, head: ["", ...columns.map(({ title }) => title)], rows, texts: 1 }
}

/** How costs grow, of heddle and of what it is compared with: the machine itself needs more for more sockets. */
const grown = (runs: ReadonlyArray<Run>): Grid => {
  const of = (name: string | undefined, { from, workload }: Budget.Verdict) => {
    const measured = name && spread(growth(runs, name, from!, workload))
    return measured ? `${byName(name).title}: × ${digits(measured.median, 2)}` : ""
  }
  const rows = Budget.verdicts(runs).filter(({ kind }) => kind === "growth").map((verdict) => {
    const { floor, reference, title } = byName(verdict.contender)
    const cells = [title, titleOf(verdict.from!), titleOf(verdict.workload), verdictCell(verdict)]
    return [...cells, of(reference, verdict), of(floor, verdict)]
  })
  const head = ["", "from", "to", "", "the reference", "by hand"]
  return withoutEmpty({ title: "Growth of the cost of a delivery", head, rows, texts: 3 })
}

/** What is budgeted. */
export const budgets = (runs: ReadonlyArray<Run>): ReadonlyArray<Grid> =>
  [
    compared(runs, "Times better than the reference, and the budget", verdictCell),
    compared(runs, "The same of the protocol by hand", (verdict) => floorCell(runs, verdict)),
    grown(runs)
  ].filter(({ rows }) => rows.length > 0)

/** A grid as lines of text. */
export const asText = ({ head, rows, texts, title }: Grid): string => {
  const lines = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  const padded = lines.map((line) =>
    line.map((cell, column) => column < texts ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)).join(
      "  "
    )
      .trimEnd()
  )
  return [title, ...padded].join("\n")
}

/** A grid as a table of Markdown, without its title. */
export const asMarkdown = ({ head, rows, texts }: Grid): string => {
  const line = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |`
  return [line(head), line(head.map((_, column) => column < texts ? "---" : "---:")), ...rows.map(line)].join("\n")
}

/** What must be known to read the tables. */
export const notes = (rows: ReadonlyArray<Row>): ReadonlyArray<string> => [
  "Medians of all rounds. A ratio is the cost of the reference in the same round by the cost here: above 1 is better.",
  ...rows.some((row) => (row.generatorShare?.max ?? 0) > busyGenerator)
    ? ["! The generator used over 70 % of its core: rates and latencies of the row may be its limit; the cost is not."]
    : [],
  ...rows.some((row) => (row.waitingShare?.max ?? 0) > disturbed)
    ? ["! The server waited for its core over 10 % of the time: other programs disturbed the row."]
    : []
]
