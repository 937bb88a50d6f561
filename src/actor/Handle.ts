/**
 * What an actor offers to others: telling, asking, stopping and watching, on top of its cell.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { AskTimeout, MailboxFull, Stopped, type Unanswered } from "./ActorError.ts"
import type { Actor, StopReason } from "./ActorRef.ts"
import { Question, Questions, type Reply } from "./Ask.ts"
import { Cell } from "./Cell.ts"
import { Empty } from "./Mailbox.ts"

/** @internal */
export class Handle<M, C> extends Cell<M, C> implements Actor<M, C> {
  private boundTell: Actor<M, C>["tell"] | undefined = undefined
  private boundTellUnsafe: Actor<M, C>["tellUnsafe"] | undefined = undefined
  private boundAsk: Actor<M, C>["ask"] | undefined = undefined

  protected get self(): Actor<M, C> {
    return this
  }

  get pending(): number {
    return this.mailbox.size
  }

  get isIdle(): boolean {
    return !this.busy
  }

  get tellUnsafe(): Actor<M, C>["tellUnsafe"] {
    return this.boundTellUnsafe ??= (message) => this.offer(message)
  }

  get tell(): Actor<M, C>["tell"] {
    return this.boundTell ??= (message) =>
      Effect.suspend(() => {
        const told = this.offer(message)
        return told === "accepted" ? Effect.void : Effect.fail(this.refusal(told))
      })
  }

  get ask(): Actor<M, C>["ask"] {
    return this.boundAsk ??= (make, options) => this.question(make, options?.timeout ?? "5 seconds")
  }

  controlUnsafe(message: C): boolean {
    if (this.state === "stopping" || this.state === "stopped") return false
    this.mailbox.control(message)
    this.wake()
    return true
  }

  interruptCurrent(predicate: (message: any) => boolean, reason: string): boolean {
    const { current, fiber } = this
    if (fiber === undefined || current === Empty || this.interruption !== undefined) return false
    if (fiber === Fiber.getCurrent() || !predicate(current)) return false
    this.interruption = { _tag: "Interrupted", reason }
    fiber.interruptUnsafe()
    return true
  }

  stop(mode: "drain" | "discard" = "drain"): Effect.Effect<void> {
    return Effect.suspend(() => this.end(mode, { _tag: "Stopped" }))
  }

  stopUnsafe(mode: "drain" | "discard" = "drain"): void {
    this.halt(mode, { _tag: "Stopped" })
  }

  get exit(): Effect.Effect<StopReason> {
    return Effect.callback<StopReason>((resume) => {
      const forget = this.observe((reason) => resume(Effect.succeed(reason)))
      return Effect.sync(forget)
    })
  }

  /** Calls `f` once when the actor is no more, in a turn of its own, at once if that is so already. */
  observe(f: (reason: StopReason) => void): () => void {
    if (this.state === "stopped") {
      f(this.reason!)
      return () => {}
    }
    const observer = (reason: StopReason) => f(reason)
    const observers = this.observers ??= new Set()
    observers.add(observer)
    return () => void observers.delete(observer)
  }

  close(): Effect.Effect<void> {
    return this.end("discard", { _tag: "Closed" })
  }

  /** Halts the actor and waits, unless that would be its own handler waiting for itself. */
  end(mode: "drain" | "discard", reason: StopReason): Effect.Effect<void> {
    this.halt(mode, reason)
    const wait = Effect.suspend(() => {
      const own = this.fiber !== undefined && this.fiber === Fiber.getCurrent()
      return own || this.state === "stopped" ? Effect.void : Effect.asVoid(this.exit)
    })
    // Whose fiber this is shows once what is in progress has suspended.
    return this.inProgress && this.fiber === undefined ? Effect.andThen(Effect.yieldNow, wait) : wait
  }

  offer(message: M): "accepted" | "full" | "stopped" {
    if (this.draining || this.state === "stopping" || this.state === "stopped") return "stopped"
    if (!this.mailbox.offer(message)) return "full"
    this.wake()
    return "accepted"
  }

  private refusal(told: "full" | "stopped"): MailboxFull | Stopped {
    return told === "full"
      ? new MailboxFull({ id: this.id, capacity: this.mailbox.capacity })
      : new Stopped({ id: this.id })
  }

  private question<A, E>(
    make: (reply: Reply<A, E>) => M,
    timeout: Duration.Input
  ): Effect.Effect<A, E | MailboxFull | Stopped | AskTimeout | Unanswered> {
    return Effect.suspend((): Effect.Effect<A, E | MailboxFull | Stopped | Unanswered | AskTimeout> => {
      const question = new Question<A, E>(this.dispatcher)
      const message = make(question)
      const questions = this.questions ??= new Questions()
      questions.add(message, question)
      const told = this.offer(message)
      if (told !== "accepted") {
        questions.forget(message)
        return Effect.fail(this.refusal(told))
      }
      return question.await.pipe(
        Effect.timeoutOrElse({
          duration: timeout,
          orElse: () =>
            Effect.fail(new AskTimeout({ id: this.id, millis: Duration.toMillis(Duration.fromInputUnsafe(timeout)) }))
        }),
        Effect.ensuring(Effect.sync(() => questions.forget(message)))
      )
    })
  }
}
