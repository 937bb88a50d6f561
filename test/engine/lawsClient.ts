/**
 * A client of the laws: it judges every frame that comes to it.
 */
import type * as Frame from "../../src/wire/Frame.ts"
import type { Sightings } from "./lawsRoom.ts"
import type { Peer } from "./peer.ts"

type Named<A> = { readonly [name: string]: A }

type Asked = Parameters<Peer["ask"]>[0]

/** What a request was, for the judgement of its answer. */
export interface Sent {
  readonly kind: "join" | "leave" | "request"
  readonly token: number
  readonly key: string
  readonly frame: Asked
}

/** A room that it is in, as far as it was told: the last offset it saw, and who is there. */
interface Home {
  readonly key: string
  readonly position: Frame.Position
  readonly memberId: string
  readonly present: Set<string>
  last: number
}

/** One client, over all its connections, and how what came to it is judged. */
export class Client {
  readonly number: number
  peer: Peer
  readonly sent = new Map<number, Sent>()
  readonly rooms = new Map<number, Home>()
  /** Where it stood when it left. */
  readonly positions = new Map<string, Frame.Position>()
  /** Members it was, by id. */
  readonly joined = new Set<string>()
  readonly answered = new Set<number>()
  /** It ended the connection, or cut it for good, or was sent away for good reason. */
  gone = false
  expelled = false
  /** It stopped reading for a while: what it was not sent in time may cost it the connection. */
  slow = false
  /** Of requests that it cancelled. */
  readonly cancelled = new Set<number>()
  /** When its connections were lost. */
  readonly losses: Array<number> = []
  /** It was welcomed on the connection of now. */
  isOnline = false
  /** Somebody used a copy of its token, or it gave up a join: it may leave for that. */
  mayLeave = false
  session: string | undefined
  readonly tokens: Array<string> = []
  resumed = 0
  ack = 0
  /** Where it was when its connection was lost. */
  private away = new Map<number, Home>()
  private readonly answeredSeqs = new Set<number>()
  private judged = 0
  private readonly record: Sightings

  constructor(number: number, peer: Peer, record: Sightings) {
    this.number = number
    this.peer = peer
    this.record = record
  }

  ask(frame: Asked, sent: Pick<Sent, "kind" | "token" | "key">): number {
    const ref = this.peer.ask(frame._tag === "request" ? { ...frame, ack: this.ack } : frame)
    this.sent.set(ref, { ...sent, frame })
    return ref
  }

  /** Whether it may send: when it comes back, it must know first whether its session goes on. */
  get isHere(): boolean {
    return !this.gone && this.peer.closed === undefined && (this.session === undefined || this.isOnline)
  }

  /** Its connection is lost. */
  lose(now: number): void {
    this.judge()
    this.losses.push(now)
    this.isOnline = false
    for (const [channel, home] of [...this.rooms]) {
      this.forget(channel)
      this.away.set(channel, home)
    }
  }

  /** Comes back over a new connection. */
  comeBack(connect: () => Peer, now: number): void {
    this.judge()
    if (this.gone) return
    // The server closed it.
    if (this.isOnline) this.lose(now)
    const { lastRef, lastSeq } = this.peer
    this.peer = connect()
    this.peer.lastRef = lastRef
    this.peer.lastSeq = lastSeq
    this.judged = 0
    // It was never told of a session: what it asked for is lost.
    if (this.session === undefined) this.sent.clear()
    this.peer.onOpen = () => this.peer.send({ _tag: "hello", token: null, resume: this.tokens.at(-1) ?? null })
  }

  /** Goes through the frames that came since the last time. */
  judge(): void {
    const { peer: { frames } } = this
    while (this.judged < frames.length) this.judgeFrame(frames[this.judged++]!)
    // 1006 if it did not even read that.
    if (this.slow && [4409, 1006].includes(this.peer.closed?.code ?? 0)) this.gone = true
    if (this.gone || this.peer.closed?.code !== 4500) return
    this.gone = this.expelled = this.record.mayBeExpelled(this.number)
  }

  private welcomed({ resume, session }: Frame.ServerFrames["welcome"]): void {
    const goesOn = this.session === session
    const isFirst = this.session === undefined
    this.session = session
    this.isOnline = true
    if (resume !== null) this.tokens.push(resume)
    if (isFirst) return
    this.peer.send({ _tag: "pong" })
    const open = [...this.sent].filter(([ref]) => !this.answered.has(ref))
    for (const [ref] of open) this.sent.delete(ref)
    if (!goesOn) {
      this.away.clear()
      this.peer.lastSeq = 0
      this.ack = 0
      this.answeredSeqs.clear()
      return
    }
    this.resumed++
    for (const [ref, sent] of open) if (sent.kind === "leave") this.repeat(ref, sent)
    for (const { key } of this.away.values()) {
      if (open.some(([, sent]) => sent.key === key && sent.kind !== "request")) continue
      const position = this.positions.get(key) ?? null
      const frame = {
        _tag: "join",
        room: "law",
        key,
        payload: { client: this.number, deed: "joins", size: 1 },
        position,
        last: null
      } as const
      this.ask(frame, { kind: "join", token: 0, key })
    }
    for (const [ref, sent] of open) if (sent.kind !== "leave") this.repeat(ref, sent)
  }

