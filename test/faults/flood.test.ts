/** A client that sends too much takes no more turns than others: 64 messages, then somebody else. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer } from "effect"
import * as Identity from "../../src/contract/Identity.ts"
import { Connection } from "../../src/engine/Connection.ts"
import { guardedLayer, User } from "../engine/guarded.ts"
import { memory, serve } from "../engine/harness.ts"
import { makeLab } from "../engine/lab.ts"
import { settle } from "../engine/stage.ts"

const limits = { frameRate: 1e9, frameBurst: 1e9 }

/** The most messages of the flooder that were handled between two of the other. */
const longestWait = (handled: ReadonlyArray<string>, flooder: string, other: string): number => {
  let longest = 0
  let current = 0
  for (const who of handled.slice(handled.indexOf(other), handled.lastIndexOf(other))) {
    current = who === flooder ? current + 1 : 0
    longest = Math.max(longest, current)
  }
  return longest
}

const count = (handled: ReadonlyArray<string>, who: string) => handled.filter((one) => one === who).length

describe("between two messages of another connection at most one turn of a flooder's is handled", () => {
  it.effect("by their rooms", () => {
    const handled: Array<string> = []
    const go = Deferred.makeUnsafe<void>()
    const { layer } = makeLab({
      do: (_, __, what) => Effect.as(Deferred.await(go), what),
      note: (_, { presence }) => Effect.sync(() => void handled.push(presence.name))
    })
    return serve(memory, { rooms: [layer], limits })(({ peer }) =>
      Effect.gen(function*() {
        const [flooder, other] = [yield* peer(), yield* peer()]
        const rooms = [
          yield* flooder.join("lab", "a", { name: "flooder" }),
          yield* other.join("lab", "b", { name: "other" })
        ]
        // Both rooms are at work, so that what comes waits.
        flooder.sendRequest(rooms[0]!.channel, "Do", { what: "x" })
        other.sendRequest(rooms[1]!.channel, "Do", { what: "x" })
        yield* settle
        const note = (channel: number) => ({ _tag: "notice", channel, name: "Note", payload: { what: "x" } }) as const
        for (let message = 0; message < 4; message++) {
          flooder.send(...Array.from({ length: 250 }, () => note(rooms[0]!.channel)))
        }
        other.send(...Array.from({ length: 200 }, () => note(rooms[1]!.channel)))
        yield* settle
        assert.deepStrictEqual(handled, [])
        yield* Deferred.succeed(go, undefined)
        yield* flooder.waitFor("all is handled", () => handled.length === 1_200)
        assert.deepStrictEqual([count(handled, "flooder"), count(handled, "other")], [1_000, 200])
        // The other's 200 took turns, and there was something to wait for.
        assert.strictEqual(longestWait(handled, "flooder", "other"), 64)
      })
    )
  })

  it.effect("by their connections", () => {
    const handled: Array<Connection> = []
    const go = Deferred.makeUnsafe<void>()
    const prototype = Connection.prototype as unknown as { receive: (frame: { readonly _tag: string }) => unknown }
    const { receive } = prototype
    prototype.receive = function(this: any, frame) {
      if (frame._tag === "leave") handled.push(this)
      return receive.call(this, frame)
    }
    const checked = Identity.layer(User, () => Effect.as(Deferred.await(go), { name: "checked" }))
    const layer = guardedLayer.pipe(Layer.provide(checked))
    return serve(memory, { rooms: [layer], limits })(({ open }) =>
      Effect.gen(function*() {
        const [flooder, other] = [yield* open, yield* open]
        // Their credentials are being checked, so that what comes waits.
        for (const one of [flooder, other]) one.send({ _tag: "hello", token: "x", resume: null })
        yield* settle
        let ref = 0
        const leaves = (length: number) =>
          Array.from({ length }, () => ({ _tag: "leave", channel: 1, ref: ++ref }) as const)
        for (let message = 0; message < 2; message++) flooder.send(...leaves(200))
        other.send(...leaves(200))
        yield* settle
        assert.strictEqual(handled.length, 0)
        yield* Deferred.succeed(go, undefined)
        yield* flooder.waitFor("all is answered", () => flooder.all("error").length === 400)
        yield* other.waitFor("all is answered", () => other.all("error").length === 200)
        const names = handled.map((connection) => connection === handled[0] ? "flooder" : "other")
        assert.deepStrictEqual([count(names, "flooder"), count(names, "other")], [400, 200])
        assert.strictEqual(longestWait(names, "flooder", "other"), 64)
      })
    ).pipe(Effect.ensuring(Effect.sync(() => {
      prototype.receive = receive
    })))
  })
})
