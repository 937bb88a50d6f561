/**
 * Why a message was not taken, or a question not answered.
 */
import * as Data from "effect/Data"

/**
 * The mailbox holds as many messages as it may; the message was not accepted.
 *
 * @category errors
 * @since 0.1.0
 */
export class MailboxFull extends Data.TaggedError("MailboxFull")<{ readonly id: string; readonly capacity: number }> {
  override get message() {
    return `the mailbox of actor ${this.id} is full (${this.capacity} messages)`
  }
}

/**
 * The actor has stopped, or no longer accepts messages because it is stopping.
 *
 * **Details**
 *
 * From `ask` it also means that the message was accepted and then discarded: its handling never began, unless the
 * actor stopped while it was open.
 *
 * @category errors
 * @since 0.1.0
 */
export class Stopped extends Data.TaggedError("Stopped")<{ readonly id: string }> {
  override get message() {
    return `actor ${this.id} has stopped`
  }
}

/**
 * Nothing answered within the time that the asker gave; the message may still be handled.
 *
 * @category errors
 * @since 0.1.0
 */
export class AskTimeout extends Data.TaggedError("AskTimeout")<{ readonly id: string; readonly millis: number }> {
  override get message() {
    return `actor ${this.id} did not answer within ${this.millis} ms`
  }
}

/**
 * The handling of the question ended without an answer: it crashed, was interrupted, or took too long.
 *
 * **Details**
 *
 * The handling had begun, so some of its effects may have happened. It carries no cause: what went wrong inside
 * an actor is for its log, not for whoever asked.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unanswered extends Data.TaggedError("Unanswered")<{
  readonly id: string
  readonly why: "Crashed" | "Interrupted" | "Deadline"
}> {
  override get message() {
    return `actor ${this.id} ended the handling of the question without an answer (${this.why})`
  }
}
