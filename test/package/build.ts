/**
 * Builds what is published, in `dist/package`: JavaScript with declarations and source maps, and the browser bundles.
 *
 * The repository runs its sources unbuilt, so the exports of its `package.json` name `.ts` files. The `package.json`
 * that is published is made here from the same list, with the files that were built; `npm pack ./dist/package` packs it.
 */
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import * as Path from "node:path"
import { rolldown } from "rolldown"

const root = Path.join(import.meta.dirname, "../..")
/** Where the package is built. */
export const target = Path.join(root, "dist/package")

type Exports = { readonly [name: string]: string | Exports }

const source = JSON.parse(Fs.readFileSync(Path.join(root, "package.json"), "utf8")) as {
  readonly exports: Exports
  readonly [field: string]: unknown
}

/** Ready for `<script type="module">`: nothing is left to import. */
const bundles: { readonly [name: string]: { readonly input: string; readonly output: string } } = {
  "./browser": { input: "src/browser.ts", output: "browser/heddle.js" },
  "./browser/msgpack": { input: "src/wire/Msgpack.ts", output: "browser/msgpack.js" }
}

const compile = (): void => {
  const typescript = Path.join(Path.dirname(createRequire(import.meta.url).resolve("typescript")), "tsc.js")
  ChildProcess.execFileSync(process.execPath, [typescript, "-p", "tsconfig.build.json"], {
    cwd: root,
    stdio: "inherit"
  })
}

const bundle = async ({ input, output }: { readonly input: string; readonly output: string }): Promise<void> => {
  const build = await rolldown({ input: Path.join(root, input), platform: "browser" })
  const file = Path.join(target, output)
  await build.write({ format: "esm", minify: true, sourcemap: true, file, codeSplitting: false })
  await build.close()
}

/** The same name for what was built from it: types first, as resolvers read conditions in order. */
const built = (exported: string | Exports): object =>
  typeof exported === "string"
    ? { types: exported.replace(/\.ts$/, ".d.ts"), default: exported.replace(/\.ts$/, ".js") }
    : Object.fromEntries(Object.entries(exported).map(([condition, inner]) => [condition, built(inner)]))

const bundled = ({ input, output }: { readonly input: string; readonly output: string }): object => ({
  types: `./${input.replace(/\.ts$/, ".d.ts")}`,
  default: `./${output}`
})

/** What a user's package manager has to know; scripts and development dependencies stay here. */
const fields = [
  "name",
  "version",
  "description",
  "keywords",
  "license",
  "author",
  "homepage",
  "repository",
  "bugs",
  "type",
  "engines",
  "dependencies",
  "peerDependencies",
  "peerDependenciesMeta",
  "optionalDependencies"
]

const describe = (): void => {
  const description = {
    ...Object.fromEntries(fields.filter((field) => field in source).map((field) => [field, source[field]])),
    sideEffects: false,
    exports: {
      ...Object.fromEntries(Object.entries(source.exports).map(([name, exported]) => [name, built(exported)])),
      ...Object.fromEntries(Object.entries(bundles).map(([name, bundle]) => [name, bundled(bundle)])),
      "./package.json": "./package.json"
    },
    files: ["src", "runtimes", "browser", "protocol", "CHANGELOG.md"]
  }
  Fs.writeFileSync(Path.join(target, "package.json"), `${JSON.stringify(description, null, 2)}\n`)
}

const copy = (): void => {
  for (const file of ["README.md", "LICENSE", "CHANGELOG.md"]) {
    Fs.copyFileSync(Path.join(root, file), Path.join(target, file))
  }
  for (const file of ["PROTOCOL.md", "vectors.json", "vectors.msgpack.json"]) {
    Fs.cpSync(Path.join(root, "src/wire", file), Path.join(target, "protocol", file))
  }
}

/** Builds the package anew. */
export const build = async (): Promise<void> => {
  Fs.rmSync(target, { recursive: true, force: true })
  compile()
  for (const one of Object.values(bundles)) await bundle(one)
  describe()
  copy()
}

if (import.meta.main) await build()
