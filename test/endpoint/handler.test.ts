import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Option, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Identity from "../../src/contract/Identity.ts"
import * as Endpoint from "../../src/engine/Endpoint.ts"
import { serve, until } from "./lab.ts"

const echo = (socket: Endpoint.Socket) => socket.messages.pipe(Stream.runForEach(socket.send))

/** An endpoint at `/` whose handler notes what becomes of it. */
const noted = (
  handle: (socket: Endpoint.Socket, note: (step: string) => void) => Effect.Effect<unknown, Endpoint.Failure>
) => {
  const steps: Array<string> = []
  const note = (step: string) => void steps.push(step)
  const endpoint = Endpoint.make("/", {
    handle: (socket) =>
      Effect.addFinalizer((exit) =>
        Effect.map(socket.closed.pipe(Effect.timeoutOption(0)), (event) =>
          note(
            `finalized ${Exit.isSuccess(exit) ? "success" : Exit.hasInterrupts(exit) ? "interrupt" : "failure"} ${
              Option.isSome(event) ? event.value.code : "open"
            }`
          ))
      ).pipe(Effect.andThen(handle(socket, note)))
  })
  return { endpoint, steps }
}

describe("the handler of an endpoint", () => {
  it.effect("echoes text and bytes, each message by itself and in order", () =>
    serve([Endpoint.make("/", { handle: echo })])(Effect.fnUntraced(function*({ empty, open }) {
      const client = yield* open("/")
      const sent = ["", "é😀", Uint8Array.of(0, 255), "a\nb", new Uint8Array(0), ...Array.from({ length: 100 }, String)]
      for (const data of sent) client.send(data)
      yield* until("all came back", () => client.messages.length === sent.length)
      assert.deepStrictEqual(client.messages, sent)
      client.close(4321, "bye")
      yield* empty
    })))

  it.effect("closes with 1000 when it ends, after all that it sent", () => {
    const { endpoint, steps } = noted((socket) =>
      Effect.forEach(Array.from({ length: 700 }), () => socket.send("x".repeat(1000)))
    )
    return serve([endpoint])(Effect.fnUntraced(function*({ empty, end, open }) {
      const client = yield* open("/")
      assert.deepStrictEqual(yield* end(client), { code: 1000, reason: "" })
      assert.strictEqual(client.messages.length, 700)
      assert.deepStrictEqual(steps, ["finalized success open"])
      yield* empty
    }))
  })

  it.effect("closes with the code of its failure", () => {
    const failures: Record<string, Endpoint.Failure> = {
      reject: new Endpoint.Reject({ code: 4404, reason: "there is no such room" }),
      silent: new Endpoint.Reject({ code: 1013 }),
      anonymous: new Identity.Unauthorized({ detail: "é".repeat(100) })
    }
    const endpoint = Endpoint.make("/:what", {
      handle: ({ params, send }) => Effect.andThen(send("before"), Effect.fail(failures[params.what]!))
    })
    return serve([endpoint])(Effect.fnUntraced(function*({ end, errors, open }) {
      const ends = yield* Effect.forEach(Object.keys(failures), (what) =>
        Effect.gen(function*() {
          const client = yield* open(`/${what}`)
          const event = yield* end(client)
          assert.deepStrictEqual(client.messages, ["before"])
          return event
        }))
      assert.deepStrictEqual(ends, [
        { code: 4404, reason: "there is no such room" },
        { code: 1013, reason: "" },
        { code: 4401, reason: "é".repeat(61) }
      ])
      assert.deepStrictEqual(errors, [])
    }))
  })

  it.effect("closes with 1011 and one line in the log when it dies, and harms nobody else", () => {
    const secret = "the secret of the handler"
    const endpoint = Endpoint.make("/:how", {
      handle: (socket) => {
        switch (socket.params.how) {
          case "throw":
            throw new Error(secret)
          case "die":
            return Effect.die(new Error(secret))
          case "later":
            return socket.messages.pipe(Stream.runForEach(() => Effect.die(new Error(secret))))
          case "finalizer":
            return Effect.addFinalizer(() => Effect.die(new Error(secret)))
          case "promise":
            return Promise.resolve() as never
          default:
            return echo(socket as Endpoint.Socket)
        }
      }
    })
    return serve([endpoint])(Effect.fnUntraced(function*({ engine, end, errors, open }) {
      const other = yield* open("/echo")
      for (const how of ["throw", "die", "later", "finalizer", "promise"]) {
        const before = errors.length
        const client = yield* open(`/${how}`)
        client.send("x")
        assert.deepStrictEqual(yield* end(client), { code: 1011, reason: "InternalError" }, how)
        assert.strictEqual(errors.length, before + 1, how)
        assert.include(errors.at(-1), "the handler of endpoint /:how failed")
      }
      other.send("still there?")
      yield* until("it is", () => other.messages.length === 1)
      assert.strictEqual(yield* engine.connections, 1)
    }))
  })

  it.effect("sees its messages end when the client closes, and has 5 seconds to finish", () => {
    const { endpoint, steps } = noted((socket, note) =>
      Effect.gen(function*() {
        yield* socket.messages.pipe(Stream.runForEach((message) => Effect.sync(() => note(`${message}`))))
        const { code, reason } = yield* socket.closed
        note(`closed ${code} ${reason}`)
        const error = yield* Effect.orDie(Effect.flip(socket.send("too late")))
        note(`${error._tag} ${error.code}`)
        yield* Effect.sleep(code === 4321 ? "4 seconds" : "6 seconds")
        note("finished")
      })
    )
    return serve([endpoint])(Effect.fnUntraced(function*({ empty, engine, errors, open }) {
      const calm = yield* open("/")
      for (const text of ["1", "2", "3"]) calm.send(text)
      calm.close(4321, "bye")
      yield* until("it is told", () => steps.includes("Closed 4321"))
      assert.strictEqual(yield* engine.connections, 1)
      yield* TestClock.adjust("4 seconds")
      yield* empty
      assert.deepStrictEqual(steps.splice(0), [
        "1",
        "2",
        "3",
        "closed 4321 bye",
        "Closed 4321",
        "finished",
        "finalized success 4321"
      ])
      const lost = yield* open("/")
      lost.cut()
      yield* until("it is told", () => steps.includes("Closed 1006"))
      yield* TestClock.adjust("4999 millis")
      assert.deepStrictEqual(steps.splice(0), ["closed 1006 ", "Closed 1006"])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(steps, ["finalized interrupt 1006"])
      yield* empty
      assert.deepStrictEqual(errors, [])
    }))
  })

  it.effect("is interrupted at once when the connection ends and it reads nothing", () => {
    const { endpoint, steps } = noted((socket) => Effect.andThen(socket.join("all"), Effect.never))
    return serve([endpoint])(Effect.fnUntraced(function*({ empty, errors, open }) {
      const lost = yield* open("/")
      lost.cut()
      yield* empty
      const closed = yield* open("/")
      closed.close(1000, "")
      yield* empty
      assert.deepStrictEqual(steps, ["finalized interrupt 1006", "finalized interrupt 1000"])
      assert.deepStrictEqual(errors, [])
    }))
  })

  it.effect("closes itself after what it sent, and goes on", () => {
    const { endpoint, steps } = noted((socket, note) =>
      Effect.gen(function*() {
        yield* Effect.forEach(Array.from({ length: 10 }, String), socket.send)
        yield* Effect.sleep("1 second")
        yield* socket.close(4000, "enough")
        note(`closed ${(yield* socket.closed).code}`)
        yield* socket.close(4001, "again")
        yield* socket.messages.pipe(Stream.runForEach(() => Effect.sync(() => note("a message"))))
        note((yield* Effect.orDie(Effect.flip(socket.send("x")))).message)
        yield* Effect.sleep("1 second")
        note("finished")
      })
    )
    return serve([endpoint])(Effect.fnUntraced(function*({ empty, end, open }) {
      const client = yield* open("/")
      client.send("unread")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* end(client), { code: 4000, reason: "enough" })
      assert.strictEqual(client.messages.length, 10)
      yield* TestClock.adjust("1 second")
      yield* empty
      assert.deepStrictEqual(steps, [
        "closed 4000",
        "the connection is closed (4000)",
        "finished",
        "finalized success 4000"
      ])
    }))
  })

  it.effect("may send the codes that a server may, and no others", () => {
    const endpoint = Endpoint.make("/", {
      handle: (socket) => socket.messages.pipe(Stream.runForEach((code) => socket.close(Number(code), "r".repeat(200))))
    })
    return serve([endpoint])(Effect.fnUntraced(function*({ end, open }) {
      const closing = Effect.fnUntraced(function*(code: number) {
        const client = yield* open("/")
        client.send(`${code}`)
        return yield* end(client)
      })
      for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 3000, 4999]) {
        assert.deepStrictEqual(yield* closing(code), { code, reason: "r".repeat(123) })
      }
      for (const code of [0, 999, 1004, 1005, 1006, 1010, 1014, 1015, 1016, 2999, 5000, 1000.5, NaN]) {
        assert.strictEqual((yield* closing(code)).code, 1011, `${code}`)
      }
      assert.throws(() => new Endpoint.Reject({ code: 1005 }), "1005 is not a close code")
    }))
  })

  it.effect("may stop reading and read on: no message is lost between two readers", () => {
    const endpoint = Endpoint.make("/", {
      handle: (socket) =>
        Effect.gen(function*() {
          const first = yield* Stream.runHead(socket.messages)
          const next = yield* socket.messages.pipe(Stream.take(2), Stream.runCollect)
          yield* socket.send(`${Option.getOrThrow(first)},${next}`)
          yield* echo(socket)
        })
    })
    return serve([endpoint])(Effect.fnUntraced(function*({ open }) {
      const client = yield* open("/")
      for (const text of ["1", "2", "3", "4", "5"]) client.send(text)
      yield* until("all are there", () => client.messages.length === 3)
      assert.deepStrictEqual(client.messages, ["1,2,3", "4", "5"])
    }))
  })

  it.effect("may read with several fibers: each message goes to one of them, and none is forgotten", () => {
    const endpoint = Endpoint.make("/", {
      handle: (socket) =>
        Effect.gen(function*() {
          // Waits for a message, and is interrupted before there is one.
          yield* Effect.forkChild(Stream.runDrain(socket.messages)).pipe(
            Effect.tap(() => Effect.yieldNow),
            Effect.flatMap(Fiber.interrupt)
          )
          yield* Effect.all([echo(socket), echo(socket), echo(socket)], { concurrency: "unbounded" })
        })
    })
    return serve([endpoint])(Effect.fnUntraced(function*({ empty, open }) {
      const client = yield* open("/")
      client.send("first")
      yield* until("it is there", () => client.messages.shift() === "first")
      const sent = Array.from({ length: 50 }, String)
      for (const text of sent) client.send(text)
      yield* until("all are there", () => client.messages.length === sent.length)
      assert.sameMembers([...client.messages], sent)
      client.close()
      yield* empty
    }))
  })

  it.effect("is told 1012 when the engine closes, and the engine waits for it", () => {
    const { endpoint, steps } = noted((socket, note) =>
      Effect.gen(function*() {
        yield* Stream.runDrain(socket.messages)
        yield* Effect.sleep("1 second")
        note("finished")
      })
    )
    return Effect.gen(function*() {
      const served = yield* Deferred.make<void>()
      const fiber = yield* serve([endpoint])(Effect.fnUntraced(function*({ open }) {
        const client = yield* open("/")
        yield* Effect.addFinalizer(() => Effect.sync(() => steps.push("scope")))
        yield* Deferred.succeed(served, undefined)
        return client
      })).pipe(Effect.forkChild)
      yield* Deferred.await(served)
      yield* TestClock.adjust("1 second")
      const client = yield* Fiber.join(fiber)
      yield* until("the client knows", () => client.closed !== undefined)
      assert.deepStrictEqual(client.closed, { code: 1012, reason: "the server is stopping" })
      assert.deepStrictEqual(steps, ["scope", "finished", "finalized success open"])
    })
  })
})
