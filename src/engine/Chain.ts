/**
 * Frames in the order in which they were pushed, as a chain of which the beginnings are shared.
 *
 * In a fan-out all outboxes of a tick get the same frames: what one has added to a chain the others find there, with the
 * message that it makes, instead of a list of their own.
 */
import type { Outgoing } from "./Fate.ts"
import type { Packing } from "./Packing.ts"

export class Chain {
  readonly length: number
  /** Undefined in the empty chain only. */
  readonly last: Outgoing | undefined
  private readonly before: Chain | undefined
  /** What was added to it last. */
  private after: Chain | undefined
  private message: string | Uint8Array<ArrayBuffer> | undefined

  private constructor(last: Outgoing | undefined, before: Chain | undefined) {
    this.length = before === undefined ? 0 : before.length + 1
    this.last = last
    this.before = before
    this.after = undefined
    this.message = undefined
  }

  /** The empty chain. It holds on to the last one that began with it. */
  static readonly empty = new Chain(undefined, undefined)

  /** The chain with one more frame. */
  add(frame: Outgoing): Chain {
    const { after } = this
    if (after !== undefined && after.last === frame) return after
    return this.after = new Chain(frame, this)
  }

  /** A new list of its frames. */
  get frames(): Array<Outgoing> {
    const { before, last, length } = this
    if (last === undefined) return []
    const frames = Array<Outgoing>(length).fill(last)
    for (let chain = before!; chain.last !== undefined; chain = chain.before!) frames[chain.length - 1] = chain.last
    return frames
  }

  /** All of it as one message; a chain is packed in one way only, since its frames are encoded. */
  join(packing: Packing<unknown>): string | Uint8Array<ArrayBuffer> {
    return this.message ??= this.length === 1 ? this.last!.data : packing.join(this.frames)
  }
}
