/**
 * What a page keeps of its place in a room, in a real browser: part of `npm run test:browser`.
 */
import { Effect, Layer, Schema } from "effect"
import { Engine, Room } from "heddle"
import { layer } from "heddle/node"
import assert from "node:assert/strict"
import * as Fs from "node:fs"
import process from "node:process"
import { type BrowserContext, chromium, type Page } from "playwright-core"
import { rolldown } from "rolldown"

const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium"
if (!Fs.existsSync(executablePath)) {
  console.error(`there is no Chromium at ${executablePath}: apt-get install chromium, or set CHROMIUM`)
  console.log("Tests: 0 passed, 1 failed")
  process.exit(1)
}

const bundle = await (await rolldown({ input: "src/browser.ts", platform: "browser" })).generate({ minify: true })
const code = bundle.output[0].code

/** Keeps everything it is given, and who it is; `room` is there once it has joined. */
const page = `<!doctype html><title>continuity</title>
<script type="module">
  import { Client, Room, Schema } from "/heddle.js"
  class Hall extends Room.make("hall", {
    snapshot: { head: Schema.Int },
    requests: { Say: { payload: { text: Schema.String }, success: Schema.Int } },
    events: { Said: { text: Schema.String } }
  }) {}
  window.got = []
  window.answers = []
  const client = Client.connect({
    url: location.origin.replace("http", "ws") + "/live",
    reconnect: { base: 100, max: 500 },
    session: Client.sessionStorage()
  })
  const room = await client.join(Hall, "a")
  room.on("synced", ({ reason }) => window.got.push(reason))
  room.on("Said", ({ text }) => window.got.push(text))
  window.say = (text) => room.Say({ text }).then((offset) => window.answers.push(text + " " + offset))
  window.room = room
</script>`

declare global {
  interface Window {
    readonly got: Array<string>
    readonly answers: Array<string>
    readonly room: { readonly memberId: string } | undefined
    readonly say: (text: string) => Promise<void>
  }
}

class Hall extends Room.make("hall", {
  snapshot: { head: Schema.Int },
  requests: { Say: { payload: { text: Schema.String }, success: Schema.Int } },
  events: { Said: { text: Schema.String } }
}) {}

/** What the room saw of its members, in order. */
let seen: Array<string> = []
let head = 0

const HallLive = Hall.toLayer((room) => ({
  join: ({ memberId }) => Effect.sync(() => void seen.push(`join ${memberId}`)),
  leave: ({ member, reason }) => Effect.sync(() => void seen.push(`leave ${member.id} ${reason}`)),
  snapshot: () => Effect.sync(() => ({ head })),
  Say: ({ payload }) =>
    Effect.orDie(Effect.map(room.emit("Said", payload), ({ offset }) => {
      seen.push(`said ${payload.text}`)
      return head = offset
    }))
}), { history: { capacity: 1_000 } })

const serve = (request: Request): Response =>
  new URL(request.url).pathname === "/heddle.js"
    ? new Response(code, { headers: { "content-type": "text/javascript" } })
    : new Response(page, { headers: { "content-type": "text/html; charset=utf-8" } })

interface Stage {
  readonly context: BrowserContext
  readonly url: string
  readonly emit: (text: string) => Promise<void>
}

const isInside = (page: Page) => page.waitForFunction("window.room !== undefined && window.got.length > 0")

/** A page that is in the room. */
const visit = async ({ context, url }: Stage): Promise<Page> => {
  const page = await context.newPage()
  await page.goto(url)
  await isInside(page)
  return page
}

const idOf = (page: Page): Promise<string> => page.evaluate(() => window.room!.memberId)

/** Waits until the page was given so much, and answers with it. */
const given = async (page: Page, count: number): Promise<ReadonlyArray<string>> => {
  await page.waitForFunction((count) => window.got.length >= count, count)
  return page.evaluate(() => window.got)
}

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => `${from + index}`)

