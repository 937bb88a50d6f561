/**
 * A wire tapped between a real client and the server: every frame, in both directions, is judged by the model.
 */
import type { Connect } from "../../src/client/Connector.ts"
import type * as Frame from "../../src/wire/Frame.ts"
import { json } from "../../src/wire/Json.ts"
import { greeted } from "../greeted.ts"
import type { Book } from "./hall.ts"
import type { Place, Truth } from "./truth.ts"

/** What the model knows besides the logs. */
export interface World {
  readonly truth: Truth
  readonly book: Book
  readonly now: () => number
  /** How long the server keeps a session, in milliseconds; 0 if it keeps none. */
  readonly window: number
  readonly note: (what: string) => void
}

/** A client's place in one room, from the application's join to its leave. */
export class Seat {
  readonly key: string
  /** Undefined before the first answer. */
  place: Place | undefined
  memberId = ""
  /** What the application must be given, in order. */
  readonly due: Array<string> = []
  isLeft = false

  constructor(key: string) {
    this.key = key
  }

  /** What came was not for it, but for one before it that was left. */
  empty(): Seat {
    this.place = undefined
    this.memberId = ""
    this.due.length = 0
    return Object.assign(new Seat(this.key), { isLeft: true })
  }
}

interface Asked {
  readonly kind: "join" | "request" | "other"
  readonly seat: Seat | undefined
  readonly token: number
  readonly isAgain: boolean
  readonly position: Frame.Position | null
  readonly couldContinue: boolean
}

/** What the client was told of its session. */
interface Session {
  readonly id: string
  /** That of its last welcome. */
  life: number
  /** That in which it began. */
  readonly began: number
  token: string | null
  /** When its last connection was lost; undefined while there is one. */
  lostAt: number | undefined
  /** Whether that was by a process that stopped. */
  wasTold: boolean
  /** When the connection before this one was. */
  lostBefore: number | undefined
  /** What was sent under each number. */
  readonly sent: Map<number, number>
  lastSeq: number
  /** Somebody came with a token that had been replaced while it had no connection; undefined if it perhaps had one. */
  isForfeit: boolean | undefined
}

/** How far the end of a window may be from where the model expects it, in milliseconds. */
export const margin = 2_000

const isTraced = process.env["HEDDLE_TRACE"] !== undefined

export class Tap {
  readonly name: number
  readonly world: World
  readonly seats = new Map<string, Seat>()
  session: Session | undefined
  /** The session of each member that it was told to be. */
  readonly members = new Map<string, Session>()
  /** Tokens that were replaced, and are known to be. */
  readonly replaced: Array<{ readonly token: string; readonly session: string }> = []
  /** Rooms that the application has left at some time. */
  readonly hasLeft = new Set<string>()
  /** Requests of which nobody knows any more whether they ran, and which it was told so. */
  readonly doubted = new Set<number>()
  /** How often its session ended without it, by the time a request is made and answered. */
  breaks = 0
  isOnline = false

  constructor(name: number, world: World) {
    this.name = name
    this.world = world
  }

  violate(law: string): void {
    this.world.book.violate(`${law} (client ${this.name})`)
  }

  private trace(what: string): void {
    if (isTraced) process.stderr.write(`${this.world.now()} client ${this.name} ${what}\n`)
  }

  /** The application joins. */
  enter(key: string): Seat {
    const seat = new Seat(key)
    this.seats.set(key, seat)
    return seat
  }

  /** The application leaves. */
  quit(seat: Seat): void {
    seat.isLeft = true
    this.hasLeft.add(seat.key)
    if (this.seats.get(seat.key) === seat) this.seats.delete(seat.key)
  }

  /** The same network, tapped. */
  tapped(open: Connect): Connect {
    return (url, protocols, events) => {
      const wire = new Wire(this)
      this.trace(`opens with ${protocols}`)
      for (const frame of greeted(protocols)) wire.sent(frame)
      const socket = open(url, protocols, {
        open: events.open,
        message: (data) => {
          this.trace(`<- ${data}`)
          if (!wire.isOver) { for (const frame of json.decodeServer(data, Infinity)!) wire.received(frame) }
          events.message(data)
        },
        close: (code, reason) => {
          this.trace(`is closed with ${code}`)
          wire.closed(code, reason)
          events.close(code, reason)
        }
      })
      return {
        bufferedAmount: socket.bufferedAmount,
        send: (data) => {
          this.trace(`-> ${data}`)
          for (const frame of json.decodeClient(data, Infinity)!) wire.sent(frame)
          socket.send(data)
        },
        close: (code, reason) => {
          wire.closed(code, reason)
          socket.close(code, reason)
        }
      }
    }
  }
}

