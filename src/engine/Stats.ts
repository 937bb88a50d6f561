/**
 * What an engine counts and measures once its metrics are on: effect's metrics in the registry of its context.
 *
 * Counters are plain numbers that the registry reads when somebody asks. No label ever holds a key, a user or a
 * connection: each has as many values as the contracts and the protocol have names.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import * as Utf8 from "../wire/Utf8.ts"

type Labels = Readonly<Record<string, string>>

/** Seconds, from a tenth of a millisecond to half a minute. */
const boundaries = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30]

const handlerTime = Metric.histogram("heddle_handler_seconds", {
  description: "Time from the call of a handler to its end",
  boundaries
})
const mailboxWait = Metric.histogram("heddle_mailbox_wait_seconds", {
  description: "Time that a message waited in the mailbox of its room, by kind",
  boundaries
})

const raw = { _tag: "message" }

/** Counters of one name, by the value of a label. */
type Counters = (value: string, by?: number) => void

export class Stats {
  private readonly framesIn: Counters
  private readonly framesOut: Counters
  /** By the tag of the protocol's error. */
  readonly refused: Counters
  /** Tokens of sessions, by what became of them. */
  readonly resumed: Counters
  /** By status, before the upgrade. */
  readonly turnedAway: Counters
  /** By the name of the room. */
  readonly restarted: Counters
  /** Connections that were closed because their peer did not read. */
  readonly overflowed: Counters
  private readonly bytes: Counters
  private readonly context: Context.Context<never>
  private readonly clock: Clock.Clock
  private readonly registrations: Array<Metric.Registration> = []

  constructor(context: Context.Context<never>) {
    this.context = context
    this.clock = Context.get(context, Clock.Clock)
    this.framesIn = this.counters("heddle_frames_total", "Frames by kind and direction", "kind", { direction: "in" })
    this.framesOut = this.counters("heddle_frames_total", "Frames by kind and direction", "kind", { direction: "out" })
    this.bytes = this.counters("heddle_bytes_total", "Bytes of frames and messages by direction", "direction")
    this.refused = this.counters("heddle_refusals_total", "Errors that clients were answered, by reason", "reason")
    this.resumed = this.counters("heddle_resumes_total", "Sessions taken up again, and why not", "outcome")
    this.turnedAway = this.counters("heddle_upgrade_refusals_total", "Upgrades refused, by status", "status")
    this.restarted = this.counters("heddle_restarts_total", "Restarts after a crash, by room", "room")
    this.overflowed = this.counters("heddle_overflows_total", "Connections closed for not reading, by path", "kind")
  }

  /** A message of an endpoint's client, or one with these frames. */
  received(message: string | Uint8Array, frames: ReadonlyArray<{ readonly _tag: string }> = [raw]): void {
    for (const { _tag } of frames) this.framesIn(_tag)
    this.bytes("in", typeof message === "string" ? Utf8.byteLength(message) : message.length)
  }

  sent({ bytes, kind = "message" }: { readonly bytes: number; readonly kind?: string }): void {
    this.framesOut(kind)
    this.bytes("out", bytes)
  }

  /** Seconds of a clock that only goes forward, from some beginning. */
  seconds(): number {
    return Number(this.clock.currentTimeNanosUnsafe()) / 1e9
  }

  /** The handler of a request, a notice, or of joins. */
  handled(room: string, handler: string, since: number): void {
    Metric.withAttributes(handlerTime, { room, handler }).updateUnsafe(this.seconds() - since, this.context)
  }

  waited(room: string, kind: "Request" | "Notice" | "Join", since: number): void {
    Metric.withAttributes(mailboxWait, { room, kind: kind.toLowerCase() }).updateUnsafe(
      this.seconds() - since,
      this.context
    )
  }

  /** A value that is read when somebody asks. */
  gauge(name: string, description: string, read: () => number, labels: Labels = {}): void {
    this.registrations.push(
      Metric.registerUnsafe(Metric.gauge(name, { description, attributes: labels }), this.context, {
        get: () => ({ value: read() }),
        update: () => {},
        modify: () => {}
      })
    )
  }

  /** A count that is kept elsewhere and read when somebody asks. */
  counter(name: string, description: string, read: () => number, labels: Labels): void {
    const metric = Metric.counter(name, { description, incremental: true, attributes: labels })
    this.registrations.push(
      Metric.registerUnsafe(metric, this.context, {
        get: () => ({ count: read(), incremental: true }),
        update: () => {},
        modify: () => {}
      })
    )
  }

  /** Takes everything out of the registry that would still read from this engine. */
  end(): void {
    for (const { remove } of this.registrations.splice(0)) remove()
  }

  private counters(name: string, description: string, label: string, labels: Labels = {}): Counters {
    const counts = new Map<string, { count: number }>()
    return (value, by = 1) => {
      let counter = counts.get(value)
      if (counter === undefined) {
        const state = counter = { count: 0 }
        counts.set(value, counter)
        this.counter(name, description, () => state.count, { ...labels, [label]: value })
      }
      counter.count += by
    }
  }
}
