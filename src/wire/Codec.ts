/**
 * The seam between frames and the bytes of a WebSocket message: one implementation for each subprotocol.
 */
import type * as Frame from "./Frame.ts"

/** One frame in the form of the wire, with its size. Shared by every connection that gets it. */
export interface Encoded {
  readonly data: string | Uint8Array<ArrayBuffer>
  readonly bytes: number
  /** The kind of frame that it is; unsaid for what is no frame of the protocol. */
  readonly kind?: string
}

/** A codec of protocol version 1. Neither direction ever throws for what came from the other end. */
export interface Codec {
  readonly subprotocol: string
  /** Encodes one frame. Throws for payloads that are not JSON, which a contract's schema never lets through. */
  readonly encode: (frame: Frame.ClientFrame | Frame.ServerFrame) => Encoded
  /** Concatenates encoded frames, untouched, into one message. */
  readonly concat: (frames: ReadonlyArray<Encoded>) => string | Uint8Array<ArrayBuffer>
  /** Bytes that stand between two frames of one message. */
  readonly separatorBytes: number
  /** Whether a message is text; bytes otherwise. */
  readonly isText: boolean
  readonly decodeClient: Decode<Frame.ClientFrame>
  readonly decodeServer: Decode<Frame.ServerFrame>
}

/** Takes one message apart. Gives undefined when it holds more than `maxFrames` frames. */
export type Decode<F> = (
  message: string | Uint8Array,
  maxFrames: number
) => ReadonlyArray<F | Frame.Unknown | Frame.Malformed> | undefined
