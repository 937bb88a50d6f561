/**
 * How the frames of an outbox become messages: joined by a codec, or each on its own.
 */
import type * as Codec from "../wire/Codec.ts"
import * as Limits from "./Limits.ts"

/** How frames become messages. */
export interface Packing<out C> {
  readonly codec: C
  /** Bytes between two frames of one message; infinite where every frame is a message of its own. */
  readonly separatorBytes: number
  /** Makes one message of at least one frame. */
  readonly join: (frames: ReadonlyArray<Codec.Encoded>) => string | Uint8Array<ArrayBuffer>
}

/** How many of these frames, from the first on, make one message: as many as fit 64 KiB, at least one. */
export const countOf = (frames: ReadonlyArray<Codec.Encoded>, { separatorBytes }: Packing<unknown>): number => {
  let bytes = frames[0]!.bytes
  let count = 1
  for (; count < frames.length; count++) {
    bytes += frames[count]!.bytes + separatorBytes
    if (bytes > Limits.outboundMessageBytes) break
  }
  return count
}

/** Every frame is a message of its own, as it is. */
export const separately: Packing<undefined> = {
  codec: undefined,
  separatorBytes: Infinity,
  join: (frames) => frames[0]!.data
}

/**
 * Joins frames into one message, remembering the last result: in a fan-out all outboxes of a tick hold the same frames.
 */
export class Joiner implements Packing<Codec.Codec> {
  readonly codec: Codec.Codec
  private frames: ReadonlyArray<Codec.Encoded> = []
  private message: string | Uint8Array<ArrayBuffer> = ""

  constructor(codec: Codec.Codec) {
    this.codec = codec
  }

  get separatorBytes(): number {
    return this.codec.separatorBytes
  }

  join(frames: ReadonlyArray<Codec.Encoded>): string | Uint8Array<ArrayBuffer> {
    if (frames.length === 1) return frames[0]!.data
    if (!sameFrames(frames, this.frames)) {
      this.message = this.codec.concat(frames)
      this.frames = frames
    }
    return this.message
  }
}

const sameFrames = (left: ReadonlyArray<Codec.Encoded>, right: ReadonlyArray<Codec.Encoded>): boolean => {
  if (left.length !== right.length) return false
  for (let i = 0; i < left.length; i++) {
    if (left[i] !== right[i]) return false
  }
  return true
}
