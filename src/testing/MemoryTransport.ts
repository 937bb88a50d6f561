/**
 * The transport and the client's sockets in one process and in virtual time, with faults on demand.
 *
 * Everything that would happen later on a network is a task of the `Scheduler` in the context, so that a seeded
 * scheduler decides the order of everything, and `TestClock.adjust` waits for what it set off. Each direction of a
 * connection keeps its order; two directions interleave as the scheduler likes.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"
import type { Connect } from "../client/Connector.ts"
import * as Transport from "../engine/Transport.ts"
import * as MemoryConnection from "./MemoryConnection.ts"

/** The client's end of the network, and what can go wrong with it. */
export class MemoryNetwork extends Context.Service<MemoryNetwork, {
  /** Opens sockets to the URLs of listening addresses, `ws://memory:1/path`; any other URL ends with 1006. */
  readonly connect: Connect
  /** As `connect`, with headers and the client's address. Header names are lower-case. */
  readonly connectWith: (client: MemoryConnection.Client) => Connect
  /** Sends a plain HTTP request; rejects when nobody listens there. */
  readonly fetch: (request: Request) => Promise<Response>
  /** The connections that are open or opening, oldest first: the handle to cut or stall one. */
  readonly connections: () => ReadonlyArray<MemoryConnection.MemoryConnection>
}>()("heddle/testing/MemoryNetwork") {}

/** What the in-memory transport can do: everything. */
export const capabilities: Transport.Capabilities = {
  runtime: "memory",
  pause: true,
  terminate: true,
  drain: true,
  limitsMessages: true,
  closesOnInvalidFrames: true,
  refusesUnmaskedFrames: true,
  strictFrames: true
}

const hostname = "memory"

const portOf = (url: string): number | undefined => {
  const parsed = URL.parse(url)
  return parsed?.hostname === hostname ? Number(parsed.port) : undefined
}

const make = Effect.gen(function*() {
  const scheduler = yield* Scheduler.Scheduler
  const acceptors = new Map<number, Transport.Acceptor>()
  const connections = new Set<MemoryConnection.MemoryConnection>()
  let lastPort = 0

  const connectWith = (client: MemoryConnection.Client): Connect => (url, protocols, events) => {
    const port = portOf(url)
    const connection = MemoryConnection.make({
      url,
      port,
      client,
      protocols,
      events,
      scheduler,
      acceptor: () => port === undefined ? undefined : acceptors.get(port),
      onEnd: () => connections.delete(connection)
    })
    connections.add(connection)
    return connection.socket
  }

  const listen = Effect.acquireRelease(
    Effect.sync(() => ++lastPort),
    (port) =>
      Effect.sync(() => {
        acceptors.delete(port)
        for (const connection of [...connections]) if (connection.port === port) connection.drop()
      })
  )

  const network = MemoryNetwork.of({
    connect: connectWith({}),
    connectWith,
    fetch: (request) => {
      const acceptor = acceptors.get(portOf(request.url) ?? 0)
      return acceptor === undefined
        ? Promise.reject(new TypeError(`nobody listens on ${request.url}`))
        : acceptor.fetch(request)
    },
    connections: () => [...connections]
  })

  const transport = Transport.Transport.of({
    capabilities,
    listen: (acceptor) =>
      Effect.map(listen, (port) => {
        acceptors.set(port, acceptor)
        return { hostname, port, url: `http://${hostname}:${port}` }
      })
  })

  return Context.make(Transport.Transport, transport).pipe(Context.add(MemoryNetwork, network))
})

/**
 * The in-memory transport and its network; every `listen` takes the next port.
 *
 * **Details**
 *
 * Takes the `Scheduler` from the context it is built in. Closing the scope of a `listen` ends its connections: the
 * server's end at once, the client's with 1006 in a task.
 */
export const layer: Layer.Layer<Transport.Transport | MemoryNetwork> = Layer.effectContext(make)
