/**
 * Measures pairs of workload and contender, round by round, and says how far it is.
 */
import * as Budget from "./budget.ts"
import type { Contender } from "./contenders.ts"
import type { Cores } from "./cores.ts"
import { RunFailed } from "./failure.ts"
import * as Generator from "./generator.ts"
import type { Options } from "./options.ts"
import { costOf, type Run } from "./runs.ts"
import * as Server from "./server.ts"
import type { Pair, Workload } from "./workloads.ts"

export interface Bench {
  readonly options: Options
  readonly cores: Cores | string
  readonly generator: Generator.Generator
}

const paths: Readonly<Record<Contender["protocol"], string>> = {
  raw: "/live",
  heddle: "/live",
  msgpack: "/live",
  socketio: "/socket.io/?EIO=4&transport=websocket"
}

const environment = ({ generator }: Bench, contender: Contender): Readonly<Record<string, string>> =>
  contender.tls && typeof generator.tls !== "string" ? generator.tls : {}

const measure = async (bench: Bench, workload: Workload, contender: Contender): Promise<Generator.Result> => {
  const { cores, generator, options } = bench
  const server = await Server.start(contender, cores, environment(bench, contender))
  try {
    const where = ["--server", `${server.pid}`, "--port", `${server.port}`, "--path", paths[contender.protocol]]
    const time = ["--warm", `${options.warmUp}`, "--seconds", `${options.seconds}`]
    const protocol = ["--protocol", contender.protocol, ...contender.tls ? ["--tls"] : []]
    return await Generator.run(generator.program, cores, [...where, ...protocol, ...time, ...workload.load])
  } catch (error) {
    const crash = server.crash()
    throw crash === undefined ? error : new RunFailed(`the server ended: ${crash}`)
  } finally {
    await server.stop()
  }
}

/** A run that fails is reported and costs only its own row. */
const attempt = async (bench: Bench, { contender, workload }: Pair, round: number): Promise<Run> => {
  const run = { round, workload: workload.name, contender: contender.name }
  try {
    return { ...run, result: await measure(bench, workload, contender), problem: undefined }
  } catch (error) {
    if (!(error instanceof RunFailed)) throw error
    return { ...run, result: undefined, problem: error.message }
  }
}

const describe = (run: Run, unit: string) => run.problem ?? `${costOf(run)?.toFixed(unit === "B" ? 0 : 2)} ${unit}`

const describeTime = (milliseconds: number) =>
  milliseconds < 90_000 ? `${Math.ceil(milliseconds / 1_000)} s` : `${Math.round(milliseconds / 60_000)} min`

/** Measures everything. Progress goes to standard error. */
export const measureAll = async (bench: Bench): Promise<ReadonlyArray<Run>> => {
  const { options } = bench
  const runs: Array<Run> = []
  const begin = performance.now()
  for (let round = 1; round <= options.rounds; round++) {
    const pairs = options.check && round > 1 ? Budget.inDoubt(options.pairs, runs) : options.pairs
    for (const [index, pair] of pairs.entries()) {
      const run = await attempt(bench, pair, round)
      runs.push(run)
      const { contender, workload } = pair
      const laterRounds = options.check ? 0 : options.rounds - round
      const left = pairs.length - index - 1 + laterRounds * pairs.length
      const time = describeTime((performance.now() - begin) / runs.length * left)
      const place = `round ${round} of ${options.rounds}, about ${time} left`
      console.error(`${place}:  ${workload.name} ${contender.name}: ${describe(run, workload.unit)}`)
    }
  }
  return runs
}
