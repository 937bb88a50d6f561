/**
 * The chat in a terminal: who is there, what is said, who comes, goes and types, and how the connection is.
 *
 * Start a server, then run `node examples/chat/client.ts ada lobby`, `bun examples/chat/client.ts ada lobby` or
 * `deno run -A examples/chat/client.ts ada lobby`. Connects to PORT of HOST. Commands: /who, /quit.
 */
import { Config, Effect, FiberHandle, FiberSet, Match, Stream, SubscriptionRef } from "effect"
import { Client } from "heddle"
import * as Runtime from "heddle/runtime"
import process from "node:process"
import { Chat, shownAtFirst } from "./contract.ts"
import * as Terminal from "./terminal.ts"

const chat = Effect.fnUntraced(function*(name: string, key: string) {
  const host = yield* Config.String("HOST").pipe(Config.withDefault("127.0.0.1"))
  const port = yield* Config.Int("PORT").pipe(Config.withDefault(3000))
  const url = `ws://${host}:${port}/live`
  const { lines, print, setPrompt, typing } = yield* Terminal.make
  const client = yield* Client.make({ url })

  let lost = false
  yield* Effect.forkScoped(Stream.runForEach(SubscriptionRef.changes(client.state), (state) => {
    if (state._tag === "online" && lost) return Effect.andThen(Effect.sync(() => lost = false), print("* connected"))
    if (state._tag !== "waiting" || lost) return Effect.void
    return Effect.andThen(Effect.sync(() => lost = true), print(`* no connection to ${url}, still trying`))
  }))

  const room = yield* client.join(Chat, key, { name }, { last: shownAtFirst })
  const who = Effect.gen(function*() {
    const members = yield* SubscriptionRef.get(room.presence)
    yield* print(`* in ${key}: ${[...members.values()].map(({ name }) => name).join(", ")}`)
  })

  const writer = yield* FiberHandle.make()
  const prompt = setPrompt(`${name}> `)
  const showWriter = (from: string) =>
    setPrompt(`(${from} is typing) ${name}> `).pipe(Effect.andThen(Effect.sleep("3 seconds")), Effect.andThen(prompt))

  const showOther = (other: string, what: string) => other === name ? Effect.void : print(`* ${other} ${what}`)
  const show = Stream.runForEach(
    room.events,
    Match.valueTags({
      synced: Effect.fnUntraced(function*({ reason }) {
        yield* prompt
        if (reason === "gap") yield* print("* some messages may be missing here")
        yield* who
      }),
      Said: ({ payload: { from, text } }) =>
        FiberHandle.clear(writer).pipe(Effect.andThen(prompt), Effect.andThen(print(`${from}: ${text}`))),
      Joined: ({ payload }) => showOther(payload.name, "joined"),
      Left: ({ payload }) => showOther(payload.name, "left"),
      Typing: ({ payload }) => FiberHandle.run(writer, showWriter(payload.from))
    })
  )

  const sending = yield* FiberSet.make<void>()
  const say = (text: string) =>
    room.Say({ text }).pipe(Effect.asVoid, Effect.catch(({ message }) => print(`* not sent: ${message}`)))
  const read = lines.pipe(
    Stream.map((line) => line.trim()),
    Stream.takeWhile((line) => line !== "/quit"),
    // Without a connection a message waits, and the terminal goes on.
    Stream.runForEach((line) => line === "/who" ? who : line === "" ? Effect.void : FiberSet.run(sending, say(line))),
    Effect.andThen(Effect.timeoutOption(FiberSet.awaitEmpty(sending), "2 seconds"))
  )
  const tellTyping = typing.pipe(
    Stream.runForEach(() => Effect.andThen(room.Typing(), Effect.sleep("2 seconds"))),
    Effect.ignore
  )
  yield* Effect.forkScoped(tellTyping)
  yield* Effect.raceFirst(show, read)
})

const [name, key = "lobby", ...rest] = process.argv.slice(2)
if (name === undefined || name.startsWith("-") || rest.length > 0) {
  console.error("usage: npm run chat -- NAME [ROOM]")
  process.exitCode = 2
} else Runtime.runMain(Effect.scoped(chat(name, key)))
