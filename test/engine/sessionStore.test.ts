import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import type { SessionHeader, SessionRecord } from "../../src/engine/SessionStore.ts"
import { SessionStore } from "../../src/engine/SessionStore.ts"
import type { Encoded } from "../../src/wire/Codec.ts"
import { type Harness, memory, serve, type World } from "./harness.ts"
import { makeLab, type Script } from "./lab.ts"
import { errorOf } from "./peer.ts"
import { Client } from "./returning.ts"
import { count, hang, settle } from "./stage.ts"

/** A store as one that a disk keeps: what it gives back shares nothing with what it was given. */
const makeStore = () => {
  const rows = new Map<string, { header: SessionHeader; lastSeq: number; answers: Map<number, Encoded> }>()
  const isOver = ({ header: { expiresAt } }: { readonly header: SessionHeader }, now: number) =>
    expiresAt !== undefined && expiresAt <= now
  const store: SessionStore = {
    open: (now, expiresAt, most) => {
      store.expire(now)
      for (const row of rows.values()) row.header = { ...row.header, expiresAt: row.header.expiresAt ?? expiresAt }
      const expiry = (id: string) => rows.get(id)!.header.expiresAt!
      const ids = [...rows.keys()].reverse().sort((one, other) => expiry(other) - expiry(one))
      for (const id of ids.slice(most)) rows.delete(id)
    },
    load: (id, now) => {
      const row = rows.get(id)
      if (row === undefined || isOver(row, now)) return undefined
      const { answers, header, lastSeq } = row
      return structuredClone({ ...header, lastSeq, answers: [...answers] }) as SessionRecord
    },
    save: (header) => {
      const row = rows.get(header.id)
      if (row === undefined) rows.set(header.id, { header: structuredClone(header), lastSeq: 0, answers: new Map() })
      else row.header = structuredClone(header)
    },
    answer: (id, seq, answer) => {
      const row = rows.get(id)
      if (row === undefined) return
      row.answers.set(seq, answer)
      row.lastSeq = Math.max(row.lastSeq, seq)
    },
    acknowledge: (id, ack) => {
      for (const seq of rows.get(id)?.answers.keys() ?? []) if (seq <= ack) rows.get(id)!.answers.delete(seq)
    },
    remove: (id) => void rows.delete(id),
    expire: (now) => {
      for (const [id, row] of rows) if (isOver(row, now)) rows.delete(id)
    }
  }
  return { store, rows }
}

type Rows = ReturnType<typeof makeStore>["rows"]

interface Stage {
  readonly rows: Rows
  readonly trace: Array<string>
  /** Runs a part of the test with an engine of its own, which is drained or killed afterwards; the store goes on. */
  readonly engine: <A>(
    body: (world: World) => Effect.Effect<A, unknown, any>,
    abruptly?: boolean
  ) => Effect.Effect<A, unknown>
}

const storeTest = (sentence: string, script: Script, body: (stage: Stage) => Effect.Effect<void, unknown, any>) =>
  it.effect(sentence, () => {
    const { rows, store } = makeStore()
    const { layer, trace } = makeLab(script)
    const harness: Harness = {
      ...memory,
      transport: Layer.provideMerge(memory.transport, Layer.succeed(SessionStore, store)) as Harness["transport"]
    }
    return body({
      rows,
      trace,
      engine: (body, abruptly = false) =>
        Effect.suspend(() => {
          let before: string | undefined
          return serve(harness, { rooms: [layer] })((world) =>
            Effect.tap(body(world) as Effect.Effect<any>, () =>
              Effect.suspend(() => {
                if (!abruptly) return world.engine.drain
                before = JSON.stringify([...rows].map(([id, row]) => [id, row.header, row.lastSeq, [...row.answers]]))
                return Effect.void
              }))
          ).pipe(Effect.tap(() =>
            Effect.sync(() => {
              // What the end of the engine wrote never came to be: it was killed.
              if (before === undefined) return
              rows.clear()
              for (const [id, header, lastSeq, answers] of JSON.parse(before)) {
                rows.set(id, { header, lastSeq, answers: new Map(answers) })
              }
            })
          ))
        })
    }).pipe(Effect.scoped)
  })

