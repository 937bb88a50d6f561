import { assert, describe, it } from "@effect/vitest"
import { RequestError } from "../../src/contract/RequestError.ts"
import type * as Room from "../../src/contract/Room.ts"
import { Bell, Chat } from "./contract.ts"
import { rejection, world } from "./world.ts"

const show = (event: Room.Event<typeof Chat>): string =>
  event._tag === "synced"
    ? `${event.reason} ${event.snapshot.said}`
    : event._tag === "Said"
    ? event.payload.text
    : "typing"

describe("handlers", () => {
  it.effect(
    "are called in the order of the events, `synced` first",
    world(async ({ connect, until }) => {
      const room = await connect().join(Chat, "lobby", { name: "ada" })
      const seen: Array<string> = []
      room.on("Typing", () => seen.push("typing"))
      room.on("Said", ({ text }) => seen.push(text))
      room.on("synced", ({ reason, snapshot }) => seen.push(`${reason} ${snapshot.said}`))
      await room.Burst({ times: 3 })
      await until("all is told", () => seen.length === 7)
      assert.deepStrictEqual(seen, ["joined 0", "1", "typing", "2", "typing", "3", "typing"])
    })
  )

  it.effect(
    "of one kind are called in the order in which they were added",
    world(async ({ connect, until }) => {
      const room = await connect().join(Chat, "lobby", { name: "ada" })
      const seen: Array<string> = []
      room.on("Said", ({ text }) => seen.push(`a${text}`))
      const twice = () => seen.push("twice")
      room.on("Said", twice)
      const off = room.on("Said", twice)
      await room.Say({ text: "1" })
      await until("all is told", () => seen.length === 3)
      off()
      off()
      await room.Say({ text: "2" })
      await until("the rest is told", () => seen.length === 5)
      assert.deepStrictEqual(seen, ["a1", "twice", "twice", "a2", "twice"])
    })
  )

  it.effect(
    "are told the offset of a reliable event, and none of a volatile one",
    world(async ({ connect, until }) => {
      const room = await connect().join(Chat, "lobby", { name: "ada" })
      const seen: Array<unknown> = []
      room.on("Said", ({ text }, { _tag, offset, payload }) => seen.push([_tag, text, payload.text, offset]))
      room.on("Typing", ({ from }, { offset }) => seen.push([from, offset]))
      await room.Burst({ times: 1 })
      await until("both are told", () => seen.length === 2)
      assert.deepStrictEqual(seen, [["Said", "1", "1", 1], ["ada", undefined]])
    })
  )

  it.effect(
    "of a room miss nothing, however long after the join the first are added",
    world(
      async ({ connect, settled }) => {
        const room = await connect().join(Chat, "lobby", { name: "ada" })
        await room.Burst({ times: 3 })
        await settled()
        const seen: Array<string> = []
        room.on("Said", ({ text }) => seen.push(text))
        room.on("Typing", () => seen.push("typing"))
        room.on("synced", (synced) => seen.push(show(synced)))
        assert.lengthOf(seen, 0, "not while they are being added")
        await room.Say({ text: "4" })
        await settled()
        assert.deepStrictEqual(seen, ["joined 0", "1", "2", "3", "4"], "what is volatile may be lost")
      }
    )
  )

  it.effect(
    "of a room miss nothing, even if none is for `synced`",
    world(async ({ connect, settled }) => {
      const room = await connect().join(Chat, "lobby", { name: "ada" })
      await room.Burst({ times: 3 })
      const seen: Array<string> = []
      room.on("Said", ({ text }) => seen.push(text))
      await settled()
      assert.deepStrictEqual(seen, ["1", "2", "3"])
    })
  )

  it.effect(
    "that come later begin with the newest `synced` if one of them handles it, else with what is next",
    world(
      async ({ connect, settled, until }) => {
        const room = await connect().join(Chat, "lobby", { name: "ada" })
        const first: Array<string> = []
        room.on("Said", ({ text }) => first.push(text))
        await room.Burst({ times: 2 })
        const late: Array<string> = []
        room.on("Said", ({ text }) => late.push(text))
        await settled()
        const whole: Array<string> = []
        room.on("Said", ({ text }) => whole.push(text))
        room.on("synced", (synced) => whole.push(show(synced)))
        await room.Say({ text: "3" })
        await until("all is told", () => whole.length === 4)
        assert.deepStrictEqual(first, ["1", "2", "3"])
        assert.deepStrictEqual(late, ["3"])
        assert.deepStrictEqual(whole, ["joined 0", "1", "2", "3"])
      }
    )
  )

  it.effect(
    "of `synced` get a fresh one when more has happened than is kept",
    world(
      async ({ connect, settled, trace, until }) => {
        const room = await connect({ eventBuffer: 8 }).join(Chat, "lobby", { name: "ada" })
        const first: Array<string> = []
        room.on("synced", (synced) => first.push(show(synced)))
        room.on("Said", ({ text }) => first.push(text))
        for (let i = 1; i <= 8; i++) await room.Say({ text: `${i}` })
        await until("it has all", () => first.length === 9)
        const sound: Array<string> = []
        room.on("Said", ({ text }) => sound.push(text))
        await settled()
        assert.notInclude(trace, "ada left", "only a handler of `synced` needs a snapshot")
        const late: Array<string> = []
        room.on("Said", ({ text }) => late.push(text))
        room.on("synced", (synced) => late.push(show(synced)))
        await until("it comes", () => late.length > 0)
        await room.Say({ text: "9" })
        await until("all is told", () => late.length === 2)
        assert.deepStrictEqual(late, ["joined 8", "9"])
        assert.deepStrictEqual(first.slice(8), ["8", "gap 8", "9"])
        assert.deepStrictEqual(sound, ["9"])
        assert.lengthOf(trace.filter((line) => line === "ada left"), 1)
      }
    )
  )

  it.effect(
    "of a room without a snapshot never make the client leave",
    world(async ({ connect, settled }) => {
      const room = await connect({ eventBuffer: 4 }).join(Bell, "door")
      const memberId = room.memberId
      await room.Ring({ times: 10 })
      await settled()
      const seen: Array<unknown> = []
      room.on("Rang", ({ times }) => seen.push(times))
      room.on("synced", ({ reason }) => seen.push(reason))
      await room.Ring({ times: 1 })
      await settled()
      assert.strictEqual(seen[0], "joined")
      assert.strictEqual(seen.at(-1), 1)
      assert.strictEqual(room.memberId, memberId)
    })
  )

  it.effect(
    "that throw or reject are reported and disturb nothing",
    world(async ({ connect, reported, until }) => {
      const room = await connect().join(Chat, "lobby", { name: "ada" })
      const seen: Array<string> = []
      const thrown = new Error("thrown")
      const rejected = new Error("rejected")
      room.on("Said", () => {
        throw thrown
      })
      room.on("Said", () => Promise.reject(rejected))
      room.on("Said", ({ text }) => seen.push(text))
      room.presence.subscribe(() => {
        throw thrown
      })
      await room.Burst({ times: 2 })
      await until("both are told", () => seen.length === 2)
      assert.lengthOf(reported.filter((error) => error === rejected), 2)
      assert.isAtLeast(reported.filter((error) => error === thrown).length, 3)
    })
  )

  it.effect(
    "that were taken off are not called, not even for the event at hand",
    world(async ({ connect, settled }) => {
      const room = await connect().join(Chat, "lobby", { name: "ada" })
      const seen: Array<string> = []
      const never = room.on("Said", () => seen.push("never"))
      never()
      const offs: Array<() => void> = []
      room.on("Said", ({ text }) => {
        seen.push(`a${text}`)
        offs.forEach((off) => off())
      })
      offs.push(room.on("Said", ({ text }) => seen.push(`b${text}`)))
      await room.Burst({ times: 2 })
      await settled()
      assert.deepStrictEqual(seen, ["a1", "a2"])
    })
  )

  it.effect(
    "that are added by a handler begin after it, and miss nothing",
    world(async ({ connect, until }) => {
      const room = await connect().join(Chat, "lobby", { name: "ada" })
      const seen: Array<string> = []
      room.on("Said", ({ text }) => {
        seen.push(`a${text}`)
        if (text !== "1") return
        room.on("synced", () => seen.push("synced"))
        room.on("Said", ({ text }) => seen.push(`b${text}`))
      })
      await room.Burst({ times: 2 })
      await until("all is told", () => seen.length === 5)
      assert.deepStrictEqual(seen, ["a1", "synced", "b1", "a2", "b2"])
    })
  )

  it.effect(
    "are not called once the room is left",
    world(async ({ connect, settled }) => {
      const room = await connect().join(Chat, "lobby", { name: "ada" })
      const seen: Array<string> = []
      room.on("Said", ({ text }) => {
        seen.push(text)
        if (text === "2") void room.leave()
      })
      room.on("Said", ({ text }) => seen.push(`b${text}`))
      room.Burst({ times: 5 }).catch(() => {})
      await room.closed
      room.on("synced", () => seen.push("synced"))
      await settled()
      assert.deepStrictEqual(seen, ["1", "b1", "2"])
    })
  )

  it.effect(
    "are told everything before the room is closed",
    world(async ({ connect }) => {
      const room = await connect().join(Chat, "lobby", { name: "ada" })
      const seen: Array<string> = []
      room.on("Said", ({ text }) => seen.push(text))
      room.Burst({ times: 5 }).catch(() => {})
      room.Kick().catch(() => {})
      await room.closed
      assert.deepStrictEqual(seen, ["1", "2", "3", "4", "5"])
    })
  )

  it.effect(
    "of an event that the contract does not have are refused at once",
    world(async ({ connect }) => {
      const room = await connect().join(Chat, "lobby", { name: "ada" })
      for (const name of ["Sayd", "toString", "Say"]) {
        assert.throws(() => room.on(name as "Said", () => {}), `the room "chat" has no event "${name}"`)
      }
    })
  )

  it.effect(
    "are told what was missed, or a fresh snapshot after a gap",
    world(async (world) => {
      const room = await world.connect().join(Chat, "lobby", { name: "ada" })
      const seen: Array<string> = []
      room.on("synced", (synced) => seen.push(show(synced)))
      room.on("Said", ({ text }) => seen.push(text))
      await room.Say({ text: "1" })
      world.cut()
      for (const text of ["2", "3"]) await world.say(text)
      await world.pass(1_000)
      await world.until("it is told", () => seen.length === 4)
      world.cut()
      for (const text of ["4", "5", "6", "7"]) await world.say(text)
      await world.pass(1_000)
      await world.until("it has a fresh snapshot", () => seen.length === 5)
      assert.deepStrictEqual(seen, ["joined 0", "1", "2", "3", "gap 1"])
    }, { history: 3 })
  )
})

