/**
 * Raw endpoints on the runtime that runs this file: the bytes of RFC 6455, and clients that know nothing of heddle.
 */
import { endpointNetwork } from "../contract/endpointNetwork.ts"
import { rfc6455 } from "../contract/rfc6455.ts"
import { installedClients, stockClients } from "../contract/stockClients.ts"

// Not `heddle/runtime`: vitest resolves export conditions as Node does, whatever runs it.
const runtime = "Bun" in globalThis ? "bun" : "Deno" in globalThis ? "deno" : "node"
const { capabilities, layer }: typeof import("../../runtimes/node.ts") = await import(`../../runtimes/${runtime}.ts`)

rfc6455(capabilities, layer({ port: 0 }))

endpointNetwork(capabilities, layer({ port: 0 }))

stockClients(capabilities.runtime, layer({ port: 0 }), installedClients)
