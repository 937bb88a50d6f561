/**
 * The shape of the sources: who may import whom, how large a file may be, where time and chance come from.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import ts from "typescript"

interface Layer {
  readonly rank: number
  /** The folders it may import from, beside itself. */
  readonly imports: ReadonlyArray<string>
}

const core = ["src/contract", "src/wire", "src/actor", "src/engine", "src/client"]
const extensions = ["src/socketio", "src/broker", "src/store", "src/http"]

const layers: { readonly [folder: string]: Layer } = {
  "src/contract": { rank: 0, imports: [] },
  "src/wire": { rank: 1, imports: ["src/contract"] },
  "src/actor": { rank: 1, imports: [] },
  "src/engine": { rank: 2, imports: ["src/contract", "src/wire", "src/actor"] },
  "src/client": { rank: 2, imports: ["src/contract", "src/wire"] },
  ...Object.fromEntries(extensions.map((folder) => [folder, { rank: 3, imports: core }])),
  "src/testing": { rank: 4, imports: [...core, ...extensions] },
  "runtimes": { rank: 5, imports: ["src/engine/Transport.ts"] },
  // The one barrel: nothing imports it.
  "src": { rank: 6, imports: core }
}

/** Lines of code, without comments and blank lines; of a shim also without the runtime's types that it declares. */
const maxLines = (folder: string) => folder === "runtimes" ? 150 : 250

/** Everything that would make a run depend on the wall clock or on chance, and so not repeatable from its seed. */
const impure = /^(Date\.now|setTimeout|setInterval|Math\.random|.*\brandomUUID|.*\bgetRandomValues)$/

interface Import {
  readonly target: string
  readonly typeOnly: boolean
}

interface Source {
  readonly file: string
  readonly folder: string
  readonly imports: ReadonlyArray<Import>
  readonly lines: number
  readonly impure: ReadonlyArray<string>
}

const isDeclaration = (node: ts.Node): boolean =>
  ts.isInterfaceDeclaration(node) ||
  (ts.isVariableStatement(node) && node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.DeclareKeyword) === true)

const read = (file: string): Source => {
  const text = Fs.readFileSync(file, "utf8")
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  const imports: Array<Import> = []
  const found: Array<string> = []
  const lines = new Set<number>()
  const add = (specifier: ts.Node | undefined, typeOnly: boolean) => {
    if (specifier === undefined || !ts.isStringLiteral(specifier)) return
    const { text } = specifier
    imports.push({ target: text.startsWith(".") ? Path.posix.join(Path.posix.dirname(file), text) : text, typeOnly })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, node.importClause?.isTypeOnly ?? false)
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly)
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node.arguments[0], false)
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, true)
    else if (ts.isPropertyAccessExpression(node) || ts.isIdentifier(node)) {
      if (impure.test(node.getText())) found.push(node.getText())
    }
    if (file.startsWith("runtimes/") && isDeclaration(node)) return
    if (node.getChildCount() === 0 && node.getText() !== "") {
      const end = source.getLineAndCharacterOfPosition(node.getEnd()).line
      for (let line = source.getLineAndCharacterOfPosition(node.getStart()).line; line <= end; line++) lines.add(line)
    }
    for (const child of node.getChildren()) if (!ts.isJSDoc(child)) visit(child)
  }
  visit(source)
  return { file, folder: Path.posix.dirname(file), imports, lines: lines.size, impure: found }
}

const sources = Fs.globSync(["src/**/*.ts", "runtimes/**/*.ts"]).map((file) => file.replaceAll(Path.sep, "/")).sort()
  .map(read)
const byFile = new Map(sources.map((source) => [source.file, source]))
const isOurs = (target: string) => target.startsWith("src/") || target.startsWith("runtimes/")

/** The first cycle among files that load each other; a type-only import loads nothing. */
const cycleFrom = (start: Source): ReadonlyArray<string> | undefined => {
  const seen = new Set<string>()
  const search = (source: Source, path: ReadonlyArray<string>): ReadonlyArray<string> | undefined => {
    for (const { target, typeOnly } of source.imports) {
      if (typeOnly) continue
      if (target === start.file) return [...path, target]
      const next = byFile.get(target)
      if (next === undefined || seen.has(target)) continue
      seen.add(target)
      const found = search(next, [...path, target])
      if (found !== undefined) return found
    }
    return undefined
  }
  return search(start, [start.file])
}

const isBelowEdge = ({ folder }: Source) => layers[folder]!.rank < 3 || folder === "src"

/** A lower-case folder of effect is marked unstable: for implementations at the edge only. */
const mayImportPackage = (source: Source, target: string): boolean =>
  target !== "effect" &&
  (source.folder === "runtimes" ||
    (isBelowEdge(source) ? /^effect\/[A-Z]\w*$/ : /^effect\/|^node:sqlite$/).test(target))

const mayImportFile = ({ folder }: Source, target: string): boolean => {
  const targetFolder = Path.posix.dirname(target)
  if (targetFolder === folder) return true
  const layer = layers[folder]!
  return (layer.imports.includes(target) || layer.imports.includes(targetFolder)) &&
    layers[targetFolder]!.rank <= layer.rank
}

const importsWhere = (isWrong: (source: Source, target: string) => boolean): ReadonlyArray<string> =>
  sources.flatMap((source) =>
    source.imports.filter(({ target }) => isWrong(source, target)).map(({ target }) => `${source.file} -> ${target}`)
  )

describe("the layers", () => {
  it("are known: every folder has a rank", () => {
    assert.deepStrictEqual(sources.filter(({ folder }) => !(folder in layers)).map(({ file }) => file), [])
    assert.isAtLeast(sources.length, 50)
  })

  it("import files that exist", () => {
    assert.deepStrictEqual(importsWhere((_, target) => isOurs(target) && !byFile.has(target)), [])
  })

  it("import only what their folder may, of their own rank or lower", () => {
    assert.deepStrictEqual(importsWhere((source, target) => isOurs(target) && !mayImportFile(source, target)), [])
  })

  it("have no cycles between files that load each other", () => {
    assert.deepStrictEqual(sources.flatMap((source) => cycleFrom(source)?.join(" -> ") ?? []), [])
  })

  it("import no package that their folder has no use for", () => {
    assert.deepStrictEqual(importsWhere((source, target) => !isOurs(target) && !mayImportPackage(source, target)), [])
  })

  it("keep the shims apart", () => {
    const shims = new Set(["runtimes/node.ts", "runtimes/bun.ts", "runtimes/deno.ts"])
    assert.deepStrictEqual(importsWhere((_, target) => shims.has(target)), [])
  })

  it("consist of small files", () => {
    const large = sources.filter(({ folder, lines }) => lines > maxLines(folder))
    assert.deepStrictEqual(large.map(({ file, lines }) => `${file}: ${lines} lines of code`), [])
  })

  it("take time and chance from services", () => {
    const impure = sources.filter(({ folder, impure }) => folder !== "runtimes" && impure.length > 0)
    assert.deepStrictEqual(impure.map(({ file, impure }) => `${file}: ${impure.join(", ")}`), [])
  })
})
