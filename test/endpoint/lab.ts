/**
 * Endpoints to test: served in memory and in virtual time, to clients that speak plain WebSocket.
 */
import { Cause, Effect, Layer, Logger, type Scope } from "effect"
import type * as Endpoint from "../../src/engine/Endpoint.ts"
import * as Engine from "../../src/engine/Engine.ts"
import {
  type Acceptor,
  type Refusal,
  type Socket,
  type SocketHandler,
  Transport,
  type UpgradeRequest
} from "../../src/engine/Transport.ts"
import { upgradeOf } from "../../src/testing/MemoryConnection.ts"
import { MemoryNetwork } from "../../src/testing/MemoryTransport.ts"
import * as MemoryTransport from "../../src/testing/MemoryTransport.ts"
import { inVirtualTime as until } from "../engine/peer.ts"

export { until }

export interface Connecting {
  readonly protocols?: ReadonlyArray<string>
  readonly headers?: { readonly [name: string]: string }
}

/** A client with all that came to it. */
export interface Client {
  readonly messages: Array<string | Uint8Array>
  protocol: string | undefined
  closed: { readonly code: number; readonly reason: string } | undefined
  readonly send: (data: string | Uint8Array<ArrayBuffer>) => void
  readonly close: (code?: number, reason?: string) => void
  readonly cut: () => void
  readonly stall: () => void
  readonly unstall: () => void
  /** Bytes the server does not read. */
  readonly unread: () => number
}

export interface Lab {
  readonly engine: Engine.Engine["Service"]
  /** An open client. */
  readonly open: (path: string, how?: Connecting) => Effect.Effect<Client>
  /** Waits until a client is closed, and answers with the close. */
  readonly end: (client: Client) => Effect.Effect<{ readonly code: number; readonly reason: string }>
  readonly errors: ReadonlyArray<string>
  /** Nobody is connected, and no handler runs. */
  readonly empty: Effect.Effect<void>
}

/** Serves endpoints, and gives a test what it needs; their own services are the test's. */
export const serve = <const E extends ReadonlyArray<Endpoint.Any>>(
  endpoints: E,
  options: Omit<Engine.Options<[], E>, "endpoints"> = {}
) =>
<A, Err, R>(
  body: (lab: Lab) => Effect.Effect<A, Err, R | Scope.Scope | Engine.Engine>
): Effect.Effect<A, Err, Exclude<R | Endpoint.Services<E[number]>, Engine.Engine | MemoryNetwork | Scope.Scope>> => {
  const errors: Array<string> = []
  const logger = Logger.make<unknown, void>(({ cause, logLevel, message }) => {
    if (logLevel === "Error" || logLevel === "Fatal") errors.push(`${message} ${Cause.pretty(cause)}`)
  })
  const program = Effect.gen(function*() {
    const engine = yield* Engine.Engine
    const network = yield* MemoryNetwork
    const open = (path: string, how: Connecting = {}) =>
      Effect.gen(function*() {
        const messages: Array<string | Uint8Array> = []
        const socket = network.connectWith({ headers: how.headers ?? {} })(
          engine.address.url.replace("http", "ws") + path,
          how.protocols ?? [],
          {
            open: (protocol) => client.protocol = protocol,
            message: (data) => messages.push(data),
            close: (code, reason) => client.closed = { code, reason }
          }
        )
        const { cut, stall, unstall } = network.connections().find((connection) => connection.socket === socket)!
        const client: Client = {
          messages,
          protocol: undefined,
          closed: undefined,
          send: socket.send,
          close: (code = 1000, reason = "") => socket.close(code, reason),
          cut,
          stall,
          unstall,
          unread: socket.bufferedAmount
        }
        yield* until("it opens", () => client.protocol !== undefined || client.closed !== undefined)
        return client
      })
    return yield* body({
      engine,
      errors,
      open,
      end: (client) => Effect.map(until("it is closed", () => client.closed !== undefined), () => client.closed!),
      empty: until("nobody is there", () => Effect.runSync(engine.connections) === 0)
    })
  })
  return Effect.scoped(program).pipe(
    Effect.provide(Engine.layer({ ...options, endpoints }).pipe(Layer.provideMerge(MemoryTransport.layer))),
    Effect.provide(Logger.layer([logger]))
  ) as never
}

const nowhere: Socket = { send: () => {}, bufferedAmount: () => 0, close: () => {}, tickEnd: () => {} }

/** The acceptor of an engine, for what a client in memory cannot see: why it was refused. */
export const acceptor = (options: Engine.Options<[], ReadonlyArray<Endpoint.Any>>) =>
  Effect.gen(function*() {
    let found: Acceptor
    const transport = Layer.succeed(Transport)({
      capabilities: MemoryTransport.capabilities,
      listen: (acceptor) => {
        found = acceptor
        return Effect.succeed({ hostname: "memory", port: 1, url: "http://memory:1" })
      }
    })
    yield* Layer.build(Engine.layer(options).pipe(Layer.provide(transport)) as Layer.Layer<Engine.Engine>)
    const opened: Array<SocketHandler> = []
    const asking = (url: string, request: Partial<UpgradeRequest>) =>
      found.upgrade(
        upgradeOf({
          method: "GET",
          url,
          headers: { host: "memory" },
          protocols: [],
          address: "127.0.0.1",
          ...request
        })
      )
    const upgrade = (url: string, request: Partial<UpgradeRequest> = {}): Refusal | string => {
      const verdict = asking(url, request)
      return verdict._tag === "Refusal" ? verdict : `accepted ${verdict.protocol ?? "without subprotocol"}`
    }
    /** Accepts it, and opens a socket, to nowhere unless said, which ends with the test. */
    const open = (url: string, request: Partial<UpgradeRequest>, socket: Socket = nowhere): SocketHandler => {
      const verdict = asking(url, request)
      if (verdict._tag === "Refusal") throw new Error(`refused with ${verdict.status}`)
      const handler = verdict.open(socket)
      opened.push(handler)
      return handler
    }
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const handler of opened) handler.close(1006, "")
      })
    )
    return { upgrade, open, decide: found!.upgrade, fetch: found!.fetch }
  })

export const statusOf = (verdict: Refusal | string): number | string =>
  typeof verdict === "string" ? verdict : verdict.status
