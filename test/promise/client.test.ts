import { assert, describe, it } from "@effect/vitest"
import type * as PromiseClient from "../../src/client/PromiseClient.ts"
import { RequestError } from "../../src/contract/RequestError.ts"
import { Chat, Prices, Secrets } from "./contract.ts"
import { reasonOf, rejection, world } from "./world.ts"

/** The states that a client goes through, without repetitions. */
const states = (client: PromiseClient.PromiseClient) => {
  const seen: Array<string> = []
  const off = client.state.subscribe(({ _tag }) => {
    if (seen.at(-1) !== _tag) seen.push(_tag)
  })
  return { seen, off }
}

describe("the state of a client", () => {
  it.effect(
    "is told at once, and when it changes",
    world(async ({ connect, cut, pass, until }) => {
      const client = connect()
      const { seen } = states(client)
      assert.deepStrictEqual(seen, ["connecting"])
      assert.strictEqual(client.state.current._tag, "connecting")
      await until("it is online", () => client.state.current._tag === "online")
      cut()
      await until("it waits", () => client.state.current._tag === "waiting")
      await pass(1_000)
      await until("it is back", () => client.state.current._tag === "online")
      await client.close()
      assert.deepStrictEqual(seen, ["connecting", "online", "waiting", "connecting", "online", "stopped"])
      assert.deepStrictEqual(states(client).seen, ["stopped"])
    })
  )

  it.effect(
    "is not told to who no longer wants it",
    world(async ({ connect, until }) => {
      const client = connect()
      const { off, seen } = states(client)
      off()
      off()
      await until("it is online", () => client.state.current._tag === "online")
      assert.deepStrictEqual(seen, ["connecting"])
    })
  )

  it.effect(
    "says so when the server refuses the credentials",
    world(async ({ connect, until }) => {
      const client = connect({ token: "wrong" })
      const room = rejection(client.join(Chat, "lobby", { name: "ada" }))
      await until("it has stopped", () => client.state.current._tag === "stopped")
      assert.deepInclude(client.state.current, { _tag: "stopped", code: 4401 })
      assert.strictEqual((await room).reason._tag, "ClientClosed")
    })
  )
})

describe("a token", () => {
  it.effect(
    "is asked for before each connection",
    world(async ({ connect, cut, pass, until }) => {
      let asked = 0
      const client = connect({ token: () => `token ${++asked}` })
      await until("it is online", () => client.state.current._tag === "online")
      cut()
      await pass(1_000)
      await until("it is back", () => client.state.current._tag === "online")
      assert.strictEqual(asked, 2)
    })
  )

  it.effect(
    "may come late",
    world(async ({ connect, until }) => {
      const client = connect({ token: () => Promise.resolve("late") })
      await until("it is online", () => client.state.current._tag === "online")
    })
  )

  it.effect(
    "that fails is reported and asked for again after a wait",
    world(async (world) => {
      const errors = [new Error("thrown"), new Error("rejected")]
      let asked = 0
      const client = world.connect({
        token: () => {
          asked++
          if (asked === 1) throw errors[0]
          return asked === 2 ? Promise.reject(errors[1]) : "token"
        }
      })
      await world.until("it is reported", () => world.reported.length === 1)
      await world.settled()
      assert.strictEqual(asked, 1)
      await world.pass(500)
      await world.until("it is reported again", () => world.reported.length === 2)
      await world.pass(1_000)
      await world.until("it is online", () => client.state.current._tag === "online")
      assert.deepStrictEqual(world.reported, errors)
      assert.strictEqual(asked, 3)
    })
  )

  it.effect(
    "that the server refuses is asked for again",
    world(async ({ connect, pass, until }) => {
      const tokens = ["wrong", "right"]
      const client = connect({ token: () => tokens.shift()! })
      await until("it is refused", () => client.state.current._tag === "waiting")
      await pass(1_000)
      await until("it is online", () => client.state.current._tag === "online")
    })
  )
})

