/**
 * A client of the laws: it judges every frame that comes to it.
 */
import type * as Frame from "../../src/wire/Frame.ts"
import type { Sightings } from "./lawsRoom.ts"
import type { Peer } from "./peer.ts"

type Named<A> = { readonly [name: string]: A }

/** What a request was, for the judgement of its answer. */
export interface Sent {
  readonly kind: "join" | "leave" | "request"
  readonly token: number
  readonly key: string
}

/** One connection, and how what came to it is judged. */
export class Client {
  readonly number: number
  readonly peer: Peer
  readonly sent = new Map<number, Sent>()
  /** Rooms it is in, as far as it was told: the last offset it saw of each. */
  readonly rooms = new Map<number, { readonly key: string; readonly position: Frame.Position; last: number }>()
  /** Where it stood when it left. */
  readonly positions = new Map<string, Frame.Position>()
  /** Members it was, by id. */
  readonly joined = new Set<string>()
  readonly answered = new Set<number>()
  /** It ended the connection, or cut it, or was sent away for good reason. */
  gone = false
  expelled = false
  /** It stopped reading for a while: what it was not sent in time may cost it the connection. */
  slow = false
  /** Of requests that it cancelled. */
  readonly cancelled = new Set<number>()
  private judged = 0
  private readonly record: Sightings

  constructor(number: number, peer: Peer, record: Sightings) {
    this.number = number
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
    // 1006 if it did not even read that.
    if (this.slow && [4409, 1006].includes(this.peer.closed?.code ?? 0)) this.gone = true
    if (this.gone || this.peer.closed?.code !== 4500) return
    this.gone = this.expelled = this.record.mayBeExpelled(this.number)
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
