/**
 * How a session outlives the client that had it, and that no two clients have the same.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Client from "../../src/client/Client.ts"
import { Chat, settled, start } from "./ScriptedServer.ts"

/** A store that shows what is in it. */
const memory = (text: string | null = null) => {
  const saved: Array<string | null> = []
  const store: Client.SessionStore = {
    load: () => text,
    save: (next) => {
      text = next
      saved.push(next)
    }
  }
  return { store, saved, text: () => text }
}

const session = (token: string, seq = 0) => ({ session: "s-1", resume: token, window: 120_000, seq })

const inPage = (store: Client.SessionStore) => start({ session: store, reconnect: { max: "1 second" } })

describe("the store of a session", () => {
  it.effect("is filled at each welcome, and cleared when the client stops", () =>
    Effect.gen(function*() {
      const { saved, store, text } = memory()
      const { client, server } = yield* inPage(store)
      assert.deepStrictEqual(saved, [])
      const socket = yield* server.welcomes({}, undefined, session("one"))
      const one = text()
      assert.include(one, "one")
      socket.close(1006)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(text(), one, "a loss changes nothing")
      yield* server.welcomes({}, undefined, session("two"))
      assert.include(text(), "two")
      yield* client.close
      assert.isNull(text())
    }))

  for (const code of [4500, 4410]) {
    it.effect(`is cleared when the connection is closed with ${code}`, () =>
      Effect.gen(function*() {
        const { store, text } = memory()
        const { server } = yield* inPage(store)
        const socket = yield* server.welcomes({}, undefined, session("one"))
        socket.close(code)
        yield* settled
        assert.isNull(text())
      }))
  }

  it.effect("is cleared by a server that keeps no session", () =>
    Effect.gen(function*() {
      const { store, text } = memory()
      const { server } = yield* inPage(store)
      const socket = yield* server.welcomes({}, undefined, session("one"))
      socket.close(1006)
      yield* TestClock.adjust("1 second")
      yield* server.welcomes()
      assert.isNull(text())
    }))

  it.effect("lets the next client go on, with numbers that begin where the server is", () =>
    Effect.gen(function*() {
      const first = memory()
      const page = yield* inPage(first.store)
      yield* page.server.welcomes({}, undefined, session("one"))
      const { client, server } = yield* inPage(memory(first.text()).store)
      const socket = yield* server.welcomes({}, undefined, session("two", 41))
      assert.strictEqual(socket.all("hello")[0]!.resume, "one")
      const joining = yield* Effect.forkChild(client.join(Chat, "lobby", { name: "ada" }))
      assert.isNull((yield* socket.joins()).position)
      const room = yield* Fiber.join(joining)
      yield* Effect.forkChild(room.Clear())
      const { ack, again, seq } = yield* socket.next("request")
      assert.deepStrictEqual([seq, ack, again], [42, 41, null])
    }))

  it.effect("begins anew where the server does, whatever the store said", () =>
    Effect.gen(function*() {
      for (const text of ["", "nonsense", "3:s-1one", ":", "-1:x", "9999:s"]) {
        const { client, server } = yield* inPage(memory(text).store)
        const socket = yield* server.welcomes({}, undefined, { ...session("two"), session: "s-2" })
        const joining = yield* Effect.forkChild(client.join(Chat, "lobby", { name: "ada" }))
        yield* socket.joins()
        const room = yield* Fiber.join(joining)
        yield* Effect.forkChild(room.Clear())
        const { ack, seq } = yield* socket.next("request")
        assert.deepStrictEqual([seq, ack], [1, 0])
      }
    }))

  it.effect("is used by one client at a time, and by the next once that has ended", () =>
    Effect.gen(function*() {
      const { store, text } = memory()
      const scope = yield* Scope.make()
      const first = yield* Scope.provide(inPage(store), scope)
      yield* first.server.welcomes({}, undefined, session("one"))
      const second = yield* inPage(store)
      const socket = yield* second.server.welcomes({}, undefined, { ...session("other"), session: "s-2" })
      assert.isNull(socket.all("hello")[0]!.resume)
      assert.include(text(), "one", "nor does it write there")
      yield* Scope.close(scope, Exit.void)
      store.save("3:s-1three")
      const third = yield* inPage(store)
      const next = yield* third.server.accept
      next.open()
      assert.strictEqual(next.all("hello")[0]!.resume, "three")
    }))
})

/** A tab: a storage of its own, and the events of the page in it. */
class Tab extends EventTarget {
  readonly items: Map<string, string>
  readonly sessionStorage = {
    getItem: (key: string) => this.items.get(key) ?? null,
    setItem: (key: string, value: string) => void this.items.set(key, value),
    removeItem: (key: string) => void this.items.delete(key)
  }
  readonly listening = new Set<string>()

  constructor(items = new Map<string, string>()) {
    super()
    this.items = items
  }

