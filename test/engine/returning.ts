/** A client that loses its connection and comes back, in a few words. */
import { Effect, type Scope } from "effect"
import type * as Engine from "../../src/engine/Engine.ts"
import type * as Frame from "../../src/wire/Frame.ts"
import type { World } from "./harness.ts"
import type { Peer } from "./peer.ts"
import { labTest, settle } from "./stage.ts"

type Joined = Frame.ServerFrames["joined"]
type Welcome = Frame.ServerFrames["welcome"]

interface JoinOptions {
  readonly key?: string
  /** Sends the position at which it was. */
  readonly recover?: boolean
}

/** One client over many connections. */
export class Client {
  peer: Peer
  /** The newest token that it was given. */
  token: string
  readonly first: Welcome
  /** The credentials that it shows. */
  credentials: string | undefined
  /** Offsets of the events of connections that are no more. */
  private readonly seen: Array<number> = []
  private readonly positions = new Map<string, Frame.Position>()
  private readonly channels = new Map<string, number>()
  private lastSeq = 0
  private readonly world: World

  constructor(world: World, peer: Peer, credentials: string | undefined) {
    this.world = world
    this.peer = peer
    this.credentials = credentials
    this.first = peer.all("welcome")[0]!
    this.token = this.first.resume!
  }

  all<K extends keyof Frame.ServerFrames>(kind: K): ReadonlyArray<Frame.ServerFrames[K]> {
    return this.peer.all(kind)
  }

  next<K extends keyof Frame.ServerFrames>(kind: K, nth?: number) {
    return this.peer.next(kind, nth)
  }

  /** The offsets of all events that came, over all connections. */
  get offsets(): ReadonlyArray<number> {
    return [...this.seen, ...this.peer.all("event").map(({ offset }) => offset)]
  }

  /** Breaks the connection. */
  readonly drop = Effect.suspend(() => {
    this.world.network.connections().find(({ socket }) => socket === this.peer.handle)?.cut()
    return Effect.andThen(this.world.until("it is cut", () => this.peer.closed !== undefined), settle)
  })

  /** Comes back over a new connection, and shows that the welcome has arrived. */
  readonly resume: Effect.Effect<Welcome, never, Scope.Scope> = Effect.suspend(() => this.resumeWith(this.token))

  readonly resumeWith = (token: string, confirms = true): Effect.Effect<Welcome, never, Scope.Scope> =>
    Effect.gen({ self: this }, function*() {
      const { ack, acknowledges, lastRef } = this.peer
      this.seen.push(...this.peer.all("event").map(({ offset }) => offset))
      const peer = yield* this.world.open
      const welcome = yield* peer.hello(this.credentials ?? null, token)
      peer.lastRef = lastRef
      peer.ack = ack
      peer.acknowledges = acknowledges
      this.peer = peer
      if (!confirms) return welcome
      this.token = welcome.resume!
      peer.send({ _tag: "pong" })
      yield* settle
      return welcome
    })

  sendJoin(name: string, { key = "a", recover = false }: JoinOptions = {}): number {
    const position = this.positions.get(key)
    const at = this.offsets.at(-1)
    const wanted = recover && position !== undefined ? [position[0], position[1], at ?? position[2]] as const : null
    return this.peer.sendJoin("lab", key, { name }, wanted)
  }

  readonly join = (name: string, options: JoinOptions = {}): Effect.Effect<Joined> =>
    Effect.flatMap(Effect.suspend(() => this.peer.answer(this.sendJoin(name, options))), (answer) => {
      if (answer._tag !== "joined") return Effect.die(new Error(`refused: ${JSON.stringify(answer)}`))
      const key = options.key ?? "a"
      if (!this.positions.has(key)) this.positions.set(key, answer.position)
      this.channels.set(key, answer.channel)
      // What was missed has come by then.
      return Effect.as(settle, answer)
    })

  /** Sends a request to room `a`, and answers with its number. */
  send(what: string): number {
    this.peer.sendRequest(this.channels.get("a")!, "Do", { what }, ++this.lastSeq)
    return this.lastSeq
  }

  sendAgain(seq: number, what: string): number {
    return this.peer.sendRequest(this.channels.get("a")!, "Do", { what }, seq, true)
  }

  /** The answer to a request of room `a`. */
  readonly request = (what: string) =>
    Effect.suspend(() => {
      this.send(what)
      return this.peer.answer(this.peer.lastRef)
    })

  readonly again = (seq: number, what: string) => Effect.suspend(() => this.peer.answer(this.sendAgain(seq, what)))
}

/** The names in presence, in the order in which they came. */
export const who = (present: ReadonlyArray<Frame.ServerFrames["present"]>): ReadonlyArray<string> =>
  present.flatMap(({ members }) => members.map(([, presence]) => (presence as { readonly name: string }).name))

export interface Stage extends World {
  readonly trace: Array<string>
  readonly client: (credentials?: string) => Effect.Effect<Client, never, Scope.Scope>
  readonly stats: Effect.Effect<Engine.Stats>
}

/** A test of sessions, with a room that does what the script says. */
export const sessionTest = labTest((world, trace): Stage => ({
  ...world,
  trace,
  // Whoever comes and goes has done so.
  pass: (millis) => Effect.andThen(Effect.andThen(settle, world.pass(millis)), settle),
  stats: world.engine.stats,
  client: (credentials) => Effect.map(world.peer(credentials), (peer) => new Client(world, peer, credentials))
}))
