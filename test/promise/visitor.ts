/**
 * A process that visits a room and closes its client: with nothing left to do, it has to exit by itself.
 */
import process from "node:process"
import { connect } from "../../src/client/PromiseClient.ts"
import { Chat, Prices } from "./contract.ts"

const client = connect({ url: process.argv[2]! })
client.state.subscribe(({ _tag }) => console.log(_tag))
client.subscribe(Prices, "AAPL", () => {})
const room = await client.join(Chat, "lobby", { name: "ada" })
room.on("Said", ({ text }) => console.log(text))
room.presence.subscribe(() => {})
void (async () => {
  try {
    for await (const _ of room.events) continue
  } catch {
    console.log("ended")
  }
})()
await room.Say({ text: "hello" })
await client.close()
console.log("closed")
