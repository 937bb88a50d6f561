/**
 * The examples of mounting as a stranger runs them: as processes of their own.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import type { Scope } from "effect"
import { Client, Room } from "heddle"
import * as Child from "node:child_process"
import { until } from "../contract/transportClient.ts"

const runtimes = {
  node: ["node_modules/.bin/node"],
  bun: ["node_modules/.bin/bun"],
  deno: ["node_modules/.bin/deno", "run", "-A"]
} as const

/** Runs one example on a free port, until the scope closes: it must then end by itself, calmly. */
const run = (runtime: keyof typeof runtimes, file: string, listening: RegExp) =>
  Effect.gen(function*() {
    const [command, ...args] = runtimes[runtime]
    let output = ""
    let exit: number | null | undefined
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const child = Child.spawn(command, [...args, `examples/mount/${file}`], {
          env: { ...process.env, PORT: "0", HOST: "127.0.0.1" },
          stdio: ["ignore", "pipe", "pipe"]
        })
        for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => output += chunk)
        child.on("close", (code) => exit = code)
        return child
      }),
      (child) =>
        Effect.suspend(() => {
          child.kill("SIGTERM")
          return until("it ends", () => exit !== undefined).pipe(
            Effect.andThen(Effect.sync(() => assert.strictEqual(exit, 0, output))),
            Effect.ensuring(Effect.sync(() => child.kill("SIGKILL")))
          )
        })
    )
    yield* until(`it listens`, () => listening.test(output) || exit !== undefined, 30_000)
    const port = listening.exec(output)?.[1]
    assert.isDefined(port, output)
    return { http: `http://127.0.0.1:${port}`, ws: `ws://127.0.0.1:${port}` }
  })

const text = (url: string, init?: RequestInit) =>
  Effect.promise(() => fetch(url, init).then(async (response) => [response.status, await response.text()] as const))

class Clicks extends Room.make("clicks", {
  snapshot: { count: Schema.Int },
  requests: { Click: { success: Schema.Int } },
  events: { Clicked: { count: Schema.Int } }
}) {}

/** Two members see each other's clicks. */
const clicks = Effect.fnUntraced(function*(url: string) {
  const rooms = yield* Effect.forEach(
    [1, 2],
    () => Effect.flatMap(Client.make({ url: `${url}/live` }), ({ join }) => join(Clicks, "all"))
  )
  assert.strictEqual(yield* rooms[0]!.Click(), 1)
  assert.strictEqual(yield* rooms[1]!.Click(), 2)
  for (const room of rooms) {
    const seen = yield* room.events.pipe(
      Stream.filter((event) => event._tag === "Clicked"),
      Stream.takeUntil(({ payload }) => payload.count === 2),
      Stream.runCollect
    )
    assert.strictEqual([...seen].at(-1)!.payload.count, 2)
  }
})

const test = <E>(sentence: string, body: Effect.Effect<void, E, Scope.Scope>) =>
  it.live(sentence, () => Effect.scoped(body), 60_000)

describe("the examples of mounting", () => {
  for (
    const [runtime, file, page] of [
      ["node", "node-express.ts", "A page of Express"],
      ["bun", "bun.ts", "A page of Bun"],
      ["deno", "deno.ts", "A page of Deno"]
    ] as const
  ) {
    test(
      `${file}: pages and rooms on one server`,
      Effect.gen(function*() {
        const { http, ws } = yield* run(runtime, file, /on port (\d+)/)
        const [status, body] = yield* text(http)
        assert.deepStrictEqual([status, body.includes(page)], [200, true])
        yield* clicks(ws)
        if (runtime !== "bun") return
        const answers: Array<string> = []
        const socket = yield* Effect.acquireRelease(
          Effect.sync(() => new WebSocket(`${ws}/echo`)),
          (socket) => Effect.sync(() => socket.close())
        )
        socket.onopen = () => socket.send("hi")
        socket.onmessage = ({ data }) => answers.push(data)
        yield* until("the server's own WebSocket answers", () => answers.length === 1)
        assert.deepStrictEqual(answers, ["echo: hi"])
      })
    )
  }

  for (const runtime of ["node", "bun", "deno"] as const) {
    test(
      `router.ts on ${runtime}: routes list the rooms and publish to one`,
      Effect.gen(function*() {
        class Board extends Room.make("board", { events: { News: { text: Schema.String } } }) {}
        const { http, ws } = yield* run(runtime, "router.ts", /listening on http:\/\/[\d.]+:(\d+)/)
        const { join } = yield* Client.make({ url: `${ws}/live` })
        const board = yield* join(Board, "lobby")
        assert.deepStrictEqual(yield* text(`${http}/rooms`), [200, `[{"room":"board","key":"lobby","members":1}]`])
        const post = (body: string) => text(`${http}/rooms/lobby/news`, { method: "POST", body })
        assert.deepStrictEqual(yield* post(`{"text":"hello"}`), [202, ""])
        const [news] = yield* board.events.pipe(
          Stream.filter((event) => event._tag === "News"),
          Stream.take(1),
          Stream.runCollect
        )
        assert.strictEqual(news!.payload.text, "hello")
        assert.strictEqual((yield* post(`{"text":""}`))[0], 400)
        assert.strictEqual((yield* text(`${http}/elsewhere`))[0], 404)
        assert.strictEqual((yield* text(`${http}/live`))[0], 426)
      })
    )
  }
})