/** One connection. */
class Wire {
  isOver = false
  private readonly tap: Tap
  private readonly asked = new Map<number, Asked>()
  private readonly channels = new Map<number, Seat>()
  /** What the model expects of the session; undefined where either is right. */
  private goesOn: boolean | undefined
  private resumed = false
  private isWelcomed = false
  private isDraining = false

  constructor(tap: Tap) {
    this.tap = tap
  }

  private get world(): World {
    return this.tap.world
  }

  // ------------------------------------------------------------- the client

  sent(frame: Frame.ClientFrame | Frame.Unknown | Frame.Malformed): void {
    const { tap } = this
    switch (frame._tag) {
      case "hello": {
        const token = tap.session?.token ?? null
        if (frame.resume !== token) tap.violate("a client comes back with the newest token it was given")
        this.goesOn = this.expectSession()
        return
      }
      case "join":
        return this.joins(frame)
      case "request":
        return this.requests(frame)
      case "leave": {
        const seat = this.channels.get(frame.channel)
        // It was asked for only to be left, before the application joined once more.
        if (seat?.isLeft === false) this.channels.set(frame.channel, seat.empty())
        return void this.asked.set(frame.ref, ask({ kind: "other" }))
      }
      case "history":
        return void this.asked.set(frame.ref, ask({ kind: "other" }))
    }
  }

  private expectSession(): boolean | undefined {
    const { session } = this.tap
    const { now, truth, window } = this.world
    if (session === undefined || session.token === null) return false
    if (session.life !== truth.life && !truth.sessions.has(session.id)) {
      // What it had is on no disk any more; from where one process followed another, it must be.
      return session.life < truth.unbroken ? false : this.expectUnlessForfeit(session)
    }
    // An older copy may not know the token, and may know a session that has ended since.
    if (session.life < truth.unbroken) return now() > truth.startedAt + window + margin ? false : undefined
    return this.expectUnlessForfeit(session)
  }

  /** A thief may have ended it in the process before, of which the later one has the file. */
  private expectUnlessForfeit(session: Session): boolean | undefined {
    if (session.isForfeit !== false) return session.isForfeit === true ? false : undefined
    return this.expectInWindow(session)
  }

  private expectInWindow(session: Session): boolean | undefined {
    const { now, truth, window } = this.world
    const lost = now() - session.lostAt!
    // A process that was killed has not noted when; the next one counts from its own beginning.
    const since = session.life === truth.life ? lost : Math.min(lost, now() - truth.startedAt)
    if (since > window + margin) return false
    // It is kept for who has a place, at least.
    const isSeated = [...this.tap.seats.values()].some(({ memberId, place }) =>
      this.tap.members.get(memberId) === session && place?.life === session.life
    )
    // One that stops takes everybody's place away, from who is lost meanwhile too.
    const isStopping = session.life < truth.life &&
      session.lostAt! >= (truth.stops.get(session.life) ?? Infinity) - margin
    if (isStopping && !session.wasTold) return undefined
    return lost < window - margin && isSeated ? true : undefined
  }

  private joins({ key, position, ref }: Frame.ClientFrames["join"]): void {
    const { tap, world } = this
    if (!this.isWelcomed) {
      world.note("asked with the hello")
      if ((tap.session?.token ?? null) !== null) {
        tap.violate("who takes up a session asks for nothing before the welcome")
      }
    }
    const seat = tap.seats.get(key)
    if (seat === undefined) return void this.asked.set(ref, ask({ kind: "join", seat: leftSeat(key) }))
    const { place } = seat
    if (place === undefined && position !== null && tap.hasLeft.has(key)) {
      return void this.asked.set(ref, ask({ kind: "join", seat: leftSeat(key) }))
    }
    const expected = place === undefined ? null : [place.epoch, place.term, place.offset]
    if (JSON.stringify(position) !== JSON.stringify(expected)) {
      tap.violate(
        `a client asks to go on from where it was: ${JSON.stringify(position)}, not ${JSON.stringify(expected)}`
      )
    }
    const couldContinue = place !== undefined && world.truth.canContinue(key, place, world.now())
    this.asked.set(ref, ask({ kind: "join", seat, position, couldContinue }))
  }

  private requests({ ack, again, channel, payload, ref, seq }: Frame.ClientFrames["request"]): void {
    const { tap } = this
    const session = tap.session!
    const { token } = payload as { readonly token: number }
    const before = session.sent.get(seq)
    if (again === true) {
      this.world.note("again")
      if (!this.resumed) tap.violate("a request is asked about only where the session goes on")
      if (before !== token) tap.violate("a request that is asked about is the one that was sent")
    } else {
      if (seq !== session.lastSeq + 1) tap.violate(`requests are counted: ${seq} after ${session.lastSeq}`)
      session.lastSeq = seq
      session.sent.set(seq, token)
    }
    if (ack >= seq) tap.violate("nothing is acknowledged before it is sent")
    this.asked.set(ref, ask({ kind: "request", seat: this.channels.get(channel), token, isAgain: again === true }))
  }

