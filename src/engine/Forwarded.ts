/**
 * Who a request comes from, when proxies stand in front of the server.
 *
 * Each proxy appends to a header, so the last entries are its word and those before them the client's: only as many
 * are believed, from the right, as there are proxies that the operator trusts.
 */
import type { Upgrade, UpgradeRequest } from "./Transport.ts"

/** Where a request comes from, as its client would say it. */
export interface Origin {
  readonly address: string
  /** It came to the outermost trusted proxy, or to the server itself, over TLS. */
  readonly secure: boolean
  /** What the client asked for as `Host`. */
  readonly host: string | undefined
}

/** An IPv4 address with a port, or an IPv6 address in brackets, as some proxies write. */
const bare = (address: string): string =>
  /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(address)?.[1] ?? /^\[([^\]]+)\](?::\d+)?$/.exec(address)?.[1] ?? address

/** The entry that the outermost trusted proxy wrote; the first one if there are fewer entries than proxies. */
const entry = (header: string | null | undefined, hops: number): string | undefined => {
  if (hops === 0 || header === null || header === undefined) return undefined
  const entries = header.split(",")
  return entries[Math.max(0, entries.length - hops)]!.trim() || undefined
}

type Headers = (name: string) => string | null | undefined

const addressIn = (header: Headers, hops: number): string | undefined => {
  const address = entry(header("x-forwarded-for"), hops)
  return address === undefined ? undefined : bare(address)
}

const hostIn = (header: Headers, hops: number): string | undefined =>
  entry(header("x-forwarded-host"), hops) ?? header("host") ?? undefined

/** Sees through `hops` proxies; with 0, the headers that proxies write are ignored. */
export const resolve = (
  peer: { readonly address: string; readonly secure: boolean },
  header: Headers,
  hops: number
): Origin => {
  const protocol = entry(header("x-forwarded-proto"), hops)
  return {
    address: addressIn(header, hops) ?? peer.address,
    secure: protocol === undefined ? peer.secure : /^(https|wss)$/i.test(protocol),
    host: hostIn(header, hops)
  }
}

/** The request as its client made it: with its address, its scheme and its `Host`. */
export const upgrade = (request: UpgradeRequest, hops: number): UpgradeRequest => {
  if (hops === 0) return request
  const { address, host, secure } = resolve(
    { address: request.address, secure: request.secure === true },
    (name) => request.headers[name],
    hops
  )
  return { ...request, address, secure, headers: Object.assign(Object.create(null), request.headers, { host }) }
}

/** An upgrade as its client asked for it; read, as what it stands for, before `Acceptor.upgrade` returns. */
export class Seen {
  private readonly request: Upgrade
  private readonly hops: number

  constructor(request: Upgrade, hops: number) {
    this.request = request
    this.hops = hops
  }

  get url(): string {
    return this.request.url
  }

  get protocols(): ReadonlyArray<string> {
    return this.request.protocols
  }

  get address(): string {
    return addressIn((name) => this.request.header(name), this.hops) ?? this.request.address()
  }

  /** Of browsers only. */
  get origin(): string | undefined {
    return this.request.header("origin")
  }

  get host(): string | undefined {
    return hostIn((name) => this.request.header(name), this.hops)
  }

  copy(): UpgradeRequest {
    return upgrade(this.request.copy(), this.hops)
  }
}
