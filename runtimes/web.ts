/**
 * What Bun and Deno share: upgrades as web requests, and a server that is the user's own.
 */
import type * as Transport from "../src/engine/Transport.ts"
import * as Shim from "./shim.ts"

export const isUpgrade = (request: Request): boolean =>
  request.method === "GET" && request.headers.get("upgrade")?.toLowerCase() === "websocket"

const pathOf = ({ url }: Request): string => url.slice(url.indexOf("/", url.indexOf("//") + 2))

/** A request to upgrade, and where the runtime says that it comes from. To read a field of it costs a call out of JavaScript. */
export class Upgrade<Peer> implements Transport.Upgrade {
  readonly url: string
  readonly protocols: ReadonlyArray<string>
  readonly #request: Request
  readonly #peer: Peer
  readonly #addressOf: (request: Request, peer: Peer) => string

  constructor(request: Request, peer: Peer, addressOf: (request: Request, peer: Peer) => string) {
    this.url = pathOf(request)
    this.protocols = Shim.offered(request.headers.get("sec-websocket-protocol"))
    this.#request = request
    this.#peer = peer
    this.#addressOf = addressOf
  }

  get method(): string {
    return this.#request.method
  }

  header(name: string): string | undefined {
    return this.#request.headers.get(name) ?? undefined
  }

  address(): string {
    return this.#addressOf(this.#request, this.#peer)
  }

  copy(): Transport.UpgradeRequest {
    const { method, protocols, url } = this
    return {
      method,
      url,
      headers: Object.assign(Object.create(null), Object.fromEntries(this.#request.headers)),
      protocols,
      address: this.address(),
      secure: this.#request.url.startsWith("https:")
    }
  }
}

export const toResponse = (refusal: Transport.Refusal): Response =>
  new Response(refusal.body ?? null, {
    status: refusal.status,
    headers: { ...refusal.headers, connection: "close" }
  })

/** The engines that share a server with its owner, until their scopes close. */
export class Attachments {
  readonly #engines = new Set<Shim.Serving>()
  /** The engine whose an upgrade is; undefined for whatever is the owner's. */
  find(request: Request): Shim.Serving | undefined {
    if (!isUpgrade(request)) return undefined
    const path = pathOf(request)
    for (const engine of this.#engines) if (engine.acceptor.owns?.(path) !== false) return engine
    return undefined
  }
  readonly add = (engine: Shim.Serving): () => void => {
    this.#engines.add(engine)
    return () => this.#engines.delete(engine)
  }
}
