/**
 * The transport on Node: `node:http`, and WebSockets on the connections that it upgrades.
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import { constVoid } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Http from "node:http"
import * as Https from "node:https"
import type { AddressInfo, Socket as RawSocket } from "node:net"
import * as Transport from "../src/engine/Transport.ts"
import * as NodeHttp from "./nodeHttp.ts"
import * as NodeUpgrade from "./nodeUpgrade.ts"
import * as Shim from "./shim.ts"

export { runMain } from "./process.ts"

/** What Node's transport can do. */
export const capabilities: Transport.Capabilities = {
  runtime: "node",
  pause: true,
  terminate: true,
  drain: true,
  limitsMessages: true,
  closesOnInvalidFrames: true,
  refusesUnmaskedFrames: true,
  strictFrames: true
}

const serve = ({ tls }: Shim.Where, acceptor: Transport.Acceptor) => {
  const connections = new Set<RawSocket>()
  const serving: Shim.Serving = { acceptor, sockets: new Set() }
  const options = { shouldUpgradeCallback: NodeUpgrade.isUpgrade }
  const listener = NodeHttp.listener(acceptor.fetch)
  const server = tls === undefined
    ? Http.createServer(options, listener)
    : Https.createServer({ ...options, cert: tls.cert, key: tls.key }, listener)
  // One function for all of them.
  const untrack = function(this: RawSocket) {
    connections.delete(this)
  }
  const track = (raw: RawSocket) => {
    connections.add(raw)
    raw.on("error", constVoid)
    raw.on("close", untrack)
  }
  server.on("connection", track)
  server.on("secureConnection", track)
  server.on("upgrade", NodeUpgrade.make(serving))
  return { server, connections, serving }
}

/**
 * Serves on Node.
 *
 * **Details**
 *
 * Listens on port 3000 of 127.0.0.1 unless told otherwise; port 0 takes a free one.
 */
export const layer = (options?: Shim.Options): Layer.Layer<Transport.Transport> => {
  const where = Shim.resolve(options)
  return Layer.succeed(Transport.Transport)({
    capabilities,
    listen: (acceptor) =>
      Effect.acquireRelease(
        Effect.callback<ReturnType<typeof serve>, Transport.ListenError>((resume) => {
          const fail = (cause: unknown) => resume(Effect.fail(Shim.listenError(where, cause)))
          try {
            const serving = serve(where, acceptor)
            // Stays: an accept that fails later, for want of descriptors, must not end the process.
            serving.server.on("error", fail)
            serving.server.listen(where.port, where.hostname, () => resume(Effect.succeed(serving)))
          } catch (cause) {
            fail(cause)
          }
        }),
        ({ connections, server, serving }) =>
          Effect.callback<void>((resume) => {
            server.close(() => resume(Effect.void))
            Shim.closeAll(serving)
            for (const raw of connections) raw.destroy()
          })
      ).pipe(Effect.map(({ server }) => Shim.addressOf(where, (server.address() as AddressInfo).port)))
  })
}

/** The engines attached to a server, and what it did before. */
interface Attachments {
  readonly engines: Map<Shim.Serving, NodeUpgrade.OnUpgrade>
  readonly detach: () => void
}

/** Decides whether a request is an upgrade; of Node, but not yet of its types. */
interface Upgrading {
  shouldUpgradeCallback: (request: Http.IncomingMessage) => boolean
}

const attachments = new WeakMap<object, Attachments>()

const attach = (server: Http.Server & Upgrading): Attachments => {
  const engines: Attachments["engines"] = new Map()
  const find = (request: Http.IncomingMessage): NodeUpgrade.OnUpgrade | undefined => {
    if (!NodeUpgrade.isUpgrade(request)) return undefined
    for (const [{ acceptor }, upgrade] of engines) if (acceptor.owns?.(request.url!) !== false) return upgrade
    return undefined
  }
  const onUpgrade: NodeUpgrade.OnUpgrade = (request, raw, head) => {
    const upgrade = find(request)
    if (upgrade === undefined) return
    // Node no longer listens: a reset before the end of the handshake would end the process.
    raw.on("error", constVoid)
    upgrade(request, raw, head)
  }
  // While anybody listens for upgrades, Node no longer gives other requests that ask for one to the HTTP handlers.
  const theirs = server.shouldUpgradeCallback
  const shouldUpgrade = (request: Http.IncomingMessage) =>
    find(request) !== undefined || (server.listenerCount("upgrade") > 1 && theirs.call(server, request))
  server.shouldUpgradeCallback = shouldUpgrade
  server.on("upgrade", onUpgrade)
  return {
    engines,
    detach: () => {
      server.off("upgrade", onUpgrade)
      if (server.shouldUpgradeCallback === shouldUpgrade) server.shouldUpgradeCallback = theirs
    }
  }
}

/**
 * Serves on a `node:http` or `node:https` server that is the user's own, as the one of Express or Fastify.
 *
 * **Details**
 *
 * Takes the upgrades to the paths of the engine and nothing else: other upgrades and all HTTP requests are left to the
 * server's own handlers. Closing its scope takes its listeners off and drops its own sockets, never the server.
 *
 * **Gotchas**
 *
 * Other WebSocket libraries on the same server must leave alone what is not theirs. `ws` does with `noServer`; with
 * `server` and `path` it answers every other path with 400.
 *
 * @example
 * ```ts
 * const server = Http.createServer(app).listen(3000)
 * Engine.layer({ path: "/live", rooms: [ChatLive] }).pipe(Layer.provide(layerAttach(server)), Layer.launch, runMain)
 * ```
 */
export const layerAttach = (server: Http.Server): Layer.Layer<Transport.Transport> =>
  Shim.layerAttached(capabilities, (serving) => {
    const attached = attachments.get(server) ?? attach(server as Http.Server & Upgrading)
    attachments.set(server, attached)
    attached.engines.set(serving, NodeUpgrade.make(serving))
    return () => {
      attached.engines.delete(serving)
      if (attached.engines.size === 0) {
        attachments.delete(server)
        attached.detach()
      }
    }
  })

/**
 * Serves where the environment says: on port `PORT` (3000 unless set) of the address `HOST` (127.0.0.1 unless set).
 */
export const layerConfig: Layer.Layer<Transport.Transport, Config.ConfigError> = Layer.unwrap(
  Effect.map(Shim.config, layer)
)
