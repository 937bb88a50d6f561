/**
 * What must hold for any engine, whatever clients and rooms do: as a function of a seed and of a fault to try.
 *
 * One run is a whole engine in virtual time: several clients and rooms, whose steps, turns, tasks and packets
 * interleave as the seed says. A violation names its law and its seed; `HEDDLE_SEED=n` runs that seed alone.
 */
import { Context, Effect, Exit, Layer, Logger, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Cell } from "../../src/actor/Cell.ts"
import * as Dispatcher from "../../src/actor/Dispatcher.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { Hub } from "../../src/engine/Hub.ts"
import { MemoryNetwork } from "../../src/testing/MemoryTransport.ts"
import * as MemoryTransport from "../../src/testing/MemoryTransport.ts"
import * as SeededScheduler from "../../src/testing/SeededScheduler.ts"
import { countingClock } from "./harness.ts"
import { Client } from "./lawsClient.ts"
import { deeds, idleTimeout, Law, makeRoom, Sightings } from "./lawsRoom.ts"
import { blinkNames, type blinks, Volatiles } from "./lawsVolatile.ts"
import { Peer } from "./peer.ts"
import { makeRandom } from "./random.ts"

/** Breaks something, and answers with how to mend it. */
export type Fault = () => () => void

export const sound: Fault = () => () => {}

/** How long a session is kept, in milliseconds. */
const window = 2_000
const limits = { heartbeat: 1e9, frameRate: 1e9, frameBurst: 1e9, sessionWindow: window }

/** Lets everything run that can run without time passing. */
const settle = (rounds: number) =>
  Effect.gen(function*() {
    for (let round = 0; round < rounds; round++) yield* Effect.yieldNow
  })

