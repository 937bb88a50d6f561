/**
 * From the credentials of a connection to its identities, and to the user that they stand for.
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

/**
 * Who a connection or session belongs to: the subjects of all its identities together, each with the key of its
 * identity. Undefined when none of them has one. Two that are equal are the same user to every authenticator.
 */
export const subjectOf = (authenticators: Authenticators, identities: Identity.Identities): string | undefined => {
  const subjects: Array<readonly [string, string]> = []
  for (const [key, value] of identities) {
    const subject = authenticators.get(key)?.subject(value)
    if (subject !== undefined && subject !== "") subjects.push([key, subject])
  }
  // In an order that does not depend on what is served first.
  return subjects.length === 0 ? undefined : JSON.stringify(subjects.sort(([one], [other]) => (one < other ? -1 : 1)))
}
