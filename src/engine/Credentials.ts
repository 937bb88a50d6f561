/**
 * Who is on the other end of one connection, as often as it shows credentials.
 */
import * as Effect from "effect/Effect"
import type * as Identity from "../contract/Identity.ts"
import * as Greeting from "../wire/Greeting.ts"
import * as Authentication from "./Authentication.ts"
import type * as Transport from "./Transport.ts"

const withoutGreeting = (request: Transport.UpgradeRequest): Transport.UpgradeRequest => {
  const protocols = Greeting.others(request.protocols)
  if (protocols.length === request.protocols.length) return request
  return { ...request, protocols, headers: { ...request.headers, "sec-websocket-protocol": protocols.join(", ") } }
}

/** One end of a connection that is let in. */
export interface Peer {
  readonly credentials: Credentials
  /** Empty while nobody counts. */
  readonly address: string
}

/** What it has shown of who it is. */
export class Credentials {
  private readonly authenticators: Authentication.Authenticators
  /** Kept as long as somebody may ask about it, without the hello that came with it. */
  private readonly request: Transport.UpgradeRequest | undefined

  constructor(authenticators: Authentication.Authenticators, request: Pick<Transport.Upgrade, "copy">) {
    this.authenticators = authenticators
    this.request = authenticators.size === 0 ? undefined : withoutGreeting(request.copy())
  }

  /** The identities that a token stands for, by every authenticator. */
  check(token: string | null): Effect.Effect<Identity.Identities, Identity.Unauthorized> {
    return this.request === undefined
      ? Effect.succeed(Authentication.nobody)
      : Authentication.authenticate(this.authenticators, this.request, token)
  }

  subjectOf(identities: Identity.Identities): string | undefined {
    return Authentication.subjectOf(this.authenticators, identities)
  }
}
