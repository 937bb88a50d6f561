import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Queue, Scheduler } from "effect"
import { TestClock } from "effect/testing"
import { Transport } from "../../src/engine/Transport.ts"
import * as MemoryTransport from "../../src/testing/MemoryTransport.ts"
import * as SeededScheduler from "../../src/testing/SeededScheduler.ts"

const seeds = Array.from({ length: 20 }, (_, seed) => seed)

/** How many different outcomes there are, after making sure that each seed always has the same. */
const outcomes = Effect.fnUntraced(function*<E>(program: Effect.Effect<ReadonlyArray<string>, E>) {
  const seen = new Set<string>()
  for (const seed of seeds) {
    const run = SeededScheduler.withSeed(seed)(program)
    const [one, two] = yield* Effect.all([run, run])
    assert.deepStrictEqual(one, two, `seed ${seed}`)
    seen.add(one.join())
  }
  return seen
})

/** Three fibers that each leave three traces. */
const fibers = Effect.gen(function*() {
  const trace: Array<string> = []
  const running = yield* Effect.forEach(["a", "b", "c"], (name) =>
    Effect.forkChild(Effect.gen(function*() {
      for (let step = 0; step < 3; step++) {
        yield* Effect.yieldNow
        trace.push(`${name}${step}`)
      }
    })))
  yield* Fiber.joinAll(running)
  return trace
})

/** Three clients that each send three messages at once. */
const network = Effect.gen(function*() {
  const trace: Array<string> = []
  const done = yield* Queue.unbounded<void>()
  const transport = yield* Transport
  const { connect } = yield* MemoryTransport.MemoryNetwork
  const { url } = yield* transport.listen({
    maxMessageBytes: 100,
    fetch: () => Promise.reject(new Error("not used")),
    upgrade: () => ({
      _tag: "Accepted",
      protocol: undefined,
      open: () => ({
        message: (data) => {
          trace.push(`${data}`)
          Queue.offerUnsafe(done, undefined)
        },
        drain: () => {},
        close: () => {}
      })
    })
  })
  for (const name of ["a", "b", "c"]) {
    const socket = connect(url.replace("http", "ws"), [], {
      open: () => {
        for (let step = 0; step < 3; step++) socket.send(`${name}${step}`)
      },
      message: () => {},
      close: () => {}
    })
  }
  yield* Effect.replicateEffect(Queue.take(done), 9)
  return trace
}).pipe(Effect.scoped, Effect.provide(MemoryTransport.layer))

const inOwnOrder = (trace: ReadonlyArray<string>) => {
  for (const name of ["a", "b", "c"]) {
    assert.deepStrictEqual(trace.filter((entry) => entry.startsWith(name)), [`${name}0`, `${name}1`, `${name}2`])
  }
}

describe("SeededScheduler", () => {
  it.live("orders fibers by its seed, each fiber in its own order", () =>
    Effect.gen(function*() {
      const seen = yield* outcomes(fibers)
      assert.isAbove(seen.size, 10)
      for (const trace of seen) inOwnOrder(trace.split(","))
    }))

  it.live("orders the links of the network by its seed, each link in its own order", () =>
    Effect.gen(function*() {
      const seen = yield* outcomes(network)
      assert.isAbove(seen.size, 10)
      for (const trace of seen) inOwnOrder(trace.split(","))
    }))

  it.live("runs tasks of lower priority numbers first, and all of them on flush", () =>
    Effect.sync(() => {
      const trace: Array<string> = []
      const dispatcher = SeededScheduler.make(1).makeDispatcher()
      for (const [name, priority] of [["c", 5], ["a", 0], ["d", 5], ["b", 0]] as const) {
        dispatcher.scheduleTask(() => trace.push(name), priority)
      }
      dispatcher.flush()
      assert.deepStrictEqual(trace, ["a", "b", "c", "d"])
    }))

  it.live("goes on after a task that throws", () =>
    Effect.gen(function*() {
      const scheduler = SeededScheduler.make(1)
      const uncaught = process.listeners("uncaughtException")
      process.removeAllListeners("uncaughtException")
      const errors: Array<unknown> = []
      process.once("uncaughtException", (error) => errors.push(error))
      const ran = yield* Effect.callback<boolean>((resume) => {
        const dispatcher = scheduler.makeDispatcher()
        dispatcher.scheduleTask(() => {
          throw new Error("one task's own fault")
        }, 0)
        dispatcher.scheduleTask(() => resume(Effect.succeed(true)), 0)
      })
      for (const listener of uncaught) process.on("uncaughtException", listener)
      assert.deepStrictEqual([ran, errors.length], [true, 1])
    }))

  it.live("keeps virtual time: an adjustment waits for what it sets off across the network", () =>
    SeededScheduler.withSeed(7)(
      Effect.gen(function*() {
        const trace: Array<string> = []
        const transport = yield* Transport
        const { connect } = yield* MemoryTransport.MemoryNetwork
        const { url } = yield* transport.listen({
          maxMessageBytes: 100,
          fetch: () => Promise.reject(new Error("not used")),
          upgrade: () => ({
            _tag: "Accepted",
            protocol: undefined,
            open: (socket) => ({
              message: (data) => socket.tickEnd({ flush: () => socket.send(`${data} back`) }),
              drain: () => {},
              close: () => {}
            })
          })
        })
        const opened = yield* Queue.unbounded<void>()
        const socket = connect(url.replace("http", "ws"), [], {
          open: () => Queue.offerUnsafe(opened, undefined),
          message: (data) => trace.push(`${data}`),
          close: () => {}
        })
        yield* Queue.take(opened)
        yield* Effect.forkChild(Effect.andThen(Effect.sleep("1 hour"), Effect.sync(() => socket.send("there and"))))
        yield* TestClock.adjust("59 minutes")
        assert.deepStrictEqual(trace, [])
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(trace, ["there and back"])
      }).pipe(Effect.scoped, Effect.provide(MemoryTransport.layer))
    ))

  it.live("is only the order of things: without it the default scheduler stands", () =>
    Effect.gen(function*() {
      const outside = yield* Scheduler.Scheduler
      const inside = yield* SeededScheduler.withSeed(1)(Effect.service(Scheduler.Scheduler))
      assert.notStrictEqual(inside, outside)
      assert.strictEqual(yield* Scheduler.Scheduler, outside)
    }))
})

