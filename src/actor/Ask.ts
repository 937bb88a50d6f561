/**
 * Questions: messages that carry a handle for their answer.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Stopped, Unanswered } from "./ActorError.ts"
import type { Dispatcher } from "./Dispatcher.ts"

/**
 * The handle with which a question is answered, at most once.
 *
 * **Details**
 *
 * The first answer counts; later ones, and answers after the asker's timeout, change nothing. A handle may be
 * kept, or passed on, and used after the handling of its message has ended well. The asker goes on in a turn of
 * its own, after the one that answered.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reply<in A, in E = never> {
  /** Answers with a value. */
  readonly succeed: (value: A) => Effect.Effect<void>
  /** Answers with a failure. */
  readonly fail: (error: E) => Effect.Effect<void>
  /** Answers synchronously, and says whether this was the first answer. */
  readonly doneUnsafe: (exit: Exit.Exit<A, E>) => boolean
}

/** @internal */
export class Question<A, E> implements Reply<A, E> {
  private readonly dispatcher: Dispatcher
  private readonly answer = Deferred.makeUnsafe<A, E | Stopped | Unanswered>()
  private open = true

  constructor(dispatcher: Dispatcher) {
    this.dispatcher = dispatcher
  }

  get await(): Effect.Effect<A, E | Stopped | Unanswered> {
    return Deferred.await(this.answer)
  }

  readonly succeed = (value: A): Effect.Effect<void> => Effect.sync(() => void this.settle(Exit.succeed(value)))

  readonly fail = (error: E): Effect.Effect<void> => Effect.sync(() => void this.settle(Exit.fail(error)))

  readonly doneUnsafe = (exit: Exit.Exit<A, E>): boolean => this.settle(exit)

  settle(exit: Exit.Exit<A, E | Stopped | Unanswered>): boolean {
    if (!this.open) return false
    this.open = false
    // As a turn: a chain of actors that wait for each other would otherwise unwind on one stack.
    this.dispatcher.run(() => Deferred.doneUnsafe(this.answer, exit))
    return true
  }
}

/**
 * The open questions of one actor, by their message.
 *
 * @internal
 */
export class Questions {
  private readonly open = new Map<unknown, Question<any, any>>()

  add(message: unknown, question: Question<any, any>): void {
    this.open.set(message, question)
  }

  forget(message: unknown): void {
    this.open.delete(message)
  }

  /** Fails the question that `message` carries, if it is one. */
  abandon(message: unknown, id: string, why: Unanswered["why"]): void {
    const question = this.open.get(message)
    if (question === undefined) return
    this.open.delete(message)
    question.settle(Exit.fail(new Unanswered({ id, why })))
  }

  /** Fails all questions that nobody will answer any more. */
  stop(id: string): void {
    for (const question of this.open.values()) question.settle(Exit.fail(new Stopped({ id })))
    this.open.clear()
  }
}
