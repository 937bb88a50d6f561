/** Guarantee 10 for sessions: a commit that fails takes nothing back that was told, and tells nothing that was not kept. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { DatabaseSync } from "node:sqlite"
import { LogStore } from "../../src/engine/LogStore.ts"
import { SessionStore } from "../../src/engine/SessionStore.ts"
import { SqliteLogs } from "../../src/store/SqliteLogs.ts"
import * as SqliteSessions from "../../src/store/SqliteSessions.ts"
import { type Harness, memory, serve, type World } from "./harness.ts"
import { makeLab, type Script } from "./lab.ts"
import { errorOf } from "./peer.ts"
import { Client } from "./returning.ts"
import { count, settle } from "./stage.ts"

interface Stage extends World {
  readonly trace: Array<string>
  readonly client: Effect.Effect<Client, never, any>
  /** The step of a transaction that fails from now on. */
  readonly failing: (step: "begin" | "commit" | undefined) => void
  /** The sessions in the store, and the numbers of their answers. */
  readonly rows: () => { readonly [id: string]: ReadonlyArray<number> }
}

/** A test of an engine whose logs and sessions are in one database, which can be made to fail. */
const commitTest = (sentence: string, body: (stage: Stage) => Effect.Effect<void, unknown, any>, script: Script = {}) =>
  it.effect(sentence, () =>
    Effect.suspend(() => {
      const database = new DatabaseSync(":memory:")
      const logs = new SqliteLogs(database, 1e9, 0)
      const sessions = SqliteSessions.make(database)
      const { begin, commit } = logs.transaction
      let failing: "begin" | "commit" | undefined
      const unless = (step: "begin" | "commit", run: () => void) => () => {
        if (failing === step) throw new Error(`the ${step} failed`)
        run()
      }
      Object.assign(logs.transaction, { begin: unless("begin", begin), commit: unless("commit", commit) })
      const { layer, trace } = makeLab(script, { history: { capacity: 100 } })
      const stores = Layer.merge(Layer.succeed(LogStore, logs), Layer.succeed(SessionStore, sessions))
      const harness = { ...memory, transport: Layer.provideMerge(memory.transport, stores) } as Harness
      return serve(harness, { rooms: [layer], limits: { sessions: 2 } })((world) =>
        body({
          ...world,
          trace,
          pass: (millis) => Effect.andThen(Effect.andThen(settle, world.pass(millis)), settle),
          client: Effect.map(world.peer(), (peer) => {
            peer.acknowledges = false
            return new Client(world, peer, undefined)
          }),
          failing: (step) => {
            failing = step
          },
          rows: () =>
            Object.fromEntries(
              database.prepare("SELECT id FROM sessions").all().map(({ id }) => [
                id,
                database.prepare("SELECT seq FROM answers WHERE session = ? ORDER BY seq").all(id as string)
                  .map(({ seq }) => seq)
              ])
            ) as { [id: string]: Array<number> }
        })
      )
    }).pipe(Effect.scoped))

