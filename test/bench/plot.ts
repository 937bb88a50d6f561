/**
 * A plot of each workload: what it costs each server, as bars, with the span of all rounds.
 */
import { placesOf, type Row } from "./table.ts"
import { workloads } from "./workloads.ts"

export interface Named {
  readonly name: string
  readonly title: string
  readonly svg: string
}

const width = 720
const left = 190
const right = 90
const top = 44
const pitch = 28
const thickness = 16
const bottom = 52

const escape = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

const capital = (text: string) => text[0]!.toUpperCase() + text.slice(1)

/** At most six round numbers from 0 to no less than a value. */
export const ticks = (most: number): ReadonlyArray<number> => {
  const rough = most / 5
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough)! * power
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, index) => Number((index * step).toPrecision(12)))
}

const format = (value: number, places: number) => value.toLocaleString("en", { maximumFractionDigits: places })

/** Colours follow the reader's scheme; outside of a browser they are those of a light page. */
const style = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 14px }
  .axis, .tick { fill: #59636e; font-size: 12px }
  .grid { stroke: #d1d9e0 }
  .bar { fill: #9aa4af }
  .ours { fill: #1a7f64 }
  .span { stroke: #1f2328 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .axis, .tick { fill: #9198a1 }
    .grid { stroke: #3d444d }
    .bar { fill: #656c76 }
    .ours { fill: #3fb68b }
    .span { stroke: #e6edf3 }
  }`

const bar = (row: Row, index: number, x: (value: number) => number): string => {
  const { contender, cost } = row
  const y = top + index * pitch
  const middle = y + thickness / 2
  const name = `<text x="${left - 8}" y="${middle + 4}" text-anchor="end">${escape(contender.title)}</text>`
  if (cost === undefined) return `${name}<text class="tick" x="${left + 6}" y="${middle + 4}">no result</text>`
  const value = format(cost.median, placesOf(cost.median))
  return [
    name,
    `<rect class="bar${contender.program === "heddle.ts" ? " ours" : ""}" x="${left}" y="${y}" width="${
      x(cost.median) - left
    }" height="${thickness}"/>`,
    `<path class="span" d="M${x(cost.min)} ${middle}H${x(cost.max)}M${x(cost.min)} ${middle - 4}v8M${x(cost.max)} ${
      middle - 4
    }v8"/>`,
    `<text x="${Math.max(x(cost.max), x(cost.median)) + 8}" y="${middle + 4}">${value}</text>`
  ].join("")
}

/** The plot of rows of one workload. */
export const draw = (rows: ReadonlyArray<Row>): string => {
  const { axis, title } = rows[0]!.workload
  const marks = ticks(Math.max(...rows.map(({ cost }) => cost?.max ?? 0), 1e-3))
  const most = marks.at(-1)!
  const x = (value: number) => Number((left + value / most * (width - left - right)).toFixed(1))
  const end = top + rows.length * pitch
  const grid = marks.map((value) =>
    `<path class="grid" d="M${x(value)} ${top - 8}V${end}"/>` +
    `<text class="tick" x="${x(value)}" y="${end + 16}" text-anchor="middle">${format(value, 3)}</text>`
  )
  const center = (left + width - right) / 2
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${end + bottom}" width="${width}" height="${
      end + bottom
    }" role="img" aria-label="${escape(title)}">`,
    `<style>${style}\n</style>`,
    `<text class="title" x="${width / 2}" y="20" text-anchor="middle">${escape(capital(title))}</text>`,
    `<text class="axis" x="${left - 8}" y="${top - 10}" text-anchor="end">server</text>`,
    ...grid,
    ...rows.map((row, index) => bar(row, index, x)),
    `<text class="axis" x="${center}" y="${end + 38}" text-anchor="middle">${
      escape(axis)
    } (less is better; span of all rounds)</text>`,
    "</svg>\n"
  ].join("\n")
}

/** A plot of each workload that was measured. */
export const plots = (rows: ReadonlyArray<Row>): ReadonlyArray<Named> =>
  workloads.flatMap((workload) => {
    const own = rows.filter((row) => row.workload === workload)
    return own.length === 0 ? [] : [{ name: `${workload.name}.svg`, title: workload.title, svg: draw(own) }]
  })
