/**
 * The reference on Deno: its own server, which has no publish and subscribe, parsing nothing.
 */
import { eventStart, port } from "./child.ts"

declare const Deno: {
  readonly serve: (
    options: { readonly port: number; readonly hostname: string },
    handler: (request: Request) => Response
  ) => unknown
  readonly upgradeWebSocket: (request: Request) => { readonly socket: WebSocket; readonly response: Response }
}

const rooms = new Map<string, Set<WebSocket>>()

Deno.serve({ port, hostname: "127.0.0.1" }, (request) => {
  const { response, socket } = Deno.upgradeWebSocket(request)
  const name = new URL(request.url).searchParams.get("room")!
  const room = rooms.get(name) ?? new Set()
  rooms.set(name, room)
  socket.onopen = () => room.add(socket)
  socket.onclose = () => room.delete(socket)
  socket.onerror = () => room.delete(socket)
  socket.onmessage = ({ data }) => {
    if (data.startsWith(eventStart)) {
      for (const member of room) if (member.readyState === WebSocket.OPEN) member.send(data)
    } else {
      socket.send(data)
    }
  }
  return response
})
