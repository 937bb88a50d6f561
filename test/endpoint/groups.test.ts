import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Endpoint from "../../src/engine/Endpoint.ts"
import { serve, until } from "./lab.ts"

const Room = Endpoint.make("/rooms/:room", {
  handle: Effect.fnUntraced(function*(socket) {
    const group = `room:${socket.params.room}`
    yield* socket.join(group)
    yield* socket.messages.pipe(Stream.runForEach((message) => {
      if (message === "leave") return socket.leave(group)
      if (message === "others") return socket.publish(group, "to others", { except: socket })
      if (message === "nobody") return socket.publish(group, "to nobody", { except: [socket, { id: "x" }] })
      return Effect.flatMap(socket.publish(group, message), (count) => socket.send(`to ${count}`))
    }))
  })
})

/** Joins a group of another endpoint, and reads nothing. */
const Listener = Endpoint.make("/listen", {
  handle: (socket) => Effect.andThen(socket.join("room:a"), Effect.never)
})

describe("a group", () => {
  it.effect("is whoever joined and did not leave, of all endpoints, and nobody else", () =>
    serve([Room, Listener])(Effect.fnUntraced(function*({ empty, open }) {
      const [one, two, listener, elsewhere] = yield* Effect.all([
        open("/rooms/a"),
        open("/rooms/a"),
        open("/listen"),
        open("/rooms/b")
      ])
      const all = [one, two, listener, elsewhere]
      const said = () => all.map(({ messages }) => messages.splice(0))
      const saying = (text: string | Uint8Array<ArrayBuffer>, count: number) => {
        one.send(text)
        return until(`${text}`, () => all.reduce((sum, { messages }) => sum + messages.length, 0) === count)
      }
      yield* saying("hello", 4)
      assert.deepStrictEqual(said(), [["hello", "to 3"], ["hello"], ["hello"], []])
      yield* saying(Uint8Array.of(1, 2), 4)
      assert.deepStrictEqual(said(), [[Uint8Array.of(1, 2), "to 3"], [Uint8Array.of(1, 2)], [Uint8Array.of(1, 2)], []])
      yield* saying("others", 2)
      assert.deepStrictEqual(said(), [[], ["to others"], ["to others"], []])
      two.send("leave")
      yield* until("it left", () => Effect.runSync(Effect.succeed(true)))
      yield* Effect.yieldNow
      yield* saying("x", 3)
      assert.deepStrictEqual(said(), [["x", "to 2"], [], ["x"], []])
      listener.cut()
      yield* until("it is gone", () => listener.closed !== undefined)
      yield* saying("y", 2)
      assert.deepStrictEqual(said(), [["y", "to 1"], [], [], []])
      assert.strictEqual(yield* Endpoint.publish("room:b", "from outside"), 1)
      assert.strictEqual(yield* Endpoint.publish("room:none", "to nobody"), 0)
      yield* until("it is there", () => elsewhere.messages.length === 1)
      assert.deepStrictEqual(said(), [[], [], [], ["from outside"]])
      for (const client of all) client.close()
      yield* empty
    })))

  it.effect("leaves nothing behind", () =>
    serve([Room])(Effect.fnUntraced(function*({ empty, engine, open }) {
      const clients = yield* Effect.forEach(Array.from({ length: 20 }, (_, index) => index), (index) =>
        open(`/rooms/${index % 5}`))
      yield* until("all have joined", () =>
        engine.groups.size === 5)
      for (const [index, client] of clients.entries()) {
        if (index % 2) client.cut()
        else client.close()
      }
      yield* empty
      assert.strictEqual(engine.groups.size, 0)
    })))

  it.effect("is left as its connection closes itself: nothing follows the last word", () => {
    const Leaver = Endpoint.make("/", {
      handle: (socket) =>
        Effect.gen(function*() {
          yield* socket.join("all")
          yield* socket.send("last")
          yield* Effect.all([socket.close(4000), Endpoint.publish("all", "late")], { concurrency: 2 })
        })
    })
    return serve([Leaver])(Effect.fnUntraced(function*({ end, open }) {
      const client = yield* open("/")
      yield* end(client)
      assert.deepStrictEqual(client.messages, ["last"])
    }))
  })

  it.effect("is left at the close, even if the client has not taken everything", () => {
    const Leaver = Endpoint.make("/", {
      handle: (socket) =>
        Effect.gen(function*() {
          yield* socket.join("all")
          yield* Effect.forEach(Array.from({ length: 300 }), () => socket.send("x".repeat(1024)))
          yield* Effect.sleep("1 second")
          yield* socket.close(4000)
        })
    })
    return serve([Leaver])(Effect.fnUntraced(function*({ end, open }) {
      const client = yield* open("/")
      client.stall()
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(yield* Endpoint.publish("all", "in time"), 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Endpoint.publish("all", "late"), 0)
      client.unstall()
      yield* end(client)
      assert.deepStrictEqual([client.messages.length, client.messages.at(-1)], [301, "in time"])
    }))
  })

  it.effect("is one of at most 100 for a connection, with a name of at most 256 bytes", () => {
    const Joiner = Endpoint.make("/:count/:length", {
      handle: (socket) =>
        Effect.gen(function*() {
          for (let index = 0; index < Number(socket.params.count); index++) yield* socket.join(`${index}`)
          yield* socket.join("0")
          yield* socket.join("é".repeat(Number(socket.params.length)))
        })
    })
    return serve([Joiner])(Effect.fnUntraced(function*({ empty, end, engine, errors, open }) {
      const join = (path: string) => Effect.flatMap(open(path), end)
      assert.strictEqual((yield* join("/99/128")).code, 1000)
      assert.deepStrictEqual(yield* join("/100/1"), { code: 1008, reason: "at most 100 groups" })
      assert.deepStrictEqual(yield* join("/1/129"), {
        code: 1008,
        reason: "the name of a group has at most 256 bytes"
      })
      yield* empty
      assert.deepStrictEqual([engine.groups.size, errors], [0, []])
    }))
  })
})
