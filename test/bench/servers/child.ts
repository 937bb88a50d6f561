/**
 * What every server under test does besides serving: it listens where it is told, collects garbage on SIGUSR2, so that
 * memory can be compared, and ends when the benchmark does, however that ended.
 */
import process from "node:process"

/** Where the benchmark wants the server. */
export const port = Number(process.env["PORT"])

process.on("SIGUSR2", () => {
  // Once is not enough: finalizers of the first collection free more.
  globalThis.gc?.()
  setTimeout(() => globalThis.gc?.(), 200)
})
process.stdin.on("end", () => process.exit()).resume()
process.stdin.unref?.() // A file has none.
