/**
 * The engine on the runtime that runs this file: what applications and clients do wrong.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Logger, Scope } from "effect"
import { Connector } from "../../src/client/Connector.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { badInput } from "../contract/badInput.ts"
import { misuse } from "../contract/misuse.ts"
import { network } from "../engine/harness.ts"
import { makeLab } from "../engine/lab.ts"
import { connect, type Peer } from "../engine/peer.ts"

// Not `heddle/runtime`: vitest resolves export conditions as Node does, whatever runs it.
const runtime = "Bun" in globalThis ? "bun" : "Deno" in globalThis ? "deno" : "node"
const { capabilities, layer }: typeof import("../../runtimes/node.ts") = await import(`../../runtimes/${runtime}.ts`)
const harness = network(capabilities.runtime, layer({ port: 0 }))

describe(`closing the engine: ${harness.name}`, () => {
  it.live("tells its clients to come back, runs every leave, and closes with 1012", () =>
    Effect.gen(function*() {
      const lab = makeLab({ do: (_, __, what) => what === "hang" ? Effect.never : Effect.succeed(what) })
      const scope = Scope.makeUnsafe()
      const services = yield* Layer.buildWithScope(
        Engine.layer({ rooms: [lab.layer], drain: { deadline: 1_000 } }).pipe(
          Layer.provide(harness.transport),
          Layer.provide(Logger.layer([]))
        ),
        scope
      )
      const { address } = Context.get(services, Engine.Engine)
      const peers: Array<Peer> = []
      for (const name of ["ada", "bob", "carol"]) {
        const peer = yield* connect(yield* Connector, address, "/", harness.until)
        yield* peer.hello()
        yield* peer.join("lab", name === "carol" ? "b" : "a", { name })
        peers.push(peer)
      }
      const { channel } = peers[0]!.all("joined")[0]!
      peers[0]!.sendRequest(channel, "Do", { what: "hang" })
      yield* harness.until("it hangs", () => lab.trace.includes("do hang"))
      yield* Scope.close(scope, Exit.void)
      for (const peer of peers) {
        assert.strictEqual(yield* peer.closeCode, 1012)
        assert.strictEqual(peer.all("drain").length, 1)
      }
      assert.deepStrictEqual(lab.trace.filter((entry) => entry.startsWith("leave")).sort(), [
        "leave ada stopped",
        "leave bob stopped",
        "leave carol stopped"
      ])
      const late = yield* connect(yield* Connector, address, "/", harness.until)
      yield* harness.until("nobody listens any more", () => late.closed !== undefined)
    }).pipe(Effect.scoped))
})

misuse(harness)

badInput(harness)