describe("MemoryNetwork", () => {
  const listen = Effect.fnUntraced(function*() {
    const transport = yield* Transport
    const network = yield* MemoryTransport.MemoryNetwork
    const events = yield* Queue.unbounded<string>()
    const { url } = yield* transport.listen({
      maxMessageBytes: 100,
      fetch: () => Promise.resolve(new Response("plain")),
      upgrade: (request) => ({
        _tag: "Accepted",
        protocol: request.protocols.includes("none") ? undefined : request.protocols[0],
        open: (socket) => {
          const header = request.header("origin")
          if (header !== undefined) Queue.offerUnsafe(events, `from ${header} at ${request.address()}`)
          return {
            message: (data) => socket.send(data as string),
            drain: () => {},
            close: (code) => Queue.offerUnsafe(events, `server ${code}`)
          }
        }
      })
    })
    const client = (protocols: ReadonlyArray<string> = [], connect = network.connect) =>
      connect(url.replace("http", "ws"), protocols, {
        open: (protocol) => Queue.offerUnsafe(events, `open ${protocol}`),
        message: (data) => Queue.offerUnsafe(events, `message ${data}`),
        close: (code) => Queue.offerUnsafe(events, `client ${code}`)
      })
    const next = (count: number) => Effect.map(Effect.replicateEffect(Queue.take(events), count), (all) => all.sort())
    return { network, client, next, url }
  })
  const test = <E>(
    sentence: string,
    body: Effect.Effect<void, E, Transport | MemoryTransport.MemoryNetwork | import("effect").Scope.Scope>
  ) => it.effect(sentence, () => Effect.provide(Effect.scoped(body), MemoryTransport.layer))

  test(
    "cuts a connection: both ends see 1006, and nothing of it is left",
    Effect.gen(function*() {
      const { client, network, next } = yield* listen()
      client(["a"])
      assert.deepStrictEqual(yield* next(1), ["open a"])
      network.connections()[0]!.cut()
      assert.deepStrictEqual(yield* next(2), ["client 1006", "server 1006"])
      assert.deepStrictEqual(network.connections(), [])
    })
  )

  test(
    "holds back what a stalled client does not read",
    Effect.gen(function*() {
      const { client, network, next } = yield* listen()
      const socket = client()
      yield* next(1)
      const connection = network.connections()[0]!
      assert.strictEqual(connection.socket, socket)
      connection.stall()
      socket.send("one")
      socket.send("two")
      yield* Effect.yieldNow
      connection.unstall()
      assert.deepStrictEqual(yield* next(2), ["message one", "message two"])
    })
  )

  test(
    "sends the headers and the address a test asks for",
    Effect.gen(function*() {
      const { client, network, next } = yield* listen()
      client([], network.connectWith({ headers: { origin: "https://evil.example" }, address: "10.1.2.3" }))
      assert.deepStrictEqual(yield* next(2), ["from https://evil.example at 10.1.2.3", "open "])
    })
  )

  test(
    "ends a client whose subprotocols were all declined, as browsers do",
    Effect.gen(function*() {
      const { client, next } = yield* listen()
      client(["none"])
      assert.deepStrictEqual(yield* next(2), ["client 1006", "server 1006"])
    })
  )

  test(
    "ends a client of an address where nobody listens",
    Effect.gen(function*() {
      const { network } = yield* listen()
      for (const url of ["ws://memory:999/", "ws://elsewhere/", "no url"]) {
        const code = yield* Effect.callback<number>((resume) => {
          network.connect(url, [], {
            open: () => {},
            message: () => {},
            close: (code) => resume(Effect.succeed(code))
          })
        })
        assert.strictEqual(code, 1006)
      }
      assert.deepStrictEqual(network.connections(), [])
    })
  )

  test(
    "ends a client that closes before it is open",
    Effect.gen(function*() {
      const { client, network, next } = yield* listen()
      client().close(1000, "")
      assert.deepStrictEqual(yield* next(2), ["client 1006", "server 1006"])
      assert.deepStrictEqual(network.connections(), [])
    })
  )
})
