/**
 * The engine on the runtime that runs this file: what applications and clients do wrong.
 */
import { badInput } from "../contract/badInput.ts"
import { misuse } from "../contract/misuse.ts"
import { network } from "../engine/harness.ts"

// Not `heddle/runtime`: vitest resolves export conditions as Node does, whatever runs it.
const runtime = "Bun" in globalThis ? "bun" : "Deno" in globalThis ? "deno" : "node"
const { capabilities, layer }: typeof import("../../runtimes/node.ts") = await import(`../../runtimes/${runtime}.ts`)
const harness = network(capabilities.runtime, layer({ port: 0 }))

misuse(harness)

badInput(harness)
