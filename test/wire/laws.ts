/**
 * What every codec of the protocol must do, as properties that take the codec.
 */
import { Arbitrary, Schema } from "effect"
import { assert } from "vitest"
import type { Codec } from "../../src/wire/Codec.ts"
import type * as Frame from "../../src/wire/Frame.ts"
import * as Frames from "./frames.ts"

export interface Law<A = any> {
  readonly name: string
  readonly input: Arbitrary.Arbitrary<A>
  /** Throws where the codec breaks the law. */
  readonly check: (codec: Codec, input: A) => void
}

const law = <A>(name: string, input: Arbitrary.Arbitrary<A>, check: Law<A>["check"]): Law<A> => ({ name, input, check })

const decoder = (codec: Codec, direction: Frames.Direction) =>
  direction === "client" ? codec.decodeClient : codec.decodeServer

const byteLength = (data: string | Uint8Array): number =>
  typeof data === "string" ? new TextEncoder().encode(data).length : data.length

const isTypedFrame = (frame: Frames.AnyFrame | Frame.Unknown | Frame.Malformed): boolean => {
  if (frame._tag !== "malformed") return typeof frame._tag === "string"
  const { detail, field, ref } = frame
  return field.length <= 256 && detail.length <= 256 && (ref === null || Number.isSafeInteger(ref))
}

/** Whatever a message holds, the result is undefined or frames, each with a tag; malformed ones have bounded texts. */
const isTyped = (codec: Codec, message: string | Uint8Array): void => {
  for (const direction of ["client", "server"] as const) {
    for (const frame of decoder(codec, direction)(message, 256) ?? []) {
      // Most frames of all the runs pass here: each assertion would cost more than the codec.
      if (!isTypedFrame(frame)) assert.fail(JSON.stringify(frame))
    }
  }
}

const cut = {
  at: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 400 }))),
  remove: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 8 }))),
  insert: Arbitrary.schema(Schema.Union([
    Schema.String,
    Schema.Literals([
      "",
      "[",
      "]",
      "{",
      "}",
      ",",
      "\n",
      "\"",
      "1e999",
      "-1",
      "null",
      "0.5",
      "{\"__proto__\":{\"a\":1}}"
    ])
  ]))
}

const mutation = (sent: Arbitrary.Arbitrary<Frames.Sent>) => Arbitrary.all({ sent, ...cut })

const bytes = Arbitrary.map(
  Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))),
  (values) => Uint8Array.from(values)
)

const isSplicedTyped = (codec: Codec, message: string | Uint8Array, at: number, remove: number, insert: string) =>
  isTyped(
    codec,
    typeof message === "string"
      ? message.slice(0, at) + insert + message.slice(at + remove)
      : Uint8Array.from([...message.slice(0, at), ...new TextEncoder().encode(insert), ...message.slice(at + remove)])
  )

/** The laws, with the frames that the codec can write. */
export const lawsOf = (sent: Arbitrary.Arbitrary<Frames.Sent>): ReadonlyArray<Law> => [
  law("decodes what it encoded, several frames in one message", sent, (codec, { direction, frames }) => {
    const encoded = frames.map(codec.encode)
    assert.deepStrictEqual(decoder(codec, direction)(codec.concat(encoded), frames.length), frames as never)
  }),
  law("knows the size of a frame and of a message", sent, (codec, { frames }) => {
    const encoded = frames.map(codec.encode)
    let total = codec.separatorBytes * (frames.length - 1)
    for (const { bytes, data } of encoded) {
      assert.strictEqual(bytes, byteLength(data))
      total += bytes
    }
    assert.strictEqual(byteLength(codec.concat(encoded)), total)
  }),
  law("takes as many frames as allowed and not one more", sent, (codec, { direction, frames }) => {
    const message = codec.concat(frames.map(codec.encode))
    assert.lengthOf(decoder(codec, direction)(message, frames.length) ?? [], frames.length)
    assert.isUndefined(decoder(codec, direction)(message, frames.length - 1))
  }),
  law("never throws for random text", Arbitrary.schema(Schema.String), isTyped),
  law("never throws for random bytes", bytes, isTyped),
  law("never throws for random JSON", Frames.json, (codec, value) => isTyped(codec, JSON.stringify(value))),
  law("never throws for random arrays that begin with a kind", mutation(sent), (codec, { at, insert, sent }) => {
    isTyped(codec, JSON.stringify([sent.frames[0]._tag, at, insert, insert, at]))
  }),
  law("never throws for a message with a piece cut out and another put in", mutation(sent), (codec, input) => {
    const message = codec.concat(input.sent.frames.map(codec.encode))
    isSplicedTyped(codec, message, input.at, input.remove, input.insert)
  }),
  law("never throws for a message that ends too early", mutation(sent), (codec, { at, sent }) => {
    const message = codec.concat(sent.frames.map(codec.encode))
    isTyped(codec, message.slice(0, Math.min(at, message.length - 1)))
  })
]
