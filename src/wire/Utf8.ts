/**
 * Sizes of text in bytes of UTF-8, as a WebSocket message carries it.
 */

const encoder = new TextEncoder()
const scratch = new Uint8Array(16_384)

/**
 * The exact number of bytes of a text in UTF-8.
 *
 * A surrogate without its pair counts 3 bytes, like the U+FFFD that stands for it on the wire. Native speed for ASCII.
 */
export const byteLength = (text: string): number => {
  let { read, written } = encoder.encodeInto(text, scratch)
  // What does not fit at once goes through the same buffer piece by piece; a piece never ends within a code point.
  while (read < text.length) {
    const next = encoder.encodeInto(text.slice(read, read + scratch.length), scratch)
    read += next.read
    written += next.written
  }
  return written
}

/** Whether a text has more than `limit` bytes in UTF-8; counts them only where its length leaves it open. */
export const exceeds = (text: string, limit: number): boolean =>
  text.length > limit || (text.length * 3 > limit && byteLength(text) > limit)
