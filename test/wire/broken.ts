/**
 * Codecs with one fault each, to prove that the laws find it.
 */
import type { Codec } from "../../src/wire/Codec.ts"
import { json } from "../../src/wire/Json.ts"
import { msgpack } from "../../src/wire/Msgpack.ts"

const limited = (codec: Codec, change: (maxFrames: number) => number): Codec => ({
  ...codec,
  decodeClient: (message, maxFrames) => codec.decodeClient(message, change(maxFrames)),
  decodeServer: (message, maxFrames) => codec.decodeServer(message, change(maxFrames))
})

const rewritten = (rewrite: (data: string) => string): Codec => ({
  ...json,
  encode: (frame) => {
    const data = rewrite(json.encode(frame).data as string)
    return { data, bytes: new TextEncoder().encode(data).length }
  }
})

export const broken: { readonly [fault: string]: Codec } = {
  "loses the separator": {
    ...json,
    separatorBytes: 0,
    concat: (frames) => frames.map(({ data }) => data).join("")
  },
  "ends a message with the separator": {
    ...json,
    concat: (frames) => frames.map(({ data }) => `${data as string}\n`).join("")
  },
  "drops the last field where it is optional": rewritten((data) => {
    const values = JSON.parse(data) as Array<unknown>
    return JSON.stringify(
      ["event", "volatile", "join", "hello"].includes(values[0] as string) ? values.slice(0, 4) : values
    )
  }),
  "writes newlines into a frame": rewritten((data) => data.replaceAll("\\n", "\n")),
  "mixes up two numbers": rewritten((data) => data.replace(/^\["event",(\d+),(\d+)/, "[\"event\",$2,$1")),
  "counts bytes in UTF-16 units": {
    ...json,
    encode: (frame) => {
      const { data } = json.encode(frame)
      return { data, bytes: data.length }
    }
  },
  "forgets the separator's byte": { ...json, separatorBytes: 0 },
  "allows one frame too many": limited(json, (maxFrames) => maxFrames + 1),
  "allows one frame too few": limited(json, (maxFrames) => maxFrames - 1),
  "throws for a wrong field": {
    ...json,
    decodeClient: (message, maxFrames) => {
      const frames = json.decodeClient(message, maxFrames)
      for (const frame of frames ?? []) if (frame._tag === "malformed") throw new Error(frame.field)
      return frames
    }
  },
  "echoes the value": {
    ...json,
    decodeServer: (message, maxFrames) =>
      json.decodeServer(message, maxFrames)?.map((frame) =>
        frame._tag === "malformed" ? { ...frame, detail: `got ${message.toString().repeat(100)}` } : frame
      )
  }
}

const encodedAs = (rewrite: (data: Uint8Array) => Uint8Array<ArrayBuffer>): Codec => ({
  ...msgpack,
  encode: (frame) => {
    const data = rewrite(msgpack.encode(frame).data as Uint8Array)
    return { data, bytes: data.length }
  }
})

const replaced = (data: Uint8Array, from: number, to: number): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(data, (byte) => byte === from ? to : byte)

export const brokenMsgpack: { readonly [fault: string]: Codec } = {
  "writes -1 for null": encodedAs((data) => replaced(data, 0xc0, 0xff)),
  "reads 32 bits as 16": encodedAs((data) => replaced(data, 0xce, 0xcd)),
  "ends a frame too early": encodedAs((data) => data.slice(0, -1)),
  "overwrites what it wrote before": (() => {
    const shared = new Uint8Array(1_000_000)
    return encodedAs((data) => {
      shared.set(data)
      return shared.subarray(0, data.length)
    })
  })(),
  "thinks there is a separator": { ...msgpack, separatorBytes: 1 },
  "counts one byte too many": {
    ...msgpack,
    encode: (frame) => {
      const { bytes, data } = msgpack.encode(frame)
      return { data, bytes: bytes + 1 }
    }
  },
  "allows one frame too many": limited(msgpack, (maxFrames) => maxFrames + 1),
  "throws at the end of a message": {
    ...msgpack,
    decodeServer: (message, maxFrames) => {
      const frames = msgpack.decodeServer(message, maxFrames)
      const last = frames?.at(-1)
      if (last?._tag === "malformed" && last.field === "frame") throw new RangeError("out of bounds")
      return frames
    }
  }
}
