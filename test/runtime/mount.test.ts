/**
 * Engines on servers of the user's, on the runtime that runs this file.
 */
import { Effect } from "effect"
import { Connector } from "../../src/client/Connector.ts"
import { mountContract } from "../contract/mount.ts"
import { httpContract } from "../contract/mountHttp.ts"
import { layerAttached, runtime } from "../contract/mountServers.ts"
import { transportContract } from "../contract/transport.ts"
import { openRaw } from "../contract/transportClient.ts"
import { networkContract } from "../contract/transportNetwork.ts"

mountContract()

transportContract(`${runtime}, attached`, layerAttached(0), {
  connect: Connector,
  fetch: Effect.succeed((request: Request) => fetch(request)),
  peer: openRaw
})

networkContract(`${runtime}, attached`, layerAttached)

httpContract()
