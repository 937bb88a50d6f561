/**
 * The load generator: compiled when the benchmark runs, run once for each measurement.
 */
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import process from "node:process"
import * as Children from "./children.ts"
import { type Cores, pinned } from "./cores.ts"
import { RunFailed } from "./failure.ts"

/** What the generator says about one run. Shares are of one core. */
export interface Result {
  readonly valid: boolean
  readonly errors: number
  readonly connections: number
  readonly rss_kb: number
  readonly bytes_per_connection?: number
  readonly messages?: number
  readonly per_second?: number
  readonly p50_us?: number
  readonly p99_us?: number
  readonly p999_us?: number
  readonly server_us_per_message?: number
  readonly server_cpu?: number
  readonly generator_cpu?: number
  /** The part of the time the server was ready to run and another program had its core. */
  readonly server_waiting?: number
}

export interface Generator {
  readonly program: string
  /** The environment of a server that is to speak TLS; or why there is none. */
  readonly tls: Readonly<Record<string, string>> | string
}

const source = Path.join(import.meta.dirname, "loadgen.c")

/** A certificate for a day, in files that a server can be pointed to. */
const makeCertificate = async (folder: string): Promise<Generator["tls"]> => {
  const [cert, key] = [Path.join(folder, "cert.pem"), Path.join(folder, "key.pem")]
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key]
  const openssl = Children.start("openssl", [
    "req",
    "-x509",
    ...curve,
    "-out",
    cert,
    "-days",
    "1",
    "-subj",
    "/CN=localhost"
  ])
  return await openssl.ended === 0 ? { TLS_CERT: cert, TLS_KEY: key } : "no TLS: the program \"openssl\" did not run"
}

/** Compiles the generator into a temporary folder: with OpenSSL if TLS is wanted and its headers are there. */
export const compile = async (wantsTls: boolean): Promise<Generator> => {
  if (process.platform !== "linux") throw new RunFailed("the load generator needs Linux (epoll, /proc)")
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "heddle-bench-"))
  process.on("exit", () => Fs.rmSync(folder, { recursive: true, force: true }))
  const program = Path.join(folder, "loadgen")
  if (wantsTls) {
    const compiler = Children.start("cc", ["-O2", "-DTLS", "-o", program, source, "-lssl", "-lcrypto"])
    if (await compiler.ended === 0) return { program, tls: await makeCertificate(folder) }
  }
  const compiler = Children.start("cc", ["-O2", "-o", program, source])
  const outcome = await compiler.ended
  if (typeof outcome === "string") {
    throw new RunFailed(`the load generator needs a C compiler, and "cc" did not run: ${outcome}`)
  }
  if (outcome !== 0) throw new RunFailed(`the load generator did not compile:\n${compiler.output.stderr}`)
  return { program, tls: "no TLS: the headers of OpenSSL are not installed" }
}

/** Runs it once. Fails when the run is invalid, saying what was wrong with the first message. */
export const run = async (program: string, cores: Cores | string, args: ReadonlyArray<string>): Promise<Result> => {
  const child = Children.start(...pinned(cores, "generator", program, args))
  const outcome = await child.ended
  const [problem] = child.output.stderr.split("\n")
  if (!child.output.stdout.startsWith("{")) throw new RunFailed(`the generator ended with ${outcome}: ${problem}`)
  const result: Result = JSON.parse(child.output.stdout)
  if (!result.valid) {
    throw new RunFailed(`invalid, ${result.errors} ${result.errors === 1 ? "error" : "errors; the first"}: ${problem}`)
  }
  return result
}
