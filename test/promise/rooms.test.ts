import { assert, describe, it } from "@effect/vitest"
import { getEventListeners } from "node:events"
import { RequestError } from "../../src/contract/RequestError.ts"
import { Chat, Muted, RoomFull, Unserved } from "./contract.ts"
import { reasonOf, rejection, world } from "./world.ts"

describe("a join", () => {
  it.effect(
    "resolves with the room",
    world(async ({ connect }) => {
      const room = await connect().join(Chat, "lobby", { name: "ada" })
      assert.strictEqual(room.key, "lobby")
      assert.isAbove(room.memberId.length, 0)
      assert.strictEqual(await room.Say({ text: "hello" }), 1)
    })
  )

  it.effect(
    "rejects with the contract's own class of error",
    world(async ({ connect }) => {
      for (let i = 0; i < 3; i++) await connect().join(Chat, "lobby", { name: `${i}` })
      const error = await rejection(connect().join(Chat, "lobby", { name: "late" }))
      assert.instanceOf(error, RoomFull)
      assert.strictEqual(error._tag, "RoomFull")
      assert.strictEqual(error.limit, 3)
    })
  )

  it.effect(
    "rejects with a RequestError that says why",
    world(async ({ connect }) => {
      const client = connect()
      assert.instanceOf(await rejection(client.join(Unserved, "any")), RequestError)
      assert.strictEqual(await reasonOf(client.join(Unserved, "any")), "NotServed")
      assert.strictEqual(await reasonOf(client.join(Chat, "lobby", { name: "" })), "InvalidPayload")
      assert.strictEqual(await reasonOf(client.join(Chat, "x".repeat(257), { name: "ada" })), "InvalidKey")
      await client.join(Chat, "lobby", { name: "ada" })
      assert.strictEqual(await reasonOf(client.join(Chat, "lobby", { name: "ada" })), "AlreadyJoined")
    })
  )

  it.effect(
    "that is aborted is cancelled on the server, and may be tried again",
    world(async (world) => {
      const client = world.connect()
      const abort = new AbortController()
      const joining = rejection(client.join(Chat, "lobby", { name: "slow" }, { signal: abort.signal }))
      await world.until("it runs", () => world.trace.includes("join"))
      const reason = new Error("not today")
      abort.abort(reason)
      assert.strictEqual(await joining, reason)
      await world.until("it is interrupted", () => world.trace.includes("join interrupted"))
      await client.join(Chat, "lobby", { name: "ada" })
      assert.strictEqual(world.members(), 1)
    })
  )

  it.effect(
    "with a signal that was aborted before is not sent",
    world(async ({ connect, members, settled }) => {
      const client = connect()
      const error = await rejection(client.join(Chat, "lobby", { name: "ada" }, { signal: AbortSignal.abort("no") }))
      assert.strictEqual(error, "no")
      await settled()
      assert.strictEqual(members(), 0)
    })
  )

  it.effect(
    "that is answered is not undone by its signal",
    world(async ({ connect, members, settled }) => {
      const abort = new AbortController()
      const room = await connect().join(Chat, "lobby", { name: "ada" }, { signal: abort.signal })
      assert.lengthOf(getEventListeners(abort.signal, "abort"), 0)
      abort.abort()
      await settled()
      assert.strictEqual(members(), 1)
      await room.Say({ text: "still here" })
    })
  )
})

