/**
 * A client of a room under test.
 */
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type * as SubscriptionRef from "effect/SubscriptionRef"
import type { JoinedRoom } from "../client/Client.ts"
import type * as Definition from "../contract/Definition.ts"
import type { RequestError } from "../contract/RequestError.ts"
import type { TestClient } from "./TestServer.ts"

/** A joined room as far as it does not depend on its contract. */
export interface AnyJoined extends Pick<JoinedRoom<Definition.Any>, "leave" | "memberId"> {
  readonly events: Stream.Stream<
    { readonly _tag: string; readonly offset?: number | undefined; readonly payload?: unknown },
    RequestError
  >
  readonly presence: SubscriptionRef.SubscriptionRef<ReadonlyMap<string, unknown>>
}

/** A request or notice of a joined room. */
export type Method = (payload: unknown) => Effect.Effect<unknown, unknown>

/** A client under test, and where it stands. */
export interface Player {
  readonly name: string
  readonly client: TestClient
  joined: AnyJoined | undefined
  joining: boolean
  /** Never joined so far. */
  fresh: boolean
  /** Requests without an answer. */
  open: number
  /** The offset of the last event since the last `synced`. */
  last: number | undefined
}

/** Reasons that no client has to expect of a room that does what its contract says. */
export const unexpected = new Set([
  "HandlerFailed",
  "HandlerTimeout",
  "InvalidPayload",
  "InvalidKey",
  "NotServed",
  "MalformedFrame",
  "LimitExceeded"
])
