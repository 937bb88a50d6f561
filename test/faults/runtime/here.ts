/** The transport of the runtime that runs this. */

// Not `heddle/runtime`: vitest resolves export conditions as Node does, whatever runs it.
const runtime = "Bun" in globalThis ? "bun" : "Deno" in globalThis ? "deno" : "node"

export const { capabilities, layer }: typeof import("../../../runtimes/node.ts") = await import(
  `../../../runtimes/${runtime}.ts`
)

/** What follows the name of the runtime to run a file. */
export const command: ReadonlyArray<string> = runtime === "deno" ? ["run", "-A"] : []
