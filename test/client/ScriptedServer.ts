/**
 * A server that a test writes line by line: it opens, answers and closes sockets when it is told to.
 */
import { assert } from "@effect/vitest"
import { Clock, Effect, Fiber, Random, Schema } from "effect"
import * as Client from "../../src/client/Client.ts"
import type { SocketEvents } from "../../src/client/Connector.ts"
import { Connector } from "../../src/client/Connector.ts"
import * as Room from "../../src/contract/Room.ts"
import * as Topic from "../../src/contract/Topic.ts"
import type * as Frame from "../../src/wire/Frame.ts"
import { json } from "../../src/wire/Json.ts"
import { greeted } from "../greeted.ts"

export class Muted extends Schema.TaggedError<Muted>()("Muted", { until: Schema.Date }) {}
export class RoomFull extends Schema.TaggedError<RoomFull>()("RoomFull", { limit: Schema.Int }) {}

export class Chat extends Room.make("chat", {
  join: { payload: { name: Schema.String }, error: RoomFull },
  presence: { name: Schema.String },
  snapshot: { lastId: Schema.Int },
  requests: {
    /** Says something. */
    Say: { payload: { text: Schema.String }, success: Schema.Int, error: Muted },
    Clear: {}
  },
  notices: { Typing: {}, Moved: { x: Schema.Int }, Painted: { dots: Schema.String } },
  events: { Said: { text: Schema.String }, Typing: Room.volatile({ from: Schema.String }) }
}) {}

/** Nobody knows a state of it. */
export class Bell extends Room.make("bell", { events: { Rang: { times: Schema.Int } } }) {}

export class Ticker extends Topic.make("ticker", { payload: { price: Schema.Number } }) {}

export const limits: Frame.Announced = {
  message: 65_536,
  frames: 256,
  payload: 4_096,
  openRequests: 256,
  rooms: 100,
  rate: 1_000,
  burst: 4_000
}

export interface Message {
  readonly at: number
  readonly frames: ReadonlyArray<Frame.ClientFrame>
}

type FrameOf<T extends Frame.ClientFrame["_tag"]> = Frame.ClientFrames[T]

/** One socket as its server sees it. */
export class ScriptedSocket {
  readonly url: string
  readonly protocols: ReadonlyArray<string>
  readonly messages: Array<Message> = []
  /** How the client closed it. */
  closed: { readonly code: number; readonly reason: string } | undefined
  bufferedAmount = 0
  readonly openedAt: number
  private readonly events: SocketEvents
  private taken = new Set<Frame.ClientFrame>()

  constructor(url: string, protocols: ReadonlyArray<string>, events: SocketEvents, openedAt: number) {
    this.url = url
    this.protocols = protocols
    this.events = events
    this.openedAt = openedAt
  }

  get frames(): ReadonlyArray<Frame.ClientFrame> {
    return this.messages.flatMap(({ frames }) => frames)
  }

  all<T extends Frame.ClientFrame["_tag"]>(tag: T): ReadonlyArray<FrameOf<T>> {
    return this.frames.filter((frame): frame is FrameOf<T> & Frame.ClientFrame => frame._tag === tag)
  }

  open(protocol = "heddle.v1+json"): void {
    this.events.open(protocol)
  }

  /** Sends frames in one message. */
  send(...frames: ReadonlyArray<Frame.ServerFrame>): void {
    this.events.message(json.concat(frames.map(json.encode)))
  }

  sendText(text: string): void {
    this.events.message(text)
  }

  welcome(
    announced: Partial<Frame.Announced> = {},
    silence = 60_000,
    session: Partial<Frame.ServerFrames["welcome"]> = {}
  ): void {
    this.send({
      _tag: "welcome",
      session: "s",
      heartbeat: 25_000,
      silence,
      limits: { ...limits, ...announced },
      contracts: {},
      resume: null,
      window: null,
      seq: null,
      ...session
    })
  }

  close(code: number, reason = ""): void {
    this.events.close(code, reason)
  }

  /** The next frame of a kind that was not asked for yet, as soon as it comes. */
  next<T extends Frame.ClientFrame["_tag"]>(tag: T): Effect.Effect<FrameOf<T>> {
    return eventually(`a frame ${tag}`, () => {
      const found = this.all(tag).find((frame) => !this.taken.has(frame as Frame.ClientFrame))
      if (found !== undefined) this.taken.add(found as Frame.ClientFrame)
      return found
    })
  }

