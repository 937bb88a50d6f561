/**
 * A raw connection as its handler sees it.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Message, PublishOptions, RequestOf, Socket } from "./EndpointDefinition.ts"
import * as CloseFrame from "./RawCloseFrame.ts"
import type { RawConnection } from "./RawConnection.ts"
import type { RawGroups } from "./RawGroups.ts"
import type { UpgradeRequest } from "./Transport.ts"

type Values = { readonly [name: string]: unknown }

/** Prefix of the subprotocol in which a browser, which cannot set headers, offers a token. Never chosen. */
const bearerProtocol = "bearer."

/** Whether an offered subprotocol is one that a server may choose, and not a token. */
export const isChoosable = (protocol: string): boolean => !protocol.startsWith(bearerProtocol)

/** The upgrade request; what is made from it is made when somebody asks, and a token is no field to be printed. */
export class RawRequest implements RequestOf<Values, Values> {
  readonly id: string
  readonly params: Values
  readonly query: Values
  readonly protocol: string | undefined
  readonly #upgrade: UpgradeRequest

  constructor(id: string, params: Values, query: Values, protocol: string | undefined, upgrade: UpgradeRequest) {
    this.id = id
    this.params = params
    this.query = query
    this.protocol = protocol
    this.#upgrade = upgrade
  }

  get address(): string {
    return this.#upgrade.address
  }

  get url(): URL {
    const { headers: { host }, secure, url } = this.#upgrade
    const scheme = secure === true ? "https" : "http"
    // The host is what the client says: it may be none.
    return URL.parse(url, `${scheme}://${host}`) ?? new URL(url, `${scheme}://localhost`)
  }

  get headers(): Headers {
    return new Headers(
      Object.entries(this.#upgrade.headers).filter((entry): entry is [string, string] => entry[1] !== undefined)
    )
  }

  get token(): string | undefined {
    const { headers, protocols } = this.#upgrade
    return /^bearer +(\S+) *$/i.exec(headers["authorization"] ?? "")?.[1] ??
      protocols.find((protocol) => !isChoosable(protocol))?.slice(bearerProtocol.length)
  }
}

/** One open connection, given to its handler. */
export class RawSocket extends RawRequest implements Socket<Values, Values> {
  readonly messages: Socket["messages"]
  readonly send: Socket["send"]
  readonly close: Socket["close"]
  readonly closed: Socket["closed"]
  readonly join: Socket["join"]
  readonly leave: Socket["leave"]
  readonly publish: Socket["publish"]

  constructor(
    connection: RawConnection,
    groups: RawGroups,
    ...request: ConstructorParameters<typeof RawRequest>
  ) {
    super(...request)
    this.messages = connection.inbox.messages
    this.send = connection.send
    this.closed = Deferred.await(connection.closed)
    this.close = (code = 1000, reason = "") =>
      Effect.suspend(() => {
        connection.leave(CloseFrame.make(code, reason))
        return Effect.asVoid(this.closed)
      })
    this.join = (group) => Effect.suspend(() => connection.join(group))
    this.leave = (group) => Effect.sync(() => connection.part(group))
    this.publish = (group: string, message: Message, options?: PublishOptions) =>
      Effect.sync(() => groups.publish(group, message, options?.except))
  }
}
