/**
 * Socket.IO with acknowledgements and rooms, as its documentation has them.
 */
import * as Http from "node:http"
import { Server } from "socket.io"
import { port } from "./child.ts"

const server = Http.createServer()
const io = new Server(server, { transports: ["websocket"] })

io.on("connection", (socket) => {
  let room = ""
  socket.on("join", (name: string, done: () => void) => {
    room = name
    socket.join(name)
    done()
  })
  socket.on("echo", (body: { id: number; from: string; text: string }, reply: (body: unknown) => void) => reply(body))
  socket.on("publish", (said: { text: string }) => io.to(room).emit("said", said))
})

server.listen(port, "127.0.0.1")
