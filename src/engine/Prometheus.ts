/**
 * Effect's metrics in the text format of Prometheus.
 */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"

type Snapshot = ReturnType<typeof Metric.snapshotUnsafe>[number]
type Line = readonly [suffix: string, extra: Readonly<Record<string, string>>, value: number | bigint]

export const contentType = "text/plain; version=0.0.4; charset=utf-8"

const types = { Counter: "counter", Frequency: "counter", Gauge: "gauge", Histogram: "histogram", Summary: "summary" }

const nameOf = (id: string): string => id.replaceAll(/[^a-zA-Z0-9_:]/g, "_").replace(/^(?=\d)/, "_")

const escape = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")

const labelsOf = (labels: Readonly<Record<string, string>>): string => {
  const pairs = Object.entries(labels).map(([name, value]) =>
    `${nameOf(name).replaceAll(":", "_")}="${escape(value).replaceAll("\"", "\\\"")}"`
  )
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`
}

const numberOf = (value: number | bigint): string =>
  value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : `${value}`

const linesOf = (metric: Snapshot): ReadonlyArray<Line> => {
  switch (metric.type) {
    case "Counter":
      return [["", {}, metric.state.count]]
    case "Gauge":
      return [["", {}, metric.state.value]]
    case "Frequency":
      return [...metric.state.occurrences].map(([key, count]) => ["", { key }, count])
    case "Histogram":
      return [
        ...metric.state.buckets.filter(([most]) => most !== Infinity)
          .map(([most, count]): Line => ["_bucket", { le: `${most}` }, count]),
        ["_bucket", { le: "+Inf" }, metric.state.count],
        ["_sum", {}, metric.state.sum],
        ["_count", {}, metric.state.count]
      ]
    case "Summary":
      return [
        ...metric.state.quantiles.map(([quantile, value]): Line => ["", { quantile: `${quantile}` }, value ?? NaN]),
        ["_sum", {}, metric.state.sum],
        ["_count", {}, metric.state.count]
      ]
  }
}

/** Every metric in the registry of the context. */
export const render = (context: Context.Context<never>): string => {
  const families = new Map<string, Array<string>>()
  for (const metric of Metric.snapshotUnsafe(context)) {
    const name = nameOf(metric.id)
    let family = families.get(name)
    if (family === undefined) {
      const help = metric.description === undefined ? [] : [`# HELP ${name} ${escape(metric.description)}`]
      families.set(name, family = [...help, `# TYPE ${name} ${types[metric.type]}`])
    }
    for (const [suffix, extra, value] of linesOf(metric)) {
      family.push(`${name}${suffix}${labelsOf({ ...metric.attributes, ...extra })} ${numberOf(value)}`)
    }
  }
  return [...families.values()].flat().map((line) => `${line}\n`).join("")
}
