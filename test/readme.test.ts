/**
 * What the README shows is what there is: files, code, bounds, abilities, commands.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import ts from "typescript"
import * as Bun from "../runtimes/bun.ts"
import * as Deno from "../runtimes/deno.ts"
import * as Node from "../runtimes/node.ts"
import * as Limits from "../src/engine/Limits.ts"

const readme = Fs.readFileSync("README.md", "utf8")

interface Block {
  readonly file: string | undefined
  readonly text: string
}

const blocks: ReadonlyArray<Block> = [...readme.matchAll(/^```ts(?: (\S+))?\n([^]*?)^```$/gm)]
  .map(([, file, text]) => ({ file, text: text! }))

/** The cells of each row of the table under a heading. */
const table = (heading: string): ReadonlyArray<ReadonlyArray<string>> => {
  const section = readme.slice(readme.indexOf(`\n## ${heading}\n`) + 1).split("\n## ")[0]!
  const rows = section.split("\n").filter((line) => line.startsWith("| `"))
  return rows.map((row) => row.split("|").slice(1, -1).map((cell) => cell.trim()))
}

const messages = (diagnostics: ReadonlyArray<ts.Diagnostic>) =>
  diagnostics.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"))

describe("the code", () => {
  it.each(blocks.filter(({ file }) => file !== undefined))("of $file is the file", ({ file, text }) => {
    assert.strictEqual(text, Fs.readFileSync(file!, "utf8"))
  })

  it("of the first server has less than 25 lines", () => {
    assert.isBelow(blocks[0]!.text.split("\n").length, 25)
  })

  it("that is no file compiles", () => {
    const { config } = ts.readConfigFile("tsconfig.json", ts.sys.readFile)
    const { options } = ts.parseJsonConfigFileContent(config, ts.sys, process.cwd())
    const snippets = new Map(
      blocks.filter(({ file }) => file === undefined).map((
        { text },
        index
      ) => [Path.resolve(`README.${index}.ts`), text])
    )
    const host = ts.createCompilerHost(options)
    const { fileExists, readFile } = host
    host.fileExists = (file) => snippets.has(Path.normalize(file)) || fileExists(file)
    host.readFile = (file) => snippets.get(Path.normalize(file)) ?? readFile(file)
    const program = ts.createProgram([...snippets.keys()], options, host)
    const diagnostics = [...snippets.keys()].flatMap((file) =>
      ts.getPreEmitDiagnostics(program, program.getSourceFile(file))
    )
    assert.deepStrictEqual(messages(diagnostics), [])
    assert.isAtLeast(snippets.size, 2)
  }, 60_000)
})

describe("the tables", () => {
  const format = (name: string, value: number): string => {
    if (value === Infinity) return "unlimited"
    if (name.endsWith("Bytes")) return value >= 2 ** 20 ? `${value / 2 ** 20} MiB` : `${value / 2 ** 10} KiB`
    if (["handshake", "heartbeat", "handler", "emitWait", "sessionWindow"].includes(name)) return `${value / 1_000} s`
    return value.toLocaleString("en-US")
  }

  it("have every bound of the engine with its default", () => {
    assert.deepStrictEqual(
      table("Bounds").map(([name, value]) => [name, value]),
      Object.entries(Limits.defaults).map(([name, value]) => [`\`${name}\``, format(name, value)])
    )
  })

  it("have every ability of every runtime", () => {
    const names = Object.keys(Node.capabilities).filter((name) => name !== "runtime") as ReadonlyArray<
      Exclude<keyof typeof Node.capabilities, "runtime">
    >
    const shims = [Node, Bun, Deno]
    assert.deepStrictEqual(
      table("Runtimes").map(([ability, ...cells]) => [/^`(\w+)`: /.exec(ability!)?.[1], ...cells]),
      names.map((name) => [name, ...shims.map(({ capabilities }) => capabilities[name] ? "yes" : "no")])
    )
  })
})

describe("the text", () => {
  it("names scripts that exist", () => {
    const { scripts } = JSON.parse(Fs.readFileSync("package.json", "utf8"))
    const named = [...readme.matchAll(/npm run ([a-z:]+)/g), ...readme.matchAll(/npm (start|test)\b/g)]
    assert.deepStrictEqual(named.map(([, name]) => name!).filter((name) => !(name in scripts)), [])
  })

  it("links to files and headings that exist", () => {
    const targets = [...readme.matchAll(/\]\((?!https:)([^)]+)\)/g)].map(([, target]) => target!)
    const headings = new Set(
      [...readme.matchAll(/^#+ (.+)$/gm)].map(([, text]) => `#${text!.toLowerCase().replaceAll(" ", "-")}`)
    )
    const missing = targets.filter((target) => target.startsWith("#") ? !headings.has(target) : !Fs.existsSync(target))
    assert.deepStrictEqual(missing, [])
  })
})
