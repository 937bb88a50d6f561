/**
 * The command line of the benchmark.
 */
import { parseArgs } from "node:util"
import { type Contender, contenders, type Workload, workloads } from "./workloads.ts"

export interface Options {
  readonly workloads: ReadonlyArray<Workload>
  readonly contenders: ReadonlyArray<Contender>
  readonly rounds: number
  readonly seconds: number
  readonly warmUp: number
  readonly json: string | undefined
}

/** What is wrong with the command line, in one line. */
export class UsageError extends Error {}

const names = (all: ReadonlyArray<{ readonly name: string }>) => all.map(({ name }) => name).join(",")

export const help = `Usage: npm run bench -- [options]

Measures heddle against a plain ws server on Node. The default run takes about four minutes.

  --only NAMES     workloads: ${names(workloads)}
  --servers NAMES  servers: ${names(contenders)}
  --rounds N       rounds, the servers taking turns in each (3)
  --seconds S      how long each load is measured (4)
  --warm-up S      how long each load runs before that (2.5)
  --json FILE      also writes every run and the machine it ran on
  --help           shows this

Workloads:
${workloads.map(({ name, title }) => `  ${name.padEnd(16)} ${title}`).join("\n")}`

const select = <A extends { readonly name: string }>(option: string, all: ReadonlyArray<A>, list = names(all)) => {
  const wanted = list.split(",")
  const unknown = wanted.find((name) => !all.some((item) => item.name === name))
  if (unknown !== undefined) throw new UsageError(`--${option}: no "${unknown}"; there are ${names(all)}`)
  return all.filter(({ name }) => wanted.includes(name))
}

const number = (option: string, text: string, least: number, fits: (value: number) => boolean) => {
  const value = Number(text)
  if (text.trim() === "" || !fits(value) || value < least || value > 3600) {
    throw new UsageError(`--${option}: "${text}" is not a ${least === 1 ? "whole " : ""}number from ${least}`)
  }
  return value
}

const parse = (args: ReadonlyArray<string>) => {
  try {
    return parseArgs({
      args: [...args],
      options: {
        only: { type: "string" },
        servers: { type: "string" },
        rounds: { type: "string", default: "3" },
        seconds: { type: "string", default: "4" },
        "warm-up": { type: "string", default: "2.5" },
        json: { type: "string" },
        help: { type: "boolean", default: false }
      }
    }).values
  } catch (error) {
    throw new UsageError((error as Error).message.split(/[.\n]/)[0])
  }
}

/** Reads the command line; undefined when it asks for help. */
export const read = (args: ReadonlyArray<string>): Options | undefined => {
  const values = parse(args)
  if (values.help) return undefined
  return {
    workloads: select("only", workloads, values.only),
    contenders: select("servers", contenders, values.servers),
    rounds: number("rounds", values.rounds, 1, Number.isInteger),
    seconds: number("seconds", values.seconds, 0.1, Number.isFinite),
    warmUp: number("warm-up", values["warm-up"], 0, Number.isFinite),
    json: values.json
  }
}
