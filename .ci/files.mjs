/**
 * Checks what is tracked: no file names a package registry, and the lock file serves every platform from any registry.
 *
 * Plain JavaScript, so that whatever Node the machine has can run it.
 */
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"

const run = (command, ...args) => execFileSync(command, args, { encoding: "utf8" })
const problems = []

const registry = new URL(run("npm", "config", "get", "registry").trim()).host
const wellKnown = /\bregistry\.[a-z0-9-]+\.(?:org|com|io|dev)\b/
for (const file of run("git", "ls-files", "-z").split("\0").filter((file) => existsSync(file))) {
  const text = readFileSync(file, "utf8")
  if (text.includes(registry) || wellKnown.test(text)) problems.push(`${file} names a package registry`)
}

const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8"))

/** Whether a package finds another one, in its own node_modules or in those around it. */
const finds = (from, name) => {
  for (let base = from;;) {
    if (`${base === "" ? "" : `${base}/`}node_modules/${name}` in packages) return true
    if (base === "") return false
    base = base.slice(0, Math.max(0, base.lastIndexOf("/node_modules/")))
  }
}

for (const [path, { optionalDependencies = {}, resolved }] of Object.entries(packages)) {
  if (resolved !== undefined) problems.push(`package-lock.json: ${path} names where it was downloaded`)
  for (const name of Object.keys(optionalDependencies)) {
    if (!finds(path, name)) problems.push(`package-lock.json: ${path} needs ${name} on some platform, and it is missing`)
  }
}

for (const problem of problems) console.error(problem)
console.log(problems.length === 0 ? "tracked files and lock file are as they should be" : `${problems.length} problems`)
process.exitCode = problems.length === 0 ? 0 : 1
