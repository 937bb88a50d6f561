/**
 * The chat's page in a real browser: `npm run test:browser`, or with part of a scenario's name to run those only.
 *
 * Wants Chromium at /usr/bin/chromium, or where CHROMIUM says. Leaves screenshots in a temporary folder.
 */
import assert from "node:assert/strict"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import process from "node:process"
import { type Browser, type BrowserContextOptions, chromium } from "playwright-core"
import { problemsOf } from "./accessibility.ts"
import * as Server from "./server.ts"
import { Visitor } from "./visitor.ts"

const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium"
if (!Fs.existsSync(executablePath)) {
  console.error(`there is no Chromium at ${executablePath}: apt-get install chromium, or set CHROMIUM`)
  console.log("Tests: 0 passed, 1 failed")
  process.exit(1)
}
const shots = Fs.mkdtempSync(Path.join(Os.tmpdir(), "heddle-chat-"))

/** What a scenario has at hand; all of it is gone when it ends. */
interface Stage {
  readonly browser: Browser
  readonly server: (runtime?: string, port?: number) => Promise<Server.Server>
  readonly network: (target: number) => Promise<Server.Network>
  readonly visitor: (port: number, path?: string, options?: BrowserContextOptions) => Promise<Visitor>
  /** Somebody who is in a room already. */
  readonly guest: (port: number, name: string, room?: string, options?: BrowserContextOptions) => Promise<Visitor>
}

const scenarios: Array<readonly [name: string, run: (stage: Stage) => Promise<void>]> = []
const scenario = (name: string, run: (stage: Stage) => Promise<void>) => void scenarios.push([name, run])

/** Takes a picture, and finds nothing wrong with what is on it. */
const look = async ({ page }: Visitor, name: string): Promise<void> => {
  const problems = await problemsOf(page)
  await page.screenshot({ path: Path.join(shots, `${name}.png`) })
  assert.deepEqual(problems, [], name)
}

const lost = /Connection lost\. Reconnecting/

// ------------------------------------------------------------- together

for (const runtime of Server.runtimes) {
  scenario(`on ${runtime}, two pages see each other's messages, presence and typing`, async ({ guest, server }) => {
    const { port } = await server(runtime)
    const ada = await guest(port, "ada")
    await ada.meets("ada")
    await ada.sees("Nobody has said anything yet.")
    const bob = await guest(port, "bob")
    await bob.meets("ada", "bob")
    await ada.meets("ada", "bob")
    await ada.sees("bob joined")

    await ada.say("hello <b>bob</b> & all")
    await bob.reads("hello <b>bob</b> & all")
    await bob.text.pressSequentially("hi")
    await ada.sees("bob is typing…")
    await bob.text.press("Enter")
    await ada.seesNoMore("bob is typing…")
    await ada.reads("hello <b>bob</b> & all", "hi")
    await bob.reads("hello <b>bob</b> & all", "hi")

    await bob.leave()
    await ada.meets("ada")
    await ada.sees("bob left")
  })
}

scenario("rooms are apart, and a newcomer reads what was said before", async ({ guest, server }) => {
  const { port } = await server()
  const ada = await guest(port, "ada", "den")
  for (let i = 1; i <= 60; i++) await ada.say(`line ${i}`)
  await ada.sees("line 60")
  const bob = await guest(port, "bob", "den")
  // The fiftieth is that bob has joined.
  await bob.reads(...Array.from({ length: 49 }, (_, index) => `line ${index + 12}`))
  const eve = await guest(port, "eve", "attic")
  await eve.meets("eve")
  await eve.sees("Nobody has said anything yet.")
})

scenario("a typing that is not followed by anything ends", async ({ guest, server }) => {
  const { port } = await server()
  const ada = await guest(port, "ada")
  const bob = await guest(port, "bob")
  await bob.text.pressSequentially("well")
  await ada.sees("bob is typing…")
  await bob.text.fill("")
  await ada.seesNoMore("bob is typing…")
})

// ------------------------------------------------------------- the connection

