/**
 * What rooms and topics have in common: where they stand with the server, and a feed that wakes its readers.
 */
import type { RequestError } from "../contract/RequestError.ts"
import type * as Frame from "../wire/Frame.ts"
import type { Answer, Channel, Delivery, Owner, Status } from "./Channel.ts"
import { Feed } from "./Feed.ts"

export abstract class FedChannel<A> implements Channel {
  abstract readonly leaveTag: Channel["leaveTag"]
  readonly address: string
  status: Status = "waiting"
  number: number | undefined
  inFlight = 0
  retryAt = 0
  protected readonly owner: Owner
  protected readonly key: string
  protected readonly feed: Feed<A>
  protected position: Frame.Position | null = null
  private isWaking = false

  constructor(owner: Owner, address: string, key: string, eventBuffer: number) {
    this.owner = owner
    this.address = address
    this.key = key
    this.feed = new Feed(eventBuffer)
  }

  abstract readonly askFrame: (ref: number) => Frame.ClientFrames["join" | "subscribe"]
  abstract readonly answered: (frame: Answer) => void
  abstract readonly receive: (frame: Delivery) => void

  finish(error: RequestError | null): void {
    this.feed.finish(error)
    this.wake()
  }

  protected push(element: A): void {
    this.feed.push(element)
    this.wake()
  }

  /** How much further than the one before this event is; up to 0 for one that came already. */
  protected distance(offset: number): number {
    return offset - this.position![2]
  }

  protected moveTo(offset: number): void {
    const [epoch, term] = this.position!
    this.position = [epoch, term, offset]
  }

  /** Asks again later if the server is busy. */
  protected isBusy(reason: RequestError["reason"]): boolean {
    if (reason._tag !== "Overloaded" && reason._tag !== "RateLimited") return false
    this.retryAt = this.owner.now() + Math.max(reason.retryAfter, 1)
    this.owner.want(this)
    return true
  }

  /** Wakes the readers once for all that came together. */
  private wake(): void {
    if (this.isWaking) return
    this.isWaking = true
    this.owner.after(() => {
      this.isWaking = false
      this.feed.wake()
    })
  }
}
