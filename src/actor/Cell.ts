/**
 * The state machine of one actor.
 *
 * A cell is idle, or busy: then exactly one of these is true, and only that one takes it further. A turn is queued
 * or running in the dispatcher; a handler, an `init`, a recovery or the closing of the instance has suspended and
 * its fiber's observer will go on.
 *
 * A handler that returns an effect gets a fiber of its own, started in the turn. That costs 30 ns more than one
 * fiber for the whole turn and keeps messages apart: an interruption, a child fiber or a fiber-local value of one
 * never reaches the next.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import type { Abandoned, Actor, Behavior, Options, StopReason } from "./ActorRef.ts"
import type { Questions } from "./Ask.ts"
import { type Dispatcher, taskQueue } from "./Dispatcher.ts"
import { isExit } from "./Ended.ts"
import type { Home, Resident } from "./Home.ts"
import * as Mailbox from "./Mailbox.ts"
import { logCause, Restarts } from "./Supervision.ts"

/** @internal */
export abstract class Cell<M, C> implements Resident {
  readonly id: string
  state: Actor<M, C>["state"] = "starting"

  private readonly options: Options<M, C, unknown, Scope.Scope>
  private readonly context: Context.Context<never>
  protected readonly dispatcher: Dispatcher
  protected readonly mailbox: Mailbox.Mailbox<M, C>
  private readonly home: Home

  private behavior: Behavior<M, C> | undefined = undefined
  private instance: Scope.Closeable | undefined = undefined

  /** A turn is queued or running, or a fiber is at work. */
  protected busy = true
  protected draining = false
  /** Draining, and nothing waited any more. */
  private drained = false
  /** The message being handled. */
  protected current: M | C | typeof Mailbox.Empty = Mailbox.Empty
  /** An init, a recovery or a closing has begun and not ended. */
  private working = false
  /** What has suspended, if anything has. */
  protected fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  private timer: Fiber.Fiber<void> | undefined = undefined
  /** Why the current handling is being interrupted. */
  protected interruption: Abandoned | undefined = undefined

  private restarts: Restarts | undefined = undefined
  protected questions: Questions | undefined = undefined
  protected observers: Set<(reason: StopReason) => void> | undefined = undefined
  protected reason: StopReason | undefined = undefined

  constructor(
    options: Options<M, C, unknown, Scope.Scope>,
    context: Context.Context<never>,
    home: Home,
    dispatcher: Dispatcher
  ) {
    this.id = options.id
    this.options = options
    this.context = context
    this.home = home
    this.dispatcher = dispatcher
    this.mailbox = Mailbox.make(options.mailbox ?? 256)
  }

  /** Starts an instance; to be called in a turn. */
  start(): void {
    if (this.state === "stopping" || this.state === "stopped") return
    // Already, should `init` stop its own actor.
    this.working = true
    this.work(this.init(), (exit) => {
      if (this.mustFinish) return this.finish()
      if (exit._tag === "Failure") return this.crash(exit.cause)
      this.behavior = exit.value
      const restarted = this.state === "restarting"
      this.state = "ready"
      if (restarted) this.hook(() => this.options.onRestarted?.())
      this.dispatcher.run(this.turn)
    })
  }

  /** Makes an instance. One that is made at once has acquired nothing, and so needs no scope. */
  private init(): Effect.Effect<Behavior<M, C>, unknown> {
    this.instance = undefined
    try {
      const init = this.options.init(this.self)
      if (isExit(init)) return init as Exit.Exit<Behavior<M, C>, unknown>
      return Effect.provideService(init, Scope.Scope, this.instance = Scope.makeUnsafe())
    } catch (defect) {
      return Effect.die(defect)
    }
  }

  /** The actor that this is. */
  protected abstract readonly self: Actor<M, C>

  abstract close(): Effect.Effect<void>

  // --- messages ---

  protected wake(): void {
    if (this.busy) return
    this.busy = true
    this.dispatcher.run(this.turn)
  }

  private readonly turn = (): void => {
    const { dispatcher, mailbox } = this
    let left = dispatcher.messagesPerTurn
    try {
      while (this.state === "ready") {
        if (left-- === 0) return this.yieldTurn()
        const behavior = this.behavior!
        const controlled = mailbox.controlNext
        const message = mailbox.take()
        if (message === Mailbox.Empty) return this.rest()
        this.current = message
        const effect = controlled ? behavior.control?.(message as C) : behavior.receive(message as M)
        if (effect === undefined) {
          this.current = Mailbox.Empty
        } else if (!this.perform(effect)) {
          return
        }
      }
    } catch (defect) {
      return this.crash(Cause.die(defect))
    }
    if (this.mustFinish) this.finish()
  }

  /** Nothing waits. */
  private rest(): void {
    if (this.draining && !this.drained) {
      this.drained = true
      // Busy meanwhile, so that what the hook sends is handled after it.
      this.busy = true
      this.hook(() => this.options.onDrained?.())
      if (this.state !== "ready") return
      if (this.mailbox.size > 0) return this.dispatcher.run(this.turn)
    }
    this.busy = false
    if (this.draining) this.finish()
  }

  /** Lets the other actors and the runtime have their turn. */
  private yieldTurn(): void {
    taskQueue(Context.get(this.context, Scheduler.Scheduler)).scheduleTask(() => this.dispatcher.run(this.turn), 0)
  }