const scenarios: { readonly [name: string]: (stage: Stage) => Promise<void> } = {
  "a page that was offline for a while is given exactly what it missed, once and in order": async (stage) => {
    const page = await visit(stage)
    const id = await idOf(page)
    for (const text of numbers(1, 3)) await stage.emit(text)
    assert.deepEqual(await given(page, 4), ["joined", ...numbers(1, 3)])
    await stage.context.setOffline(true)
    for (const text of numbers(4, 40)) await stage.emit(text)
    await page.evaluate(() => void window.say("from the tunnel"))
    // Longer than the silence after which both ends give the connection up.
    await page.waitForTimeout(4_000)
    for (const text of numbers(41, 60)) await stage.emit(text)
    assert.equal(seen.filter((line) => line.startsWith("said")).length, 0)
    await stage.context.setOffline(false)
    await page.waitForFunction("window.answers.length === 1")
    await stage.emit("61")
    assert.deepEqual(await given(page, 63), ["joined", ...numbers(1, 60), "from the tunnel", "61"])
    assert.deepEqual(await page.evaluate(() => window.answers), ["from the tunnel 61"])
    assert.equal(await idOf(page), id)
    assert.deepEqual(seen, [`join ${id}`, "said from the tunnel"])
  },
  "a page that is loaded again is the same member, and nobody notices": async (stage) => {
    const page = await visit(stage)
    const id = await idOf(page)
    for (let round = 0; round < 3; round++) {
      await page.reload()
      await isInside(page)
      assert.equal(await idOf(page), id)
    }
    await page.evaluate(() => window.say("still me"))
    assert.deepEqual(await given(page, 2), ["joined", "still me"])
    assert.deepEqual(seen, [`join ${id}`, "said still me"])
  },
  "a tab that is duplicated has a session of its own, and takes none away": async (stage) => {
    const page = await visit(stage)
    const [twin] = await Promise.all([
      stage.context.waitForEvent("page"),
      // With an opener, so that the browser copies the session storage.
      page.evaluate((url) => void window.open(url), stage.url)
    ])
    await isInside(twin)
    const [id, other] = [await idOf(page), await idOf(twin)]
    assert.notEqual(id, other)
    await stage.emit("1")
    assert.deepEqual([await given(page, 2), await given(twin, 2)], [["joined", "1"], ["joined", "1"]])
    // Each keeps its own place from now on.
    await twin.reload()
    await isInside(twin)
    await page.reload()
    await isInside(page)
    assert.deepEqual([await idOf(page), await idOf(twin)], [id, other])
    assert.deepEqual(seen, [`join ${id}`, `join ${other}`])
  }
}

const program = Effect.gen(function*() {
  const { address } = yield* Engine.Engine
  const services = yield* Effect.context<Engine.Engine>()
  const browser = yield* Effect.acquireRelease(
    Effect.promise(() =>
      chromium.launch({
        executablePath,
        args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
      })
    ),
    (browser) => Effect.promise(() => browser.close())
  )
  const emit = (text: string) =>
    Effect.runPromiseWith(services)(Effect.asVoid(Engine.emit(Hall, "a", "Said", { text })))
  let passed = 0
  let failed = 0
  for (const [name, scenario] of Object.entries(scenarios)) {
    seen = []
    const context = yield* Effect.promise(() => browser.newContext())
    const stage = { context, url: address.url, emit }
    const error = yield* Effect.promise(() => scenario(stage).then(() => undefined, (error) => error))
    if (error === undefined) passed++
    else failed++
    console.log(error === undefined ? `ok      ${name}` : `FAILED  ${name}\n${error}`)
    yield* Effect.promise(() => context.close())
  }
  console.log(`Tests: ${passed} passed, ${failed} failed`)
  if (failed > 0) process.exitCode = 1
})

Effect.runFork(
  program.pipe(
    Effect.scoped,
    Effect.provide(
      Engine.layer({ path: "/live", rooms: [HallLive], fetch: serve, limits: { heartbeat: 1_000 } }).pipe(
        Layer.provide(layer({ port: 0 }))
      )
    )
  )
)
