/**
 * What is said in rooms and waits to be sent: for a connection, for a room, for the pace, for an answer to make room.
 */
import * as RequestError from "../contract/RequestError.ts"
import type { Call, Channel, RequestCall } from "./Channel.ts"
import type { Link } from "./Link.ts"
import type { Requests } from "./Requests.ts"

export interface Options {
  /** Calls that may wait. */
  readonly capacity: number
  readonly requests: Requests
  readonly after: (task: () => void) => void
  /** Asks for a `drain` soon. */
  readonly schedule: () => void
}

/** Sends requests and notices in the order they were made for each room. */
export class Outgoing {
  private readonly options: Options
  private calls: Array<Call> = []
  /** Looks into a history that were sent and not answered. They change nothing, and may be sent any number of times. */
  private readonly looks = new Set<Call>()

  constructor(options: Options) {
    this.options = options
  }

  get isFull(): boolean {
    return this.calls.length >= this.options.capacity
  }

  add(call: Call): void {
    this.calls.push(call)
    this.options.schedule()
  }

  /** Nobody waits for the answer any more. */
  cancel(call: Call, link: Link | undefined): void {
    if (!call.settle()) return
    this.looks.delete(call)
    this.calls = this.calls.filter((other) => other !== call)
    if (call.ref !== undefined && call.message._tag === "request") link?.giveUp(call.ref)
    this.options.schedule()
  }

  reject(reason: RequestError.RequestError["reason"], matches: (call: Call) => boolean): void {
    const rejected = this.calls.filter(matches)
    if (rejected.length === 0) return
    this.calls = this.calls.filter((call) => !matches(call))
    for (const call of rejected) this.fail(call, reason)
  }

  /** The connection is gone. */
  lose(): void {
    this.calls = [...this.looks, ...this.calls]
    this.looks.clear()
  }

  private fail(call: Call, reason: RequestError.RequestError["reason"]): void {
    if (call.settle()) this.options.after(() => call.onFailure(reason))
  }

  /** Sends what may be sent now. */
  drain(link: Link): void {
    this.options.requests.sendAgain(link)
    const blocked = new Set<Channel>()
    const rest: Array<Call> = []
    let index = 0
    for (; index < this.calls.length; index++) {
      const call = this.calls[index]!
      const { channel } = call
      if (blocked.has(channel) || channel.status !== "open" || !this.hasPlace(call, link)) {
        blocked.add(channel)
        rest.push(call)
      } else if (link.canSend()) this.send(call, link)
      else break
    }
    this.calls = [...rest, ...this.calls.slice(index)]
  }

  private hasPlace({ message: { _tag } }: Call, link: Link): boolean {
    return _tag === "notice" || (_tag === "request" ? this.options.requests.canSend(link) : link.canAsk)
  }

  private send(call: Call, link: Link): void {
    const { message } = call
    const channel = call.channel.number!
    if (message._tag === "request") {
      const refused = this.options.requests.send(call as RequestCall, link)
      if (refused !== undefined) this.fail(call, refused)
    } else if (message._tag === "notice") {
      call.settle()
      link.tell({ ...message, channel })
    } else {
      this.looks.add(call)
      link.ask((ref) => ({ ...message, ref, channel }), {
        answered: (frame) => {
          this.looks.delete(call)
          if (call.settle()) this.options.after(() => call.onAnswer(frame))
          this.options.schedule()
        },
        timedOut: () => {
          this.looks.delete(call)
          this.fail(call, new RequestError.HandlerTimeout({ millis: link.answerMillis }))
        }
      })
    }
  }
}
