/**
 * Measures the parts without a network, in seconds: kernel, codecs, a request's steps in the service, hub, outbox; and
 * the bytes of an idle actor.
 *
 * Run with `npm run bench:micro`, or with the names of some parts: `npm run bench:micro -- codec hub`. The smallest of
 * several rounds is what other programs disturbed least.
 */
import { Context, Effect, Exit, Result, Schema, Scope } from "effect"
import process from "node:process"
import * as Actor from "../../src/actor/Actor.ts"
import * as Dispatcher from "../../src/actor/Dispatcher.ts"
import { Group } from "../../src/actor/Home.ts"
import * as Mailbox from "../../src/actor/Mailbox.ts"
import { Hub } from "../../src/engine/Hub.ts"
import * as Log from "../../src/engine/Log.ts"
import type { Retention } from "../../src/engine/LogStore.ts"
import { Outbox } from "../../src/engine/Outbox.ts"
import { Joiner } from "../../src/engine/Packing.ts"
import type { Flusher } from "../../src/engine/Transport.ts"
import type * as Codec from "../../src/wire/Codec.ts"
import type * as Frame from "../../src/wire/Frame.ts"
import { json } from "../../src/wire/Json.ts"
import { msgpack } from "../../src/wire/Msgpack.ts"
import * as Payload from "../../src/wire/Payload.ts"

const rounds = 7
const roundNanoseconds = 40e6

const nanoseconds = (run: (count: number) => void, count: number): number => {
  const start = process.hrtime.bigint()
  run(count)
  return Number(process.hrtime.bigint() - start)
}

/** Prints what one of something costs; `size` of them are the least that `run` can do. */
const time = (name: string, run: (count: number) => void, size = 1): void => {
  let count = size
  // Also the warm-up: until a round is long enough to be measured.
  while (nanoseconds(run, count) < roundNanoseconds) count *= 2
  const costs = Array.from({ length: rounds }, () => nanoseconds(run, count) / count).sort((a, b) => a - b)
  const [least, median] = [costs[0]!.toFixed(1), costs[rounds >> 1]!.toFixed(1)]
  console.log(`${name.padEnd(48)} ${least.padStart(9)} ns  median ${median.padStart(9)}`)
}

// ---------------------------------------------------------------- kernel

const scope = Scope.makeUnsafe()
const context = Context.make(Scope.Scope, scope).pipe(Context.add(Dispatcher.Dispatcher, Dispatcher.make()))
const spawn = (receive: (message: number) => Effect.Effect<void> | void) =>
  Actor.spawnUnsafe<number>(context, { id: "bench", mailbox: 64, init: () => Effect.succeed({ receive }) })

let sum = 0
const add = (message: number) => {
  sum += message
}
const handlers: Record<string, (message: number) => Effect.Effect<void> | void> = {
  "sync receive": add,
  "Effect.void receive": (message) => {
    add(message)
    return Effect.void
  },
  "Effect.sync receive": (message) => Effect.sync(() => add(message)),
  "fnUntraced receive": Effect.fnUntraced(function*(message: number) {
    add(message)
    yield* Effect.void
  })
}

const idleBytes = () => {
  const { gc } = globalThis
  if (gc === undefined) return console.log("bytes of an idle actor: run with --expose-gc")
  const count = 50_000
  const receive = () => {}
  const options = { id: "idle", init: () => Effect.succeed({ receive }) }
  const group = new Group() // As the engine has them.
  for (let i = 0; i < 1_000; i++) Actor.spawnIn<number>(group, context, options)
  gc()
  const before = process.memoryUsage().heapUsed
  const actors = Array.from({ length: count }, () => {
    const actor = Actor.spawnIn<number>(group, context, options)
    actor.tellUnsafe(1)
    return actor
  })
  gc()
  console.log(`bytes of an idle actor: ${Math.round((process.memoryUsage().heapUsed - before) / count)}`)
  if (actors.some((actor) => !actor.isIdle)) throw new Error("not idle")
}

