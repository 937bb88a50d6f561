/**
 * Somebody with a browser, who chats.
 */
import type { Browser, BrowserContextOptions, Page } from "playwright-core"

/** Everything takes far less; a shared machine can be slow. */
const patience = 20_000

/** Chromium reports each attempt to connect to a server that is away. */
const isRefusal = (text: string) => text.startsWith("WebSocket connection to ") && text.includes("/live' failed")

export class Visitor {
  readonly page: Page
  /** What should not have been: errors in the page, requests to other hosts. */
  readonly complaints: Array<string> = []
  /** The connection may be lost, and the browser say so. */
  isOffline = false

  private constructor(page: Page) {
    this.page = page
    page.setDefaultTimeout(patience)
    page.on("pageerror", (error) => this.complaints.push(`uncaught: ${error.message}`))
    page.on("console", (message) => {
      if (message.type() !== "error" && message.type() !== "warning") return
      if (!this.isOffline || !isRefusal(message.text())) this.complaints.push(`${message.type()}: ${message.text()}`)
    })
    page.on("crash", () => this.complaints.push("the page crashed"))
    const see = (url: string) => {
      if (new URL(url).hostname !== "127.0.0.1") this.complaints.push(`a request to ${url}`)
    }
    page.on("request", (request) => see(request.url()))
    page.on("websocket", (socket) => see(socket.url()))
  }

  static async arrive(browser: Browser, address: string, options: BrowserContextOptions = {}): Promise<Visitor> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-GB", ...options })
    const visitor = new Visitor(await context.newPage())
    await visitor.page.goto(address)
    await visitor.page.getByLabel("Your name").waitFor()
    return visitor
  }

  async join(name: string, room?: string): Promise<void> {
    await this.page.getByLabel("Your name").fill(name)
    if (room !== undefined) await this.page.getByLabel("Room").fill(room)
    await this.page.getByRole("button", { name: "Join" }).click()
  }

  /** Waits until it is in the room. */
  async isInside(): Promise<void> {
    await this.page.getByRole("log").waitFor()
  }

  get text() {
    return this.page.getByRole("textbox", { name: /^Message to/ })
  }

  get log() {
    return this.page.getByRole("log")
  }

  async say(text: string): Promise<void> {
    await this.text.fill(text)
    await this.text.press("Enter")
  }

  /** Waits until the text is to be seen. */
  async sees(text: string | RegExp): Promise<void> {
    await this.page.getByText(text).filter({ visible: true }).first().waitFor()
  }

  /** Waits until the text is not to be seen any more. */
  async seesNoMore(text: string | RegExp): Promise<void> {
    await this.page.getByText(text).filter({ visible: true }).first().waitFor({ state: "hidden" })
  }

  /** Waits until the log has exactly these lines, as everybody sees them, in this order. */
  async reads(...lines: ReadonlyArray<string>): Promise<void> {
    await this.until(
      `the lines ${lines.join(", ")}`,
      (expected) => {
        const bubbles = [...document.querySelectorAll<HTMLElement>(".line:not(.draft) .bubble")]
        return JSON.stringify(bubbles.map(({ innerText }) => innerText)) === expected
      },
      JSON.stringify(lines)
    )
  }

  /** Waits until exactly these are there. */
  async meets(...names: ReadonlyArray<string>): Promise<void> {
    await this.until(
      `the people ${names.join(", ")}`,
      (expected) => {
        const people = [...document.querySelectorAll<HTMLElement>("aside .name")]
        return people.map(({ textContent }) => textContent).join() === expected
      },
      names.join()
    )
  }

  /** Waits until something holds in the page. */
  async until<A>(what: string, isSo: (argument: A) => boolean, argument?: A): Promise<void> {
    try {
      await this.page.waitForFunction(isSo as never, argument)
    } catch (error) {
      const shown = await this.page.locator("body").innerText()
      throw new Error(`waited in vain for ${what}; the page shows:\n${shown}`, { cause: error })
    }
  }

  /** Leaves the room. Closing the page does not: it could be loaded again. */
  async leave(): Promise<void> {
    await this.page.getByRole("button", { name: "Leave" }).click()
    await this.page.getByLabel("Your name").waitFor()
  }

  async close(): Promise<void> {
    await this.page.context().close()
  }
}
