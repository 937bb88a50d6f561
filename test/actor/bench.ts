/**
 * Measures what the kernel costs: nanoseconds a message, and bytes an idle actor.
 *
 * Run with `node --expose-gc test/actor/bench.ts`; it takes a few seconds.
 */
import { Context, Effect, Exit, Scope } from "effect"
import * as Actor from "../../src/actor/Actor.ts"
import * as Dispatcher from "../../src/actor/Dispatcher.ts"
import { Group } from "../../src/actor/Home.ts"
import * as Mailbox from "../../src/actor/Mailbox.ts"

const scope = Scope.makeUnsafe()
const context = Context.make(Scope.Scope, scope).pipe(Context.add(Dispatcher.Dispatcher, Dispatcher.make()))
const spawn = (receive: (message: number) => Effect.Effect<void> | void) =>
  Actor.spawnUnsafe<number>(context, { id: "bench", mailbox: 64, init: () => Effect.succeed({ receive }) })

const time = (name: string, run: (messages: number) => void) => {
  for (let warm = 0; warm < 10; warm++) run(50_000)
  const rounds = [1, 2, 3, 4, 5].map(() => {
    const start = process.hrtime.bigint()
    run(500_000)
    return Number(process.hrtime.bigint() - start) / 500_000
  })
  console.log(`${name.padEnd(48)} ${rounds.sort((a, b) => a - b)[2]!.toFixed(1).padStart(8)} ns/message`)
}

let sum = 0
const handlers: Record<string, (message: number) => Effect.Effect<void> | void> = {
  "sync receive": (message) => {
    sum += message
  },
  "Effect.void receive": (message) => {
    sum += message
    return Effect.void
  },
  "Effect.sync receive": (message) =>
    Effect.sync(() => {
      sum += message
    }),
  "fnUntraced receive": Effect.fnUntraced(function*(message: number) {
    sum += message
    yield* Effect.void
  })
}

const box = Mailbox.make<number>(64)
time("mailbox: offer and take", (messages) => {
  for (let i = 0; i < messages; i++) {
    box.offer(i)
    box.take()
  }
})

for (const [name, receive] of Object.entries(handlers)) {
  const actor = spawn(receive)
  time(`${name}, idle actor`, (messages) => {
    for (let i = 0; i < messages; i++) {
      if (actor.tellUnsafe(1) !== "accepted") throw new Error("not accepted")
    }
    if (!actor.isIdle) throw new Error("not handled")
  })
}

for (const [name, receive] of Object.entries(handlers)) {
  const actor = spawn(receive)
  // Tells from within a turn queue up: this is one turn of 60 messages after the other.
  const feeder = spawn(() => {
    for (let i = 0; i < 60; i++) actor.tellUnsafe(1)
  })
  time(`${name}, 60 a turn`, (messages) => {
    for (let i = 0; i < messages; i += 60) feeder.tellUnsafe(i)
  })
}

const gc = globalThis.gc
if (gc === undefined) {
  console.log("bytes per idle actor: run with --expose-gc")
} else {
  const count = 50_000
  const receive = () => {}
  const init = () => Effect.succeed({ receive })
  const options = { id: "idle", init }
  const group = new Group()
  for (let i = 0; i < 1_000; i++) Actor.spawnIn<number>(group, context, options)
  gc()
  const before = process.memoryUsage().heapUsed
  const actors: Array<Actor.Actor<number>> = []
  for (let i = 0; i < count; i++) {
    const actor = Actor.spawnIn<number>(group, context, options)
    actor.tellUnsafe(1)
    actors.push(actor)
  }
  gc()
  console.log(`bytes per idle actor: ${Math.round((process.memoryUsage().heapUsed - before) / count)}`)
  if (actors.some((actor) => !actor.isIdle)) throw new Error("not idle")
}

Effect.runSync(Effect.asVoid(Scope.close(scope, Exit.void)))
console.log(sum > 0 ? "done" : "nothing was handled")
