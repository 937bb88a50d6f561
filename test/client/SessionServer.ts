/**
 * What PROTOCOL §8 asks of a server, as a model without time or network: two rooms, whose members say numbered things.
 *
 * It answers what it is sent, and notes where a client does what the protocol forbids. Who drives it decides when a
 * frame arrives, when a room has its turn, when a connection breaks and when the server loses its memory.
 */
import type * as Frame from "../../src/wire/Frame.ts"
import { limits } from "./ScriptedServer.ts"

type Reply = { readonly _tag: "ok"; readonly value: number } | Pick<Frame.ServerFrames["error"], "_tag" | "error">

interface Running {
  readonly channel: number
  readonly seq: number
  readonly text: string
  /** Whom the answer is for; null while nobody is there. */
  ref: number | null
}

interface Session {
  readonly id: string
  readonly memberId: string
  token: string
  /** The token before, as long as the newest is not known to have arrived. */
  formerToken: string | undefined
  connection: Connection | undefined
  lastSeq: number
  ack: number
  readonly answers: Map<number, Reply>
  running: Array<Running>
  /** The numbers whose answers have reached the client: what only the one knows who drives the model. */
  readonly received: Set<number>
}

/** One connection to the model. */
export class Connection {
  /** What is on its way to the client. */
  readonly out: Array<Frame.ServerFrame> = []
  session: Session | undefined
  /** Joins that wait for a turn of their room. */
  readonly joining = new Map<number, Frame.ClientFrames["join"]>()
  readonly joined = new Set<number>()
  /** It is on its way to the server, or was. */
  hello: Frame.ClientFrames["hello"] | undefined
  /** The welcome has reached the client. */
  isWelcomed = false
  /** The close code, once the server has closed it. */
  closed: number | undefined
  private readonly seqs = new Map<number, number>()

  send(frame: Frame.ServerFrame): void {
    if (this.closed === undefined) this.out.push(frame)
  }

  answer(ref: number, seq: number, reply: Reply): void {
    this.seqs.set(ref, seq)
    this.send({ ...reply, ref } as Frame.ServerFrame)
  }

  /** The oldest frame reaches the client. */
  deliver(): Frame.ServerFrame {
    const frame = this.out.shift()!
    if (frame._tag === "welcome") this.isWelcomed = true
    const seq = "ref" in frame && frame.ref !== null ? this.seqs.get(frame.ref) : undefined
    if (seq !== undefined) this.session!.received.add(seq)
    return frame
  }
}

const interrupted: Reply = { _tag: "error", error: { _tag: "Interrupted", detail: "" } }

/** The rooms by the numbers of their channels. */
export const rooms = new Map([[7, "lobby"], [8, "cellar"]])

export class SessionServer {
  /** What the handlers of each room did, in order. */
  readonly ran = new Map<number, Array<string>>([[7, []], [8, []]])
  /** What clients did that the protocol forbids. */
  readonly violations: Array<string> = []
  /** What happened, to know that a run had occasion to go wrong. */
  readonly notes: Array<string> = []
  /** How many requests a client may send beyond what it has acknowledged. */
  readonly openRequests = 3
  private sessions: Array<Session> = []
  private logs = new Map<number, Array<string>>([[7, []], [8, []]])
  private epoch = 1
  private made = 0

  // ------------------------------------------------------------- what happens to it

  /** A message has left the client, and will be on its way for a while. */
  sent(connection: Connection, frames: ReadonlyArray<Frame.ClientFrame>): void {
    if (connection.isWelcomed) return
    const isFirst = connection.hello === undefined
    const [hello, ...asked] = connection.hello === undefined ? frames : [connection.hello, ...frames]
    if (hello?._tag !== "hello") return void this.violations.push("sent something before the hello")
    connection.hello = hello
    if (asked.length === 0) return
    if (isFirst) this.notes.push("asked with the hello")
    if (hello.resume !== null) this.violations.push("asked before it knew whether its session goes on")
    for (const { _tag } of asked) if (_tag !== "join") this.violations.push(`sent a ${_tag} before the welcome`)
  }

  receive(connection: Connection, frame: Frame.ClientFrame): void {
    if (connection.closed !== undefined) return
    const { session } = connection
    if (session?.connection === connection) session.formerToken = undefined
    if (frame._tag === "hello") return this.hello(connection, frame.resume)
    if (session === undefined) return void this.violations.push(`${frame._tag} before hello`)
    if (frame._tag === "join") return this.join(connection, frame)
    if (frame._tag === "request") return this.request(connection, session, frame)
    if (frame._tag === "cancel") return this.cancel(session, frame.ref)
  }

  /** The connection is gone: requests go on, and their answers are kept. */
  lose(connection: Connection): void {
    const { session } = connection
    connection.closed ??= 1006
    if (session?.connection !== connection) return
    session.connection = undefined
    for (const running of session.running) running.ref = null
  }