const kernel = () => {
  const box = Mailbox.make<number>(64)
  time("mailbox: offer and take", (count) => {
    for (let i = 0; i < count; i++) {
      box.offer(i)
      box.take()
    }
  })
  for (const [name, receive] of Object.entries(handlers)) {
    const actor = spawn(receive)
    time(`actor: ${name}, idle`, (count) => {
      for (let i = 0; i < count; i++) {
        if (actor.tellUnsafe(1) !== "accepted") throw new Error("not accepted")
      }
      if (!actor.isIdle) throw new Error("not handled")
    })
    const busy = spawn(receive)
    // Tells from within a turn queue up: this is one turn of 60 messages after the other.
    const feeder = spawn(() => {
      for (let i = 0; i < 60; i++) busy.tellUnsafe(1)
    })
    time(`actor: ${name}, 60 a turn`, (count) => {
      for (let i = 0; i < count; i += 60) feeder.tellUnsafe(i)
    }, 60)
  }
  idleBytes()
}

// ---------------------------------------------------------------- codecs

const payload = { id: 42, from: "member-0042", text: "Shall we meet at eight?" }
const request: Frame.ClientFrame = {
  _tag: "request",
  ref: 7,
  channel: 1,
  seq: 7,
  ack: 6,
  name: "Echo",
  payload,
  again: null
}
const event: Frame.ServerFrames["event"] = { _tag: "event", channel: 1, offset: 7, name: "Said", payload, except: null }

const encode = (name: string, frame: Frame.ClientFrame | Frame.ServerFrame, codec: Codec.Codec) =>
  time(`${codec.subprotocol}: encode ${name}`, (count) => {
    for (let i = 0; i < count; i++) sum += codec.encode(frame).bytes
  })

const codec = () => {
  for (const each of [json, msgpack]) {
    const [sent, received] = [each.encode(request).data, each.encode(event).data]
    encode("request", request, each)
    time(`${each.subprotocol}: decode request`, (count) => {
      for (let i = 0; i < count; i++) sum += each.decodeClient(sent, 256)!.length
    })
    encode("event", event, each)
    time(`${each.subprotocol}: decode event`, (count) => {
      for (let i = 0; i < count; i++) sum += each.decodeServer(received, 256)!.length
    })
  }
}

// ---------------------------------------------------------------- one request on a server

/** A message that a room may have beside the one that is measured, so that no call sees a single form of object. */
interface Sample {
  readonly schema: Parameters<typeof Payload.compile>[0]
  readonly value: unknown
}

class Point extends Schema.Class<Point>("Point")({ x: Schema.Finite, y: Schema.Finite }) {}
const echo: Sample = { schema: { id: Schema.Int, from: Schema.String, text: Schema.String }, value: payload }
const samples: ReadonlyArray<Sample> = [
  { schema: { x: Schema.Finite, y: Schema.Finite, pressed: Schema.Boolean }, value: { x: 1.5, y: 2, pressed: true } },
  {
    schema: {
      title: Schema.NonEmptyString,
      tags: Schema.Array(Schema.String),
      color: Schema.Literals(["red", "blue"]),
      note: Schema.optionalKey(Schema.String)
    },
    value: { title: "A title", tags: ["a", "b"], color: "blue" }
  },
  { schema: { at: Schema.Date, size: Schema.Number }, value: { at: new Date(5), size: 7 } },
  { schema: Point, value: { x: 1, y: 2 } },
  { schema: Schema.Array(Schema.Struct({ id: Schema.Int, name: Schema.String })), value: [{ id: 1, name: "one" }] },
  { schema: Schema.Int, value: 4 },
  { schema: Schema.Json, value: { any: [1, "thing", null] } },
  { schema: undefined, value: undefined }
]

