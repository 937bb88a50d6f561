/**
 * Everything that is said about a finished run: tables, plots, JSON.
 */
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Plot from "./plot.ts"
import type { Run } from "./runs.ts"
import * as Table from "./table.ts"

/** Where and how it was measured, and every single run: what `--json` writes and `--from` reads. */
export interface Results {
  readonly versions: string
  readonly machine: string
  readonly pinning: string
  readonly method: { readonly rounds: number; readonly seconds: number; readonly warmUp: number }
  readonly runs: ReadonlyArray<Run>
}

const version = (name: string): string => {
  const file = Path.join(import.meta.dirname, "../../node_modules", name, "package.json")
  return `${name} ${JSON.parse(Fs.readFileSync(file, "utf8")).version}`
}

export const versions = (): string =>
  [`Node ${process.version.slice(1)}`, ...["bun", "deno", "effect", "ws", "socket.io", "crossws"].map(version)].join(
    ", "
  )

export const machine = (): string =>
  `${Os.availableParallelism()} × ${Os.cpus()[0]?.model ?? "unknown"}, Linux ${Os.release()}`

/** What the README says above the tables. */
const preface = ({ machine, method, pinning, versions }: Results) =>
  `Measured on ${machine}; ${pinning}; ${
    method.rounds === 1 ? "1 round" : `${method.rounds} rounds`
  } of ${method.seconds} s after ${method.warmUp} s of warm-up. ${versions}.`

export const asText = (results: Results): string => {
  const rows = Table.summarize(results.runs)
  const grids = [...Table.details(rows), ...Table.budgets(results.runs)]
  return [preface(results), ...grids.map(Table.asText), Table.notes(rows).join("\n")].join("\n\n")
}

const image = (folder: string, { name, title }: Plot.Named) => `![${title}](${Path.posix.join(folder, name)})`

/** The README's part: the budgets, the plots where they were drawn, and every table behind a fold. */
export const asMarkdown = (results: Results, plots: string | undefined): string => {
  const rows = Table.summarize(results.runs)
  const folded = Table.details(rows).map((grid) => `**${grid.title}**\n\n${Table.asMarkdown(grid)}`)
  return [
    preface(results),
    ...Table.budgets(results.runs).map((grid) => `${grid.title}:\n\n${Table.asMarkdown(grid)}`),
    ...plots === undefined ? [] : [Plot.plots(rows).map((plot) => image(plots, plot)).join("\n")],
    `<details>\n<summary>All measurements</summary>`,
    ...folded,
    ...Table.notes(rows),
    "</details>"
  ].join("\n\n")
}

export const drawPlots = (results: Results, folder: string): void => {
  Fs.mkdirSync(folder, { recursive: true })
  for (const { name, svg } of Plot.plots(Table.summarize(results.runs))) Fs.writeFileSync(Path.join(folder, name), svg)
}