describe("a commit of sessions that fails", () => {
  for (const step of ["begin", "commit"] as const) {
    commitTest(
      `releases no answer, and closes who may have heard and nobody else: ${step}`,
      ({ client, failing, rows }) =>
        Effect.gen(function*() {
          const [ada, bob] = [yield* client, yield* client]
          yield* ada.join("ada")
          yield* bob.join("bob", { key: "b" })
          yield* ada.request("1")
          failing(step)
          ada.send("2")
          yield* settle
          failing(undefined)
          assert.strictEqual(yield* ada.peer.closeCode, 1011)
          assert.strictEqual(ada.all("ok").length, 1)
          assert.isUndefined(bob.peer.closed)
          assert.deepStrictEqual(rows()[ada.first.session], [1])
        })
    )

    commitTest(
      `is not known to the session in memory either: ${step}`,
      ({ client, failing, rows, trace }) =>
        Effect.gen(function*() {
          const ada = yield* client
          yield* ada.join("ada")
          yield* ada.request("1")
          failing(step)
          ada.send("2")
          yield* settle
          failing(undefined)
          yield* ada.peer.closeCode
          assert.strictEqual((yield* ada.resume).session, ada.first.session)
          yield* ada.join("ada")
          assert.deepInclude(yield* ada.again(1, "1"), { _tag: "ok", value: "1" })
          assert.strictEqual(errorOf(yield* ada.again(2, "2")), "ConnectionLost")
          assert.deepInclude(yield* ada.request("3"), { _tag: "ok", value: "3" })
          for (const what of ["1", "2", "3"]) assert.strictEqual(count(trace, `do ${what}`), 1)
          // Of what is unknown nothing is kept: it is answered the same however often it is asked for.
          assert.deepStrictEqual(rows()[ada.first.session], [1, 3])
        })
    )
  }

  commitTest(
    "is not known of what still ran, and was about to tell what is undone",
    ({ client, failing, pass }) =>
      Effect.gen(function*() {
        const ada = yield* client
        yield* ada.join("ada")
        failing("commit")
        ada.send("slow")
        yield* settle
        failing(undefined)
        assert.strictEqual(yield* ada.peer.closeCode, 1011)
        yield* ada.resume
        const ref = ada.sendJoin("ada")
        yield* pass(2_000)
        yield* ada.peer.answer(ref)
        assert.strictEqual(errorOf(yield* ada.again(1, "slow")), "ConnectionLost")
      }),
    { do: (room, _, what) => Effect.as(Effect.andThen(room.emit("Said", { text: what }), Effect.sleep(1_000)), what) }
  )

  commitTest("takes no answer back that was kept before", ({ client, failing }) =>
    Effect.gen(function*() {
      const [ada, bob] = [yield* client, yield* client]
      yield* ada.join("ada")
      yield* bob.join("bob")
      yield* ada.request("1")
      yield* ada.drop
      yield* ada.resume
      yield* ada.join("ada")
      yield* ada.request("2")
      failing("begin")
      bob.send("1")
      assert.strictEqual(yield* bob.peer.closeCode, 1011)
      failing(undefined)
      yield* ada.drop
      yield* ada.resume
      yield* ada.join("ada")
      for (const seq of [1, 2]) assert.deepInclude(yield* ada.again(seq, `${seq}`), { _tag: "ok", value: `${seq}` })
    }))

  commitTest(
    "does not bring a session back that has ended",
    ({ client, failing, pass, rows }) =>
      Effect.gen(function*() {
        const ada = yield* client
        yield* ada.join("ada")
        failing("commit")
        ada.peer.close()
        yield* settle
        failing(undefined)
        assert.strictEqual(Object.keys(rows()).length, 1)
        assert.notStrictEqual((yield* ada.resumeWith(ada.token, false)).session, ada.first.session)
        yield* pass(1_000)
        assert.notProperty(rows(), ada.first.session)
      })
  )

  commitTest("lets a client in with the token that it has", ({ client, failing }) =>
    Effect.gen(function*() {
      const ada = yield* client
      yield* ada.join("ada")
      yield* ada.drop
      failing("commit")
      const eve = yield* Effect.forkChild(ada.resumeWith(ada.token, false))
      yield* settle
      failing(undefined)
      yield* settle
      eve.interruptUnsafe()
      assert.strictEqual((yield* ada.resume).session, ada.first.session)
    }))
})

describe("the sessions in a store", () => {
  commitTest(
    "are those with a connection, and as many without as may be",
    ({ client, rows }) =>
      Effect.gen(function*() {
        const clients: Array<Client> = []
        for (let index = 0; index < 5; index++) {
          const ada = yield* client
          yield* ada.join("ada")
          clients.push(ada)
        }
        for (const { drop } of clients.slice(0, 4)) yield* drop
        assert.deepStrictEqual(
          Object.keys(rows()).sort(),
          clients.slice(2).map(({ first }) => first.session).sort()
        )
      })
  )

  it("take no answer of a session that has ended, and do not fail of it", () => {
    const store = SqliteSessions.make(new DatabaseSync(":memory:"))
    store.answer("gone", 1, { data: "[]", bytes: 2 })
    assert.isUndefined(store.load("gone", 0))
  })

  it("are cut down to as many as may be when an engine begins", () => {
    const database = new DatabaseSync(":memory:")
    const store = SqliteSessions.make(database)
    const header = { tokens: { newest: "n", former: undefined, retired: [] }, subject: undefined, protocol: "p" }
    const expiries = [undefined, 300, 100, 200, 50, undefined]
    for (const [id, expiresAt] of expiries.entries()) store.save({ ...header, id: `${id}`, expiresAt })
    const left = () => [...expiries.keys()].filter((id) => store.load(`${id}`, 60) !== undefined)
    store.open(60, 1_000, 4)
    assert.deepStrictEqual(left(), [0, 1, 3, 5])
    store.open(60, 1_000, 1)
    assert.deepStrictEqual(left(), [5])
  })
})
