/**
 * Compares heddle with other servers: processor time for a message, latency, memory for a connection.
 *
 * Server and load generator have a core each; a fresh server is warmed up for every measurement; the contenders take
 * turns, so that a slower minute of the machine hits them all. Run with `npm run bench`, see `--help`.
 */
import * as Fs from "node:fs"
import process from "node:process"
import * as Budget from "./budget.ts"
import * as Cores from "./cores.ts"
import { RunFailed } from "./failure.ts"
import * as Generator from "./generator.ts"
import { measureAll } from "./measure.ts"
import * as Options from "./options.ts"
import * as Report from "./report.ts"

const measure = async (wanted: Options.Options): Promise<Report.Results> => {
  const generator = await Generator.compile(wanted.pairs.some(({ contender }) => contender.tls))
  const withoutTls = typeof generator.tls === "string"
  const pairs = wanted.pairs.filter(({ contender }) => !contender.tls || !withoutTls)
  if (pairs.length < wanted.pairs.length) console.error(generator.tls)
  if (pairs.length === 0) throw new RunFailed("nothing is left to measure")
  const cores = Cores.choose()
  const { rounds, seconds, warmUp } = wanted
  const about = {
    versions: Report.versions(),
    machine: Report.machine(),
    pinning: typeof cores === "string" ? cores : `server on core ${cores.server}, generator on ${cores.generator}`,
    method: { rounds, seconds, warmUp }
  }
  return { ...about, runs: await measureAll({ options: { ...wanted, pairs }, cores, generator }) }
}

const read = (file: string): Report.Results => {
  try {
    return JSON.parse(Fs.readFileSync(file, "utf8"))
  } catch (error) {
    throw new Options.UsageError(`--from: ${(error as Error).message}`)
  }
}

/** Says what is far from its budget; answers whether nothing is. */
const check = ({ runs }: Report.Results): boolean => {
  const failed = Budget.suspects(runs)
  for (const { contender, limit, measured, reference, workload } of failed) {
    const than = reference === undefined ? "growth" : `to ${reference}`
    console.log(
      `too slow: ${workload} ${contender} ${than}: ${measured.median.toFixed(2)}, budget ${limit}, in every round`
    )
  }
  if (failed.length === 0) console.log("checked: nothing is below half of its budget")
  return failed.length === 0
}

const main = async (options: Options.Options) => {
  const results = options.from === undefined ? await measure(options) : read(options.from)
  if (options.json !== undefined) Fs.writeFileSync(options.json, JSON.stringify(results, null, 2) + "\n")
  if (options.plots !== undefined) Report.drawPlots(results, options.plots)
  console.log(options.markdown ? Report.asMarkdown(results, options.plots) : `\n${Report.asText(results)}`)
  const complete = results.runs.every(({ result }) => result !== undefined)
  if (!(options.check ? check(results) && complete : complete)) process.exitCode = 1
}

try {
  const options = Options.read(process.argv.slice(2))
  if (options === undefined) console.log(Options.help)
  else await main(options)
} catch (error) {
  if (!(error instanceof Options.UsageError || error instanceof RunFailed)) throw error
  console.error(`bench: ${error.message}`)
  process.exitCode = error instanceof Options.UsageError ? 2 : 1
}