scenario("the server is killed and started again: both pages say so, and recover", async ({ guest, server }) => {
  const first = await server()
  const [ada, bob] = [await guest(first.port, "ada"), await guest(first.port, "bob")]
  await ada.say("before")
  await bob.reads("before")

  ada.isOffline = bob.isOffline = true
  await first.kill()
  await ada.sees(lost)
  await bob.sees(lost)
  await ada.sees("ada, offline")
  await ada.say("while it was away")
  await ada.sees("Waiting to be sent")

  await server("node", first.port)
  await ada.seesNoMore(lost)
  await bob.seesNoMore(lost)
  await bob.sees("Connected again. Messages may be missing here.")
  await ada.reads("before", "while it was away")
  await bob.reads("before", "while it was away")
  await ada.meets("ada", "bob")
  await bob.say("after")
  await ada.reads("before", "while it was away", "after")
  await ada.seesNoMore("Waiting to be sent")
})

scenario("after a moment without network nothing is missing, and nothing twice", async ({ guest, network, server }) => {
  const { port } = await server()
  const net = await network(port)
  const [ada, bob] = [await guest(net.port, "ada"), await guest(port, "bob")]
  await bob.say("one")
  await ada.reads("one")
  ada.isOffline = true
  net.isUp = false
  net.cut()
  await ada.sees(lost)
  await bob.say("two")
  await ada.say("three")
  net.isUp = true
  await ada.reads("one", "two", "three")
  await bob.reads("one", "two", "three")
  await bob.meets("ada", "bob")
  await bob.seesNoMore("ada left")
  await ada.seesNoMore(/Messages may be missing/)
})

scenario("a connection that the server does not know is lost holds nobody up", async ({ guest, network, server }) => {
  const { port } = await server()
  const net = await network(port)
  const [ada, bob] = [await guest(net.port, "ada"), await guest(port, "bob")]
  await bob.say("one")
  await ada.reads("one")
  ada.isOffline = true
  net.cut("half")
  await ada.sees(lost)
  await bob.say("two")
  await ada.say("three")
  await ada.reads("one", "two", "three")
  await bob.reads("one", "two", "three")
  await bob.meets("ada", "bob")
  await bob.seesNoMore("ada left")
})

scenario("a name that somebody took on a new server is waited for", async ({ guest, network, server }) => {
  const first = await server()
  const net = await network(first.port)
  const ada = await guest(net.port, "ada")
  ada.isOffline = true
  net.isUp = false
  await first.kill()
  await ada.sees(lost)
  await server("node", first.port)
  const [other, bob] = [await guest(first.port, "ada"), await guest(first.port, "bob")]
  await bob.say("one")
  net.isUp = true
  await ada.sees(/Not back in the room yet.+is called ada there, perhaps your own lost connection/)
  await ada.say("from the door")
  await ada.sees("Waiting to be sent")
  await look(ada, "returning")
  await bob.say("two")
  await other.leave()
  await ada.seesNoMore(/Not back in the room/)
  await ada.reads("one", "two", "from the door")
  await bob.reads("one", "two", "from the door")
})

scenario("“Try now” connects at once, and takes along what waits", async ({ guest, network, server }) => {
  const { port } = await server()
  const net = await network(port)
  const ada = await guest(net.port, "ada")
  ada.isOffline = true
  net.isUp = false
  net.cut()
  await ada.sees(lost)
  await ada.say("waiting")
  await ada.until("a wait worth cutting short", () => / in ([3-9]|10) s/.test(document.body.innerText))
  net.isUp = true
  const start = performance.now()
  await ada.page.getByRole("button", { name: "Try now" }).click()
  await ada.reads("waiting")
  assert.ok(performance.now() - start < 2_000)
  await ada.seesNoMore(lost)
})

scenario(
  "a message whose answer was lost with its server says so, and can be sent again",
  async ({ guest, network, server }) => {
    const first = await server()
    const net = await network(first.port)
    const ada = await guest(net.port, "ada")
    ada.isOffline = true
    net.hold()
    await ada.say("did you get this?")
    await ada.page.locator(".draft").waitFor()
    await first.kill()
    net.cut()
    await ada.sees(lost)
    await server("node", first.port)
    await ada.sees("The connection was lost before the answer: this may not have arrived.")
    await ada.seesNoMore(lost)
    await look(ada, "unsure")
    await ada.page.getByRole("button", { name: "Send again" }).click()
    await ada.reads("did you get this?")
    await ada.seesNoMore(/may not have arrived/)
  }
)

