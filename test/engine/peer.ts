/**
 * A client that speaks in frames: it sends what it is told, right or wrong, and keeps all that comes back.
 */
import { Effect } from "effect"
import type { Connect } from "../../src/client/Connector.ts"
import type { Address } from "../../src/engine/Transport.ts"
import type * as Frame from "../../src/wire/Frame.ts"
import * as Greeting from "../../src/wire/Greeting.ts"
import { json } from "../../src/wire/Json.ts"
import { until as wait } from "../contract/transportClient.ts"

/** How a test waits until something holds. */
export type Until = (what: string, holds: () => boolean) => Effect.Effect<void>

/** On a real network: time passes by itself. */
export const inRealTime: Until = (what, holds) => wait(what, holds)

/** In memory: lets everything run that can run without time passing. */
export const inVirtualTime: Until = (what, holds) =>
  Effect.gen(function*() {
    for (let rounds = 0; rounds < 5_000; rounds++) {
      if (holds()) return
      yield* Effect.yieldNow
    }
    return yield* Effect.die(new Error(`never happened: ${what}`))
  })

type ServerFrames = Frame.ServerFrames
type Answer =
  | ServerFrames["joined" | "subscribed" | "ok" | "failed"]
  | (ServerFrames["error"] & { readonly ref: number })

/** Distributes over the kinds, so that an object literal is checked against its own kind. */
type WithoutRef<F> = F extends { readonly ref: number } ? Omit<F, "ref"> : never

export class Peer {
  /** Every frame that came, in order. */
  readonly frames: Array<Frame.ServerFrame> = []
  /** Every message that came, as it was. */
  readonly messages: Array<string | Uint8Array> = []
  /** The subprotocol, once the socket is open. */
  opened: string | undefined
  closed: { readonly code: number; readonly reason: string } | undefined
  /** What to do as soon as the socket is open. */
  onOpen: () => void = () => {}
  answersPings = true
  lastRef = 0
  lastSeq = 0
  /** The highest number up to which every request was answered. */
  ack = 0
  /** Otherwise it says that it has no answer. */
  acknowledges = true
  /** Of requests: the numbers, by reference, and those that were answered out of order. */
  private readonly seqs = new Map<number, number>()
  private readonly answered = new Set<number>()
  private readonly socket: ReturnType<Connect>
  private readonly until: Until

  constructor(connect: Connect, address: Address, path: string, until: Until, protocols: ReadonlyArray<string>) {
    this.until = until
    this.socket = connect(address.url.replace("http", "ws") + path, protocols, {
      open: (protocol) => {
        this.opened = protocol
        this.onOpen()
      },
      message: (data) => {
        this.messages.push(data)
        for (const frame of json.decodeServer(data, Infinity)!) {
          if (frame._tag === "malformed" || frame._tag === "unknown") throw new Error(`not a frame: ${data}`)
          if (frame._tag === "ping" && this.answersPings) this.send({ _tag: "pong" })
          this.frames.push(frame)
          if ("ref" in frame && frame.ref !== null) this.acknowledge(frame.ref)
        }
      },
      close: (code, reason) => {
        this.closed = { code, reason }
      }
    })
  }

  get handle() {
    return this.socket
  }

  /** Sends frames as one message. */
  send(...frames: ReadonlyArray<Frame.ClientFrame>): void {
    this.raw(json.concat(frames.map(json.encode)))
  }

  raw(data: string | Uint8Array<ArrayBuffer>): void {
    this.socket.send(data)
  }

  close(): void {
    this.socket.close(1000, "")
  }

  kinds(): ReadonlyArray<string> {
    return this.frames.map(({ _tag }) => _tag)
  }

  all<K extends keyof ServerFrames>(kind: K): ReadonlyArray<ServerFrames[K]> {
    return this.frames.filter((frame): frame is ServerFrames[K] => frame._tag === kind)
  }

  /** The `nth` frame of a kind, counted from 1, when it has come. */
  readonly next = <K extends keyof ServerFrames>(kind: K, nth = 1): Effect.Effect<ServerFrames[K]> =>
    Effect.map(
      this.until(`${kind} ${nth} comes, after ${this.tail()}`, () => this.all(kind).length >= nth),
      () => this.all(kind)[nth - 1]!
    )

