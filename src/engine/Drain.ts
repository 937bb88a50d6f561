/**
 * How an engine stops without hurting anybody: nothing new begins, what has begun finishes, then everybody is sent
 * elsewhere.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type { Connection, Shared } from "./Connection.ts"
import type { Core } from "./Core.ts"
import { fork } from "./Core.ts"
import type { EndpointHost } from "./EndpointHost.ts"

/** How an engine drains. */
export interface Options {
  /** Over how long a time the clients come back, each at a moment of its own; 5 seconds unless said. */
  readonly spread?: Duration.Input
  /**
   * How long handlers may still run; 10 seconds unless said. With 0 they are interrupted at once: right for a test in
   * virtual time, where nobody would let the time pass.
   */
  readonly deadline?: Duration.Input
}

/** How long rooms may take to end after the deadline, with the `leave` of their members. */
const stopMillis = 5_000

const reason = "the server is stopping"

export class Drain {
  private isOn = false
  private readonly core: Core
  private readonly spread: number
  private readonly deadline: number
  private parts: { readonly shared: Shared; readonly endpoints: EndpointHost } | undefined
  private fiber: Fiber.Fiber<void> | undefined

  constructor(core: Core, { deadline = "10 seconds", spread = "5 seconds" }: Options) {
    this.core = core
    this.spread = Duration.toMillis(Duration.fromInputUnsafe(spread))
    this.deadline = Duration.toMillis(Duration.fromInputUnsafe(deadline))
  }

  /** What there is to drain. */
  of(shared: Shared, endpoints: EndpointHost): void {
    this.parts = { shared, endpoints }
  }

  /** Whether nobody is let in and nothing is begun any more. */
  isDraining(): boolean {
    return this.isOn
  }

  /** When a newcomer should try again, in seconds; undefined as long as it need not. */
  readonly retryAfter = (): number | undefined => this.isOn ? Math.max(1, Math.ceil(this.spread / 1_000)) : undefined

  /** Drains, once: whoever comes later waits for the same end. Interrupting the wait does not stop it. */
  readonly run: Effect.Effect<void> = Effect.suspend(() => {
    this.isOn = true
    return Effect.asVoid(Fiber.await(this.fiber ??= fork(this.core, this.program)))
  })

  private readonly program: Effect.Effect<void> = Effect.suspend(() => {
    const { endpoints, shared } = this.parts!
    const hosts = [...shared.served.rooms.values(), ...shared.served.topics.values(), endpoints]
    const work = Effect.forEach(hosts, (host) => host.drain, { concurrency: "unbounded", discard: true })
    return Effect.gen({ self: this }, function*() {
      yield* this.announce([...shared.connections])
      const finished = yield* within(work, this.deadline)
      if (!finished) {
        for (const host of hosts) host.expire(reason)
        yield* within(work, stopMillis)
      }
      for (const connection of [...shared.connections]) connection.retire()
      yield* shared.retiring.empty
      // The transport drops what is still open once this has returned.
      yield* shared.closing.empty
      yield* endpoints.settled
      shared.sessions.stop()
    })
  })

  /** Tells every client when to come back: each has a part of the time for itself, and a random moment in it. */
  private announce(connections: ReadonlyArray<Connection>) {
    const part = this.spread / Math.max(1, connections.length)
    return Effect.flatMap(
      Random.Random,
      (random) =>
        Effect.map(
          Random.shuffle(connections.keys()),
          (places) =>
            connections.forEach((connection, index) =>
              connection.announceDrain(Math.floor((places[index]! + random.nextDoubleUnsafe()) * part))
            )
        )
    )
  }
}

/** Answers whether it has ended in time. */
const within = (effect: Effect.Effect<void>, millis: number): Effect.Effect<boolean> =>
  Effect.match(Effect.timeout(effect, millis), { onSuccess: () => true, onFailure: () => false })
