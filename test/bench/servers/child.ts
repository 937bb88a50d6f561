/**
 * What every server under test does besides serving: it listens where it is told, collects garbage on SIGUSR2, so that
 * memory can be compared, and ends when the benchmark does, however that ended.
 */
import * as Fs from "node:fs"
import process from "node:process"

/** Where the benchmark wants the server. */
export const port = Number(process.env["PORT"])

/** The certificate it is to serve with, if any. */
export const tls = process.env["TLS_CERT"] === undefined ? undefined : {
  cert: Fs.readFileSync(process.env["TLS_CERT"], "utf8"),
  key: Fs.readFileSync(process.env["TLS_KEY"]!, "utf8")
}

/** How the generator's events begin on a plain server; everything else is a request. */
export const eventStart = "[\"event\","

const runtime: typeof globalThis & { readonly Bun?: { readonly gc: (now: boolean) => void } } = globalThis

const collect = () => runtime.Bun === undefined ? runtime.gc?.() : runtime.Bun.gc(true)

process.on("SIGUSR2", () => {
  // Once is not enough: finalizers of the first collection free more.
  collect()
  setTimeout(collect, 200)
})
process.stdin.on("end", () => process.exit()).resume()
process.stdin.unref?.() // A file has none.
