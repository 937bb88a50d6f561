/**
 * What is true about the logs of a server that lives several lives: which event has which offset, in which life it was
 * appended, and what is still kept. The model against which every recovery is judged.
 */

import type { Committed } from "./disk.ts"

/** What a room keeps. */
export interface Retention {
  readonly capacity: number
  readonly timeToLive: number
}

/** Where a client is: in which life of the server it was told so, and how far it has counted. */
export interface Place {
  readonly life: number
  readonly epoch: string
  readonly term: number
  readonly offset: number
}

interface Event {
  readonly token: number
  readonly at: number
}

/** One log, as far as it has come. */
interface Line {
  readonly events: ReadonlyArray<Event>
  /** How far each life came that went on with this log, and its term of then. */
  readonly ends: ReadonlyMap<number, Committed>
}

/** All logs as they are on a disk. */
export type State = ReadonlyMap<string, Line>

export class Truth {
  readonly retention: Retention
  /** Rises with every process. */
  life = 0
  /** When it began. */
  startedAt = 0
  /** The first of the lives that went on, each where the one before it had ended. */
  unbroken = 0
  /** When each life was told to stop that was. */
  readonly stops = new Map<number, number>()
  /** The sessions that were on the disk when it began. */
  sessions: ReadonlySet<string> = new Set()
  private lines = new Map<string, { events: Array<Event>; ends: Map<number, Committed> }>()

  constructor(retention: Retention) {
    this.retention = retention
  }

  private line(key: string) {
    let line = this.lines.get(key)
    if (line === undefined) this.lines.set(key, line = { events: [], ends: new Map() })
    return line
  }

  head(key: string): number {
    return this.line(key).events.length
  }

  token(key: string, offset: number): number | undefined {
    return this.line(key).events[offset - 1]?.token
  }

  /** An event was appended; answers whether it has the offset that it must have. */
  append(key: string, offset: number, token: number, at: number): boolean {
    const { events } = this.line(key)
    if (offset !== events.length + 1) return false
    events.push({ token, at })
    return true
  }

  /** The offset of the oldest event that is kept; one past the head if there is none. */
  first(key: string, now: number): number {
    const { events } = this.line(key)
    let first = Math.max(1, events.length - this.retention.capacity + 1)
    while (first <= events.length && events[first - 1]!.at + this.retention.timeToLive <= now) first++
    return first
  }

  /**
   * Whether a client may go on from there: the log of now has gone through that place, in that life, and has lost nothing
   * since.
   */
  canContinue(key: string, { life, offset, term }: Place, now: number): boolean {
    const line = this.line(key)
    const end = life === this.life ? { head: line.events.length, term } : line.ends.get(life)
    // A copy may be older than the opening of its log by the process of then.
    if (end === undefined || offset > end.head || term !== end.term) return false
    return offset === line.events.length || offset + 1 >= this.first(key, now)
  }

  // ------------------------------------------------------------- processes

  /** The process of now begins with these sessions. */
  begin(now: number, sessions: ReadonlySet<string>): void {
    this.startedAt = now
    this.sessions = sessions
  }

  /** What a disk holds at this moment; of each log, events up to the head that is on it. */
  save(logOf: (key: string) => Committed): State {
    const state = new Map<string, Line>()
    for (const [key, { ends, events }] of this.lines) {
      const { head, term } = logOf(key)
      // Where nothing was ever said, nothing was written.
      if (head === 0) continue
      // The life of now ends for whoever continues from this copy.
      state.set(key, { events: events.slice(0, head), ends: new Map(ends).set(this.life, { head, term }) })
    }
    return state
  }

  /** Another process starts from what is on its disk; without one, from nothing. An older copy is not where it ended. */
  restart(state: State | undefined, isOlder = false): void {
    this.life++
    if (state === undefined || isOlder) this.unbroken = this.life
    this.lines = new Map(
      [...state ?? []].map(([key, { ends, events }]) => [key, { events: [...events], ends: new Map(ends) }])
    )
  }
}