/** Runs one engine's life; fails with the first violation. Answers with what happened in it. */
export const engineLaws = (seed: number, fault: Fault = sound): Effect.Effect<ReadonlyArray<string>> => {
  const counter = { sleeping: 0 }
  const life = Effect.gen(function*() {
    const random = makeRandom(seed)
    const { below, chance, pick } = random
    const record = new Sightings()
    const notes: Array<string> = []
    const hubs = new Set<Hub>()
    const owner = Scope.makeUnsafe()
    const crashy = chance(50)
    const keys = ["a", "b", "c"].slice(0, 1 + below(3))
    // Some clients stop reading for a while, and little may wait for them.
    const slowly = chance(30)
    const layer = Engine.layer({
      rooms: [makeRoom(record, random, 1 + below(8))],
      limits: slowly ? { ...limits, outboxFrames: 6 + below(20) } : limits
    })
    const services = yield* Layer.buildWithScope(Layer.provideMerge(layer, MemoryTransport.layer), owner)
    const { engine, network } = yield* Effect.provideContext(
      Effect.all({ engine: Engine.Engine, network: MemoryNetwork }),
      services
    )
    const check = () =>
      record.violations.length === 0 ? Effect.void : Effect.die(new Error(`${record.violations[0]} (seed ${seed})`))
    const verify = (holds: boolean, law: string) => {
      if (!holds) record.violate(law)
      return check()
    }
    const owners = new Set<Scope.Scope>()
    const homes = new Set<{ readonly residents: ReadonlySet<unknown> }>()
    const start = Cell.prototype.start
    Cell.prototype.start = function() {
      const { context, home } = this as unknown as {
        readonly context: Context.Context<Scope.Scope>
        readonly home: any
      }
      owners.add(Context.get(context, Scope.Scope))
      homes.add(home)
      return start.call(this)
    }
    const open = Hub.prototype.open
    Hub.prototype.open = function(...args) {
      hubs.add(this)
      return open.apply(this, args)
    }
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        Hub.prototype.open = open
        Cell.prototype.start = start
      })
    )

    const volatiles = new Volatiles()
    const unwatch = volatiles.watch()
    yield* Effect.addFinalizer(() => Effect.sync(unwatch))

    const clients: Array<Client> = []
    let tokens = 1
    const clock = yield* Effect.clockWith(Effect.succeed)
    const dial = () => new Peer(network.connect, engine.address, "/", () => Effect.void, [])
    const connectionOf = (client: Client) => network.connections().find(({ socket }) => socket === client.peer.handle)
    const connect = () => {
      const peer = dial()
      peer.onOpen = () => peer.send({ _tag: "hello", token: null, resume: null })
      clients.push(new Client(clients.length, peer, record))
    }
    const join = (client: Client, key: string) => {
      const deed = pick(["joins", "joins", "joins", "sleeps", "sleeps", "refuses", "refuses a restart", "dies"])
      const payload = { client: client.number, deed, size: 1 + below(5) }
      const position = chance(50) ? client.positions.get(key) ?? null : null
      client.ask({ _tag: "join", room: "law", key, payload, position, last: null }, { kind: "join", token: 0, key })
    }
    const send = (client: Client) => {
      const rooms = [...client.rooms]
      if (rooms.length === 0) return join(client, pick(keys))
      const [channel, { key }] = pick(rooms)
      const payload = { token: tokens++, deed: crashy && chance(60) ? "dies" : pick(deeds), size: 1 + below(4) }
      if (chance(15)) return client.peer.notice(channel, "Note", payload)
      client.ask(
        { _tag: "request", channel, seq: ++client.peer.lastSeq, ack: 0, name: "Do", payload, again: null },
        { kind: "request", token: payload.token, key }
      )
    }
    /** Its connection is lost; it may come back. */
    const lose = (client: Client) => {
      connectionOf(client)?.cut()
      client.lose(clock.currentTimeMillisUnsafe())
      notes.push("dropped")
    }
    /** Somebody tries a token that was replaced and whose successor has arrived. */
    const steal = Effect.fnUntraced(function*(client: Client) {
      // What it said when it was welcomed has arrived by then.
      yield* settle(60)
      const token = client.tokens.at(-2)
      if (token === undefined || !client.isHere) return
      client.mayLeave = true
      const thief = dial()
      thief.onOpen = () => thief.send({ _tag: "hello", token: null, resume: token })
      yield* settle(40)
      const [welcome] = thief.all("welcome")
      if (welcome?.session === client.session) record.violate("a token that was replaced is refused")
      if (welcome !== undefined) notes.push("refused a token")
      thief.close()
    })
    const leave = (client: Client) => {
      for (const [channel, { key }] of client.rooms) {
        client.ask({ _tag: "leave", channel }, { kind: "leave", token: 0, key })
        return
      }
    }
    const emitOutside = Effect.suspend(() => {
      const key = pick(keys)
      const events = record.emitted.get(key) ?? []
      record.emitted.set(key, events)
      const payload = { token: 0, number: events.length }
      return Effect.map(engine.emit(Law, key, "Said", payload), ({ offset }) => {
        if (offset !== events.length + 1) record.violate(`offsets count by one: ${offset} after ${events.length}`)
        events.push(payload)
      })
    })

    const blink = (key: string, name: keyof typeof blinks, pad = "") =>
      engine.emit(Law, key, name, { number: record.blinks++, key: `${below(4)}`, pad })
    /** Fills what the runtime takes for a client that has stopped reading, so that what follows waits. */
    const stall = Effect.fnUntraced(function*(client: Client) {
      client.slow = true
      connectionOf(client)?.stall()
      const [room] = client.rooms.values()
      if (room === undefined) return
      for (let fillers = 2; fillers > 0; fillers--) {
        yield* blink(room.key, "Oldest", "x".repeat(66_000))
        yield* settle(5)
      }
    })
    const slowStep = Effect.fnUntraced(function*(client: Client) {
      const choice = below(100)
      if (choice < 15) return yield* stall(client)
      if (choice < 25) return connectionOf(client)?.unstall()
      const key = pick(keys)
      for (let burst = 1 + below(8); burst > 0; burst--) yield* blink(key, pick(blinkNames))
      yield* settle(1 + below(5))
    })

    for (let count = 2 + below(3); count > 0; count--) connect()
    const steps = 20 + below(60) + (slowly ? 20 : 0)
    for (let step = 0; step < steps; step++) {
      for (const client of clients) client.judge()
      yield* check()
      // Who was lost comes back sooner or later.
      for (const client of clients) {
        if (!client.gone && client.peer.closed !== undefined && chance(20)) {
          client.comeBack(dial, clock.currentTimeMillisUnsafe())
        }
      }
      const here = clients.filter(({ isHere, peer }) => isHere && peer.opened !== undefined)
      if (here.length === 0) {
        if (clients.every(({ gone }) => gone)) connect()
        else if (chance(30)) yield* TestClock.adjust(below(500))
        yield* settle(20)
        continue
      }
      const client = pick(here)
      if (slowly && chance(35)) {
        yield* slowStep(client)
        continue
      }
      const choice = below(100)
      if (choice < 14) join(client, pick(keys))
      else if (choice < 55) send(client)
      else if (choice < 60) leave(client)
      else if (choice < 63) {
        const ref = 1 + below(client.peer.lastRef + 1)
        if (!client.answered.has(ref)) client.cancelled.add(ref)
        if (client.sent.get(ref)?.kind === "join") client.mayLeave = true
        client.peer.send({ _tag: "cancel", ref })
      } else if (choice < 65) {
        client.gone = true
        if (chance(50)) client.peer.close()
        else connectionOf(client)?.cut()
      } else if (choice < 66) connect()
      else if (choice < 68) {
        const connection = connectionOf(client)
        if (chance(50)) {
          client.slow = slowly
          connection?.stall()
        } else connection?.unstall()
      } else if (choice < 72) yield* emitOutside
      else if (choice < 76) lose(client)
      else if (choice < 77) yield* steal(client)
      else if (choice < 78) yield* TestClock.adjust(below(window + 1_000))
      else if (choice < 85) yield* TestClock.adjust(below(crashy ? 1_000 : 120))
      else yield* settle(1 + below(30))
    }

    const judgeAll = Effect.suspend(() => {
      for (const client of clients) client.judge()
      for (const { at, member } of record.lost.splice(0)) {
        for (const client of clients) client.judgeLost(member, at, window)
      }
      return check()
    })
    /** Time passes until nobody does anything any more. */
    const quiesce = Effect.gen(function*() {
      for (let seconds = 0, quiet = 0; seconds < 120 && quiet < 3; seconds++) {
        const before = record.activity
        yield* TestClock.adjust(500)
        yield* settle(60)
        yield* judgeAll
        const waiting = clients.some((client) =>
          !client.gone && client.isOnline && client.peer.closed === undefined &&
          [...client.sent.keys()].some((ref) => !client.answered.has(ref))
        )
        quiet = before === record.activity && !waiting && record.running === 0 ? quiet + 1 : 0
      }
    })

    for (const connection of network.connections()) connection.unstall()
    const ending = below(3)
    // Half of those who are away come back.
    for (const client of clients) {
      if (!client.gone && client.peer.closed !== undefined && chance(50)) {
        client.comeBack(dial, clock.currentTimeMillisUnsafe())
      }
    }
    notes.push(["quiet", "deserted", "abrupt"][ending]!)
    if (ending < 2) {
      yield* quiesce
      for (const client of clients) {
        client.judgeAnswers()
        const wrong = client.gone || client.losses.length > 0 ? undefined : volatiles.judge(client.peer)
        if (wrong !== undefined) record.violate(wrong)
      }
      yield* check()
      const { conflate, disconnect, dropNewest, dropOldest } = (yield* engine.stats).drops
      const counted = conflate + disconnect + dropNewest + dropOldest
      yield* verify(counted === volatiles.dropped, "the engine counts what its clients' outboxes drop")
      for (const fate of ["conflate", "disconnect", "dropNewest", "dropOldest"] as const) {
        if ((yield* engine.stats).drops[fate] > 0) notes.push(fate)
      }
    }
    if (ending === 1) {
      for (const client of clients) {
        client.gone = true
        client.peer.close()
      }
      yield* quiesce
      yield* TestClock.adjust(5 * idleTimeout)
      yield* settle(100)
      yield* verify((yield* engine.connections) === 0, "nobody is connected once all have gone")
      yield* verify((yield* engine.rooms).length === 0, "no room runs once all have gone")
      yield* verify(record.instances.every(({ ended }) => ended !== undefined), "no instance outlives its room")
      for (const hub of hubs) {
        for (const channel of (hub as unknown as { readonly channels: Map<string, any> }).channels.values()) {
          yield* verify(channel.subscribers === 0, "no subscription outlives its member")
          yield* verify(channel.holders === 0, "no room holds a channel once it has stopped")
        }
      }
      yield* verify(owners.size > 0, "there is a scope to look at")
      for (const { residents } of homes) {
        yield* verify(residents.size === 0, `no actor is left once all have gone, but ${residents.size}`)
      }
      for (const { state } of owners) {
        // But for the end of the actors, which is there from the beginning.
        const held = state._tag === "Open" ? (state.finalizers?.size ?? 1) - 1 : 0
        yield* verify(held === 0, `nothing is left in the scope of the engine once all have gone, but ${held}`)
      }
      yield* verify(counter.sleeping <= 1, "no timer but the heartbeat is left once all have gone")
    }

    // The end, which waits at most as long as it may: whoever closes the scope is not kept.
    let closed = false
    yield* Effect.forkChild(
      Effect.andThen(
        Scope.close(owner, Exit.void),
        Effect.sync(() => {
          closed = true
        })
      ),
      { startImmediately: true }
    )
    for (let round = 0; round < 30 && !closed; round++) {
      yield* settle(40)
      record.firstLate = Math.min(record.firstLate, tokens)
      for (const client of clients) if (client.isHere) send(client)
      yield* settle(40)
      if (!closed) yield* TestClock.adjust(500)
    }
    yield* verify(closed, "an engine closes within 15 seconds")
    yield* verify(record.instances.every(({ ended }) => ended !== undefined), "no instance outlives the engine")
    yield* verify(record.running === 0, "no handler outlives the engine")
    yield* verify(counter.sleeping === 0, "no timer outlives the engine")
    yield* settle(100)
    yield* judgeAll
    yield* verify(network.connections().length === 0, "no connection outlives the engine")
    for (const client of clients) {
      yield* verify(client.peer.closed !== undefined, "every client is told that the engine has closed")
    }

    // Every join has one leave.
    for (const [member, home] of record.homes) {
      const calls = record.leaves.get(member) ?? 0
      if (record.unborn.has(member)) {
        notes.push("unborn")
        yield* verify(calls === 0, "who never became a member does not leave")
      } else if (home.ended === "crashed" && home.life.spent) {
        // The room crashed too often: there is no instance any more whose leave could run.
        notes.push("spent")
      } else yield* verify(calls === 1, `every join has one leave: it came ${calls} times`)
    }
    for (const client of clients) {
      for (const member of client.joined) yield* verify(record.homes.has(member), "who is told joined, has joined")
    }

    // Nothing goes on.
    const activity = record.activity
    yield* TestClock.adjust("1 hour")
    yield* settle(20)
    yield* verify(record.activity === activity, "nothing goes on after the engine")
    notes.push(...record.done.values(), ...record.instances.map(({ ended }) => ended!))
    if (record.leaves.size > 0) notes.push("left")
    if (clients.some(({ resumed }) => resumed > 0)) notes.push("resumed")
    if (record.recovered > 0) notes.push("recovered")
    if (clients.some(({ expelled }) => expelled)) notes.push("expelled")
    for (const client of clients) for (const { _tag } of client.peer.frames) notes.push(_tag)
    return notes
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.merge(Logger.layer([]), countingClock(counter))),
    Effect.provideService(Dispatcher.Dispatcher, Dispatcher.makeSeeded(seed))
  )
  return Effect.suspend(() => {
    const mend = fault()
    return Effect.ensuring(SeededScheduler.withSeed(seed)(life), Effect.sync(mend))
  }).pipe(Effect.orDie)
}