/** The steps of a request, and all of them together; each for a message among others. */
const compileSteps = ({ schema, value }: Sample) => {
  const compiled = Payload.compile(schema, "payload")
  const decoded = Result.getOrThrow(compiled.decode(Result.getOrThrow(compiled.encode(value))))
  const ok = { _tag: "ok", ref: 70_123, value: Result.getOrThrow(compiled.encode(decoded)) } as const
  const texts = Array.from({ length: 64 }, (_, ref) => json.encode({ ...request, ref, payload: ok.value }).data)
  const payloadOf = (text: string | Uint8Array) =>
    (json.decodeClient(text, 256)![0] as Frame.ClientFrames["request"]).payload
  const wires = texts.map(payloadOf)
  return {
    "decode its frame": (i: number) => json.decodeClient(texts[i & 63]!, 256)!.length,
    "decode its payload": (i: number) => compiled.decode(wires[i & 63])._tag.length,
    "encode the answer": () => compiled.encode(decoded)._tag.length,
    "encode the answer's frame": () => json.encode(ok).bytes,
    "all of it": (i: number) => {
      const input = Result.getOrThrow(compiled.decode(payloadOf(texts[i & 63]!)))
      return json.encode({ _tag: "ok", ref: i, value: Result.getOrThrow(compiled.encode(input)) }).bytes
    }
  }
}

const service = () => {
  const others = samples.map(compileSteps)
  for (const [name, step] of Object.entries(compileSteps(echo))) {
    const mixed = others.map((steps) => steps[name as keyof typeof steps])
    for (let i = 0; i < 20_000; i++) for (const other of mixed) sum += other(i) + step(i)
    time(`request: ${name}`, (count) => {
      for (let i = 0; i < count; i++) sum += step(i)
    })
  }
}

// ---------------------------------------------------------------- hub and outbox

/** A runtime that takes everything, and ends its tick when told. */
const recordingRuntime = () => {
  let flushers: Array<Flusher> = []
  return {
    open: () =>
      new Outbox(
        {
          send: (data) => {
            sum += data.length
          },
          bufferedAmount: () => 0,
          close: () => {},
          tickEnd: (flusher) => void flushers.push(flusher)
        },
        joiner,
        { maxBytes: 1 << 20, maxFrames: 1_024, maxTickBytes: 16 << 20, onStalled: fail },
        { onOverflow: fail }
      ),
    tick: () => {
      const due = flushers
      flushers = []
      for (const flusher of due) flusher.flush()
    }
  }
}

const joiner = new Joiner(json)

const fail = () => {
  throw new Error("the outbox is full")
}

const members = 1_000

const publishing = (retention: Retention, burst: number) => {
  const hub = new Hub({ maxChannels: 1, historyBytes: 1 << 28, now: () => 0, nextEpoch: () => "epoch" })
  const channel = hub.open("bench/room", retention)!
  const runtime = recordingRuntime()
  for (let i = 0; i < members; i++) channel.subscribe(runtime.open()).release()
  return (count: number) => {
    for (let done = 0; done < count; done += members * burst) {
      for (let i = 0; i < burst; i++) {
        const frame = channel.event("Said", payload, null)
        channel.publish(frame, json.encode(frame))
      }
      runtime.tick()
    }
  }
}

const hub = () => {
  const history = { capacity: 500, timeToLive: Infinity }
  for (const [name, retention] of [["", Log.nothing], [", history of 500", history]] as const) {
    time(`hub: delivery to 1,000 outboxes${name}`, publishing(retention, 1), members)
    time(`hub: the same in bursts of 10${name}`, publishing(retention, 10), members * 10)
  }
}

const outbox = () => {
  const frame = json.encode(event)
  for (const frames of [1, 10]) {
    const runtime = recordingRuntime()
    const outbox = runtime.open()
    time(`outbox: push and flush, ${frames} a tick`, (count) => {
      for (let done = 0; done < count; done += frames) {
        for (let i = 0; i < frames; i++) outbox.push(frame)
        runtime.tick()
      }
    }, frames)
  }
}

// ---------------------------------------------------------------- run

const parts: Readonly<Record<string, () => void>> = { kernel, codec, service, hub, outbox }
const wanted = process.argv.slice(2)
const unknown = wanted.find((name) => !(name in parts))
if (unknown === undefined) {
  for (const [name, run] of Object.entries(parts)) if (wanted.length === 0 || wanted.includes(name)) run()
  if (sum === 0) throw new Error("nothing was handled")
} else {
  console.error(`bench:micro: no part "${unknown}"; there are ${Object.keys(parts).join(",")}`)
  process.exitCode = 2
}
Effect.runSync(Effect.asVoid(Scope.close(scope, Exit.void)))
