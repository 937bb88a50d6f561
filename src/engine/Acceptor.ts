/**
 * What is decided before an upgrade: path, method, origin, subprotocol, room for one more connection.
 */
import * as Greeting from "../wire/Greeting.ts"
import { json } from "../wire/Json.ts"
import { msgpack } from "../wire/Msgpack.ts"
import { Connection } from "./Connection.ts"
import type { Shared } from "./Connection.ts"
import { Credentials } from "./Credentials.ts"
import type { EndpointHost } from "./EndpointHost.ts"
import * as Forwarded from "./Forwarded.ts"
import { Joiner } from "./Packing.ts"
import type * as Transport from "./Transport.ts"

/** What an engine answers to. */
export interface Options {
  /** Where rooms and topics are; undefined if there are none. */
  readonly path: string | undefined
  readonly endpoints: EndpointHost
  /** Origins of browsers beside the server's own, for example `https://example.org`; `"any"` lets all in. */
  readonly origins: ReadonlyArray<string> | "any"
  /** The proxies in front of the server whose `X-Forwarded-` headers are believed. */
  readonly trustedHops: number
  /** Seconds after which to try again, once nobody is let in any more. */
  readonly retryAfter: () => number | undefined
  /** Answers plain HTTP requests to other paths. */
  readonly fetch: Fetch
}

/** Answers a plain HTTP request; `origin` is who sent it. */
export type Fetch = (request: Request, origin: Forwarded.Origin) => Response | Promise<Response>

/** What answers plain HTTP where nobody said anything else. */
export const notFound: Fetch = () => new Response("not found\n", { status: 404 })

const codecs = [json, msgpack]

const pathOf = (url: string): string => {
  const end = url.search(/[?#]/)
  return end < 0 ? url : url.slice(0, end)
}

const refuse = (status: number, body: string, headers?: { readonly [name: string]: string }): Transport.Refusal => ({
  _tag: "Refusal",
  status,
  headers: { "content-type": "text/plain; charset=utf-8", ...headers },
  body: `${body}\n`
})

/** A browser's `Origin` must be the `Host` it talks to, unless listed. Without `Origin` it is no browser. */
const originAllowed = (request: Forwarded.Seen, origins: Options["origins"]): boolean => {
  const { origin } = request
  if (origin === undefined || origins === "any" || origins.includes(origin)) return true
  const { host } = request
  return host !== undefined && (origin === `http://${host}` || origin === `https://${host}`)
}

/** Makes what a transport asks about every request. */
export const make = (shared: Shared, options: Options): Transport.Acceptor => {
  const { limits } = shared.core
  const { addresses } = shared.connections
  // One tick's messages are joined once for all connections of a codec.
  const joiners = new Map(codecs.map((codec) => [codec.subprotocol, new Joiner(codec)]))
  const fallback = joiners.get(json.subprotocol)!

  const acceptRooms = (request: Forwarded.Seen, address: string): Transport.Accepted | string => {
    const protocol = request.protocols.find((offered) => joiners.has(offered))
    if (protocol === undefined && request.protocols.length > 0) {
      return `none of the offered subprotocols is served: use ${[...joiners.keys()].join(", ")}`
    }
    const joiner = protocol === undefined ? fallback : joiners.get(protocol)!
    const greeting = Greeting.find(joiner.codec, request.protocols)
    if (greeting === null) {
      return `the hello among the subprotocols is no message of ${joiner.codec.subprotocol} in base64url`
    }
    const peer = { credentials: new Credentials(shared.authenticators, request), address }
    return {
      _tag: "Accepted",
      protocol,
      open: (socket) => {
        const connection = new Connection(shared, socket, joiner, peer)
        if (greeting !== undefined) connection.message(greeting)
        return connection
      }
    }
  }

  const isServed = (path: string): boolean => path === options.path || options.endpoints.match(path) !== undefined

  const upgrade = (received: Transport.Upgrade): Transport.Refusal | Transport.Accepted => {
    const request = new Forwarded.Seen(received, options.trustedHops)
    const path = pathOf(received.url)
    const accept = path === options.path ? acceptRooms : options.endpoints.match(path)
    if (accept === undefined) return refuse(404, "not found")
    if (received.method !== "GET") return refuse(426, "a WebSocket handshake is a GET", { upgrade: "websocket" })
    if (!originAllowed(request, options.origins)) return refuse(403, "this origin is not allowed")
    // A call to the system.
    const address = addresses.isCounting ? request.address : ""
    const accepted = accept(request, address)
    if (typeof accepted === "string") return refuse(400, accepted)
    const retryAfter = options.retryAfter()
    if (retryAfter !== undefined) return refuse(503, "the server is stopping", { "retry-after": `${retryAfter}` })
    if (shared.connections.size + options.endpoints.size >= limits.connections) {
      return refuse(503, "too many connections", { "retry-after": "5" })
    }
    if (addresses.isFull(address)) {
      return refuse(503, "too many connections from this address", { "retry-after": "5" })
    }
    return accepted
  }

  const fetch = (request: Request, address = ""): Promise<Response> => {
    const { pathname, protocol } = new URL(request.url)
    if (isServed(pathname)) {
      return Promise.resolve(
        new Response("this is a WebSocket endpoint\n", { status: 426, headers: { upgrade: "websocket" } })
      )
    }
    const peer = { address, secure: protocol === "https:" }
    const origin = Forwarded.resolve(peer, (name) => request.headers.get(name), options.trustedHops)
    return new Promise((resolve) => resolve(options.fetch(request, origin)))
  }

  const counted: Transport.Acceptor["upgrade"] = (received) => {
    const verdict = upgrade(received)
    if (verdict._tag === "Refusal") shared.core.stats?.turnedAway(`${verdict.status}`)
    return verdict
  }

  const owns = (url: string): boolean => isServed(pathOf(url))

  return { upgrade: counted, fetch, owns, maxMessageBytes: limits.messageBytes }
}
