/**
 * A life of a client whose connections break between any two frames, and the laws that hold for its requests.
 */
import { assert } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Random, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Client from "../../src/client/Client.ts"
import { Connector } from "../../src/client/Connector.ts"
import type { SocketEvents } from "../../src/client/Connector.ts"
import type * as Frame from "../../src/wire/Frame.ts"
import { json } from "../../src/wire/Json.ts"
import { makeRandom } from "../engine/random.ts"
import { greeted } from "../greeted.ts"
import { Chat, settled } from "./ScriptedServer.ts"
import { Connection, rooms, SessionServer } from "./SessionServer.ts"

interface Line {
  readonly connection: Connection
  readonly events: SocketEvents
  /** What is on its way to the server. */
  readonly out: Array<Frame.ClientFrame>
  isOpen: boolean
}

/** What happens at one step; each is possible only where there is something to happen to. */
export type Step =
  | "ask in lobby"
  | "ask in cellar"
  | "turn of lobby"
  | "turn of cellar"
  | "give up"
  | "to server"
  | "to client"
  | "cut"
  | "restart"
  | "wait"

/** The network and the server, which do nothing by themselves. */
class World {
  readonly server = new SessionServer()
  line: Line | undefined
  /** Frames that have arrived, in either direction. */
  arrived = 0

  readonly connect = (_url: string, protocols: ReadonlyArray<string>, events: SocketEvents) => {
    const line: Line = { connection: new Connection(), events, out: [], isOpen: false }
    this.line = line
    const send = (frames: ReadonlyArray<Frame.ClientFrame>) => {
      this.server.sent(line.connection, frames)
      line.out.push(...frames)
    }
    send(greeted(protocols))
    return {
      send: (data: string | Uint8Array) => {
        if (this.line === line) send(json.decodeClient(data, Infinity)! as ReadonlyArray<Frame.ClientFrame>)
      },
      close: () => this.drop(line),
      bufferedAmount: () => 0
    }
  }

  /** Nothing of the line arrives any more, on either side. */
  private drop(line: Line): void {
    this.server.lose(line.connection)
    if (this.line === line) this.line = undefined
  }

  cut(code = 1006): boolean {
    const { line } = this
    if (line === undefined) return false
    this.drop(line)
    line.events.close(code, "")
    return true
  }

  toServer(): boolean {
    const { line } = this
    if (line === undefined) return false
    if (line.out.length === 0) return false
    this.arrived++
    this.server.receive(line.connection, line.out.shift()!)
    return true
  }

  toClient(): boolean {
    const { line } = this
    if (line === undefined) return false
    const { connection } = line
    if (!line.isOpen) {
      line.isOpen = true
      line.events.open("heddle.v1+json")
      return true
    }
    if (connection.out.length === 0) return connection.closed !== undefined && this.cut(connection.closed)
    this.arrived++
    line.events.message(json.encode(connection.deliver()).data as string)
    return true
  }
}

/** A room as the client has it. */
interface Visit {
  readonly channel: number
  readonly key: string
  readonly joining: Fiber.Fiber<Client.Joined<typeof Chat>, unknown>
  room: Client.Joined<typeof Chat> | undefined
  /** Its events and answers, in the order in which they were told. */
  readonly told: Array<string>
}

interface Asked {
  readonly channel: number
  readonly told: ReadonlyArray<string>
  readonly fiber: Fiber.Fiber<Exit.Exit<number, unknown>>
  isGivenUp: boolean
}

interface Trace {
  readonly notes: ReadonlyArray<string>
  readonly arrived: number
}

/**
 * Runs one life: the steps, then whatever is left to happen without further faults, then the laws.
 *
 * `next` chooses each step; `cutAt` also cuts the connection after that many frames have arrived.
 */
