/**
 * Clients that the machine must have, against the runtime that runs this file. Needs `python3-websockets`.
 */
import { stockClients, systemClients } from "../contract/stockClients.ts"

// Not `heddle/runtime`: vitest resolves export conditions as Node does, whatever runs it.
const runtime = "Bun" in globalThis ? "bun" : "Deno" in globalThis ? "deno" : "node"
const { layer }: typeof import("../../runtimes/node.ts") = await import(`../../runtimes/${runtime}.ts`)

stockClients(runtime, layer({ port: 0 }), systemClients)