  // ------------------------------------------------------------- the server

  received(frame: Frame.ServerFrame | Frame.Unknown | Frame.Malformed): void {
    const { tap, world } = this
    switch (frame._tag) {
      case "malformed":
      case "unknown":
        return tap.violate("a server sends frames")
      case "welcome":
        return this.welcomed(frame)
      case "joined":
        return this.joined(frame)
      case "event":
        return this.event(frame)
      case "volatile": {
        const seat = this.channels.get(frame.channel)
        if (seat === undefined || seat.isLeft || frame.except?.includes(seat.memberId)) return
        world.note("volatile")
        seat.due.push(`Blinked ${(frame.payload as { readonly token: number }).token}`)
        return
      }
      case "synced":
        return this.synced(frame)
      case "ok":
        return this.answered(frame)
      case "failed":
        return tap.violate("nothing here fails with an error of the contract")
      case "error":
        return this.failed(frame)
      case "left": {
        const seat = this.channels.get(frame.channel)
        if (seat?.isLeft === false && !this.isDraining) tap.violate(`nobody is made to leave: ${frame.reason}`)
        return
      }
      case "drain":
        this.isDraining = true
    }
  }

  private welcomed({ resume, session: id }: Frame.ServerFrames["welcome"]): void {
    this.isWelcomed = true
    const { tap, world } = this
    const former = tap.session
    tap.isOnline = true
    const resumed = this.resumed = former?.token !== null && former?.id === id
    if (this.goesOn === true && !resumed) tap.violate("a session goes on within its window")
    if (this.goesOn === false && resumed) {
      tap.violate("a session ends with its window, its process, or a token used again")
    }
    if (resumed && former.life !== world.truth.life) {
      world.note(former.life < world.truth.unbroken ? "resumed from an older copy" : "resumed after a restart")
      former.life = world.truth.life
    }
    world.note(resumed ? "resumed" : former === undefined ? "came" : "begun anew")
    if (resumed) {
      if (former.token !== null) tap.replaced.push({ token: former.token, session: id })
      former.token = resume
      former.lostBefore = former.lostAt
      former.lostAt = undefined
      return
    }
    if (former !== undefined) tap.breaks++
    tap.replaced.length = 0
    const life = world.truth.life
    tap.session = {
      id,
      life,
      began: life,
      token: resume,
      lostAt: undefined,
      wasTold: false,
      lostBefore: undefined,
      sent: new Map(),
      lastSeq: 0,
      isForfeit: false
    }
  }

  private joined(frame: Frame.ServerFrames["joined"]): void {
    const { tap, world: { now, note, truth } } = this
    const asked = this.asked.get(frame.ref)
    if (asked?.kind !== "join") return tap.violate("joined answers a join")
    const { seat } = asked
    if (seat !== undefined) this.channels.set(frame.channel, seat)
    if (seat === undefined || seat.isLeft) return
    const [epoch, term, offset] = frame.position
    const { place } = seat
    const can = place !== undefined && truth.canContinue(seat.key, place, now())
    if (frame.recovered && !asked.couldContinue) tap.violate("nobody goes on from a place that is no more")
    if (!frame.recovered && can) {
      tap.violate(`who can go on, does: asked ${JSON.stringify(asked.position)}, given ${frame.position}`)
    }
    if (frame.recovered && offset !== place?.offset) tap.violate("who goes on, goes on from where it was")
    if (place !== undefined) {
      note(frame.recovered ? "recovered" : "synced")
      if (frame.recovered && place.life !== truth.life) note("recovered another life's")
      if (frame.recovered && offset < truth.head(seat.key)) note("replayed")
      const wasMember = place.life === truth.life && tap.members.get(seat.memberId) === tap.session
      if (wasMember && this.goesOn === true && seat.memberId !== frame.memberId) tap.violate("a member stays who it is")
      if (!this.resumed && seat.memberId === frame.memberId) tap.violate("another session is another member")
    }
    seat.memberId = frame.memberId
    tap.members.set(frame.memberId, tap.session!)
    seat.place = { life: truth.life, epoch, term, offset }
    if (frame.recovered) return
    const head = truth.head(seat.key)
    if (offset > head) tap.violate(`a position is one that there is: ${offset} of ${head}`)
    seat.due.push(`synced ${this.headOf(frame.snapshot, offset)}`)
  }

