/**
 * The package as a stranger gets it: built, packed, checked, installed into an empty project, and used there.
 *
 * `npm run test:package`; needs the package registry that npm is set to, or its cache.
 */
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { build, target } from "./build.ts"

const root = Path.join(import.meta.dirname, "../..")
const project = Fs.mkdtempSync(Path.join(Os.tmpdir(), "heddle-package-"))
const bin = (name: string): string => Path.join(root, "node_modules/.bin", name)
let passed = 0
let failed = 0

const check = (name: string, body: () => void): void => {
  try {
    body()
    passed++
    console.log(`ok   ${name}`)
  } catch (error) {
    failed++
    console.log(`FAIL ${name}\n${error instanceof Error ? error.message : error}`)
  }
}

/** Runs a command and gives what it printed; throws that if it failed. */
const run = (command: string, options: ReadonlyArray<string>, cwd = project): string => {
  const { status, stderr, stdout } = ChildProcess.spawnSync(command, options, {
    cwd,
    encoding: "utf8",
    timeout: 300_000,
    env: { ...process.env, npm_config_update_notifier: "false" }
  })
  if (status !== 0) throw new Error(`${command} ${options.join(" ")} ended with ${status}\n${stdout}${stderr}`)
  return stdout
}

const write = (file: string, content: string | object): void => {
  const path = Path.join(project, file)
  Fs.mkdirSync(Path.dirname(path), { recursive: true })
  Fs.writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content, null, 2))
}

/** The TypeScript in the README, by the name of the file that each piece is said to be. */
const snippets = (): ReadonlyMap<string, string> => {
  const found = new Map<string, string>()
  for (
    const [, name, code] of Fs.readFileSync(Path.join(root, "README.md"), "utf8").matchAll(
      /^```ts *(\S*)\n(.*?)^```$/gms
    )
  ) {
    found.set(name === "" ? `snippet${found.size}.ts` : name!, code!)
  }
  return found
}

/** Starts a server, waits until it says where it listens, and ends it. */
const starts = (command: string, options: ReadonlyArray<string>): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = ChildProcess.spawn(command, options, { cwd: project, env: { ...process.env, PORT: "0" } })
    let output = ""
    const timer = setTimeout(() => child.kill("SIGKILL"), 30_000)
    const read = (data: Buffer): void => {
      output += data.toString()
      if (output.includes("listening on")) child.kill("SIGTERM")
    }
    child.stdout.on("data", read)
    child.stderr.on("data", read)
    child.on("close", () => {
      clearTimeout(timer)
      if (output.includes("listening on")) resolve()
      else reject(new Error(output))
    })
  })

const runtimes: { readonly [name: string]: readonly [command: string, ...options: Array<string>] } = {
  node: [bin("node")],
  bun: [bin("bun")],
  deno: [bin("deno"), "run", "-A", "--node-modules-dir=manual"]
}

const resolutions = {
  nodenext: { module: "nodenext", moduleResolution: "nodenext" },
  bundler: { module: "esnext", moduleResolution: "bundler" }
}

await build()

let tarball = ""
check("packs what it should, and nothing else", () => {
  const [packed] = JSON.parse(run("npm", ["pack", "--json", "--pack-destination", project], target)) as ReadonlyArray<{
    readonly filename: string
    readonly files: ReadonlyArray<{ readonly path: string }>
  }>
  tarball = Path.join(project, packed!.filename)
  const allowed =
    /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|protocol\/.+|(src|runtimes|browser)\/.+\.(js|js\.map|d\.ts))$/
  const files = packed!.files.map(({ path }) => path)
  const strange = files.filter((file) => !allowed.test(file))
  if (strange.length > 0) throw new Error(`unexpected: ${strange.join(", ")}`)
  for (const file of ["README.md", "LICENSE", "CHANGELOG.md", "protocol/PROTOCOL.md", "browser/heddle.js.map"]) {
    if (!files.includes(file)) throw new Error(`${file} is missing`)
  }
})
check("publint finds nothing", () => run(bin("publint"), ["run", tarball, "--strict"]))
// CommonJS can load ES modules today; a second copy of every service would be a second engine.
check("attw finds nothing", () => run(bin("attw"), [tarball, "--profile", "esm-only"]))

check("installs into an empty project", () => {
  write("package.json", { name: "project", private: true, type: "module" })
  run("npm", [
    "install",
    "--prefer-offline",
    "--no-audit",
    "--no-fund",
    tarball,
    "@types/node@24",
    "typescript5@npm:typescript@5.9",
    "typescript7@npm:typescript@7"
  ])
})

for (const file of Fs.readdirSync(Path.join(import.meta.dirname, "project"))) {
  write(file, Fs.readFileSync(Path.join(import.meta.dirname, "project", file), "utf8"))
}
const examples = snippets()
for (const [file, code] of examples) write(file, code)

for (const [name, [command, ...options]] of Object.entries(runtimes)) {
  for (const file of ["roundtrip.ts", "bundle.ts"]) {
    check(`${name} runs ${file}`, () => {
      if (!run(command, [...options, file]).includes("ok\n")) throw new Error("it did not come to its end")
    })
  }
  const server = "examples/echo.ts"
  const problem = await starts(command, [...options, server]).then(() => undefined, (error: unknown) => error)
  check(`${name} serves ${server} of the README`, () => {
    if (problem !== undefined) throw problem
  })
}

for (const [resolution, compilerOptions] of Object.entries(resolutions)) {
  write(`tsconfig.${resolution}.json`, {
    compilerOptions: {
      ...compilerOptions,
      target: "es2022",
      lib: ["es2023", "dom", "dom.iterable"],
      types: ["node"],
      strict: true,
      exactOptionalPropertyTypes: true,
      allowImportingTsExtensions: true,
      noEmit: true
    },
    files: ["roundtrip.ts", "bundle.ts", ...examples.keys()]
  })
  for (const version of ["typescript5", "typescript7"]) {
    check(`${version} checks it, and the ${examples.size} pieces of the README, with ${resolution}`, () => {
      run(bin("node"), [Path.join("node_modules", version, "bin/tsc"), "-p", `tsconfig.${resolution}.json`])
    })
  }
}

if (failed === 0) Fs.rmSync(project, { recursive: true })
else console.log(`the project is left in ${project}`)
console.log(`Tests: ${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