  /** The payloads of the events of a channel, in the order in which they came. */
  events(channel?: number): ReadonlyArray<unknown> {
    return this.all("event").filter((event) => channel === undefined || event.channel === channel)
      .map(({ payload }) => payload)
  }

  /** Waits for the close, and answers with its code. */
  get closeCode(): Effect.Effect<number> {
    return Effect.map(
      this.until(`it is closed, after ${this.tail()}`, () => this.closed !== undefined),
      () => this.closed!.code
    )
  }

  get open(): Effect.Effect<void> {
    return this.until("it is open", () => this.opened !== undefined)
  }

  waitFor(what: string, holds: () => boolean): Effect.Effect<void> {
    return this.until(what, holds)
  }

  /** Opens the protocol, too. */
  readonly hello = (
    token: string | null = null,
    resume: string | null = null
  ): Effect.Effect<ServerFrames["welcome"]> =>
    Effect.andThen(this.open, () => {
      this.send({ _tag: "hello", token, resume })
      return this.next("welcome")
    })

  /** Sends a frame that is owed an answer, and answers with its reference. */
  ask(frame: WithoutRef<Frame.ClientFrame>): number {
    const ref = ++this.lastRef
    this.send({ ...frame, ref } as Frame.ClientFrame)
    return ref
  }

  answersTo(ref: number): ReadonlyArray<Answer> {
    return this.frames.filter((frame): frame is Answer => "ref" in frame && frame.ref === ref)
  }

  readonly answer = (ref: number): Effect.Effect<Answer> =>
    Effect.map(
      this.until(`an answer to ${ref} comes, after ${this.tail()}`, () => this.answersTo(ref).length > 0),
      () => this.answersTo(ref)[0]!
    )

  sendJoin(room: string, key: string, payload: unknown = null, position: Frame.Position | null = null): number {
    return this.ask({ _tag: "join", room, key, payload, position, last: null })
  }

  sendRequest(channel: number, name: string, payload: unknown = null, seq = ++this.lastSeq, again = false): number {
    this.seqs.set(this.lastRef + 1, seq)
    return this.ask({ _tag: "request", channel, seq, ack: this.ack, name, payload, again: again ? true : null })
  }

  private acknowledge(ref: number): void {
    const seq = this.seqs.get(ref)
    if (seq === undefined) return
    this.seqs.delete(ref)
    this.answered.add(seq)
    while (this.acknowledges && this.answered.delete(this.ack + 1)) this.ack++
  }

  readonly request = (channel: number, name: string, payload: unknown = null): Effect.Effect<Answer> =>
    Effect.suspend(() => this.answer(this.sendRequest(channel, name, payload)))

  notice(channel: number, name: string, payload: unknown = null): void {
    this.send({ _tag: "notice", channel, name, payload })
  }

  readonly join = (room: string, key: string, payload: unknown = null): Effect.Effect<ServerFrames["joined"]> =>
    Effect.flatMap(
      Effect.suspend(() => this.answer(this.sendJoin(room, key, payload))),
      (answer) =>
        answer._tag === "joined" ? Effect.succeed(answer) : Effect.die(new Error(`refused: ${JSON.stringify(answer)}`))
    )

  private tail(): string {
    return `${JSON.stringify(this.frames.slice(-5))}, closed ${this.closed?.code}`
  }
}

/** The tag of the protocol's own error in an answer. */
export const errorOf = (answer: Frame.ServerFrame): string =>
  answer._tag === "error" ? answer.error._tag : `no error but ${JSON.stringify(answer)}`

/** The subprotocols of a client that says these frames with the upgrade. */
export const greeting = (...frames: ReadonlyArray<Frame.ClientFrame>): ReadonlyArray<string> => [
  json.subprotocol,
  Greeting.offer(json.concat(frames.map(json.encode)))
]

export const connect = (
  connector: Connect,
  address: Address,
  path: string,
  until: Until,
  protocols: ReadonlyArray<string> = [json.subprotocol]
) =>
  Effect.acquireRelease(
    Effect.sync(() => new Peer(connector, address, path, until, protocols)),
    (peer) => Effect.sync(() => peer.close())
  )
