/**
 * A server of the tests, in a process or out of it.
 */
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { layer } from "../../runtimes/node.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { identity, quiet, rooms } from "./world.ts"

/** Serves on a port of the network, 0 for any; gives the port and a way to stop. */
export const serve = async (port: number) => {
  const scope = Scope.makeUnsafe()
  const context = await Effect.runPromise(Layer.buildWithScope(
    Engine.layer({ path: "/live", rooms: rooms([], 0) }).pipe(
      Layer.provide(identity),
      Layer.provide(layer({ port })),
      Layer.provide(quiet)
    ),
    scope
  ))
  const { address } = Context.get(context, Engine.Engine)
  return { port: address.port, stop: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}