scenario("a message whose answer was lost, but which did arrive, is shown once", async ({ guest, network, server }) => {
  const { port } = await server()
  const net = await network(port)
  const [ada, bob] = [await guest(net.port, "ada"), await guest(port, "bob")]
  ada.isOffline = true
  net.hold()
  await ada.say("did you get this?")
  await bob.reads("did you get this?")
  net.isUp = false
  net.cut()
  await ada.sees(lost)
  await ada.page.locator(".draft").waitFor()
  net.isUp = true
  await ada.reads("did you get this?")
  await bob.reads("did you get this?")
  await ada.seesNoMore(/may not have arrived/)
  assert.equal(await ada.page.locator(".draft").count(), 0)
})

scenario("the server ends the connection for good: the page says so, and can begin anew", async (stage) => {
  const { port } = await stage.server()
  const net = await stage.network(port)
  const ada = await stage.guest(net.port, "ada")
  await ada.say("one")
  await ada.reads("one")
  net.close(4500, "closed for the night")
  await ada.sees("The server has ended the connection for good (4500: closed for the night).")
  await ada.say("two")
  await ada.sees("Waiting to be sent")
  await look(ada, "stopped")
  await ada.page.getByRole("button", { name: "Connect again" }).click()
  await ada.reads("one", "two")
  await ada.sees("ada, connected")
})

// ------------------------------------------------------------- clear answers

scenario("the door: a taken name, a full room, names that are none", async ({ guest, server, visitor }) => {
  const { port } = await server()
  await guest(port, "ada")
  const eve = await visitor(port)
  const alert = eve.page.getByRole("alert")
  const says = async (name: string, room: string, answer: RegExp, field: string) => {
    await eve.join(name, room)
    await alert.filter({ hasText: answer }).waitFor()
    await eve.until(`the focus on ${field}`, (id) => document.activeElement!.id === id, field)
    assert.equal(await eve.page.locator(`#${field}`).getAttribute("aria-invalid"), "true")
    assert.match(await eve.page.locator(`#${field}`).getAttribute("aria-describedby") ?? "", /problem/)
  }
  await says("ada", "lobby", /Somebody in lobby is called ada already\. Choose another name\./, "name")
  await says("", "lobby", /Say who you are/, "name")
  await says("two words", "lobby", /A name has 1 to 20 letters/, "name")
  await says("x".repeat(21), "lobby", /A name has 1 to 20 letters/, "name")
  await says("eve", "", /Say which room/, "room")
  await says("eve", "no/room", /A room’s name has 1 to 40 letters/, "room")
  const endCrowd = await Server.crowd(port, "crowd", 100)
  await says("eve", "crowd", /crowd is full: 100 people are there\. Try another room\./, "room")
  await eve.join("eve", "lobby")
  await eve.isInside()
  await eve.meets("ada", "eve")
  endCrowd()
})

scenario("the door while there is no server: says so, waits, and lets one give up", async ({ server, visitor }) => {
  const first = await server()
  const ada = await visitor(first.port)
  ada.isOffline = true
  await first.kill()
  await ada.join("ada")
  await ada.sees(lost)
  await ada.page.getByRole("button", { name: "Cancel" }).click()
  await ada.seesNoMore(lost)
  await ada.join("ada")
  await ada.sees(lost)
  await server("node", first.port)
  await ada.isInside()
  await ada.meets("ada")
})

