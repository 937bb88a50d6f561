/**
 * A page without a build step, and one without heddle, in a real browser: part of `npm run test:browser`.
 *
 * The first imports the ready bundle from a `<script type="module">`; the second talks to a plain endpoint.
 */
import { Effect, Layer, Schema, Stream } from "effect"
import { Endpoint, Engine, Room } from "heddle"
import { layer } from "heddle/node"
import assert from "node:assert/strict"
import * as Fs from "node:fs"
import process from "node:process"
import { chromium, type Page } from "playwright-core"
import { rolldown } from "rolldown"

const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium"
if (!Fs.existsSync(executablePath)) {
  console.error(`there is no Chromium at ${executablePath}: apt-get install chromium, or set CHROMIUM`)
  console.log("Tests: 0 passed, 1 failed")
  process.exit(1)
}

const bundle = await (await rolldown({ input: "src/browser.ts", platform: "browser" })).generate({ minify: true })
const code = bundle.output[0].code

const page = `<!doctype html><title>no build step</title><output></output>
<script type="module">
  import { Client, Room, Schema } from "/heddle.js"
  class Echo extends Room.make("echo", {
    requests: { Say: { payload: { text: Schema.String }, success: Schema.String } },
    events: { Said: { text: Schema.String } }
  }) {}
  const client = Client.connect({ url: location.origin.replace("http", "ws") + "/live" })
  const room = await client.join(Echo, "page")
  const heard = []
  room.on("Said", ({ text }) => heard.push(text))
  heard.push(await room.Say({ text: "hello" }))
  await client.close()
  document.querySelector("output").textContent = heard.join(" then ")
</script>`

class Echo extends Room.make("echo", {
  requests: { Say: { payload: { text: Schema.String }, success: Schema.String } },
  events: { Said: { text: Schema.String } }
}) {}

const EchoLive = Echo.toLayer((room) => ({
  Say: ({ payload: { text } }) => Effect.as(room.emit("Said", { text: `said ${text}` }), `answered ${text}`)
}))

const Raw = Endpoint.make("/echo", { handle: (socket) => socket.messages.pipe(Stream.runForEach(socket.send)) })

const serve = (request: Request): Response => {
  const { pathname } = new URL(request.url)
  if (pathname === "/heddle.js") return new Response(code, { headers: { "content-type": "text/javascript" } })
  return new Response(page, { headers: { "content-type": "text/html; charset=utf-8" } })
}

const scenarios: { readonly [name: string]: (page: Page, url: string) => Promise<void> } = {
  "a page without a build step joins, hears and asks": async (page, url) => {
    await page.goto(url)
    await page.waitForFunction("document.querySelector('output').textContent !== ''")
    assert.equal(await page.textContent("output"), "said hello then answered hello")
  },
  "a browser's WebSocket talks to a plain endpoint, in text and bytes": async (page, url) => {
    await page.goto(url)
    const got = await page.evaluate((url) =>
      new Promise<ReadonlyArray<unknown>>((resolve) => {
        const socket = new WebSocket(`${url.replace("http", "ws")}/echo`)
        const got: Array<unknown> = []
        socket.binaryType = "arraybuffer"
        socket.onopen = () => {
          socket.send("text é 🧵")
          socket.send(new Uint8Array([0, 127, 255]))
        }
        socket.onmessage = ({ data }) => {
          got.push(typeof data === "string" ? data : [...new Uint8Array(data)])
          if (got.length === 2) socket.close(4001, "enough")
        }
        socket.onclose = ({ code, reason, wasClean }) => resolve([...got, code, reason, wasClean])
      }), url)
    assert.deepEqual(got, ["text é 🧵", [0, 127, 255], 4001, "enough", true])
  }
}

const program = Effect.gen(function*() {
  const { address } = yield* Engine.Engine
  const browser = yield* Effect.acquireRelease(
    Effect.promise(() =>
      chromium.launch({
        executablePath,
        args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
      })
    ),
    (browser) => Effect.promise(() => browser.close())
  )
  let passed = 0
  let failed = 0
  for (const [name, scenario] of Object.entries(scenarios)) {
    const page = yield* Effect.promise(() => browser.newPage())
    const error = yield* Effect.promise(() => scenario(page, address.url).then(() => undefined, (error) => error))
    if (error === undefined) passed++
    else failed++
    console.log(error === undefined ? `ok      ${name}` : `FAILED  ${name}\n${error}`)
  }
  console.log(`Tests: ${passed} passed, ${failed} failed`)
  if (failed > 0) process.exitCode = 1
})

Effect.runFork(
  program.pipe(
    Effect.scoped,
    Effect.provide(
      Engine.layer({ path: "/live", rooms: [EchoLive], endpoints: [Raw], fetch: serve }).pipe(
        Layer.provide(layer({ port: 0 }))
      )
    )
  )
)
