/**
 * What a client sends with the upgrade, for those who listen to it.
 */
import type * as Codec from "../src/wire/Codec.ts"
import type * as Frame from "../src/wire/Frame.ts"
import * as Greeting from "../src/wire/Greeting.ts"
import { json } from "../src/wire/Json.ts"

/** The frames among the subprotocols that a client offers. */
export const greeted = (
  protocols: ReadonlyArray<string>,
  codec: Codec.Codec = json
): ReadonlyArray<Frame.ClientFrame> => {
  const message = Greeting.find(codec, protocols)
  if (message === undefined) return []
  if (message === null) throw new Error("no message is among the subprotocols")
  return codec.decodeClient(message, Infinity) as ReadonlyArray<Frame.ClientFrame>
}