  override addEventListener(type: string, f: EventListener): void {
    this.listening.add(type)
    super.addEventListener(type, f)
  }

  override removeEventListener(type: string, f: EventListener): void {
    this.listening.delete(type)
    super.removeEventListener(type, f)
  }

  /** As a browser does it, while this page lives. */
  duplicate(): Tab {
    return new Tab(new Map(this.items))
  }
}

/** Runs with the globals of a page. */
const within = (tab: object) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const names = ["sessionStorage", "addEventListener", "removeEventListener"] as const
    const real = names.map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const)
    for (const name of names) {
      Object.defineProperty(globalThis, name, {
        configurable: true,
        get: () => {
          const value = (tab as Record<string, unknown>)[name]
          return typeof value === "function" ? value.bind(tab) : value
        }
      })
    }
    return Effect.ensuring(
      effect,
      Effect.sync(() => {
        for (const [name, descriptor] of real) {
          if (descriptor === undefined) delete (globalThis as Record<string, unknown>)[name]
          else Object.defineProperty(globalThis, name, descriptor)
        }
      })
    )
  })

describe("the session storage of a page", () => {
  it.effect("holds the session while the page is loaded again, and not while it lives", () =>
    Effect.gen(function*() {
      const tab = new Tab()
      yield* within(tab)(Effect.gen(function*() {
        const page = yield* inPage(Client.sessionStorage())
        yield* page.server.welcomes({}, undefined, session("one"))
        assert.strictEqual(tab.items.size, 0)
        tab.dispatchEvent(new Event("pagehide"))
        assert.strictEqual(tab.items.size, 1)
        const loaded = yield* inPage(Client.sessionStorage())
        assert.strictEqual(tab.items.size, 0, "taken out")
        const socket = yield* loaded.server.welcomes({}, undefined, session("two"))
        assert.strictEqual(socket.all("hello")[0]!.resume, "one")
      }))
    }))

  it.effect("keeps it for a page that is loaded again before it was welcome", () =>
    Effect.gen(function*() {
      const tab = new Tab(new Map([["heddle", "3:s-1one"]]))
      yield* within(tab)(Effect.gen(function*() {
        for (let n = 0; n < 3; n++) {
          const page = yield* inPage(Client.sessionStorage())
          const socket = yield* page.server.accept
          socket.open()
          assert.strictEqual(socket.all("hello")[0]!.resume, "one")
          assert.strictEqual(tab.items.size, 0)
          tab.dispatchEvent(new Event("pagehide"))
        }
      }))
    }))

  it.effect("is not shared by a tab that is duplicated", () =>
    Effect.gen(function*() {
      const tab = new Tab()
      yield* within(tab)(Effect.gen(function*() {
        const page = yield* inPage(Client.sessionStorage())
        yield* page.server.welcomes({}, undefined, session("one"))
      }))
      yield* within(tab.duplicate())(Effect.gen(function*() {
        const other = yield* inPage(Client.sessionStorage())
        const socket = yield* other.server.welcomes({}, undefined, { ...session("two"), session: "s-2" })
        assert.isNull(socket.all("hello")[0]!.resume)
      }))
    }))

  it.effect("is emptied when the page comes back without having been loaded", () =>
    Effect.gen(function*() {
      const tab = new Tab()
      yield* within(tab)(Effect.gen(function*() {
        const page = yield* inPage(Client.sessionStorage())
        yield* page.server.welcomes({}, undefined, session("one"))
        tab.dispatchEvent(new Event("pagehide"))
        tab.dispatchEvent(new Event("pageshow"))
        assert.strictEqual(tab.items.size, 0)
      }))
    }))

  it.effect("keeps nothing, and listens to nothing, once the client is closed", () =>
    Effect.gen(function*() {
      const tab = new Tab()
      yield* within(tab)(Effect.gen(function*() {
        const page = yield* inPage(Client.sessionStorage("key"))
        yield* page.server.welcomes({}, undefined, session("one"))
        assert.deepStrictEqual([...tab.listening], ["pagehide", "pageshow"])
        tab.dispatchEvent(new Event("pagehide"))
        assert.deepStrictEqual([...tab.items.keys()], ["key"])
        yield* page.client.close
        assert.deepStrictEqual([...tab.listening], [])
        assert.strictEqual(tab.items.size, 0)
      }))
    }))

  for (
    const [what, globals] of [
      ["has none", {}],
      ["is refused its own", {
        get sessionStorage(): never {
          throw new Error("SecurityError")
        }
      }]
    ] as const
  ) {
    it.effect(`is done without where the page ${what}`, () =>
      within(globals)(Effect.gen(function*() {
        const page = yield* inPage(Client.sessionStorage())
        yield* page.server.welcomes({}, undefined, session("one"))
        yield* page.client.close
      })))
  }
})