  private repeat(before: number, sent: Sent): void {
    const ref = this.ask(sent.frame._tag === "request" ? { ...sent.frame, again: true } : sent.frame, sent)
    if (this.cancelled.has(before)) this.cancelled.add(ref)
  }

  private judgeFrame(frame: Frame.ServerFrame): void {
    const { record, rooms } = this
    if ("ref" in frame && frame.ref !== null) {
      if (this.answered.has(frame.ref)) record.violate("a request has one answer: it came twice")
      if (!this.sent.has(frame.ref)) return record.violate("an answer has a request")
      this.answered.add(frame.ref)
      this.acknowledge(frame.ref)
    }
    switch (frame._tag) {
      case "welcome":
        return this.welcomed(frame)
      case "present":
        for (const [id] of frame.members) rooms.get(frame.channel)?.present.add(id)
        return
      case "absent":
        return void rooms.get(frame.channel)?.present.delete(frame.memberId)
      case "joined": {
        const { key } = this.sent.get(frame.ref)!
        if (rooms.has(frame.channel)) record.violate("a session is in a room once")
        const asked = this.positions.get(key)
        if (frame.recovered && (asked === undefined || frame.position[2] > asked[2])) {
          record.violate("a position is continued where it was, or not at all")
        }
        const before = this.away.get(frame.channel)
        this.away.delete(frame.channel)
        if (before !== undefined && before.memberId !== frame.memberId && !record.hasLeft(before.memberId)) {
          record.violate("a member that comes back is the same")
        }
        const { memberId, position } = frame
        rooms.set(frame.channel, { key, position, memberId, present: new Set(), last: position[2] })
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
      case "volatile": {
        if (!rooms.has(frame.channel)) {
          record.violate("nothing is delivered before the answer of a join, or after left")
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
        room.present.clear()
        return
      }
      case "ok": {
        const sent = this.sent.get(frame.ref)
        if (sent?.kind === "leave") return this.leave(sent.key)
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
    if (frame._tag === "error" && frame.error._tag === "Interrupted" && !this.cancelled.has(frame.ref!)) {
      if (frame.error.detail === "the client cancelled it") {
        this.record.violate("who is interrupted by a cancel was cancelled")
      }
    }
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
    for (const [channel, room] of this.away) if (room.key === key) this.away.delete(channel)
  }

  private acknowledge(ref: number): void {
    const frame = this.sent.get(ref)?.frame
    if (frame?._tag !== "request") return
    this.answeredSeqs.add(frame.seq)
    while (this.answeredSeqs.delete(this.ack + 1)) this.ack++
  }

  private forget(channel: number): void {
    const room = this.rooms.get(channel)
    if (room === undefined) return
    this.positions.set(room.key, [room.position[0], room.position[1], room.last])
    this.rooms.delete(channel)
  }

  /** It was away for no longer than it may be, and did nothing else for which it could be lost. */
  judgeLost(member: string, at: number, window: number): void {
    // One that does not read may have lost its connection without knowing it.
    if (this.gone || this.slow || this.mayLeave || !this.joined.has(member)) return
    if (this.record.mayBeExpelled(this.number)) return
    // Its leave may have had to wait for the room.
    if (!this.losses.some((loss) => loss + window <= at)) {
      this.record.violate("nobody is lost before the window has passed")
    }
  }

  /** The member's answers are in, unless the connection is gone. */
  judgeAnswers(): void {
    this.judge()
    if (this.gone || !this.isOnline) return
    if (this.peer.closed !== undefined) {
      return this.record.violate(`nobody is disconnected by others: closed with ${this.peer.closed.code}`)
    }
    for (const [ref, { kind }] of this.sent) {
      if (!this.answered.has(ref)) this.record.violate(`every request is answered: a ${kind} was not`)
    }
    for (const room of this.rooms.values()) {
      const head = this.record.emitted.get(room.key)?.length ?? 0
      if (room.last !== head) this.record.violate(`members see all events: ${room.last} of ${head}`)
      const there = [...this.record.rooms.get(room.key)!.members.keys()].sort().join()
      if ([...room.present].sort().join() !== there) this.record.violate("presence is who is there")
    }
  }
}
