/**
 * The chat's server: one actor for each room, which keeps what was said for a while, and the page.
 *
 * Run with `node examples/chat/server.ts`, `bun examples/chat/server.ts` or `deno run -A examples/chat/server.ts`,
 * and open the address it prints, or join with `client.ts` beside this file. Obeys PORT and HOST.
 */
import { DateTime, Effect, Layer } from "effect"
import { Engine } from "heddle"
import * as Runtime from "heddle/runtime"
import { Chat, NameTaken, RoomFull } from "./contract.ts"
import { page } from "./page/bundle.ts"

const maxMembers = 100

const ChatLive = Chat.toLayer((room) => ({
  join: Effect.fnUntraced(function*({ payload: { name }, cause, memberId }) {
    // After a crash of the room its members are joined again: nobody is new then.
    const others = [...room.members.values()].filter(({ id }) => id !== memberId)
    if (others.some(({ presence }) => presence.name === name)) return yield* new NameTaken({ wanted: name })
    if (others.length >= maxMembers) return yield* new RoomFull({ limit: maxMembers })
    if (cause === "join") yield* room.emit("Joined", { name })
    return { name }
  }),
  leave: ({ member }) => room.emit("Left", { name: member.presence.name }),
  Say: Effect.fnUntraced(function*({ payload: { text }, member }) {
    const line = { from: member.presence.name, text, at: yield* DateTime.nowAsDate }
    return (yield* room.emit("Said", line)).offset
  }),
  Typing: ({ member }) => room.emit("Typing", { from: member.presence.name }, { except: member })
}), { history: { capacity: 1_000, timeToLive: "10 minutes" } })

Engine.layer({
  path: "/live",
  rooms: [ChatLive],
  fetch: page,
  // A page that is closed may be one that is loaded again. So long its name is taken, and its person seems to be there.
  limits: { sessionWindow: 20_000 }
}).pipe(
  Layer.provide(Runtime.layerConfig),
  Layer.launch,
  Runtime.runMain
)
