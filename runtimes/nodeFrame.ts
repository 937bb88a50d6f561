/**
 * Frames of a server: RFC 6455 section 5.2, unmasked, unfragmented and without extensions; and the mask of a client's.
 */

const text = 0x81
const binary = 0x82
const closing = 0x88
const answer = 0x8a

/** The code of a close frame that has none; never sent (section 7.4.1). */
export const noCode = 1005

/** Makes a buffer for a frame and fills its header; the payload begins behind it. */
const withHeader = (opcode: number, length: number): Buffer => {
  if (length < 126) {
    const frame = Buffer.allocUnsafe(length + 2)
    frame[0] = opcode
    frame[1] = length
    return frame
  }
  if (length < 65_536) {
    const frame = Buffer.allocUnsafe(length + 4)
    frame[0] = opcode
    frame[1] = 126
    frame.writeUInt16BE(length, 2)
    return frame
  }
  const frame = Buffer.allocUnsafe(length + 10)
  frame[0] = opcode
  frame[1] = 127
  frame.writeUIntBE(0, 2, 2)
  frame.writeUIntBE(length, 4, 6)
  return frame
}

const make = (data: string | Uint8Array): Buffer => {
  if (typeof data === "string") {
    const length = Buffer.byteLength(data)
    const frame = withHeader(text, length)
    // Most is ASCII, which is copied as it is.
    frame.write(data, frame.length - length, length === data.length ? "latin1" : "utf8")
    return frame
  }
  return withPayload(binary, data)
}

const withPayload = (opcode: number, payload: Uint8Array): Buffer => {
  const frame = withHeader(opcode, payload.length)
  frame.set(payload, frame.length - payload.length)
  return frame
}

let last: string | Uint8Array = ""
let lastFrame = make(last)

/** The frame of a message; made once for all sockets that are given the same one in turn. */
export const of = (data: string | Uint8Array): Buffer => {
  if (data !== last) {
    last = data
    lastFrame = make(data)
  }
  return lastFrame
}

/** The answer to a ping. */
export const pong = (payload: Uint8Array): Buffer => withPayload(answer, payload)

/** A close frame; the reason has at most 123 bytes. */
export const close = (code: number, reason: string): Buffer => {
  if (code === noCode) return withPayload(closing, new Uint8Array(0))
  const length = Buffer.byteLength(reason)
  const frame = withHeader(closing, length + 2)
  frame.writeUInt16BE(code, 2)
  frame.write(reason, 4)
  return frame
}

/** Takes the mask off, in place. Answers with the bitwise or of all bytes: below 128 they are ASCII. */
export const unmask = (bytes: Buffer, start: number, end: number): number => {
  const m0 = bytes[start - 4]!
  const m1 = bytes[start - 3]!
  const m2 = bytes[start - 2]!
  const m3 = bytes[start - 1]!
  const fours = start + ((end - start) & ~3)
  let seen = 0
  let at = start
  for (; at < fours; at += 4) {
    seen |= (bytes[at]! ^= m0) | (bytes[at + 1]! ^= m1) | (bytes[at + 2]! ^= m2) | (bytes[at + 3]! ^= m3)
  }
  if (at < end) seen |= bytes[at]! ^= m0
  if (at + 1 < end) seen |= bytes[at + 1]! ^= m1
  if (at + 2 < end) seen |= bytes[at + 2]! ^= m2
  return seen
}
