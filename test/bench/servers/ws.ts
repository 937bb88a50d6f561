/**
 * The baseline: `ws` as one would use it without a framework. Sends requests back as they came and events to everyone,
 * parsing neither.
 */
import { WebSocketServer } from "ws"
import { port } from "./child.ts"

/** How the generator's events begin; everything else is a request. */
const event = Buffer.from("[\"event\",")

const server = new WebSocketServer({ host: "127.0.0.1", port, perMessageDeflate: false })

server.on("connection", (socket) => {
  socket.on("error", console.error)
  socket.on("message", (data: Buffer, binary) => {
    if (data.subarray(0, event.length).equals(event)) {
      for (const client of server.clients) client.send(data, { binary })
    } else {
      socket.send(data, { binary })
    }
  })
})
