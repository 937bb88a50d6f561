/**
 * What must hold for any engine, whatever clients and rooms do: as a function of a seed and of a fault to try.
 *
 * One run is a whole engine in virtual time: several clients and rooms, whose steps, turns, tasks and packets
 * interleave as the seed says. A violation names its law and its seed; `HEDDLE_SEED=n` runs that seed alone.
 */
import { Effect, Exit, Layer, Logger, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Dispatcher from "../../src/actor/Dispatcher.ts"
import * as Room from "../../src/contract/Room.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { Hub } from "../../src/engine/Hub.ts"
import { MemoryNetwork } from "../../src/testing/MemoryTransport.ts"
import * as MemoryTransport from "../../src/testing/MemoryTransport.ts"
import * as SeededScheduler from "../../src/testing/SeededScheduler.ts"
import type * as Frame from "../../src/wire/Frame.ts"
import { countingClock } from "./harness.ts"
import { Peer } from "./peer.ts"
import { makeRandom, type Random } from "./random.ts"

/** Breaks something, and answers with how to mend it. */
export type Fault = () => () => void

export const sound: Fault = () => () => {}

const Deed = Schema.Struct({ token: Schema.Int, deed: Schema.String, size: Schema.Int })

class Law extends Room.make("law", {
  join: { payload: { deed: Schema.String, size: Schema.Int }, error: Schema.Literal("refused") },
  presence: { number: Schema.Int },
  snapshot: { head: Schema.Int },
  requests: { Do: { payload: Deed, success: { token: Schema.Int, last: Schema.Int } } },
  notices: { Note: Deed },
  events: { Said: { token: Schema.Int, number: Schema.Int } }
}) {}

type LawRoom = Room.Handle<typeof Law>
type LawMember = Room.Member<typeof Law>

const deeds = [
  "emits",
  "emits",
  "emits",
  "pauses",
  "pauses",
  "yields",
  "hangs",
  "throws",
  "dies",
  "dies late",
  "kicks",
  "kicks itself",
  "times",
  "forks",
  "presents"
]

const limits = { heartbeat: 1e9, frameRate: 1e9, frameBurst: 1e9 }
const deadline = 1_000
const idleTimeout = 3_000

/** One instance of a room. */
interface Instance {
  readonly key: string
  readonly members: Set<string>
  /** Undefined while it lives. */
  ended: "crashed" | "stopped" | undefined
  readonly life: Life
}

/** The instances of a room from one start to its stop; the sixth crash within a minute ends it, too. */
interface Life {
  crashes: Array<number>
  spent: boolean
}

/** What the handlers saw. */
class Record {
  readonly instances: Array<Instance> = []
  readonly current = new Map<string, Instance>()
  /** Where each member was last joined. */
  readonly homes = new Map<string, Instance>()
  /** Members whose first snapshot was asked for, and those whose first snapshot died, so that they never joined. */
  readonly shown = new Set<string>()
  readonly unborn = new Set<string>()
  /** Calls of the leave handler. */
  readonly leaves = new Map<string, number>()
  readonly emitted = new Map<string, Array<{ readonly token: number; readonly number: number }>>()
  /** How far the handling of each request or notice came. */
  readonly done = new Map<number, "began" | "done" | "died" | "ended">()
  readonly violations: Array<string> = []
  running = 0
  recovered = 0
  /** Rises with everything that a handler does. */
  activity = 0

  violate(law: string): void {
    this.violations.push(law)
  }
}

const makeRoom = (record: Record, random: Random, mailbox: number) =>
  Law.toLayer(
    Effect.fnUntraced(function*(room: LawRoom) {
      const { below, chance, pick } = random
      const clock = yield* Effect.clockWith(Effect.succeed)
      const last = record.current.get(room.key)
      const life = last?.ended === "crashed" && !last.life.spent ? last.life : { crashes: [], spent: false }
      const instance: Instance = { key: room.key, members: new Set(), ended: undefined, life }
      record.instances.push(instance)
      record.current.set(room.key, instance)
      yield* Effect.addFinalizer((exit) =>
        Effect.sync(() => {
          instance.ended = Exit.isSuccess(exit) ? "stopped" : "crashed"
          if (Exit.isSuccess(exit)) return
          const now = clock.currentTimeMillisUnsafe()
          life.crashes = life.crashes.filter((time) => now - time < 60_000)
          if (life.crashes.length >= 5) life.spent = true
          else life.crashes.push(now)
        })
      )
      const alive = (what: string) => {
        if (instance.ended !== undefined || record.current.get(room.key) !== instance) {
          record.violate(`${what} runs only while its instance does`)
        }
      }
      if (chance(20)) yield* Effect.sleep(below(100))

      const emit = (token: number) =>
        Effect.suspend(() => {
          const events = record.emitted.get(room.key) ?? []
          const payload = { token, number: events.length }
          record.emitted.set(room.key, events)
          return Effect.map(room.emit("Said", payload), ({ offset }) => {
            record.activity++
            if (offset !== events.length + 1) record.violate(`offsets count by one: ${offset} after ${events.length}`)
            events.push(payload)
            return offset
          })
        }).pipe(Effect.orDie)

      const work = (member: LawMember, token: number, deed: string, size: number): Effect.Effect<number> => {
        switch (deed) {
          case "emits":
            return Effect.map(Effect.forEach(Array.from({ length: size }), () => emit(token)), (all) => all.at(-1) ?? 0)
          case "pauses":
            return Effect.andThen(Effect.andThen(emit(token), Effect.sleep(size * 10)), emit(token))
          case "yields":
            return Effect.andThen(Effect.andThen(emit(token), Effect.yieldNow), emit(token))
          case "hangs":
            return Effect.as(Effect.sleep(10 * deadline), 0)
          case "throws":
            record.done.set(token, "died")
            throw new Error("thrown")
          case "dies":
            return Effect.suspend(() => {
              record.done.set(token, "died")
              return Effect.die("died")
            })
          case "dies late":
            return Effect.andThen(
              Effect.andThen(emit(token), Effect.sleep(size * 10)),
              Effect.suspend(() => {
                record.done.set(token, "died")
                return Effect.die("died late")
              })
            )
          case "kicks":
            return Effect.as(room.kick(pick([...room.members.values()])), 0)
          case "kicks itself":
            return Effect.as(Effect.andThen(room.kick(member), emit(token)), 0)
          case "times":
            return Effect.as(
              room.after(
                size * 100,
                Effect.andThen(Effect.sync(() => alive("a timer")), Effect.asVoid(emit(token)))
              ),
              0
            )
          case "forks":
            return Effect.as(
              Effect.forkIn(
                Effect.andThen(
                  Effect.sleep(size * 50),
                  Effect.andThen(Effect.sync(() => alive("a fiber")), emit(token))
                ),
                room.scope
              ),
              0
            )
          default:
            return Effect.as(Effect.orDie(room.setPresence(member, { number: size })), 0)
        }
      }

      const handle = (
        { member, payload: { deed, size, token } }: Room.Call<typeof Deed.Type, LawMember>
      ): Effect.Effect<{ readonly token: number; readonly last: number }> => {
        record.activity++
        alive("a handler")
        if (record.done.has(token)) record.violate("a message runs at most once")
        if (!instance.members.has(member.id)) record.violate("a handler is called for members only")
        if (record.leaves.has(member.id)) record.violate("nothing is handled for a member that has left")
        record.done.set(token, "began")
        record.running++
        const end = Effect.sync(() => {
          record.running--
          if (record.done.get(token) === "began") record.done.set(token, "ended")
        })
        try {
          return Effect.ensuring(
            Effect.map(work(member, token, deed, size), (last) => {
              record.done.set(token, "done")
              return { token, last }
            }),
            end
          )
        } catch (error) {
          record.running--
          throw error
        }
      }

      return Law.of({
        join: ({ cause, memberId, payload: { deed, size } }) =>
          Effect.gen(function*() {
            record.activity++
            alive("a join")
            if (deed === "sleeps") yield* Effect.sleep(size * 20)
            if (deed === "refuses") return yield* Effect.fail("refused" as const)
            if (deed === "refuses a restart" && cause === "restart") return yield* Effect.fail("refused" as const)
            if (deed === "dies" && cause === "join") return yield* Effect.die("join died")
            instance.members.add(memberId)
            record.homes.set(memberId, instance)
            return { number: size }
          }),
        snapshot: ({ member }) =>
          Effect.gen(function*() {
            const first = !record.shown.has(member.id)
            record.shown.add(member.id)
            if (chance(30)) yield* Effect.sleep(below(100))
            if (chance(3)) {
              if (first) record.unborn.add(member.id)
              return yield* Effect.die("snapshot died")
            }
            return { head: record.emitted.get(room.key)?.length ?? 0 }
          }),
        leave: ({ member }) =>
          Effect.suspend(() => {
            record.activity++
            alive("a leave")
            const calls = (record.leaves.get(member.id) ?? 0) + 1
            record.leaves.set(member.id, calls)
            if (calls > 1) record.violate("every join has one leave: it came twice")
            if (!record.homes.has(member.id)) record.violate("every leave has a join")
            if (chance(10)) return Effect.die("leave died")
            return chance(20) ? Effect.sleep(below(50)) : chance(30) ? Effect.asVoid(emit(0)) : Effect.void
          }),
        Do: handle,
        Note: handle
      })
    }),
    { mailbox, deadline, idleTimeout, history: { capacity: 20 } }
  )

/** What a request was, for the judgement of its answer. */
interface Sent {
  readonly kind: "join" | "leave" | "request"
  readonly token: number
  readonly key: string
}

/** One connection, and how what came to it is judged. */
class Client {
  readonly peer: Peer
  readonly sent = new Map<number, Sent>()
  /** Rooms it is in, as far as it was told: the last offset it saw of each. */
  readonly rooms = new Map<number, { readonly key: string; readonly position: Frame.Position; last: number }>()
  /** Where it stood when it left. */
  readonly positions = new Map<string, Frame.Position>()
  /** Members it was, by id. */
  readonly joined = new Set<string>()
  readonly answered = new Set<number>()
  /** It ended the connection, or cut it. */
  gone = false
  private judged = 0
  private readonly record: Record

  constructor(peer: Peer, record: Record) {
    this.peer = peer
    this.record = record
  }

  ask(frame: Parameters<Peer["ask"]>[0], sent: Sent): number {
    const ref = this.peer.ask(frame)
    this.sent.set(ref, sent)
    return ref
  }

  /** Goes through the frames that came since the last time. */
  judge(): void {
    const { frames } = this.peer
    while (this.judged < frames.length) this.judgeFrame(frames[this.judged++]!)
  }

  private judgeFrame(frame: Frame.ServerFrame): void {
    const { record, rooms } = this
    if ("ref" in frame && frame.ref !== null) {
      if (this.answered.has(frame.ref)) record.violate("a request has one answer: it came twice")
      if (!this.sent.has(frame.ref)) record.violate("an answer has a request")
      this.answered.add(frame.ref)
    }
    switch (frame._tag) {
      case "joined": {
        const { key } = this.sent.get(frame.ref)!
        if (rooms.has(frame.channel)) record.violate("a session is in a room once")
        const asked = this.positions.get(key)
        if (frame.recovered && (asked === undefined || frame.position[2] > asked[2])) {
          record.violate("a position is continued where it was, or not at all")
        }
        rooms.set(frame.channel, { key, position: frame.position, last: frame.position[2] })
        this.joined.add(frame.memberId)
        if (frame.recovered) record.recovered++
        if ((frame.snapshot as { head: number }).head < frame.position[2]) record.violate("a snapshot is not too old")
        return
      }
      case "event": {
        const room = rooms.get(frame.channel)
        if (room === undefined) return record.violate("nothing is delivered before the answer of a join, or after left")
        if (frame.offset !== room.last + 1) {
          record.violate(`all members see contiguous offsets: ${frame.offset} after ${room.last}`)
        }
        room.last = frame.offset
        const { number, token } = frame.payload as { readonly token: number; readonly number: number }
        const emitted = record.emitted.get(room.key)?.[frame.offset - 1]
        if (emitted?.token !== token || emitted.number !== number) {
          record.violate("all members see the same events at the same offsets")
        }
        return
      }
      case "synced": {
        const room = rooms.get(frame.channel)
        if (room === undefined) return record.violate("nothing is delivered before the answer of a join, or after left")
        // It was healthy all the time, so nothing may be missing.
        if (frame.position[2] !== room.last) {
          record.violate(`a restart leaves no gap: synced at ${frame.position[2]}, after ${room.last}`)
        }
        return
      }
      case "ok": {
        const sent = this.sent.get(frame.ref)
        if (sent?.kind === "leave") return void this.leave(sent.key)
        const { last, token } = frame.value as { readonly token: number; readonly last: number }
        if (record.done.get(token) !== "done") record.violate("what is answered with success was done")
        if (token !== sent!.token) record.violate("an answer belongs to its request")
        const room = [...rooms.values()].find(({ key }) => key === sent!.key)
        if (room !== undefined && room.last < last) {
          record.violate(`cause before effect: the reply came after ${room.last}, its event is ${last}`)
        }
        return
      }
      case "failed":
      case "error": {
        if (frame.ref === null) return
        return this.judgeFailure(this.sent.get(frame.ref)!, frame)
      }
      case "left":
        return this.forget(frame.channel)
    }
  }

  private judgeFailure(
    { kind, token }: Sent,
    frame: Frame.ServerFrames["failed" | "error"]
  ): void {
    if (kind !== "request") return
    const tag = frame._tag === "failed" ? "failed" : frame.error._tag
    const allowed: Named<ReadonlyArray<string>> = {
      "not begun": ["Overloaded", "NotJoined", "Interrupted", "RoomStopped"],
      began: [],
      done: [],
      died: ["HandlerFailed"],
      ended: ["HandlerTimeout", "Interrupted"]
    }
    const how = this.record.done.get(token) ?? "not begun"
    if (!allowed[how]!.includes(tag)) {
      this.record.violate(`a failure is told as what it was: ${tag} for a request that has ${how}`)
    }
  }

  private leave(key: string): void {
    for (const [channel, room] of this.rooms) if (room.key === key) this.forget(channel)
  }

  private forget(channel: number): void {
    const room = this.rooms.get(channel)
    if (room === undefined) return
    this.positions.set(room.key, [room.position[0], room.position[1], room.last])
    this.rooms.delete(channel)
  }

  /** The member's answers are in, unless the connection is gone. */
  judgeAnswers(): void {
    this.judge()
    if (this.gone) return
    if (this.peer.closed !== undefined) {
      return this.record.violate(`nobody is disconnected by others: closed with ${this.peer.closed.code}`)
    }
    for (const [ref, { kind }] of this.sent) {
      if (!this.answered.has(ref)) this.record.violate(`every request is answered: a ${kind} was not`)
    }
    for (const room of this.rooms.values()) {
      const head = this.record.emitted.get(room.key)?.length ?? 0
      if (room.last !== head) this.record.violate(`members see all events: ${room.last} of ${head}`)
    }
  }
}

type Named<A> = { readonly [name: string]: A }

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
    const record = new Record()
    const notes: Array<string> = []
    const hubs = new Set<Hub>()
    const owner = Scope.makeUnsafe()
    const crashy = chance(10)
    const keys = ["a", "b", "c"].slice(0, 1 + below(3))
    const layer = Engine.layer({ rooms: [makeRoom(record, random, 1 + below(8))], limits })
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
    const open = Hub.prototype.open
    Hub.prototype.open = function(...args) {
      hubs.add(this)
      return open.apply(this, args)
    }
    yield* Effect.addFinalizer(() => Effect.sync(() => void (Hub.prototype.open = open)))

    const clients: Array<Client> = []
    let tokens = 1
    const connect = () => {
      const peer = new Peer(network.connect, engine.address, "/", () => Effect.void, [])
      peer.onOpen = () => peer.send({ _tag: "hello", token: null, resume: null })
      clients.push(new Client(peer, record))
    }
    const join = (client: Client, key: string) => {
      const deed = pick(["joins", "joins", "joins", "sleeps", "sleeps", "refuses", "refuses a restart", "dies"])
      const payload = { deed, size: 1 + below(5) }
      const position = chance(50) ? client.positions.get(key) ?? null : null
      client.ask({ _tag: "join", room: "law", key, payload, position }, { kind: "join", token: 0, key })
    }
    const send = (client: Client) => {
      const rooms = [...client.rooms]
      if (rooms.length === 0) return join(client, pick(keys))
      const [channel, { key }] = pick(rooms)
      const payload = { token: tokens++, deed: crashy && chance(40) ? "dies" : pick(deeds), size: 1 + below(4) }
      if (chance(15)) return client.peer.notice(channel, "Note", payload)
      client.ask(
        { _tag: "request", channel, seq: ++client.peer.lastSeq, ack: 0, name: "Do", payload },
        { kind: "request", token: payload.token, key }
      )
    }
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

    for (let count = 2 + below(3); count > 0; count--) connect()
    const steps = 20 + below(60)
    for (let step = 0; step < steps; step++) {
      for (const client of clients) client.judge()
      yield* check()
      const here = clients.filter(({ gone, peer }) => !gone && peer.opened !== undefined)
      if (here.length === 0) {
        if (clients.every(({ gone }) => gone)) connect()
        yield* settle(20)
        continue
      }
      const client = pick(here)
      const choice = below(100)
      if (choice < 14) join(client, pick(keys))
      else if (choice < 55) send(client)
      else if (choice < 60) leave(client)
      else if (choice < 63) client.peer.send({ _tag: "cancel", ref: 1 + below(client.peer.lastRef + 1) })
      else if (choice < 65) {
        client.gone = true
        const connection = network.connections().find(({ socket }) => socket === client.peer.handle)
        if (chance(50)) client.peer.close()
        else connection?.cut()
      } else if (choice < 66) connect()
      else if (choice < 68) {
        const connection = network.connections().find(({ socket }) => socket === client.peer.handle)
        if (chance(50)) connection?.stall()
        else connection?.unstall()
      }
      else if (choice < 72) yield* emitOutside
      else if (choice < 85) yield* TestClock.adjust(below(120))
      else yield* settle(1 + below(30))
    }

    const judgeAll = Effect.suspend(() => {
      for (const client of clients) client.judge()
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
          !client.gone && client.peer.closed === undefined &&
          [...client.sent.keys()].some((ref) => !client.answered.has(ref))
        )
        quiet = before === record.activity && !waiting && record.running === 0 ? quiet + 1 : 0
      }
    })

    for (const connection of network.connections()) connection.unstall()
    const ending = below(3)
    notes.push(["quiet", "deserted", "abrupt"][ending]!)
    if (ending < 2) {
      yield* quiesce
      for (const client of clients) client.judgeAnswers()
      yield* check()
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
    if (record.recovered > 0) notes.push("recovered")
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
