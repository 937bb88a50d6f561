/**
 * The clients of the model and their applications: what they do, and what they must have got.
 */
import { Effect, Exit, Scope, Stream } from "effect"
import * as Client from "../../src/client/Client.ts"
import { Connector } from "../../src/client/Connector.ts"
import type { MemoryNetwork } from "../../src/testing/MemoryTransport.ts"
import type { Random } from "../engine/random.ts"
import type { Committed } from "./disk.ts"
import { deeds, Hall } from "./hall.ts"
import { nowhere, type Processes } from "./processes.ts"
import { margin, type Seat, Tap, type World } from "./tap.ts"

/** A client and its application. */
export interface Player {
  readonly tap: Tap
  readonly client: Client.Client
  readonly scope: Scope.Closeable
  readonly rooms: Map<string, Present>
  /** Until then it has no network. */
  offlineUntil: number
  /** The application has closed it. */
  isDone: boolean
  readonly cut: () => void
}

/** A room as the application has it. */
interface Present {
  readonly seat: Seat
  readonly room: Client.Joined<typeof Hall>
  /** What the application was given, in order. */
  readonly got: Array<string>
  readonly leave: Effect.Effect<void>
  isEnded: boolean
}

const textOf = (element: Parameters<Parameters<typeof Stream.runForEach>[1]>[0]): string => {
  const { _tag, payload, snapshot } = element as any
  return _tag === "synced" ? `synced ${snapshot.head}` : `${_tag} ${payload.token}`
}

export class Players {
  readonly all: Array<Player> = []
  private readonly world: World
  private readonly network: MemoryNetwork["Service"]
  private readonly processes: Processes
  private readonly random: Random
  private tokens = 0
  /** Requests without an answer. */
  private open = 0

  constructor(world: World, network: MemoryNetwork["Service"], processes: Processes, random: Random) {
    this.world = world
    this.network = network
    this.processes = processes
    this.random = random
    world.book.onLeave = (name, memberId, reason) => {
      if (reason === "lost" && !this.all[name]!.isDone) this.onLost(this.all[name]!.tap, memberId)
    }
  }

  // ------------------------------------------------------------- what they do

  readonly arrive = Effect.gen({ self: this }, function*() {
    const { network, processes, world } = this
    const tap = new Tap(this.all.length, world)
    const scope = Scope.makeUnsafe()
    let current: unknown
    const state = { offlineUntil: 0, isDone: false }
    const open = tap.tapped((_, protocols, events) => {
      const to = player.offlineUntil > world.now() ? nowhere : processes.url()
      const socket = network.connect(to, protocols, events)
      current = socket
      return socket
    })
    const cut = () => network.connections().find(({ socket }) => socket === current)?.cut()
    const player: Player = Object.assign(state, {
      tap,
      scope,
      cut,
      rooms: new Map<string, Present>(),
      client: undefined as unknown as Client.Client
    })
    const client = yield* Client.make({ url: nowhere, reconnect: { base: 100, max: 2_000 } }).pipe(
      Effect.provideService(Connector, open),
      Effect.provideService(Scope.Scope, scope)
    )
    this.all.push(Object.assign(player, { client }))
    return player
  })

  readonly join = (player: Player, key: string): Effect.Effect<void> => {
    const { client, rooms, tap } = player
    if (rooms.has(key) || tap.seats.has(key)) return Effect.void
    const scope = Scope.makeUnsafe()
    const seat = tap.enter(key)
    const leave = Effect.suspend(() => {
      tap.quit(seat)
      rooms.delete(key)
      return Scope.close(scope, Exit.void)
    })
    return client.join(Hall, key, { name: tap.name }).pipe(
      Effect.flatMap((room) => {
        const present: Present = { seat, room, got: [], leave, isEnded: false }
        rooms.set(key, present)
        return Effect.ensuring(
          Stream.runForEach(room.events, (element) => Effect.sync(() => void present.got.push(textOf(element)))),
          Effect.sync(() => {
            present.isEnded = true
          })
        )
      }),
      Effect.catch((error) =>
        Effect.sync(() => {
          if (!player.isDone) tap.violate(`a room is not lost: ${error}`)
        })
      ),
      Effect.provideService(Scope.Scope, scope),
      Effect.forkChild,
      Effect.asVoid
    )
  }

