/**
 * From the credentials of a connection to its identities.
 */
import * as Effect from "effect/Effect"
import type * as Identity from "../contract/Identity.ts"
import type * as Transport from "./Transport.ts"

/** By the key of the identity. */
export type Authenticators = ReadonlyMap<string, Identity.AuthenticatorService>

/** The identities of a connection where nobody asks. */
export const nobody: Identity.Identities = new Map()

const handshakeOf = (request: Transport.UpgradeRequest, token: string | null): Identity.Handshake => {
  const headers = new Headers()
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers.set(name, value)
  }
  const scheme = request.secure === true ? "https" : "http"
  const host = request.headers["host"]
  return {
    token: token ?? undefined,
    headers,
    // The host is what the client says: it may be none.
    url: URL.parse(request.url, `${scheme}://${host}`) ?? new URL(request.url, `${scheme}://localhost`),
    address: request.address
  }
}

/** Runs every authenticator, each once; the first refusal is the answer. */
export const authenticate = (
  authenticators: Authenticators,
  request: Transport.UpgradeRequest,
  token: string | null
): Effect.Effect<Identity.Identities, Identity.Unauthorized> =>
  Effect.suspend(() => {
    const handshake = handshakeOf(request, token)
    return Effect.map(
      Effect.forEach(
        authenticators.values(),
        ({ authenticate, identity }) =>
          Effect.map(authenticate(handshake), (value): readonly [string, unknown] => [identity, value])
      ),
      (entries) => new Map(entries)
    )
  })
