/**
 * The client against the engine: in memory, and on the sockets of the runtime that runs this file.
 */
import { Context, Effect, Layer } from "effect"
import { Connector } from "../../src/client/Connector.ts"
import { MemoryNetwork } from "../../src/testing/MemoryTransport.ts"
import * as MemoryTransport from "../../src/testing/MemoryTransport.ts"
import { clientSuite } from "../contract/client.ts"

// Not `heddle/runtime`: vitest resolves export conditions as Node does, whatever runs it.
const runtime = "Bun" in globalThis ? "bun" : "Deno" in globalThis ? "deno" : "node"
const { layer }: typeof import("../../runtimes/node.ts") = await import(`../../runtimes/${runtime}.ts`)

clientSuite({
  name: runtime,
  live: true,
  make: Effect.map(Connector, (connect) => ({ transport: (port) => layer({ port }), connect, cut: undefined }))
})

clientSuite({
  name: "memory",
  live: false,
  make: Effect.map(Layer.build(MemoryTransport.layer), (context) => {
    const network = Context.get(context, MemoryNetwork)
    let ports = 0
    return {
      // Every server gets a port of its own; clients find the newest.
      transport: () => {
        ports++
        return Layer.succeedContext(context)
      },
      connect: (url, protocols, events) => network.connect(url.replace(/:\d+/, `:${ports}`), protocols, events),
      cut: () => {
        for (const connection of network.connections()) connection.cut()
      }
    }
  })
})
