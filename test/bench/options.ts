/**
 * The command line of the benchmark.
 */
import { parseArgs } from "node:util"
import { contenders } from "./contenders.ts"
import { type Pair, pairs, workloads } from "./workloads.ts"

export interface Options {
  readonly pairs: ReadonlyArray<Pair>
  readonly rounds: number
  readonly seconds: number
  readonly warmUp: number
  /** Fails when something costs more than twice its budget. */
  readonly check: boolean
  readonly markdown: boolean
  readonly json: string | undefined
  readonly plots: string | undefined
  /** Results of an earlier run, shown again instead of measuring. */
  readonly from: string | undefined
}

/** What is wrong with the command line, in one line. */
export class UsageError extends Error {}

const names = (all: ReadonlyArray<{ readonly name: string }>) => all.map(({ name }) => name).join(",")

export const help = `Usage: npm run bench -- [options]

Measures heddle against ws and Socket.IO on Node, in about ten minutes. With --full also on Bun and Deno against their
own servers, crossws, the protocol by hand, MessagePack, history, TLS and larger rooms, in more than an hour.

  --full           everything there is, instead of the standard runs
  --quick          short runs of the standard loads, without memory; in about three minutes
  --check          measures CPU only; fails when every round is below half of the budget
  --only NAMES     workloads, separated by commas
  --servers NAMES  servers, separated by commas
  --rounds N       rounds, the servers taking turns in each (3)
  --seconds S      how long each load is measured (4; 1.5 with --quick)
  --warm-up S      how long each load runs before that (2.5; 2 with --quick)
  --markdown       prints the tables in Markdown, as the README has them
  --json FILE      also writes every run and the machine it ran on
  --plots FOLDER   also draws a plot of each workload, as SVG
  --from FILE      shows what --json wrote, instead of measuring
  --help           shows this

Workloads:
${workloads.map(({ full, name, title }) => `  ${name.padEnd(15)}  ${title}${full ? " (full)" : ""}`).join("\n")}

Servers:
${
  contenders.map(({ name, role, title }) => `  ${name.padEnd(15)}  ${title}${role === "standard" ? "" : " (full)"}`)
    .join("\n")
}`

const select = (option: string, all: ReadonlyArray<{ readonly name: string }>, list: string | undefined) => {
  const wanted = list?.split(",")
  const unknown = wanted?.find((name) => !all.some((item) => item.name === name))
  if (unknown !== undefined) throw new UsageError(`--${option}: no "${unknown}"; there are ${names(all)}`)
  return wanted
}

const number = (option: string, text: string, least: number, fits: (value: number) => boolean) => {
  const value = Number(text)
  if (text.trim() === "" || !fits(value) || value < least || value > 3600) {
    throw new UsageError(`--${option}: "${text}" is not a ${least === 1 ? "whole " : ""}number from ${least} to 3600`)
  }
  return value
}

const parse = (args: ReadonlyArray<string>) => {
  try {
    return parseArgs({
      args: [...args],
      options: {
        full: { type: "boolean", default: false },
        quick: { type: "boolean", default: false },
        check: { type: "boolean", default: false },
        only: { type: "string" },
        servers: { type: "string" },
        rounds: { type: "string", default: "3" },
        seconds: { type: "string" },
        "warm-up": { type: "string" },
        markdown: { type: "boolean", default: false },
        json: { type: "string" },
        plots: { type: "string" },
        from: { type: "string" },
        help: { type: "boolean", default: false }
      }
    }).values
  } catch (error) {
    throw new UsageError((error as Error).message.split(/[.\n]/)[0])
  }
}

/** What is measured otherwise than in CPU depends on more than the code. */
const isCpu = ({ workload }: Pair) => workload.axis.startsWith("CPU")

/** Reads the command line; undefined when it asks for help. */
export const read = (args: ReadonlyArray<string>): Options | undefined => {
  const values = parse(args)
  if (values.help) return undefined
  if (values.full && values.quick) throw new UsageError("--full and --quick: only one of them")
  const only = select("only", workloads, values.only)
  const servers = select("servers", contenders, values.servers)
  const all = pairs(only, servers, values.full)
  const measured = values.check || (values.quick && only === undefined) ? all.filter(isCpu) : all
  if (measured.length === 0) {
    throw new UsageError("--check: only CPU is checked, and none of these workloads measures it")
  }
  return {
    pairs: measured,
    rounds: number("rounds", values.rounds, 1, Number.isInteger),
    seconds: number("seconds", values.seconds ?? (values.quick ? "1.5" : "4"), 0.1, Number.isFinite),
    warmUp: number("warm-up", values["warm-up"] ?? (values.quick ? "2" : "2.5"), 0, Number.isFinite),
    check: values.check,
    markdown: values.markdown,
    json: values.json,
    plots: values.plots,
    from: values.from
  }
}
