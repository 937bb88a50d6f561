/**
 * The reference on Bun: its own server with its own publish and subscribe, parsing nothing.
 */
import { eventStart, port } from "./child.ts"

interface Socket {
  readonly data: { readonly room: string }
  readonly subscribe: (topic: string) => void
  readonly send: (text: string) => void
}

interface Server {
  readonly upgrade: (request: Request, options: { readonly data: Socket["data"] }) => boolean
  readonly publish: (topic: string, text: string) => void
}

declare const Bun: {
  readonly serve: (options: {
    readonly port: number
    readonly hostname: string
    readonly fetch: (request: Request, server: Server) => Response | undefined
    readonly websocket: {
      readonly open: (socket: Socket) => void
      readonly message: (socket: Socket, text: string) => void
    }
  }) => Server
}

const server = Bun.serve({
  port,
  hostname: "127.0.0.1",
  fetch: (request, server) => {
    const room = new URL(request.url).searchParams.get("room")!
    return server.upgrade(request, { data: { room } }) ? undefined : new Response("no upgrade", { status: 400 })
  },
  websocket: {
    open: (socket) => socket.subscribe(socket.data.room),
    message: (socket, text) => {
      if (text.startsWith(eventStart)) server.publish(socket.data.room, text)
      else socket.send(text)
    }
  }
})