  readonly send = (player: Player): Effect.Effect<void> => {
    const { processes, random: { chance, pick }, world: { book, note, now, truth } } = this
    const { tap } = player
    const { room, seat } = pick([...player.rooms.values()])
    const payload = { token: ++this.tokens, deed: pick(deeds) }
    if (chance(10)) return Effect.ignore(room.Note(payload))
    const { breaks } = tap
    const { life } = truth
    const sentAt = now()
    const stops = processes.stops() - processes.stopping()
    this.open++
    return room.Do(payload).pipe(
      Effect.match({
        onSuccess: ({ offset, token }) => {
          this.open--
          book.activity++
          note("done")
          if (token !== payload.token) tap.violate("an answer belongs to its request")
          if (book.runs.get(token) !== 1) tap.violate("what is answered with success has run once")
          if (offset > 0 && truth.life === life && truth.token(seat.key, offset) !== token) {
            tap.violate("what is answered was done")
          }
        },
        onFailure: ({ reason: { _tag } }) => {
          this.open--
          note(`failed ${_tag}`)
          if (seat.isLeft && ["NotJoined", "Interrupted"].includes(_tag)) return
          // What was lost is said to be lost, and nothing else is.
          const isBroken = tap.breaks > breaks || tap.session?.token === null || now() - sentAt >= 35_000 ||
            tap.doubted.has(payload.token)
          if (_tag === "ConnectionLost" && isBroken) return
          // A process was stopping while it ran, or when it came.
          if (["Interrupted", "RoomStopped"].includes(_tag) && processes.stops() > stops) return
          tap.violate(`a request is answered: ${_tag}`)
        }
      }),
      Effect.forkChild,
      Effect.asVoid
    )
  }

  /** Emits from outside of any room. */
  readonly emit = (key: string): Effect.Effect<void> => {
    const { processes, world: { book, now, truth } } = this
    const token = ++this.tokens
    const process = processes.process()
    return Effect.match(processes.engine().emit(Hall, key, "Said", { token }), {
      onSuccess: ({ offset }) => {
        if (!process.isDead && !truth.append(key, offset, token, now())) {
          book.violate("offsets count by one, from outside too")
        }
      },
      onFailure: (error) => book.violate(`an event is emitted: ${error._tag}`)
    })
  }

  // ------------------------------------------------------------- what must hold

  private onLost(tap: Tap, memberId: string): void {
    const { note, now, window } = this.world
    note("lost")
    const session = tap.members.get(memberId)
    // It may have left while it came back.
    const isWanted = [...tap.seats.values()].some((seat) => seat.memberId === memberId)
    if (!isWanted || session === undefined || session.isForfeit !== false) return
    const passed = now() - (session.lostAt ?? session.lostBefore ?? Infinity)
    // Who came back at the last moment may have been too late with its rooms.
    const isLate = session.lostAt !== undefined || passed < window + margin
    if (passed < window - margin || !isLate) tap.violate("nobody is taken for lost before the window has passed")
  }

  /** No process tells anything more: all that was told is in its log. */
  judgeKept(logOf: (key: string) => Committed): void {
    for (const { tap } of this.all) {
      for (const { key, place } of tap.seats.values()) {
        if (place?.life !== this.world.truth.life) continue
        const { head, term } = logOf(key)
        // A log without events is on no disk.
        if (place.offset > head || (head > 0 && place.term > term)) tap.violate("what was told is kept")
      }
    }
  }

  /** The application is given what came, in the order in which it came. */
  judge(): void {
    for (const { rooms, tap } of this.all) {
      for (const { got, seat } of rooms.values()) {
        for (let index = 0; index < got.length; index++) {
          if (got[index] === seat.due[index]) continue
          tap.violate(`the application is given what came: ${got[index]}, not ${seat.due[index]}`)
        }
      }
    }
  }

  /** Whether everybody is where everybody should be in the end. */
  get areBack(): boolean {
    return this.all.every(({ rooms, tap }) =>
      tap.isOnline && [...rooms.values()].every(({ seat }) => seat.place?.offset === this.world.truth.head(seat.key))
    )
  }

  judgeEnd(keys: ReadonlyArray<string>): void {
    const { book, truth } = this.world
    for (const { rooms, tap } of this.all) {
      if (!tap.isOnline) tap.violate("everybody is back in the end")
      for (const key of tap.seats.keys()) if (!rooms.has(key)) tap.violate("every join is answered")
      for (const { got, isEnded, room, seat } of rooms.values()) {
        const head = truth.head(seat.key)
        if (isEnded) tap.violate("nobody is out in the end")
        if (seat.place?.offset !== head) tap.violate(`all see all events: ${seat.place?.offset} of ${head}`)
        if (got.length !== seat.due.length) {
          tap.violate(`the application is given all that came: ${got.length} of ${seat.due.length}`)
        }
        const seen = [...room.presence.value.keys()].sort().join()
        const there = [...book.in(seat.key).keys()].sort().join()
        if (seen !== there) tap.violate(`who is seen is who is there: ${seen}, not ${there}`)
      }
    }
    if (this.open > 0) book.violate(`every request is answered: ${this.open} were not`)
    for (const key of keys) {
      const members = [...book.in(key).values()].sort().join()
      const seated = this.all.filter(({ rooms }) => rooms.has(key)).map(({ tap }) => tap.name).sort().join()
      if (members !== seated) book.violate(`members are who has joined and not left: ${members}, not ${seated}`)
    }
  }
}
