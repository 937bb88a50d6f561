/**
 * The transport of the runtime that runs this file, and the in-memory one, against the contract.
 */
import { Effect } from "effect"
import { Connector } from "../../src/client/Connector.ts"
import { MemoryNetwork } from "../../src/testing/MemoryTransport.ts"
import * as MemoryTransport from "../../src/testing/MemoryTransport.ts"
import { transportContract } from "../contract/transport.ts"
import { openRaw, until } from "../contract/transportClient.ts"
import { networkContract } from "../contract/transportNetwork.ts"
import { processContract } from "../contract/transportProcess.ts"

// Not `heddle/runtime`: vitest resolves export conditions as Node does, whatever runs it.
const runtime = "Bun" in globalThis ? "bun" : "Deno" in globalThis ? "deno" : "node"
const { capabilities, layer }: typeof import("../../runtimes/node.ts") = await import(`../../runtimes/${runtime}.ts`)

transportContract(capabilities.runtime, layer({ port: 0 }), {
  connect: Connector,
  fetch: Effect.succeed((request: Request) => fetch(request)),
  peer: openRaw
})

networkContract(capabilities.runtime, (port) => layer({ port }))

processContract(capabilities.runtime, runtime === "deno" ? ["run", "-A"] : [])

transportContract("memory", MemoryTransport.layer, {
  connect: Effect.map(MemoryNetwork, ({ connect }) => connect),
  fetch: Effect.map(MemoryNetwork, ({ fetch }) => fetch),
  peer: (address, path = "/") =>
    Effect.gen(function*() {
      const network = yield* MemoryNetwork
      const messages: Array<string | Uint8Array> = []
      let opened = false
      let gone = false
      const socket = network.connect(address.url.replace("http", "ws") + path, [], {
        open: () => opened = true,
        message: (data) => messages.push(data),
        close: () => gone = true
      })
      const connection = network.connections().find((one) => one.socket === socket)!
      yield* until("the peer is open", () => opened)
      return { messages, send: socket.send, ...connection, gone: () => gone }
    })
})
