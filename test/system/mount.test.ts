/**
 * TLS and a real proxy, on the runtime that runs this file. Needs `openssl` and `nginx` on the machine.
 */
import { Effect } from "effect"
import { proxyContract } from "../contract/mountProxy.ts"
import { connectWith, fetchTrusting, layer, runtime, selfSigned } from "../contract/mountServers.ts"
import { relayed, tlsContract } from "../contract/mountTls.ts"
import { transportContract } from "../contract/transport.ts"

const tls = selfSigned()

tlsContract((port, tls) => layer({ port, tls }))

transportContract(`${runtime}, TLS`, layer({ port: 0, tls }), {
  connect: Effect.succeed(connectWith({ ca: tls.cert })),
  fetch: Effect.succeed(fetchTrusting(tls.cert)),
  peer: relayed
})

proxyContract()
