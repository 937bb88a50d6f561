/**
 * What a browser loads: bundles the client as an application would, and compares its size with the budget.
 *
 * `npm run size`; with `--write` the budget becomes what was measured, `--modules` also lists what is in the client.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { parseArgs } from "node:util"
import * as Zlib from "node:zlib"
import { rolldown } from "rolldown"

/** The client with JSON only has at most so many bytes after brotli, whatever the budget says. */
const limit = 42_000
/** How far from the budget a size may be. */
const tolerance = 0.05

const root = Path.join(import.meta.dirname, "../..")
const budgetFile = Path.join(import.meta.dirname, "budget.json")

interface Size {
  readonly minified: number
  readonly gzip: number
  readonly brotli: number
}

/** Modules that together are one bundle; what nothing uses is left out, as in an application. */
const bundles: { readonly [name: string]: ReadonlyArray<string> } = {
  "client": ["src/client/Client.ts"],
  "client and msgpack": ["src/client/Client.ts", "src/wire/Msgpack.ts"]
}

const entry = "\0entry"

const bundle = async (files: ReadonlyArray<string>) => {
  const code = files.map((file) => `export * from ${JSON.stringify(Path.join(root, file))}`).join("\n")
  const build = await rolldown({
    input: entry,
    platform: "browser",
    plugins: [{
      name: "entry",
      resolveId: (id) => id === entry ? id : undefined,
      load: (id) => id === entry ? code : undefined
    }]
  })
  const { output } = await build.generate({ format: "esm", minify: true })
  await build.close()
  return output[0]
}

const sizeOf = (code: string): Size => ({
  minified: Buffer.byteLength(code),
  gzip: Zlib.gzipSync(code, { level: 9 }).length,
  brotli: Zlib.brotliCompressSync(code).length
})

const kilobytes = (bytes: number): string => `${(bytes / 1_000).toFixed(1)} kB`.padStart(10)

/** Sizes with comments, before the minifier: of `Schema.js` and what only that imports, it drops nearly all. */
const listModules = (modules: { readonly [id: string]: { readonly renderedLength: number } }): void => {
  const rows = Object.entries(modules).toSorted(([, left], [, right]) => right.renderedLength - left.renderedLength)
  for (const [id, { renderedLength }] of rows.slice(0, 40)) {
    console.log(`  ${kilobytes(renderedLength)}  ${Path.relative(root, id)}`)
  }
}

const { values: options } = parseArgs({
  options: { write: { type: "boolean", default: false }, modules: { type: "boolean", default: false } }
})

const budget = JSON.parse(Fs.readFileSync(budgetFile, "utf8")) as { readonly [name: string]: Size }
const measured: Record<string, Size> = {}
const problems: Array<string> = []

console.log(`${"".padEnd(20)}${"minified".padStart(10)}${"gzip".padStart(10)}${"brotli".padStart(10)}`)
for (const [name, files] of Object.entries(bundles)) {
  const { code, modules } = await bundle(files)
  const size = measured[name] = sizeOf(code)
  console.log(`${name.padEnd(20)}${kilobytes(size.minified)}${kilobytes(size.gzip)}${kilobytes(size.brotli)}`)
  if (options.modules && name === "client") listModules(modules)
  const planned = budget[name]?.brotli ?? 0
  const change = size.brotli / planned - 1
  if (Math.abs(change) > tolerance) {
    problems.push(`${name}: ${(change * 100).toFixed(1)} % from its budget of ${planned} bytes`)
  }
}
if (measured["client"]!.brotli > limit) {
  problems.push(`client: ${measured["client"]!.brotli} bytes are more than ${limit}, which is the limit`)
}

if (options.write) Fs.writeFileSync(budgetFile, `${JSON.stringify(measured, null, 2)}\n`)
else if (problems.length > 0) {
  for (const problem of problems) console.error(problem)
  process.exitCode = 1
}
