/**
 * What encoding and decoding cost, in nanoseconds: `node test/wire/bench.ts`, some seconds.
 */
import { Result, Schema } from "effect"
import * as Room from "../../src/contract/Room.ts"
import type { Codec } from "../../src/wire/Codec.ts"
import * as Contract from "../../src/wire/Contract.ts"
import { json } from "../../src/wire/Json.ts"
import type { AnyFrame } from "./frames.ts"

class Chat extends Room.make("chat", {
  events: { Said: { from: Schema.String, text: Schema.String, at: Schema.Int } }
}) {}

const variants = 16
const payload = (n: number) => ({ from: "ada", text: `hello world ${n}`, at: 123_456 + n })
const make = <A>(one: (n: number) => A): ReadonlyArray<A> => Array.from({ length: variants }, (_, n) => one(n))

/** The best of five rounds, so that a busy machine counts little. */
const measure = (name: string, run: (n: number) => unknown, baseline = 0): number => {
  const times = 300_000
  let best = Infinity
  for (let round = 0; round < 6; round++) {
    const start = process.hrtime.bigint()
    for (let n = 0; n < times; n++) run(n % variants)
    const nanos = Number(process.hrtime.bigint() - start) / times
    if (round > 0) best = Math.min(best, nanos)
  }
  const above = baseline === 0 ? "" : ` (${(best - baseline).toFixed(0)} more)`
  console.log(`${name.padEnd(36)} ${best.toFixed(0).padStart(6)} ns${above}`)
  return best
}

const measureFrames = (
  kind: string,
  frames: ReadonlyArray<AnyFrame>,
  decode: Codec["decodeClient"] | Codec["decodeServer"]
) => {
  const messages = frames.map((frame) => json.encode(frame).data as string)
  const arrays = messages.map((message) => JSON.parse(message) as unknown)
  const stringify = measure(`${kind}: JSON.stringify`, (n) => JSON.stringify(arrays[n]))
  measure(`${kind}: encode`, (n) => json.encode(frames[n]!), stringify)
  const parse = measure(`${kind}: JSON.parse`, (n) => JSON.parse(messages[n]!))
  measure(`${kind}: decode`, (n) => decode(messages[n]!, 256), parse)
}

measureFrames(
  "request",
  make((n) => ({ _tag: "request", ref: n, channel: 7, seq: n, ack: n, name: "Say", payload: payload(n) })),
  json.decodeClient
)
measureFrames("ok", make((n) => ({ _tag: "ok", ref: n, value: n })), json.decodeServer)
measureFrames(
  "event",
  make((n) => ({ _tag: "event", channel: 7, offset: n, name: "Said", payload: payload(n), except: null })),
  json.decodeServer
)

const tick = make((n) =>
  json.encode({ _tag: "event", channel: 7, offset: n, name: "Said", payload: payload(n), except: null })
)
measure("a message of 16 events: concat", () => json.concat(tick))
const message = json.concat(tick)
measure("a message of 16 events: decode", () => json.decodeServer(message, 256))

const said = Contract.compileRoom(Chat).events.get("Said")!.payload
const inputs = make(payload)
measure("contract: encode 3 fields", (n) => said.encode(inputs[n]))
measure("contract: decode 3 fields", (n) => Result.isSuccess(said.decode(inputs[n])))
measure("contract: refuse", () => said.decode({ from: 1 }))