  /** Runs the effect of a handler, and answers whether the turn may go on. */
  private perform(effect: Effect.Effect<void>): boolean {
    if (isExit(effect)) return this.settle(effect as Exit.Exit<void>)
    const fiber = Effect.runForkWith(this.context)(effect)
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return this.settle(exit)
    this.fiber = fiber
    fiber.addObserver((exit) => {
      this.fiber = undefined
      this.timer?.interruptUnsafe()
      this.timer = undefined
      if (!this.settle(exit)) return
      if (this.mustFinish) this.finish()
      else this.dispatcher.run(this.turn)
    })
    if (this.state === "stopping") this.interrupt({ _tag: "Interrupted", reason: "stopped" })
    else if (this.options.deadline !== undefined) this.limit(this.options.deadline)
    return false
  }

  /** Interrupts the handler that has suspended, once it has run for `deadline`. */
  private limit(deadline: Duration.Input): void {
    const late = Effect.sync(() => {
      this.timer = undefined
      this.interrupt({ _tag: "Deadline" })
    })
    this.timer = Effect.runForkWith(this.context)(Effect.andThen(Effect.sleep(deadline), late))
  }

  private interrupt(why: Abandoned): void {
    if (this.current !== Mailbox.Empty) this.interruption ??= why
    this.fiber?.interruptUnsafe()
  }

  /** Takes note of how the handling of the current message ended, and answers whether the actor goes on. */
  private settle(exit: Exit.Exit<void>): boolean {
    const { current, interruption } = this
    if (exit._tag === "Failure" && !Cause.hasInterruptsOnly(exit.cause)) {
      this.crash(exit.cause)
      return false
    }
    this.current = Mailbox.Empty
    this.interruption = undefined
    if (exit._tag === "Failure" && current !== Mailbox.Empty) {
      this.abandon(current, interruption ?? { _tag: "Interrupted", reason: "its own effect was interrupted" })
    }
    return true
  }

  private abandon(message: M | C, why: Abandoned): void {
    this.hook(() => this.options.onAbandoned?.(message, why))
    this.questions?.abandon(message, this.id, why._tag)
  }

  // --- life ---

  /** Runs what is not the handling of a message; `done` is called when it has ended. */
  private work<A>(
    effect: Effect.Effect<A, unknown>,
    done: (exit: Exit.Exit<A, unknown>) => void,
    options?: Effect.RunOptions
  ): void {
    this.working = true
    const end = (exit: Exit.Exit<A, unknown>) => {
      this.fiber = undefined
      this.working = false
      done(exit)
    }
    // What has ended needs no fiber.
    if (isExit(effect)) return end(effect as Exit.Exit<A, unknown>)
    const fiber = Effect.runForkWith(this.context)(effect, options)
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return end(exit)
    this.fiber = fiber
    fiber.addObserver(end)
    if (this.state === "stopping") fiber.interruptUnsafe()
  }

  private crash(cause: Cause.Cause<unknown>): void {
    const message = this.current
    this.current = Mailbox.Empty
    this.interruption = undefined
    this.behavior = undefined
    // A hook may stop the actor; that has to wait for the line after it.
    this.working = true
    if (message !== Mailbox.Empty) this.abandon(message, { _tag: "Crashed", cause })
    this.working = false
    if (this.mustFinish) return this.finish()
    this.state = "restarting"
    const restarts = this.restarts ??= new Restarts(this.options.supervision)
    this.work(restarts.recover(this.id, this.instance, cause), (exit) => {
      if (this.mustFinish) return this.finish()
      if (exit._tag === "Success" && exit.value) return this.dispatcher.run(() => this.start())
      this.reason = { _tag: "Spent", cause: exit._tag === "Success" ? cause : exit.cause }
      this.finish()
    })
  }

  protected halt(mode: "drain" | "discard", reason: StopReason): void {
    if (this.state === "stopping" || this.state === "stopped") return
    this.reason = reason
    if (mode === "drain") {
      this.draining = true
      if (!this.busy) this.rest()
      return
    }
    this.state = "stopping"
    if (this.fiber !== undefined) this.interrupt({ _tag: "Interrupted", reason: "stopped" })
    else if (this.mustFinish) this.finish()
  }

  /** Nothing is in progress, and nothing may begin any more. */
  private get mustFinish(): boolean {
    return this.state === "stopping" && !this.inProgress
  }

  /** A handler, an init, a recovery or a closing has begun and not ended. */
  protected get inProgress(): boolean {
    return this.working || this.current !== Mailbox.Empty
  }

  /** Discards what waits and ends the instance. */
  private finish(): void {
    this.state = "stopping"
    this.busy = true
    this.working = true
    for (const message of this.mailbox.clear()) this.hook(() => this.options.onDiscarded?.(message))
    this.questions?.stop(this.id)
    const closing = this.instance && Scope.closeUnsafe(this.instance, Exit.void)
    if (closing === undefined) return this.ended()
    this.work(closing, (exit) => {
      if (exit._tag === "Failure") Effect.runForkWith(this.context)(logCause(this.id, "a finalizer failed", exit.cause))
      this.ended()
    }, { uninterruptible: true })
  }

  private ended(): void {
    const reason = this.reason!
    const observers = this.observers
    this.state = "stopped"
    this.working = this.busy = false
    this.behavior = this.instance = this.observers = undefined
    this.home.left(this)
    this.hook(() => this.options.onStopped?.(reason))
    observers?.forEach((observer) => this.dispatcher.run(() => observer(reason)))
  }

  private hook(call: () => void): void {
    try {
      call()
    } catch (defect) {
      Effect.runForkWith(this.context)(logCause(this.id, "a hook of an actor threw", Cause.die(defect)))
    }
  }
}
