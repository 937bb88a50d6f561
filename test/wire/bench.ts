/**
 * What encoding and decoding cost, in nanoseconds: `node test/wire/bench.ts`, some seconds.
 */
import { Result, Schema } from "effect"
import * as Room from "../../src/contract/Room.ts"
import * as Topic from "../../src/contract/Topic.ts"
import type { Codec } from "../../src/wire/Codec.ts"
import * as Contract from "../../src/wire/Contract.ts"
import type * as Frame from "../../src/wire/Frame.ts"
import { json } from "../../src/wire/Json.ts"
import { msgpack } from "../../src/wire/Msgpack.ts"
import type { AnyFrame, Direction } from "./frames.ts"

class Chat extends Room.make("chat", {
  events: { Said: { from: Schema.String, text: Schema.String, at: Schema.Int } }
}) {}

const variants = 16
const payload = (n: number) => ({ from: "ada", text: `hello world ${n}`, at: 123_456 + n })
const make = <A>(one: (n: number) => A): ReadonlyArray<A> => Array.from({ length: variants }, (_, n) => one(n))

/** The best of five rounds, so that a busy machine counts little. */
const measure = (name: string, run: (n: number) => unknown, baseline = 0): number => {
  const times = 100_000
  let best = Infinity
  for (let round = 0; round < 6; round++) {
    const start = process.hrtime.bigint()
    for (let n = 0; n < times; n++) run(n % variants)
    const nanos = Number(process.hrtime.bigint() - start) / times
    if (round > 0) best = Math.min(best, nanos)
  }
  const above = baseline === 0 ? "" : ` (${(best - baseline).toFixed(0)} more)`
  console.log(`${name.padEnd(44)} ${best.toFixed(0).padStart(6)} ns${above}`)
  return best
}

const measureFrames = (kind: string, frames: ReadonlyArray<AnyFrame>, direction: Direction) => {
  const arrays = frames.map((frame) => JSON.parse(json.encode(frame).data as string) as unknown)
  const texts = arrays.map((array) => JSON.stringify(array))
  const stringify = measure(`${kind}: JSON.stringify`, (n) => JSON.stringify(arrays[n]))
  const parse = measure(`${kind}: JSON.parse`, (n) => JSON.parse(texts[n]!))
  for (const codec of [json, msgpack]) {
    const decode: Codec["decodeClient" | "decodeServer"] = direction === "client"
      ? codec.decodeClient
      : codec.decodeServer
    const messages = frames.map((frame) => codec.encode(frame))
    const name = `${kind}, ${codec.subprotocol}, ${messages[0]!.bytes} bytes`
    measure(`${name}: encode`, (n) => codec.encode(frames[n]!), stringify)
    measure(`${name}: decode`, (n) => decode(messages[n]!.data, 256), parse)
  }
}

measureFrames(
  "request",
  make((n) => ({ _tag: "request", ref: n, channel: 7, seq: n, ack: n, name: "Say", payload: payload(n), again: null })),
  "client"
)
measureFrames("ok", make((n) => ({ _tag: "ok", ref: n, value: n })), "server")
measureFrames(
  "event",
  make((n) => ({ _tag: "event", channel: 7, offset: n, name: "Said", payload: payload(n), except: null })),
  "server"
)

for (const codec of [json, msgpack]) {
  const tick = make((n) =>
    codec.encode({ _tag: "event", channel: 7, offset: n, name: "Said", payload: payload(n), except: null })
  )
  measure(`16 events, ${codec.subprotocol}: concat`, () => codec.concat(tick))
  const message = codec.concat(tick)
  measure(`16 events, ${codec.subprotocol}: decode`, () => codec.decodeServer(message, 256))
}

const said = Contract.compileRoom(Chat).events.get("Said")!.payload
const inputs = make(payload)
measure("contract: encode 3 fields", (n) => said.encode(inputs[n]))
measure("contract: decode 3 fields", (n) => Result.isSuccess(said.decode(inputs[n])))
measure("contract: refuse", () => said.decode({ from: 1 }))

for (const size of [64, 4_096]) {
  const bytes = Contract.compileTopic(Topic.make("bytes", { payload: { bytes: Schema.Uint8Array } })).payload
  const blocks = make((n) => ({ bytes: new Uint8Array(size).fill(n) }))
  measure(`contract: encode ${size} bytes`, (n) => bytes.encode(blocks[n]))
  for (const codec of [json, msgpack]) {
    const frames = blocks.map((block): AnyFrame => ({
      _tag: "direct",
      channel: 7,
      name: "Said",
      payload: Result.getOrThrow(bytes.encode(block))
    }))
    const messages = frames.map((frame) => codec.encode(frame))
    const name = `${size} bytes, ${codec.subprotocol}, ${messages[0]!.bytes} bytes`
    measure(`${name}: encode`, (n) => codec.encode(frames[n]!))
    measure(`${name}: decode`, (n) => {
      const [frame] = codec.decodeServer(messages[n]!.data, 1)!
      return bytes.decode((frame as Frame.ServerFrames["direct"]).payload)
    })
  }
}