/** Comes back to another engine. */
const moved = (client: Client, world: World) =>
  Effect.sync(() => {
    ;(client as unknown as { world: World }).world = world
  })

const clientOf = (world: World) => Effect.map(world.peer(), (peer) => new Client(world, peer, undefined))

describe("a session in a store", () => {
  for (const [how, abruptly] of [["a deploy", false], ["a crash", true]] as const) {
    storeTest(
      `goes on after ${how}: its answers are known, and its rooms are joined anew`,
      {},
      ({ engine, trace }) =>
        Effect.gen(function*() {
          const ada = yield* engine((world) =>
            Effect.gen(function*() {
              const ada = yield* clientOf(world)
              ada.peer.acknowledges = false
              yield* ada.join("ada")
              for (const what of ["1", "2"]) yield* ada.request(what)
              return ada
            }), abruptly)
          yield* engine((world) =>
            Effect.gen(function*() {
              yield* moved(ada, world)
              const welcome = yield* ada.resume
              assert.deepInclude(welcome, { session: ada.first.session, seq: 2 })
              yield* ada.join("ada")
              assert.strictEqual(count(trace, "join ada"), 2)
              assert.deepInclude(yield* ada.again(1, "1"), { _tag: "ok", value: "1" })
              assert.deepInclude(yield* ada.again(2, "2"), { _tag: "ok", value: "2" })
              assert.deepInclude(yield* ada.request("3"), { _tag: "ok", value: "3" })
              for (const what of ["1", "2", "3"]) assert.strictEqual(count(trace, `do ${what}`), 1)
            })
          )
        })
    )
  }

  storeTest("says of what ran when the process died that it may have run, and does not run it again", {
    do: (_, __, what) => hang(what)
  }, ({ engine, trace }) =>
    Effect.gen(function*() {
      const ada = yield* engine((world) =>
        Effect.gen(function*() {
          const ada = yield* clientOf(world)
          ada.peer.acknowledges = false
          yield* ada.join("ada")
          yield* ada.request("1")
          ada.send("hang")
          yield* settle
          return ada
        }), true)
      yield* engine((world) =>
        Effect.gen(function*() {
          yield* moved(ada, world)
          yield* ada.resume
          yield* ada.join("ada")
          for (let time = 0; time < 2; time++) {
            const answer = yield* ada.again(2, "hang")
            assert.deepInclude(answer, { error: { _tag: "ConnectionLost", code: 1006, mayHaveRun: true } })
            yield* ada.drop
            yield* ada.resume
            yield* ada.join("ada")
          }
          // It was sent and never arrived: nobody knows that any more.
          assert.strictEqual(errorOf(yield* ada.again(3, "3")), "ConnectionLost")
          ada.peer.sendRequest(1, "Do", { what: "4" }, 4)
          assert.deepInclude(yield* ada.peer.answer(ada.peer.lastRef), { _tag: "ok", value: "4" })
          // From here on this process knows all.
          yield* ada.drop
          yield* ada.resume
          yield* ada.join("ada")
          assert.deepInclude(yield* ada.again(5, "5"), { _tag: "ok", value: "5" })
          assert.strictEqual(errorOf(yield* ada.again(3, "3")), "ConnectionLost")
          assert.deepStrictEqual(
            trace.filter((entry) => entry.startsWith("do ")),
            ["do 1", "do hang", "do 4", "do 5"]
          )
        })
      )
    }))

  storeTest(
    "keeps nothing of what it cannot know, however many numbers are asked about",
    {},
    ({ engine, rows }) =>
      Effect.gen(function*() {
        const ada = yield* engine((world) =>
          Effect.gen(function*() {
            const ada = yield* clientOf(world)
            yield* ada.join("ada")
            return ada
          }), true)
        yield* engine((world) =>
          Effect.gen(function*() {
            yield* moved(ada, world)
            ada.peer.acknowledges = false
            yield* ada.resume
            const { channel } = yield* ada.join("ada")
            for (let seq = 1; seq <= 20; seq++) {
              ada.peer.sendRequest(channel, "Do", { what: "?" }, seq, true)
              assert.strictEqual(errorOf(yield* ada.peer.answer(ada.peer.lastRef)), "ConnectionLost")
            }
            assert.strictEqual(rows.get(ada.first.session)!.answers.size, 0)
          })
        )
      })
  )

  storeTest(
    "forgets what its client acknowledged, and the whole session when that has ended",
    {},
    ({ engine, rows }) =>
      engine((world) =>
        Effect.gen(function*() {
          const ada = yield* clientOf(world)
          const row = () => rows.get(ada.first.session)
          yield* ada.join("ada")
          yield* ada.request("1")
          assert.deepStrictEqual([...row()!.answers.keys()], [1])
          yield* ada.request("2")
          assert.deepStrictEqual([...row()!.answers.keys()], [2])
          assert.isUndefined(row()!.header.expiresAt)
          yield* ada.drop
          assert.strictEqual(row()!.header.expiresAt, 120_000)
          yield* ada.resume
          assert.isUndefined(row()!.header.expiresAt)
          ada.peer.close()
          yield* settle
          assert.strictEqual(rows.size, 0)
        })
      )
  )

  storeTest("that has ended takes no answer of what it interrupts", { do: (_, __, what) => hang(what) }, (
    { engine, rows, trace }
  ) =>
    engine((world) =>
      Effect.gen(function*() {
        const ada = yield* clientOf(world)
        yield* ada.join("ada")
        ada.send("hang")
        yield* settle
        ada.peer.close()
        yield* settle
        assert.deepStrictEqual(trace, ["init a", "join ada", "do hang", "interrupted hang", "leave ada lost"])
        assert.deepStrictEqual([rows.size, world.errors], [0, []])
      })
    ))

  storeTest(
    "has hashes of tokens only, and knows those that were replaced",
    {},
    ({ engine, rows }) =>
      Effect.gen(function*() {
        const [ada, stolen] = yield* engine((world) =>
          Effect.gen(function*() {
            const ada = yield* clientOf(world)
            const { token } = ada
            yield* ada.join("ada")
            yield* ada.drop
            yield* ada.resume
            const secrets = [token, ada.token].map((text) => text.split(".")[1]!)
            const stored = JSON.stringify([...rows.values()].map(({ header }) => header))
            for (const secret of secrets) assert.notInclude(stored, secret)
            return [ada, token] as const
          })
        )
        yield* engine((world) =>
          Effect.gen(function*() {
            const eve = yield* clientOf(world)
            assert.notStrictEqual((yield* eve.resumeWith(stolen)).session, ada.first.session)
            assert.strictEqual((yield* world.engine.stats).resumes.reused, 1)
            assert.isFalse(rows.has(ada.first.session))
          })
        )
      })
  )

  storeTest("is gone when nobody came back for it within the window, whether its process lived or not", {}, (
    { engine, rows }
  ) =>
    Effect.gen(function*() {
      for (const abruptly of [false, true]) {
        const ada = yield* engine((world) =>
          Effect.gen(function*() {
            const ada = yield* clientOf(world)
            yield* ada.join("ada")
            return ada
          }), abruptly)
        assert.strictEqual(rows.size, 1)
        yield* engine((world) =>
          Effect.gen(function*() {
            yield* TestClock.adjust(120_000)
            yield* settle
            assert.strictEqual(rows.size, 0)
            yield* moved(ada, world)
            assert.notStrictEqual((yield* ada.resume).session, ada.first.session)
            ada.peer.close()
            yield* settle
          })
        )
      }
    }))
})