export const live = Effect.fnUntraced(function*(
  steps: Iterable<Step>,
  cutAt: (arrived: number) => boolean = () => false
) {
  const world = new World()
  const { server } = world
  const client = yield* Client.make({
    url: "ws://test",
    reconnect: { base: 100, max: 1_000 },
    requestTimeout: "10 days"
  }).pipe(Effect.provideService(Connector, world.connect))

  const asked: Array<Asked> = []
  const visits = yield* Effect.forEach(rooms, ([channel, key]) =>
    Effect.gen(function*() {
      const joining = yield* Effect.forkChild(client.join(Chat, key, { name: "ada" }), { startImmediately: true })
      const visit: Visit = { channel, key, joining, room: undefined, told: [] }
      return visit
    }))
  const [lobby, cellar] = visits as [Visit, Visit]
  let restarts = 0

  const enter = Effect.fnUntraced(function*(visit: Visit) {
    if (visit.room !== undefined || visit.joining.pollUnsafe() === undefined) return
    visit.room = yield* Fiber.join(visit.joining)
    yield* visit.room.events.pipe(
      Stream.runForEach((event) =>
        Effect.sync(() => {
          if (event._tag === "synced") visit.told.push(`${event.reason} ${event.snapshot.lastId}`)
          else if (event._tag === "Said") visit.told.push(`${event.offset}:${event.payload.text}`)
        })
      ),
      Effect.forkChild
    )
  })

  const ask = Effect.fnUntraced(function*({ channel, room, told }: Visit) {
    if (room === undefined) return
    const text = `${asked.length}`
    const asking = Effect.tap(
      Effect.exit(room.Say({ text })),
      (exit) => Effect.sync(() => told.push(`${Exit.isSuccess(exit) ? "answer" : "failure"} ${text}`))
    )
    asked.push({ channel, told, fiber: yield* Effect.forkChild(asking), isGivenUp: false })
  })

  const take = Effect.fnUntraced(function*(step: Step) {
    const before = world.arrived
    switch (step) {
      case "ask in lobby":
        yield* ask(lobby)
        break
      case "ask in cellar":
        yield* ask(cellar)
        break
      case "turn of lobby":
        server.turn(lobby.channel)
        break
      case "turn of cellar":
        server.turn(cellar.channel)
        break
      case "give up": {
        const open = asked.find(({ fiber }) => fiber.pollUnsafe() === undefined)
        if (open === undefined) break
        open.isGivenUp = true
        yield* Fiber.interrupt(open.fiber)
        break
      }
      case "to server":
        world.toServer()
        break
      case "to client":
        world.toClient()
        break
      case "cut":
        world.cut()
        break
      case "restart":
        restarts++
        server.restart()
        break
      case "wait":
        yield* TestClock.adjust("100 millis")
    }
    yield* settled
    if (world.arrived > before && cutAt(world.arrived)) world.cut()
    yield* Effect.forEach(visits, enter)
    if (server.violations.length > 0) assert.fail(`the client keeps to the protocol: it ${server.violations[0]}`)
  })

  for (const step of steps) yield* take(step)
  const isOpen = () => asked.some(({ fiber }) => fiber.pollUnsafe() === undefined)
  const isOutside = () => visits.some(({ room }) => room === undefined)
  const rest = ["to server", "to client", "turn of lobby", "turn of cellar", "wait"] as const
  for (let turn = 0; turn < 2_000 && (isOutside() || isOpen()); turn++) yield* take(rest[turn % rest.length]!)
  for (let turn = 0; turn < 50; turn++) yield* take("to client")

  // ------------------------------------------------------------- the laws

  assert.isFalse(isOutside(), "every room is joined in the end")
  for (const [index, { channel, fiber, isGivenUp, told }] of asked.entries()) {
    const text = `${index}`
    const times = server.ran.get(channel)!.filter((other) => other === text).length
    assert.isAtMost(times, 1, `runs at most once: ${text}`)
    assert.isDefined(fiber.pollUnsafe(), `every request is answered: ${text}`)
    if (isGivenUp) continue
    const answer = yield* Fiber.join(fiber)
    if (Exit.isSuccess(answer)) {
      assert.strictEqual(answer.value, index, "an answer is that of its own request")
      assert.strictEqual(times, 1, `what is answered has run: ${text}`)
      const event = told.findIndex((note) => note.endsWith(`:${text}`))
      // What happened before a gap is in its snapshot.
      if (restarts === 0) assert.isTrue(event >= 0 && event < told.indexOf(`answer ${text}`), "cause before effect")
    } else {
      assert.isAbove(restarts, 0, "nothing is lost while the session goes on")
      const { reason } = Cause.squash(answer.cause) as Client.RequestError
      assert(reason._tag === "ConnectionLost" && reason.mayHaveRun)
    }
  }
  for (const { channel, told } of visits) {
    const numbers = server.ran.get(channel)!.map(Number)
    assert.deepStrictEqual(numbers, numbers.toSorted((a, b) => a - b), "requests run in the order they were made")
    let offset = -1
    for (const note of told) {
      const [, synced] = /^(?:joined|gap) (\d+)$/.exec(note) ?? []
      if (synced !== undefined) offset = Number(synced)
      if (/^\d+:/.test(note)) assert.strictEqual(parseInt(note), ++offset, "offsets are contiguous")
    }
  }
  const trace: Trace = { notes: server.notes, arrived: world.arrived }
  return trace
})

/** Steps at random. */
export const randomSteps = (seed: number): ReadonlyArray<Step> => {
  const { chance, pick } = makeRandom(seed)
  const usual: ReadonlyArray<Step> = ["to server", "to client"]
  const asks: ReadonlyArray<Step> = ["ask in lobby", "ask in lobby", "ask in lobby", "ask in cellar"]
  const slow: ReadonlyArray<Step> = chance(50) ? ["turn of lobby", "turn of cellar"] : ["turn of cellar"]
  const rare: ReadonlyArray<Step> = [...asks, "turn of lobby", ...slow, "cut", "wait", "wait", "wait", "give up"]
  const restarts = chance(30) ? 2 : 0
  return Array.from({ length: 200 }, () => chance(60) ? pick(usual) : chance(restarts) ? "restart" : pick(rare))
}

/** One life at random, which depends on nothing but its seed. */
export const sessionLaws = (seed: number): Effect.Effect<Trace, unknown> =>
  Effect.scoped(live(randomSteps(seed))).pipe(Random.withSeed(seed))
