/**
 * Compares heddle with a plain `ws` server: processor time for a message, latency, memory for a connection.
 *
 * Server and load generator have a core each; a fresh server is warmed up for every measurement; the contenders take
 * turns, so that a slower minute of the machine hits them all. Run with `npm run bench`, see `--help`.
 */
import * as Fs from "node:fs"
import * as Os from "node:os"
import process from "node:process"
import * as Cores from "./cores.ts"
import { RunFailed } from "./failure.ts"
import * as Generator from "./generator.ts"
import * as Options from "./options.ts"
import * as Server from "./server.ts"
import * as Table from "./table.ts"
import { type Contender, contenders, type Workload } from "./workloads.ts"

interface Bench {
  readonly options: Options.Options
  readonly cores: Cores.Cores | string
  readonly generator: string
}

const measure = async (bench: Bench, workload: Workload, contender: Contender): Promise<Generator.Result> => {
  const server = await Server.start(contender, bench.cores)
  try {
    const where = ["--server", `${server.pid}`, "--port", `${server.port}`, "--path", "/live"]
    const time = ["--warm", `${bench.options.warmUp}`, "--seconds", `${bench.options.seconds}`]
    const protocol = ["--protocol", contender.protocol]
    return await Generator.run(bench.generator, bench.cores, [...where, ...protocol, ...time, ...workload.load])
  } catch (error) {
    const crash = server.crash()
    throw crash === undefined ? error : new RunFailed(`the server ended: ${crash}`)
  } finally {
    await server.stop()
  }
}

/** A run that fails is reported and costs only its own row. */
const attempt = async (bench: Bench, workload: Workload, contender: Contender, round: number): Promise<Table.Run> => {
  const run = { round, workload: workload.name, contender: contender.name }
  try {
    return { ...run, result: await measure(bench, workload, contender), problem: undefined }
  } catch (error) {
    if (!(error instanceof RunFailed)) throw error
    return { ...run, result: undefined, problem: error.message }
  }
}

const describe = (run: Table.Run, unit: string) =>
  run.problem ?? `${Table.cost(run.result)?.toFixed(unit === "B/conn" ? 0 : 2)} ${unit}`

const measureAll = async (bench: Bench): Promise<ReadonlyArray<Table.Run>> => {
  const { options } = bench
  const runs: Array<Table.Run> = []
  const total = options.rounds * options.workloads.length * options.contenders.length
  for (let round = 1; round <= options.rounds; round++) {
    for (const workload of options.workloads) {
      for (const contender of options.contenders) {
        const run = await attempt(bench, workload, contender, round)
        runs.push(run)
        const place = `${runs.length}/${total}`.padStart(5)
        console.error(`${place}  round ${round}  ${workload.name} ${contender.name}: ${describe(run, workload.unit)}`)
      }
    }
  }
  return runs
}

const main = async (options: Options.Options) => {
  const cores = Cores.choose()
  const machine = { node: process.version, cpu: Os.cpus()[0]?.model ?? "unknown", cores: Os.availableParallelism() }
  const pinning = typeof cores === "string" ? cores : `server on core ${cores.server}, generator on ${cores.generator}`
  console.log(`Node ${machine.node} on ${machine.cores} × ${machine.cpu}; ${pinning}`)
  const runs = await measureAll({ options, cores, generator: await Generator.compile() })
  const baseline = contenders[0]!
  const rows = Table.summarize(runs, options.workloads, options.contenders, baseline)
  console.log(`\n${Table.render(rows, baseline)}`)
  if (options.json !== undefined) {
    const { rounds, seconds, warmUp } = options
    Fs.writeFileSync(
      options.json,
      JSON.stringify({ machine, pinning, rounds, seconds, warmUp, rows, runs }, null, 2) + "\n"
    )
  }
  if (runs.some(({ result }) => result === undefined)) process.exitCode = 1
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
