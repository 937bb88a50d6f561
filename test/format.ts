/**
 * Checks the format of every TypeScript file, or with `--write` puts it right.
 *
 * dprint's plugin runs as WebAssembly, so that one package serves every platform.
 */
import { createFromBuffer } from "@dprint/formatter"
import { getPath } from "@dprint/typescript"
import * as Fs from "node:fs"

const formatter = createFromBuffer(Fs.readFileSync(getPath()))
formatter.setConfig({ lineWidth: 120, indentWidth: 2 }, {
  "semiColons": "asi",
  "quoteStyle": "alwaysDouble",
  "trailingCommas": "never",
  "operatorPosition": "maintain",
  "arrowFunction.useParentheses": "force",
  "functionExpression.spaceAfterFunctionKeyword": false
})

const write = process.argv.includes("--write")
const files = Fs.globSync(["src/**/*.ts", "runtimes/**/*.ts", "examples/**/*.{ts,tsx}", "test/**/*.ts", "*.ts"])
let wrong = 0
for (const filePath of files) {
  const fileText = Fs.readFileSync(filePath, "utf8")
  const formatted = formatter.formatText({ filePath, fileText })
  if (formatted === fileText) continue
  wrong++
  if (write) Fs.writeFileSync(filePath, formatted)
  else console.error(`not formatted: ${filePath}`)
}
console.log(
  write ? `formatted ${wrong} of ${files.length} files` : `${files.length - wrong} of ${files.length} formatted`
)
if (wrong > 0 && !write) process.exitCode = 1
