/**
 * The reference on Node: `ws` as one would use it without a framework. Sends requests back as they came and events to
 * everyone in the room, parsing neither.
 */
import * as Http from "node:http"
import * as Https from "node:https"
import { type WebSocket, WebSocketServer } from "ws"
import { eventStart, port, tls } from "./child.ts"

const event = Buffer.from(eventStart)
const rooms = new Map<string, Set<WebSocket>>()

const server = tls === undefined ? Http.createServer() : Https.createServer(tls)

new WebSocketServer({ server }).on("connection", (socket, request) => {
  const name = new URL(request.url!, "http://localhost").searchParams.get("room")!
  const room = rooms.get(name) ?? new Set()
  rooms.set(name, room.add(socket))
  socket.on("error", console.error)
  socket.on("close", () => room.delete(socket))
  socket.on("message", (data: Buffer, binary) => {
    if (data.subarray(0, event.length).equals(event)) {
      for (const member of room) member.send(data, { binary })
    } else {
      socket.send(data, { binary })
    }
  })
})

server.listen(port, "127.0.0.1")