scenario("an empty message, 3,000 characters, and the last that fit", async ({ guest, server }) => {
  const { port } = await server()
  const [ada, bob] = [await guest(port, "ada"), await guest(port, "bob")]
  const alert = ada.page.getByRole("alert")
  await ada.page.getByRole("button", { name: "Send" }).click()
  await alert.filter({ hasText: "Write something first." }).waitFor()
  await ada.say("  \n ")
  await alert.filter({ hasText: "Write something first." }).waitFor()

  await ada.text.fill("x".repeat(1_799))
  assert.equal(await ada.page.locator("#text-count").innerText(), "")
  await ada.text.fill("x".repeat(1_850))
  await ada.sees("150 characters left")
  await ada.text.fill("x".repeat(3_000))
  await ada.sees("1,000 characters too many")
  assert.equal(await ada.text.getAttribute("aria-invalid"), "true")
  await ada.text.press("Enter")
  await alert.filter({ hasText: "Too long: 3,000 characters, and 2,000 are the most. Shorten it by 1,000." }).waitFor()
  assert.equal(await ada.text.getAttribute("aria-invalid"), "true")
  assert.equal((await ada.text.inputValue()).length, 3_000, "nothing is taken away")

  await ada.say("y".repeat(2_000))
  await bob.reads("y".repeat(2_000))
  assert.equal(await ada.text.inputValue(), "")
  assert.equal(await alert.innerText(), "")
})

// ------------------------------------------------------------- the page

scenario("the log follows its end, unless the reader has scrolled up", async ({ guest, server }) => {
  const { port } = await server()
  const [ada, bob] = [await guest(port, "ada"), await guest(port, "bob")]
  const isAtEnd = () => {
    const log = document.querySelector(".log")!
    return log.scrollHeight > log.clientHeight && log.scrollHeight - log.scrollTop - log.clientHeight < 2
  }
  const button = ada.page.getByRole("button", { name: /New messages/ })
  for (let i = 1; i <= 30; i++) await bob.say(`line ${i}`)
  await ada.sees("line 30")
  await ada.until("the end of the log", isAtEnd)
  assert.equal(await button.count(), 0)

  await ada.log.evaluate((log) => log.scrollTop = 100)
  await bob.say("news")
  await button.waitFor()
  await look(ada, "new-messages")
  assert.equal(await ada.log.evaluate((log) => log.scrollTop), 100)
  await button.click()
  await ada.until("the end of the log", isAtEnd)
  await button.waitFor({ state: "detached" })
  assert.equal(await ada.page.evaluate(() => document.activeElement!.role), "log")

  await ada.log.evaluate((log) => log.scrollTop = 0)
  await ada.say("mine is shown")
  await ada.until("the end of the log", isAtEnd)
  await ada.page.setViewportSize({ width: 390, height: 500 })
  await ada.until("the end of the log", isAtEnd)
})

scenario("the address of a room can be shared, and the tab remembers the name", async ({ guest, server, visitor }) => {
  const { port } = await server()
  const ada = await guest(port, "ada", "den")
  // Pushed once the page has shown that it is inside.
  await ada.page.waitForURL(({ search }) => search === "?room=den")
  const bob = await visitor(port, new URL(ada.page.url()).search)
  assert.equal(await bob.page.getByLabel("Room").inputValue(), "den")
  await bob.join("bob")
  await ada.meets("ada", "bob")

  await ada.say("before the reload")
  await ada.reads("before the reload")
  await ada.page.reload()
  await ada.isInside()
  await ada.reads("before the reload")
  await bob.meets("ada", "bob")

  await ada.page.getByRole("button", { name: "Leave" }).click()
  assert.equal(await ada.page.getByLabel("Your name").inputValue(), "ada")
  await bob.meets("bob")
  await ada.page.getByRole("button", { name: "Join" }).click()
  await bob.meets("ada", "bob")
  await ada.page.goBack()
  await bob.meets("bob")
})