  /** A turn of a room: lets those in who want to, or else finishes its oldest request. */
  turn(channel: number): void {
    for (const { connection } of this.sessions) {
      const join = connection?.joining.get(channel)
      if (join !== undefined) return this.admit(connection!, channel, join)
    }
    const session = this.sessions.find(({ running }) => running.some((other) => other.channel === channel))
    if (session === undefined) return
    const running = session.running.find((other) => other.channel === channel)!
    session.running = session.running.filter((other) => other !== running)
    this.ran.get(channel)!.push(running.text)
    const offset = this.logs.get(channel)!.push(running.text)
    for (const { connection } of this.sessions) {
      if (connection?.joined.has(channel)) connection.send(this.event(channel, offset))
    }
    this.reply(session, running, { _tag: "ok", value: Number(running.text) })
  }

  /** Forgets everything but what is written down here for the test. */
  restart(): void {
    this.notes.push("restarted")
    for (const { connection } of this.sessions) if (connection !== undefined) connection.closed = 1012
    this.sessions = []
    this.logs = new Map([[7, []], [8, []]])
    this.epoch++
  }

  // ------------------------------------------------------------- frames

  private hello(connection: Connection, resume: string | null): void {
    const found = this.sessions.find(({ formerToken, token }) =>
      resume !== null && (resume === token || resume === formerToken)
    )
    const n = ++this.made
    const session: Session = found ?? {
      id: `s-${n}`,
      memberId: `m-${n}`,
      token: "",
      formerToken: undefined,
      connection: undefined,
      lastSeq: 0,
      ack: 0,
      answers: new Map(),
      running: [],
      received: new Set()
    }
    if (found === undefined) this.sessions.push(session)
    else {
      this.notes.push("resumed")
      if (resume === session.formerToken) this.notes.push("resumed with the token before")
      if (session.connection !== undefined) session.connection.closed = 4410
    }
    for (const running of session.running) running.ref = null
    session.formerToken = resume ?? undefined
    session.token = `t-${n}`
    session.connection = connection
    connection.session = session
    connection.send({
      _tag: "welcome",
      session: session.id,
      heartbeat: 25_000,
      silence: 0,
      limits: { ...limits, openRequests: this.openRequests },
      contracts: {},
      resume: session.token,
      window: 120_000,
      seq: session.lastSeq
    })
  }

  private join({ joined, joining }: Connection, join: Frame.ClientFrames["join"]): void {
    const [channel] = [...rooms].find(([, key]) => key === join.key)!
    if (joined.has(channel) || joining.has(channel)) this.violations.push("joined twice")
    joining.set(channel, join)
  }

  private admit(connection: Connection, channel: number, { position, ref }: Frame.ClientFrames["join"]): void {
    const log = this.logs.get(channel)!
    const epoch = `e-${this.epoch}`
    const recovered = position !== null && position[0] === epoch
    const from = recovered ? position[2] : log.length
    connection.joining.delete(channel)
    connection.joined.add(channel)
    connection.send({
      _tag: "joined",
      ref,
      channel,
      memberId: connection.session!.memberId,
      position: [epoch, 1, from],
      recovered,
      snapshot: { lastId: log.length }
    })
    for (let offset = from + 1; offset <= log.length; offset++) connection.send(this.event(channel, offset))
  }

  private event(channel: number, offset: number): Frame.ServerFrame {
    const text = this.logs.get(channel)![offset - 1]
    return { _tag: "event", channel, offset, name: "Said", payload: { text }, except: null }
  }

  private request(connection: Connection, session: Session, frame: Frame.ClientFrames["request"]): void {
    const { ack, again, channel, ref, seq } = frame
    const { text } = frame.payload as { readonly text: string }
    const forbid = (what: string) => void this.violations.push(`${what} (${seq})`)
    let answered = session.ack
    while (session.received.has(answered + 1)) answered++
    if (ack > answered) return forbid("acknowledged what was not answered")
    if (ack < session.ack) return forbid("took an acknowledgement back")
    session.ack = ack
    for (const known of session.answers.keys()) if (known <= ack) session.answers.delete(known)
    if (seq > ack + this.openRequests) return forbid("sent more than was announced")
    const isKnown = seq <= session.lastSeq
    if (again === true) {
      if (session.received.has(seq)) return forbid("asked again for what was answered")
      const answer = session.answers.get(seq)
      this.notes.push(answer !== undefined ? "again: answered" : isKnown ? "again: running" : "again: new")
      if (answer !== undefined) return connection.answer(ref, seq, answer)
      const running = session.running.find((running) => running.seq === seq)
      if (running !== undefined) {
        running.ref = ref
        return
      }
    }
    if (isKnown) return forbid("used a number again")
    session.lastSeq = seq
    session.running.push({ channel, seq, text, ref })
  }

  private cancel(session: Session, ref: number): void {
    const running = session.running.find((running) => running.ref === ref)
    if (running === undefined) return
    this.notes.push("cancelled")
    session.running = session.running.filter((other) => other !== running)
    this.reply(session, running, interrupted)
  }

  private reply({ answers, connection }: Session, { ref, seq }: Running, reply: Reply): void {
    answers.set(seq, reply)
    if (ref !== null) connection?.answer(ref, seq, reply)
  }
}
