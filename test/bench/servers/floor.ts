/**
 * The least that heddle's protocol takes: its frames by hand on the same WebSocket servers, one message for each
 * connection at the end of a tick. No schemas, actors, bounds, sessions, order of answers and events, or failures.
 */
import { Effect, Layer } from "effect"
import { Transport } from "heddle"
import * as Runtime from "heddle/runtime"
import { Buffer } from "node:buffer"
import { port } from "./child.ts"

interface Room {
  readonly channel: number
  readonly members: Set<Member>
  offset: number
}

const rooms = new Map<string, Room>()

const roomOf = (name: string): Room => {
  const room = rooms.get(name) ?? { channel: rooms.size + 1, members: new Set(), offset: 0 }
  rooms.set(name, room)
  return room
}

const welcome = JSON.stringify(["welcome", "session", 25_000, 75_000, {}, {}, null, 0, 0])

/** The last two frames that met in a tick, as one message: in a fan-out all members have the same ones. */
let joined: readonly [before: string, frame: string, message: string] = ["", "", ""]

class Member implements Transport.SocketHandler, Transport.Flusher {
  private waiting = ""
  private readonly socket: Transport.Socket
  private room: Room | undefined

  constructor(socket: Transport.Socket) {
    this.socket = socket
  }

  push(frame: string): void {
    const { waiting } = this
    if (waiting === "") {
      this.waiting = frame
      this.socket.tickEnd(this)
      return
    }
    if (joined[0] !== waiting || joined[1] !== frame) joined = [waiting, frame, `${waiting}\n${frame}`]
    this.waiting = joined[2]
  }

  flush(): void {
    const { waiting } = this
    this.waiting = ""
    this.socket.send(waiting)
  }

  message(data: string | Uint8Array): void {
    const frame = JSON.parse(data as string)
    switch (frame[0]) {
      case "hello":
        return this.push(welcome)
      case "join": {
        const room = this.room = roomOf(frame[3])
        room.members.add(this)
        return this.push(JSON.stringify(["joined", frame[1], room.channel, "member", ["log", 1, room.offset], false]))
      }
      case "request": {
        if (frame[5] === "Echo") return this.push(JSON.stringify(["ok", frame[1], frame[6]]))
        const room = this.room!
        const event = JSON.stringify(["event", room.channel, ++room.offset, "Said", frame[6]])
        for (const member of room.members) member.push(event)
        return this.push(`["ok",${frame[1]}]`)
      }
    }
  }

  drain(): void {}

  close(): void {
    this.room?.members.delete(this)
  }
}

/** The client's first frames come with its request, among the subprotocols. */
const hello = "heddle.hello."

const acceptor: Transport.Acceptor = {
  maxMessageBytes: 1 << 20,
  fetch: () => Promise.resolve(new Response("no upgrade", { status: 426 })),
  upgrade: ({ protocols }) => ({
    _tag: "Accepted",
    protocol: protocols[0],
    open: (socket) => {
      const member = new Member(socket)
      const greeting = protocols.find((protocol) => protocol.startsWith(hello))!.slice(hello.length)
      for (const frame of Buffer.from(greeting, "base64url").toString().split("\n")) member.message(frame)
      return member
    }
  })
}

Layer.effectDiscard(Effect.flatMap(Transport.Transport, (transport) => transport.listen(acceptor))).pipe(
  Layer.provide(Runtime.layer({ port })),
  Layer.launch,
  Runtime.runMain
)