scenario("everything can be done with the keyboard alone", async ({ guest, server, visitor }) => {
  const { port } = await server()
  const bob = await guest(port, "bob")
  const ada = await visitor(port, "/", { viewport: { width: 390, height: 844 } })
  const { keyboard } = ada.page
  const focused = () =>
    ada.page.evaluate(() => {
      const { ariaLabel, id, textContent } = document.activeElement as HTMLElement
      return id || ariaLabel || textContent
    })
  const isFocusSeen = () =>
    ada.page.evaluate(() => {
      const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement!)
      return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2
    })
  assert.equal(await focused(), "name")
  await keyboard.type("ada")
  await keyboard.press("Tab")
  assert.equal(await focused(), "room")
  assert.ok(await isFocusSeen())
  await keyboard.press("Tab")
  assert.equal(await focused(), "Join")
  assert.ok(await isFocusSeen())
  await keyboard.press("Enter")
  await ada.isInside()
  assert.equal(await focused(), "text", "one can write at once")
  await keyboard.type("first")
  await keyboard.press("Shift+Enter")
  await keyboard.type("second")
  await keyboard.press("Enter")
  await bob.reads("first\nsecond")
  assert.equal(await focused(), "text", "and go on")

  for (const name of ["Messages in lobby", "Leave", "2 here"]) {
    await keyboard.press("Shift+Tab")
    assert.equal(await focused(), name)
    assert.ok(await isFocusSeen())
  }
  await keyboard.press("Enter")
  await ada.page.getByRole("complementary", { name: "People in this room" }).waitFor()
  assert.equal(await ada.page.getByRole("button", { name: "2 here" }).getAttribute("aria-expanded"), "true")
  await keyboard.press("Escape")
  await ada.page.getByRole("complementary").waitFor({ state: "hidden" })
  assert.equal(await focused(), "2 here")
})

scenario("new lines, problems and the connection are read aloud; what changes all the time is not", async (stage) => {
  const first = await stage.server()
  const ada = await stage.guest(first.port, "ada")
  await ada.page.getByRole("log", { name: "Messages in lobby" }).waitFor()
  assert.equal(await ada.page.getByRole("alert").count(), 1)
  ada.isOffline = true
  await first.kill()
  const status = ada.page.getByRole("status").filter({ hasText: lost })
  await status.waitFor()
  const heard = await status.evaluate((element) =>
    [...element.childNodes].filter((node) => !(node instanceof Element && node.ariaHidden)).map((node) =>
      node.textContent
    ).join("")
  )
  assert.match(heard, /^Connection lost\. Reconnecting…?$/)
})

