/**
 * What a member of a room received, and waiting for more of it in virtual time.
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Formatter from "effect/Formatter"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type { RequestError } from "../contract/RequestError.ts"

/** Any element of a room's stream of events. */
export interface AnyEvent {
  readonly _tag: PropertyKey
}

/** An event did not come in time. The message tells what came instead. */
export class NotReceived extends Data.TaggedError("NotReceived")<{
  /** The tag that was waited for. */
  readonly expected: string
  /** How long, in milliseconds of virtual time. */
  readonly waited: number
  /** Everything received by then. */
  readonly received: ReadonlyArray<AnyEvent>
  /** Why the stream of events ended, if it did. */
  readonly ended: string | undefined
}> {
  override get message() {
    const lines = this.received.map((event) => `  ${format(event)}`)
    const what = lines.length === 0 ? "nothing was received" : `received:\n${lines.join("\n")}`
    const end = this.ended === undefined ? "" : `\n${this.ended}`
    return `no ${this.expected} within ${this.waited} ms of virtual time; ${what}${end}`
  }
}

/** What one member receives, from the moment it is asked for. */
export interface Received<E extends AnyEvent> {
  /** Everything so far, `synced` included, in the order of its arrival. */
  readonly events: ReadonlyArray<E>
  /**
   * The next event with this tag, behind the one that the call before this found. What lies between is skipped, and
   * still in `events`. Lets virtual time pass until it is there: at most five seconds, unless said.
   */
  readonly next: <T extends E["_tag"]>(
    tag: T,
    options?: { readonly within?: Duration.Input }
  ) => Effect.Effect<Extract<E, { readonly _tag: T }>, NotReceived>
  /** Lets virtual time pass and fails if an event with this tag comes within it; for what must not happen. */
  readonly none: (tag: E["_tag"], within: Duration.Input) => Effect.Effect<void, Unexpected>
}

/** An event came that must not. */
export class Unexpected extends Data.TaggedError("Unexpected")<{ readonly event: AnyEvent }> {
  override get message() {
    return `received ${format(this.event)}, which must not come`
  }
}

const format = (event: AnyEvent): string => {
  const { _tag, ...rest } = event
  return `${String(_tag)} ${Formatter.format(rest)}`
}

const stepMillis = 5

/**
 * Collects what a joined room receives until the scope closes.
 *
 * @example
 * ```ts
 * const received = yield* TestServer.received(room)
 * const { payload } = yield* received.next("Said")
 * ```
 */
export const received = Effect.fnUntraced(function*<E extends AnyEvent>(
  room: { readonly events: Stream.Stream<E, RequestError> }
): Effect.fn.Return<Received<E>, never, Scope.Scope> {
  const events: Array<E> = []
  let ended: string | undefined
  yield* Stream.runForEach(room.events, (event) => Effect.sync(() => void events.push(event))).pipe(
    Effect.onExit((exit) =>
      Effect.sync(() => {
        ended = Exit.isSuccess(exit) ? "the room was left" : "the stream of events failed"
      })
    ),
    Effect.ignore,
    Effect.forkScoped({ startImmediately: true })
  )
  let cursor = 0
  const find = (tag: E["_tag"], from: number) => events.findIndex((event, index) => index >= from && event._tag === tag)
  const pass = Effect.fnUntraced(function*(millis: number, until: () => boolean) {
    yield* TestClock.adjust(0)
    for (let passed = 0; passed < millis && !until(); passed += stepMillis) yield* TestClock.adjust(stepMillis)
  })
  const millisOf = (input: Duration.Input) => Duration.toMillis(Duration.fromInputUnsafe(input))
  return {
    events,
    next: Effect.fnUntraced(function*<T extends E["_tag"]>(tag: T, options?: { readonly within?: Duration.Input }) {
      const within = millisOf(options?.within ?? 5_000)
      yield* pass(within, () => find(tag, cursor) >= 0 || ended !== undefined)
      const found = find(tag, cursor)
      if (found < 0) {
        return yield* new NotReceived({ expected: String(tag), waited: within, received: [...events], ended })
      }
      cursor = found + 1
      return events[found] as Extract<E, { readonly _tag: T }>
    }),
    none: Effect.fnUntraced(function*(tag: E["_tag"], within: Duration.Input) {
      const from = events.length
      yield* pass(millisOf(within), () => find(tag, from) >= 0)
      const found = find(tag, from)
      if (found >= 0) return yield* new Unexpected({ event: events[found]! })
    })
  }
})