describe("a request", () => {
  it.effect(
    "rejects with the contract's own class of error",
    world(async ({ connect }) => {
      const room = await connect().join(Chat, "lobby", { name: "ada" })
      const error = await rejection(room.Say({ text: "" }))
      assert.instanceOf(error, Muted)
      assert.strictEqual(error._tag, "Muted")
      assert.deepStrictEqual(error.until, new Date(1))
    })
  )

  it.effect(
    "rejects with a RequestError when the payload does not fit",
    world(async ({ connect }) => {
      const room = await connect().join(Chat, "lobby", { name: "ada" })
      assert.strictEqual(await reasonOf(room.Say({ text: 1 as never })), "InvalidPayload")
    })
  )

  it.effect(
    "rejects with a RequestError when the handler dies, and the room is told anew",
    world(async (world) => {
      const room = await world.connect().join(Chat, "lobby", { name: "ada" })
      const seen: Array<string> = []
      room.on("synced", ({ reason }) => seen.push(reason))
      assert.strictEqual(await reasonOf(room.Crash()), "HandlerFailed")
      await world.pass(10_000)
      await world.until("it has restarted", () => seen.length === 2)
      assert.deepStrictEqual(seen, ["joined", "restarted"])
    })
  )

  it.effect(
    "is sent in the order of the calls, whoever waits",
    world(async ({ connect, trace }) => {
      const room = await connect().join(Chat, "lobby", { name: "ada" })
      const texts = Array.from({ length: 20 }, (_, i) => `${i}`)
      const offsets = await Promise.all(texts.map((text) => room.Say({ text })))
      assert.deepStrictEqual(trace, texts)
      assert.deepStrictEqual(offsets, texts.map((_, i) => i + 1))
    })
  )

  it.effect(
    "that is aborted is cancelled on the server, and rejects with the reason",
    world(async (world) => {
      const room = await world.connect().join(Chat, "lobby", { name: "ada" })
      const abort = new AbortController()
      const never = rejection(room.Never(undefined, { signal: abort.signal }))
      await world.until("it runs", () => world.trace.includes("never"))
      abort.abort()
      const error = await never
      assert.strictEqual(error, abort.signal.reason)
      assert.strictEqual(error.name, "AbortError")
      await world.until("it is interrupted", () => world.trace.includes("never interrupted"))
    })
  )

  it.effect(
    "that is aborted while it waits for a connection is never sent",
    world(async (world) => {
      const room = await world.connect().join(Chat, "lobby", { name: "ada" })
      world.cut()
      await world.settled()
      const abort = new AbortController()
      const first = rejection(room.Say({ text: "first" }, { signal: abort.signal }))
      const second = room.Say({ text: "second" })
      abort.abort("changed my mind")
      assert.strictEqual(await first, "changed my mind")
      await world.pass(1_000)
      await second
      assert.notInclude(world.trace, "first")
    })
  )

  it.effect(
    "leaves nothing on its signal once it is answered",
    world(async ({ connect }) => {
      const room = await connect().join(Chat, "lobby", { name: "ada" })
      const { signal } = new AbortController()
      await room.Say({ text: "hello" }, { signal })
      await rejection(room.Say({ text: "" }, { signal }))
      assert.lengthOf(getEventListeners(signal, "abort"), 0)
    })
  )

  it.effect(
    "that was sent when the connection ended for good may have run, and says so",
    world(async (world) => {
      const client = world.connect()
      const room = await client.join(Chat, "lobby", { name: "ada" })
      const never = rejection(room.Never())
      await world.until("it runs", () => world.trace.includes("never"))
      world.cut()
      await client.close()
      // Where its session is kept, the handler goes on until its time is up.
      await world.pass(30_000)
      const { reason } = await never
      assert.deepInclude(reason, { _tag: "ConnectionLost", mayHaveRun: true })
    })
  )
})

describe("a notice", () => {
  it.effect(
    "need not be awaited, and resolves when it is on its way",
    world(async (world) => {
      const room = await world.connect().join(Chat, "lobby", { name: "ada" })
      const seen: Array<string> = []
      room.on("Typing", ({ from }) => seen.push(from))
      await world.settled()
      void room.Typing()
      assert.isUndefined(await room.Typing())
      await world.until("both arrive", () => seen.length === 2)
    })
  )

  it.effect(
    "that fails rejects for those who wait, and for nobody else",
    world(async ({ connect }) => {
      const room = await connect().join(Chat, "lobby", { name: "ada" })
      await room.leave()
      void room.Typing()
      assert.strictEqual(await reasonOf(room.Typing()), "NotJoined")
    })
  )
})

describe("a room", () => {
  it.effect(
    "is left once, and may be joined again",
    world(async ({ connect, members, trace, until }) => {
      const client = connect()
      const room = await client.join(Chat, "lobby", { name: "ada" })
      await Promise.all([room.leave(), room.leave()])
      await room.leave()
      assert.isUndefined(await room.closed)
      assert.strictEqual(await reasonOf(room.Say({ text: "too late" })), "NotJoined")
      await until("the server knows", () => members() === 0)
      await client.join(Chat, "lobby", { name: "ada" })
      assert.deepStrictEqual(trace, ["ada left"])
    })
  )

  it.effect(
    "says why it ended when this client was removed",
    world(async ({ connect }) => {
      const client = connect()
      const room = await client.join(Chat, "lobby", { name: "ada" })
      room.Kick().catch(() => {})
      const error = await room.closed
      assert.instanceOf(error, RequestError)
      assert.strictEqual(error.reason._tag, "Interrupted")
      assert.include(error.message, "spam")
      await client.join(Chat, "lobby", { name: "ada" })
    })
  )

  it.effect(
    "says why it ended when the client was closed",
    world(async ({ connect }) => {
      const client = connect()
      const room = await client.join(Chat, "lobby", { name: "ada" })
      await client.close()
      assert.strictEqual((await room.closed)?.reason._tag, "ClientClosed")
      await room.leave()
    })
  )

  it.effect(
    "knows who is there, and tells who comes and goes",
    world(async ({ connect, settled, until }) => {
      const room = await connect().join(Chat, "lobby", { name: "ada" })
      const seen: Array<string> = []
      const names = () => [...room.presence.current.values()].map(({ name }) => name).join()
      const off = room.presence.subscribe((members) => seen.push([...members.values()].map(({ name }) => name).join()))
      assert.deepStrictEqual(seen, [names()], "told at once")
      await until("ada is there", () => names() === "ada")
      const eve = await connect().join(Chat, "lobby", { name: "eve" })
      await until("eve is there", () => seen.at(-1) === "ada,eve" && names() === "ada,eve")
      assert.deepStrictEqual(room.presence.current.get(eve.memberId), { name: "eve" })
      await eve.leave()
      await until("eve is gone", () => seen.at(-1) === "ada")
      off()
      const before = seen.length
      await connect().join(Chat, "lobby", { name: "bob" })
      await until("bob is there", () => names() === "ada,bob")
      await settled()
      assert.lengthOf(seen, before)
    })
  )
})