scenario("nothing comes from elsewhere, and nothing may", async ({ server }) => {
  const { port } = await server()
  const get = (path: string, method = "GET") => fetch(`http://127.0.0.1:${port}${path}`, { method })
  const index = await get("/?room=den")
  assert.match(index.headers.get("content-security-policy") ?? "", /^default-src 'none';/)
  assert.equal(index.headers.get("x-content-type-options"), "nosniff")
  for (const path of ["/", "/page.css", "/icon.svg"]) {
    const response = await get(path)
    assert.equal(response.status, 200)
    assert.doesNotMatch(await response.text(), /\b(src|href)="?https?:|@import|url\(/)
  }
  assert.equal((await get("/page.tsx")).status, 404)
  assert.equal((await get("/../server.ts")).status, 404)
  assert.equal((await get("/", "POST")).status, 405)
  assert.equal((await get("/", "HEAD")).status, 200)
})

// ------------------------------------------------------------- how it looks

const devices = { phone: { width: 390, height: 844 }, desk: { width: 1280, height: 800 } }

const conversation: ReadonlyArray<readonly [who: "ada" | "grace" | "alan", text: string]> = [
  ["grace", "Morning! Is the loom threaded?"],
  ["alan", "Almost. 312 ends through the heddles, and none of them crossed."],
  ["ada", "None? You had a whole night of practice, I see."],
  ["grace", "Pull the server's plug while you are at it, I want to see what happens to my messages."],
  [
    "ada",
    "They do:\n1. it says that the connection is gone\n2. what you write waits\n3. it comes back, and nothing is lost or said twice"
  ],
  ["grace", "And a very-long-word-that-somebody-will-paste-here-sooner-or-later-without-a-single-space-in-it-at-all?"],
  ["ada", "Breaks where it has to."]
]

for (const colorScheme of ["light", "dark"] as const) {
  for (const [device, viewport] of Object.entries(devices)) {
    scenario(`looks right and is accessible on a ${device}, ${colorScheme}`, async ({ guest, server, visitor }) => {
      const first = await server()
      const options: BrowserContextOptions = {
        viewport,
        colorScheme,
        ...(device === "phone" ? { isMobile: true, hasTouch: true } : {})
      }
      const shoot = (who: Visitor, name: string) => look(who, `${device}-${colorScheme}-${name}`)
      const [grace, alan] = [await guest(first.port, "grace"), await guest(first.port, "alan")]
      const ada = await visitor(first.port, "/", options)
      await shoot(ada, "1-door")
      await ada.join("alan")
      await ada.sees(/is called alan already/)
      await shoot(ada, "2-taken")
      await ada.join("ada")
      await ada.isInside()
      const people = { ada, grace, alan }
      for (const [who, text] of conversation) {
        await people[who].say(text)
        await ada.sees(text.slice(0, 30).split("\n")[0]!)
      }
      await grace.text.pressSequentially("so")
      await ada.sees("grace is typing…")
      await shoot(ada, "3-room")
      if (device === "phone") {
        await ada.page.getByRole("button", { name: "3 here" }).click()
        await ada.page.getByRole("complementary").waitFor()
        await shoot(ada, "4-people")
        await ada.page.getByRole("button", { name: "3 here" }).click()
      }
      await ada.say("x".repeat(3_000))
      await ada.sees(/Too long/)
      await shoot(ada, "5-too-long")
      ada.isOffline = grace.isOffline = alan.isOffline = true
      await first.kill()
      await ada.sees(lost)
      await ada.say("Is anybody there?")
      await ada.sees("Waiting to be sent")
      await ada.until("a wait of a second", () => / in \d+ s/.test(document.body.innerText))
      await shoot(ada, "6-lost")
    })
  }
}

scenario("motion is for those who like it", async ({ guest, server }) => {
  const { port } = await server()
  const ada = await guest(port, "ada", "lobby", { reducedMotion: "reduce" })
  await ada.say("still")
  await ada.reads("still")
  assert.equal(await ada.page.locator(".line").evaluate((line) => getComputedStyle(line).animationName), "none")
})

// ------------------------------------------------------------- running them

const run = async (browser: Browser, body: (stage: Stage) => Promise<void>): Promise<void> => {
  const ends: Array<() => unknown> = []
  const visitors: Array<Visitor> = []
  const visitor: Stage["visitor"] = async (port, path = "/", options = {}) => {
    const arrived = await Visitor.arrive(browser, `http://127.0.0.1:${port}${path}`, options)
    visitors.push(arrived)
    ends.push(() => arrived.close())
    return arrived
  }
  try {
    await body({
      browser,
      visitor,
      guest: async (port, name, room, options) => {
        const arrived = await visitor(port, "/", options)
        await arrived.join(name, room)
        await arrived.isInside()
        return arrived
      },
      server: async (runtime = "node", port) => {
        const server = await Server.start(runtime, port)
        ends.push(server.kill)
        return server
      },
      network: async (target) => {
        const network = await Server.network(target)
        ends.push(network.stop)
        return network
      }
    })
    assert.deepEqual(visitors.flatMap(({ complaints }) => complaints), [])
  } catch (error) {
    await visitors.at(-1)?.page.screenshot({ path: Path.join(shots, "failed.png") }).catch(() => {})
    throw error
  } finally {
    for (const end of ends.toReversed()) await end()
  }
}

const wanted = process.argv[2] ?? ""
const browser = await chromium.launch({
  executablePath,
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync"
  ]
})
process.on("exit", Server.endAll)
let passed = 0
let failed = 0
for (const [name, body] of scenarios.filter(([name]) => name.includes(wanted))) {
  const start = performance.now()
  try {
    await run(browser, body)
    passed++
    console.log(`ok      ${name} (${Math.round(performance.now() - start)} ms)`)
  } catch (error) {
    failed++
    console.error(`FAILED  ${name}\n`, error)
  }
}
await browser.close()
console.log(`screenshots: ${shots}`)
console.log(`Tests: ${passed} passed, ${failed} failed`)
if (failed > 0 || passed === 0) process.exitCode = 1
