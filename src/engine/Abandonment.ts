/**
 * What a client is told when the handling of its message did not end by itself.
 */
import type { Abandoned } from "../actor/ActorRef.ts"
import * as RequestError from "../contract/RequestError.ts"

/** The error for it, where a handler may take so many milliseconds. */
export const errorOf = (why: Abandoned, deadline: number): RequestError.ProtocolError => {
  switch (why._tag) {
    case "Crashed":
      return new RequestError.HandlerFailed()
    case "Interrupted":
      return new RequestError.Interrupted({ detail: why.reason })
    case "Deadline":
      return new RequestError.HandlerTimeout({ millis: deadline })
  }
}