describe("a loop over the events", () => {
  it.effect(
    "begins with `synced`, and ends when the room is left",
    world(async ({ connect }) => {
      const room = await connect().join(Chat, "lobby", { name: "ada" })
      await room.Burst({ times: 1 })
      const seen: Array<string> = []
      for await (const event of room.events) {
        seen.push(show(event))
        if (event._tag === "Typing") void room.leave()
      }
      assert.deepStrictEqual(seen, ["joined 0", "1", "typing"])
    })
  )

  it.effect(
    "throws when this client is removed, after the last event",
    world(async ({ connect }) => {
      const room = await connect().join(Chat, "lobby", { name: "ada" })
      room.Kick().catch(() => {})
      const seen: Array<string> = []
      const error = await rejection((async () => {
        for await (const event of room.events) seen.push(show(event))
      })())
      assert.instanceOf(error, RequestError)
      assert.strictEqual(error.reason._tag, "Interrupted")
      assert.deepStrictEqual(seen, ["joined 0"])
    })
  )

  it.effect(
    "throws when the client is closed",
    world(async ({ connect }) => {
      const client = connect()
      const room = await client.join(Chat, "lobby", { name: "ada" })
      const error = await rejection((async () => {
        for await (const _ of room.events) void client.close()
      })())
      assert.strictEqual(error.reason._tag, "ClientClosed")
    })
  )

  it.effect(
    "may be left and begun again, beside others",
    world(async ({ connect }) => {
      const room = await connect().join(Chat, "lobby", { name: "ada" })
      await room.Burst({ times: 2 })
      const read = async (last: string) => {
        const seen: Array<string> = []
        for await (const event of room.events) {
          seen.push(show(event))
          if (seen.at(-1) === last) break
        }
        return seen
      }
      assert.deepStrictEqual(await Promise.all([read("1"), read("2")]), [["joined 0", "1"], [
        "joined 0",
        "1",
        "typing",
        "2"
      ]])
      assert.deepStrictEqual(await read("1"), ["joined 0", "1"])
    })
  )

  it.effect(
    "that is too slow gets a fresh snapshot",
    world(async ({ connect, settled }) => {
      const room = await connect({ eventBuffer: 8 }).join(Chat, "lobby", { name: "ada" })
      const seen: Array<string> = []
      for await (const event of room.events) {
        seen.push(show(event))
        if (seen.length === 1) {
          for (let i = 1; i <= 20; i++) await room.Say({ text: `${i}` })
          await settled()
        } else if (event._tag === "synced") break
      }
      assert.deepStrictEqual(seen, ["joined 0", "gap 20"])
    })
  )
})
