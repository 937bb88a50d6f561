/**
 * One life of a few clients and the servers they talk to, in virtual time and in the order of a seed: real clients join,
 * leave, send, lose their connection, come back late or early, while the server stops, is killed, or is started from an
 * older copy of its disk. A violation names its law and its seed; `HEDDLE_SEED=n` runs that seed alone, and
 * `HEDDLE_TRACE=1` shows what was said on the wires.
 */
import { Effect, Exit, Logger, Random, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Dispatcher from "../../src/actor/Dispatcher.ts"
import { MemoryNetwork } from "../../src/testing/MemoryTransport.ts"
import * as MemoryTransport from "../../src/testing/MemoryTransport.ts"
import * as SeededScheduler from "../../src/testing/SeededScheduler.ts"
import { type Fault, sound } from "../engine/laws.ts"
import { makeRandom } from "../engine/random.ts"
import type { Committed, Disk } from "./disk.ts"
import { Book } from "./hall.ts"
import { Players } from "./players.ts"
import * as Processes from "./processes.ts"
import { pass, settle } from "./stage.ts"
import type { World } from "./tap.ts"
import { thief } from "./thief.ts"
import { Truth } from "./truth.ts"

const window = 20_000

/** Runs one life on disks made by `blank`; fails with the first violation. Answers with what happened in it. */
export const continuityLaws = (seed: number, blank: () => Disk, fault: Fault = sound) => {
  const life = Effect.gen(function*() {
    const random = makeRandom(seed)
    const { below, pick } = random
    const notes: Array<string> = []
    const network = yield* MemoryNetwork
    const clock = yield* Effect.clockWith(Effect.succeed)
    const now = () => clock.currentTimeMillisUnsafe()
    const book = new Book()
    const truth = new Truth({ capacity: pick([4, 12, 60]), timeToLive: pick([Infinity, 40_000]) })
    const world: World = { truth, book, now, window, note: (what) => void notes.push(what) }
    const keys = ["a", "b"].slice(0, 1 + below(2))
    const onKilled = (logOf: (key: string) => Committed) => players.judgeKept(logOf)
    const processes = yield* Processes.make({ world, random, keys, blank, onKilled })
    const players = new Players(world, network, processes, random)
    const judge = Effect.suspend(() => {
      players.judge()
      const [law] = book.violations
      return law === undefined ? Effect.void : Effect.die(new Error(`${law} (seed ${seed})`))
    })
    /** Time passes until nothing happens any more. */
    const quiesce = Effect.gen(function*() {
      for (let round = 0, quiet = 0; round < 200 && quiet < 8; round++) {
        const before = book.activity
        yield* TestClock.adjust(500)
        yield* settle(60)
        yield* judge
        quiet = before === book.activity && players.areBack ? quiet + 1 : 0
      }
    })

    yield* processes.start
    for (let count = 2 + below(3); count > 0; count--) yield* players.join(yield* players.arrive, pick(keys))
    const steps = 30 + below(60)
    for (let step = 0; step < steps; step++) {
      yield* judge
      const player = pick(players.all)
      const choice = below(100)
      if (choice < 8) yield* players.join(player, pick(keys))
      else if (choice < 11) yield* [...player.rooms.values()][0]?.leave ?? Effect.void
      else if (choice < 45) yield* player.rooms.size > 0 ? players.send(player) : players.join(player, pick(keys))
      else if (choice < 50) yield* players.emit(pick(keys))
      else if (choice < 58) player.cut()
      else if (choice < 62) {
        player.offlineUntil = now() + pick([500, 3_000, 10_000, 40_000])
        player.cut()
      } else if (choice < 64) processes.copy()
      else if (choice < 66) yield* processes.restart
      else if (choice < 70) yield* thief(player.tap, network, processes.url())
      else if (choice < 71 && players.all.length < 5) yield* players.arrive
      else if (choice < 74) yield* pass(pick([15_000, 30_000, 60_000]))
      else if (choice < 85) yield* pass(below(1_500))
      else yield* settle(1 + below(30))
    }
    for (const player of players.all) player.offlineUntil = 0
    yield* quiesce
    // The window of whoever has not come back passes.
    yield* pass(window + 5_000)
    yield* quiesce
    players.judgeEnd(keys)
    yield* judge
    for (const player of players.all) {
      player.isDone = true
      yield* Scope.close(player.scope, Exit.void)
    }
    yield* settle(60)
    yield* TestClock.adjust(500)
    yield* processes.end
    yield* judge
    return notes
  }).pipe(
    Effect.scoped,
    Effect.provide(MemoryTransport.layer),
    Effect.provide(Logger.layer([])),
    Random.withSeed(seed),
    Effect.provideService(Dispatcher.Dispatcher, Dispatcher.makeSeeded(seed))
  )
  return Effect.suspend(() => {
    const mend = fault()
    return Effect.ensuring(SeededScheduler.withSeed(seed)(life), Effect.sync(mend))
  }).pipe(Effect.orDie)
}
