/**
 * The ready bundles load by themselves, and a contract can be written with nothing else; prints `ok` at the end.
 */
import { Client, Room, Schema } from "heddle/browser"
import { msgpack } from "heddle/browser/msgpack"

class Chat extends Room.make("chat", {
  join: { payload: { name: Schema.String.check(Schema.isMaxLength(20)) } },
  events: { Said: { text: Schema.String, picture: Schema.optionalKey(Schema.Uint8Array) } }
}) {}

const { data } = msgpack.encode({ _tag: "pong" })
if (Chat.roomName !== "chat" || typeof Client.make !== "function" || data.length !== 6) {
  throw new Error("not as expected")
}
console.log("ok")