  /** Answers the next join. */
  readonly joins = Effect.fnUntraced(
    { self: this },
    function*(this: ScriptedSocket, answer: Partial<Frame.ServerFrames["joined"]> = {}) {
      const join = yield* this.next("join")
      this.send({
        _tag: "joined",
        ref: join.ref,
        channel: 7,
        memberId: "me",
        position: ["e", 1, 0],
        recovered: false,
        snapshot: { lastId: 0 },
        ...answer
      })
      return join
    }
  )
}

/** Waits, without any time passing, until there is something. */
export const eventually = <A>(what: string, look: () => A | undefined): Effect.Effect<A> =>
  Effect.gen(function*() {
    for (let turn = 0; turn < 50; turn++) {
      const found = look()
      if (found !== undefined) return found
      yield* Effect.yieldNow
    }
    return yield* Effect.die(new Error(`never happened: ${what}`))
  })

/** Lets everything happen that can happen at this moment. */
export const settled = Effect.gen(function*() {
  for (let turn = 0; turn < 20; turn++) yield* Effect.yieldNow
})

export class ScriptedServer {
  readonly sockets: Array<ScriptedSocket> = []
  private readonly clock: Clock.Clock
  private met = 0

  constructor(clock: Clock.Clock) {
    this.clock = clock
  }

  readonly connect = (url: string, protocols: ReadonlyArray<string>, events: SocketEvents) => {
    const at = () => this.clock.currentTimeMillisUnsafe()
    const socket = new ScriptedSocket(url, protocols, events, at())
    this.sockets.push(socket)
    const receive = (frames: ReadonlyArray<{ readonly _tag: string }>) => {
      for (const { _tag } of frames) assert.notInclude(["unknown", "malformed"], _tag)
      socket.messages.push({ at: at(), frames: frames as ReadonlyArray<Frame.ClientFrame> })
    }
    const greeting = greeted(protocols)
    if (greeting.length > 0) receive(greeting)
    return {
      send: (data: string | Uint8Array) => {
        assert.isUndefined(socket.closed, "nothing is sent after a close")
        receive(json.decodeClient(data, Infinity)!)
      },
      close: (code: number, reason: string) => {
        assert.isTrue(code === 1000 || (code >= 3000 && code <= 4999), `browsers refuse to close with ${code}`)
        socket.closed ??= { code, reason }
      },
      bufferedAmount: () => socket.bufferedAmount
    }
  }

  /** The next socket, as soon as the client opens one. */
  readonly accept: Effect.Effect<ScriptedSocket> = Effect.suspend(() =>
    Effect.tap(eventually("a socket", () => this.sockets[this.met]), () => Effect.sync(() => this.met++))
  )

  /** The next socket, greeted and welcomed. */
  readonly welcomes = Effect.fnUntraced(
    { self: this },
    function*(
      this: ScriptedServer,
      announced: Partial<Frame.Announced> = {},
      silence?: number,
      session?: Partial<Frame.ServerFrames["welcome"]>
    ) {
      const socket = yield* this.accept
      socket.open()
      socket.welcome(announced, silence, session)
      return socket
    }
  )
}

/** A client of a scripted server, with the chance of the test. */
export const startAnyhow = Effect.fnUntraced(function*(options: Partial<Client.Options> = {}) {
  const server = new ScriptedServer(yield* Clock.Clock)
  const client = yield* Client.make({ url: "ws://test/live", ...options }).pipe(
    Effect.provideService(Connector, server.connect)
  )
  return { server, client }
})

/** A client of a scripted server, which waits equally long in every run. */
export const start = (options?: Partial<Client.Options>) => Random.withSeed(startAnyhow(options), "waits")

/** A client that is online. */
export const online = Effect.fnUntraced(function*(
  options: Partial<Client.Options> = {},
  announced: Partial<Frame.Announced> = {}
) {
  const { client, server } = yield* start(options)
  const socket = yield* server.welcomes(announced)
  return { server, client, socket }
})

/** A client in the room `chat/lobby`, in channel 7 with offset 0. */
export const joined = Effect.fnUntraced(function*(
  options: Partial<Client.Options> = {},
  announced: Partial<Frame.Announced> = {}
) {
  const { client, server, socket } = yield* online(options, announced)
  const joining = yield* Effect.forkChild(client.join(Chat, "lobby", { name: "ada" }))
  yield* socket.joins()
  const room = yield* Fiber.join(joining)
  return { server, client, socket, room }
})
