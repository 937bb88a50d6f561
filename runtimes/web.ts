/**
 * What Bun and Deno share: upgrades as web requests, and a server that is the user's own.
 */
import type * as Transport from "../src/engine/Transport.ts"
import * as Shim from "./shim.ts"

export const isUpgrade = (request: Request): boolean =>
  request.method === "GET" && request.headers.get("upgrade")?.toLowerCase() === "websocket"

const pathOf = ({ url }: Request): string => url.slice(url.indexOf("/", url.indexOf("//") + 2))

/** A copy: after the upgrade the request can no longer be read. */
export const toUpgradeRequest = (request: Request, address: string): Transport.UpgradeRequest => {
  const headers = Object.assign(Object.create(null), Object.fromEntries(request.headers))
  return {
    method: request.method,
    url: pathOf(request),
    headers,
    protocols: Shim.offered(headers["sec-websocket-protocol"]),
    address,
    secure: request.url.startsWith("https:")
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
