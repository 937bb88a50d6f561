/**
 * The frames that leave together in the next message.
 */
import type * as Codec from "../wire/Codec.ts"

export class Batch {
  private readonly codec: Codec.Codec
  private frames: Array<Codec.Encoded> = []
  /** With what stands between them. */
  bytes = 0

  constructor(codec: Codec.Codec) {
    this.codec = codec
  }

  get isEmpty(): boolean {
    return this.frames.length === 0
  }

  /** Whether one more frame fits a message of so many bytes and frames. */
  fits({ bytes }: Codec.Encoded, maxBytes: number, maxFrames: number): boolean {
    return this.frames.length < maxFrames && this.bytes + bytes + this.codec.separatorBytes <= maxBytes
  }

  add(encoded: Codec.Encoded): void {
    this.frames.push(encoded)
    this.bytes += encoded.bytes + this.codec.separatorBytes
  }

  /** The message, after which there is none. */
  take(): string | Uint8Array<ArrayBuffer> {
    const message = this.codec.concat(this.frames)
    this.frames = []
    this.bytes = 0
    return message
  }
}
