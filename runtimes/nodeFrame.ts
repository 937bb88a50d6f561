/**
 * Frames of a server: RFC 6455 section 5.2, unmasked, unfragmented and without extensions.
 */

const text = 0x81
const binary = 0x82

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
    frame.write(data, frame.length - length)
    return frame
  }
  const frame = withHeader(binary, data.length)
  frame.set(data, frame.length - data.length)
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
