/**
 * Engines on servers of the user's, behind TLS and behind a proxy, on the runtime that runs this file.
 */
import { Effect } from "effect"
import { Connector } from "../../src/client/Connector.ts"
import { mountContract } from "../contract/mount.ts"
import { httpContract } from "../contract/mountHttp.ts"
import { proxyContract } from "../contract/mountProxy.ts"
import { connectWith, fetchTrusting, layer, layerAttached, runtime, selfSigned } from "../contract/mountServers.ts"
import { relayed, tlsContract } from "../contract/mountTls.ts"
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

const tls = selfSigned()

tlsContract((port, tls) => layer({ port, tls }))

transportContract(`${runtime}, TLS`, layer({ port: 0, tls }), {
  connect: Effect.succeed(connectWith({ ca: tls.cert })),
  fetch: Effect.succeed(fetchTrusting(tls.cert)),
  peer: relayed
})

httpContract()

proxyContract()