  private synced(frame: Frame.ServerFrames["synced"]): void {
    const { tap, world: { note, now, truth } } = this
    const seat = this.channels.get(frame.channel)
    if (seat === undefined || seat.isLeft) return
    note(`synced ${frame.reason}`)
    if (frame.reason !== "gap" || truth.canContinue(seat.key, seat.place!, now())) {
      tap.violate("nobody is told a new state without need")
    }
    const [epoch, term, offset] = frame.position
    seat.place = { life: truth.life, epoch, term, offset }
    seat.due.push(`synced ${this.headOf(frame.snapshot, offset)}`)
  }

  private headOf(snapshot: Frame.Json, offset: number): number {
    const { head } = snapshot as { readonly head: number }
    if (head < offset) this.tap.violate("a snapshot is not too old")
    return head
  }

  private event({ channel, except, name, offset, payload }: Frame.ServerFrames["event"]): void {
    const { tap, world: { note, truth } } = this
    const seat = this.channels.get(channel)
    if (seat === undefined) return tap.violate("nothing is delivered before the answer of a join")
    if (seat.isLeft) return
    const place = seat.place!
    if (offset !== place.offset + 1) tap.violate(`offsets are contiguous: ${offset} after ${place.offset}`)
    seat.place = { ...place, offset }
    const { token } = payload as { readonly token: number }
    if (name !== "Said" || truth.token(seat.key, offset) !== token) {
      tap.violate(`all see the same event at one offset: ${token} at ${offset}, not ${truth.token(seat.key, offset)}`)
    }
    note("event")
    if (except?.includes(seat.memberId) !== true) seat.due.push(`Said ${token}`)
  }

  private answered(frame: Frame.ServerFrames["ok"]): void {
    const asked = this.asked.get(frame.ref)
    if (asked === undefined || !this.asked.delete(frame.ref)) return this.tap.violate("each reference has one answer")
    if (asked.kind !== "request") return
    const { offset, token } = frame.value as { readonly token: number; readonly offset: number }
    if (token !== asked.token) this.tap.violate("an answer belongs to its request")
    const seat = asked.seat
    const place = seat?.isLeft === false ? seat.place : undefined
    if (place?.life === this.world.truth.life && place.offset < offset) {
      this.tap.violate(`cause before effect: ${offset} is answered at ${place.offset}`)
    }
  }

  private failed({ error, ref }: Frame.ServerFrames["error"]): void {
    const { tap } = this
    // A notice that a process had no time for any more.
    if (ref === null && this.isDraining) return
    if (ref === null) return tap.violate(`no frame is wrong: ${JSON.stringify(error)}`)
    const asked = this.asked.get(ref)
    if (asked === undefined || !this.asked.delete(ref)) return tap.violate("each reference has one answer")
    const tag = error._tag
    this.world.note(`error ${tag}`)
    if (tag === "ConnectionLost" && asked.isAgain) return this.doubted(asked, error)
    // A process that stopped may have answered so, and the one after it knows.
    const isStopped = this.isDraining || (asked.isAgain && tap.session!.began < tap.session!.life)
    if (isStopped && (tag === "RoomStopped" || tag === "Interrupted")) return
    // It has left in the meantime.
    const isLeft = asked.seat === undefined || asked.seat.isLeft
    if (isLeft && (tag === "NotJoined" || tag === "Interrupted")) return
    tap.violate(`nothing is refused: a ${asked.kind} with ${tag}`)
  }

  /** Nobody knows whether it ran. */
  private doubted({ token }: Asked, error: Frame.ServerFrames["error"]["error"]): void {
    const { tap, world: { book, note, truth } } = this
    const session = tap.session!
    note("doubted")
    tap.doubted.add(token)
    if (!(error as { readonly mayHaveRun?: boolean }).mayHaveRun) tap.violate("what may have run is said to")
    if (session.began === session.life) tap.violate("a process knows what became of what it was asked")
    if (book.ends.has(token) && session.began >= truth.unbroken) tap.violate("what was answered is answered again")
  }

  // ------------------------------------------------------------- the end

  closed(code: number, reason: string): void {
    if (this.isOver) return
    this.isOver = true
    const { tap } = this
    tap.isOnline = false
    if (![1000, 1006, 1012].includes(code)) tap.violate(`nobody is disconnected: ${code} ${reason}`)
    if (tap.session === undefined || tap.session.lostAt !== undefined) return
    tap.session.lostAt = this.world.now()
    tap.session.wasTold = code === 1012
  }
}

/** It is asked for only to be left: the client was not told how its first join went. */
const leftSeat = (key: string): Seat => Object.assign(new Seat(key), { isLeft: true })

const ask = (asked: Partial<Asked>): Asked => ({
  kind: "other",
  seat: undefined,
  token: 0,
  isAgain: false,
  position: null,
  couldContinue: false,
  ...asked
})
