/**
 * The outbox of a session that has no connection.
 */
import type * as Codec from "../wire/Codec.ts"
import { Outbox } from "./Outbox.ts"

/** Takes nothing: for who is not there. */
export const makeNowhere = (codec: Codec.Codec): Outbox => {
  const socket = { send: () => {}, bufferedAmount: () => 0, close: () => {}, tickEnd: () => {} }
  const packing = { codec, separatorBytes: 0, join: () => "" }
  const bounds = { maxBytes: 0, maxFrames: 0, maxTickBytes: 0, onStalled: () => {} }
  const outbox = new Outbox(socket, packing, bounds, { onOverflow: () => {} })
  outbox.close()
  return outbox
}
