/** Runs as the benchmark would have measured them. */
import type { Run } from "./runs.ts"

/** One run for each cost, in rounds from 1; undefined is a run that failed. */
export const made = (
  workload: string,
  contender: string,
  costs: ReadonlyArray<number | undefined>
): ReadonlyArray<Run> =>
  costs.map((cost, index) => ({
    round: index + 1,
    workload,
    contender,
    problem: cost === undefined ? "the server ended" : undefined,
    result: cost === undefined ? undefined : {
      valid: true,
      errors: 0,
      connections: 100,
      rss_kb: 50_000,
      ...workload === "memory"
        ? { bytes_per_connection: cost }
        : {
          server_us_per_message: cost,
          per_second: 1e6 / cost,
          p50_us: 10,
          p99_us: 20,
          p999_us: 30,
          generator_cpu: 0.5
        }
    }
  }))