describe("closing a client", () => {
  it.effect(
    "ends everything, once",
    world(async ({ connect, members, trace, until }) => {
      const client = connect()
      const room = await client.join(Chat, "lobby", { name: "ada" })
      const never = rejection(room.Never())
      const slow = rejection(client.join(Chat, "elsewhere", { name: "slow" }))
      await until("both run", () => trace.includes("never") && trace.includes("join"))
      let ended = false
      void room.closed.then(() => ended = true)
      await Promise.all([client.close(), client.close()])
      assert.isTrue(ended)
      assert.deepStrictEqual(client.state.current, { _tag: "stopped", code: 1000, reason: "closed" })
      assert.strictEqual((await never).reason._tag, "ConnectionLost")
      assert.strictEqual((await slow).reason._tag, "ClientClosed")
      await client.close()
      assert.strictEqual(await reasonOf(room.Say({ text: "late" })), "ClientClosed")
      assert.strictEqual(await reasonOf(client.join(Chat, "lobby", { name: "ada" })), "ClientClosed")
      await until("the server knows", () => members() === 0)
    })
  )

  it.effect(
    "before there was a connection fails what waits",
    world(async ({ connect }) => {
      const client = connect()
      const joining = rejection(client.join(Chat, "lobby", { name: "ada" }))
      await client.close()
      assert.strictEqual((await joining).reason._tag, "ClientClosed")
    })
  )
})

describe("a subscription", () => {
  it.effect(
    "calls back in order, until it is taken off",
    world(async ({ connect, publish, settled, until }) => {
      const client = connect()
      const seen: Array<number> = []
      const off = client.subscribe(Prices, "AAPL", ({ price }) => {
        seen.push(price)
        if (price === 3) off()
      })
      const other: Array<number> = []
      client.subscribe(Prices, "AAPL", ({ price }) => other.push(price))
      await until("it is online", () => client.state.current._tag === "online")
      await settled()
      for (const price of [1, 2, 3, 4]) await publish(price)
      await until("the other has all", () => other.length === 4)
      assert.deepStrictEqual(seen, [1, 2, 3])
    })
  )

  it.effect(
    "is an iterable without a callback",
    world(async ({ connect, publish, settled }) => {
      const client = connect()
      const reading = (async () => {
        const seen: Array<number> = []
        for await (const { price } of client.subscribe(Prices, "AAPL")) {
          seen.push(price)
          if (seen.length === 2) return seen
        }
        return seen
      })()
      await settled()
      await publish(1)
      await publish(2)
      assert.deepStrictEqual(await reading, [1, 2])
    })
  )

  it.effect(
    "that is refused is told to `onError`, or reported, or thrown by the loop",
    world(async (world) => {
      const client = world.connect()
      const errors: Array<RequestError> = []
      client.subscribe(Secrets, "any", () => {}, (error) => errors.push(error))
      await world.until("it is told", () => errors.length === 1)
      assert.instanceOf(errors[0], RequestError)
      assert.strictEqual(errors[0]!.reason._tag, "Forbidden")
      assert.lengthOf(world.reported, 0)
      client.subscribe(Secrets, "any", () => {})
      await world.until("it is reported", () => world.reported.length === 1)
      const loop = async () => {
        for await (const _ of client.subscribe(Secrets, "any")) assert.fail("nothing is published")
      }
      assert.strictEqual(await reasonOf(loop()), "Forbidden")
    })
  )

  it.effect(
    "that ends with the client is told to `onError` only",
    world(async ({ connect, reported, settled }) => {
      const client = connect()
      const errors: Array<string> = []
      client.subscribe(Prices, "AAPL", () => {}, ({ reason }) => errors.push(reason._tag))
      client.subscribe(Prices, "AAPL", () => {})
      const off = client.subscribe(Prices, "AAPL", () => {}, () => errors.push("taken off"))
      off()
      const loop = rejection((async () => {
        for await (const _ of client.subscribe(Prices, "AAPL")) assert.fail("nothing is published")
      })())
      await settled()
      await client.close()
      assert.deepStrictEqual(errors, ["ClientClosed"])
      assert.strictEqual((await loop).reason._tag, "ClientClosed")
      assert.lengthOf(reported, 0)
    })
  )

  it.effect(
    "whose callback throws goes on",
    world(async ({ connect, publish, reported, settled, until }) => {
      const client = connect()
      client.subscribe(Prices, "AAPL", ({ price }) => {
        throw price
      })
      await settled()
      await publish(1)
      await publish(2)
      await until("both are reported", () => reported.length === 2)
      assert.deepStrictEqual(reported, [1, 2])
    })
  )
})
