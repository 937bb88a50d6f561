/**
 * The server of the model: one process after another, which stop or are killed, and begin with what is on a disk.
 */
import { Effect, Exit, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Engine from "../../src/engine/Engine.ts"
import { MemoryNetwork } from "../../src/testing/MemoryTransport.ts"
import type { Random } from "../engine/random.ts"
import type { Committed, Disk } from "./disk.ts"
import { makeHall, type Process } from "./hall.ts"
import { pass, settle } from "./stage.ts"
import type { World } from "./tap.ts"
import type { State } from "./truth.ts"

/** Where nobody listens. */
export const nowhere = "ws://memory:0/"

export interface Options {
  readonly world: World
  readonly random: Random
  readonly keys: ReadonlyArray<string>
  /** Makes an empty disk. */
  readonly blank: () => Disk
  /** Called when nothing more will be told by a process: everything that was told must be below the head of its room. */
  readonly onKilled: (logOf: (key: string) => Committed) => void
}

export interface Processes {
  /** Where clients connect at this moment. */
  readonly url: () => string
  readonly engine: () => Engine.Engine["Service"]
  readonly process: () => Process
  /** How often a process was told to stop, as far as it matters to what begins now. */
  readonly stops: () => number
  readonly stopping: () => number
  readonly start: Effect.Effect<void>
  readonly end: Effect.Effect<void>
  /** The end of a process and the beginning of another, on one disk or another. */
  readonly restart: Effect.Effect<void>
  /** Keeps a copy of the disk, for a restart later on. */
  readonly copy: () => void
}

export const make = Effect.fnUntraced(function*({ blank, keys, onKilled, random, world }: Options) {
  const { below, chance, pick } = random
  const { book, note, truth, window } = world
  const network = yield* MemoryNetwork
  const transport = yield* Effect.context<MemoryNetwork>()
  let disk = blank()
  /** A disk as it once was, and what was true then. */
  let kept: { readonly disk: Disk; readonly state: State } | undefined
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      disk.dispose()
      kept?.disk.dispose()
    })
  )
  let server: { readonly engine: Engine.Engine["Service"]; readonly scope: Scope.Closeable }
  let process: Process = { isDead: false }
  let url = nowhere
  let stops = 0
  let isStopping = false
  const logOn = (disk: Disk) => (key: string) => disk.logOf(`hall/${key}`)

  const start = Effect.gen(function*() {
    process = { isDead: false }
    book.begin()
    truth.begin(world.now(), disk.sessions())
    const scope = Scope.makeUnsafe()
    const layer = Engine.layer({
      rooms: [makeHall(truth, book, process, pick)],
      // With so few frames a replay is fed in parts, and much may happen between two of them.
      limits: { sessionWindow: window, frameRate: 1e9, frameBurst: 1e9, outboxFrames: pick([16, 1_024]) },
      drain: { deadline: 0, spread: 1_000 }
    }).pipe(Layer.provide(disk.layer))
    const services = yield* Layer.buildWithScope(Layer.fresh(layer), scope).pipe(Effect.provide(transport))
    const engine = yield* Effect.provide(Engine.Engine, services)
    url = engine.address.url.replace("http", "ws")
    server = { engine, scope }
  }) as Effect.Effect<void>

  /** The end of the process, as far as it goes in virtual time. */
  const end = Effect.gen(function*() {
    let closed = false
    const closing = Effect.andThen(
      Scope.close(server.scope, Exit.void),
      Effect.sync(() => {
        closed = true
      })
    )
    yield* Effect.forkChild(closing, { startImmediately: true })
    for (let round = 0; round < 40 && !closed; round++) {
      yield* settle(40)
      if (!closed) yield* TestClock.adjust(500)
    }
    if (!closed) book.violate("a process ends")
  })

  const stop = Effect.gen(function*() {
    note("stopped")
    url = nowhere
    stops++
    isStopping = true
    truth.stops.set(truth.life, world.now())
    yield* end
    isStopping = false
    for (const key of disk.isDurable ? keys : []) {
      if (logOn(disk)(key).head !== truth.head(key)) book.violate("what was emitted is kept")
    }
    return truth.save(logOn(disk))
  })

  /** Everything that was not committed is lost, and nobody is told anything any more. */
  const kill = Effect.gen(function*() {
    note("killed")
    process.isDead = true
    book.end(world.now())
    url = nowhere
    const left = disk.copy()
    const state = truth.save(logOn(left))
    if (disk.isDurable) onKilled(logOn(left))
    for (const connection of network.connections()) connection.drop()
    yield* end
    disk.dispose()
    disk = left
    return state
  })

  const restart = Effect.gen(function*() {
    const state = yield* chance(50) ? stop : kill
    const choice = below(10)
    if (kept !== undefined && choice < 3) {
      note("restored")
      disk.dispose()
      disk = kept.disk
      truth.restart(kept.state, true)
      kept = undefined
    } else if (choice < 4) {
      note("wiped")
      disk.dispose()
      disk = blank()
      truth.restart(undefined)
    } else truth.restart(disk.isDurable ? state : undefined)
    yield* pass(below(3) * 1_000)
    yield* start
  })

  const processes: Processes = {
    url: () => url,
    engine: () => server.engine,
    process: () => process,
    stops: () => stops,
    stopping: () => isStopping ? 1 : 0,
    start,
    end,
    restart,
    copy: () => {
      if (!disk.isDurable) return
      kept?.disk.dispose()
      const copy = disk.copy()
      kept = { disk: copy, state: truth.save(logOn(copy)) }
    }
  }
  return processes
})
