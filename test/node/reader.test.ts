/**
 * The reader of frames against the one of `ws`: whatever bytes come, in whatever packets, both say the same.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { setImmediate } from "node:timers/promises"
import * as Ws from "ws"
import { NodeReader } from "../../runtimes/nodeReader.ts"
import { frame } from "../contract/transportClient.ts"
import { makeRandom, type Random, seeds } from "../engine/random.ts"

const maxBytes = 70_000

/** What a reader said, in its order: a kind, and the bytes as text. */
type Said = ReadonlyArray<string>

class Recorder extends NodeReader {
  readonly said: Array<string> = []
  onHeld: (() => boolean) | undefined

  constructor() {
    super(maxBytes)
  }

  protected onMessage(data: string | Uint8Array): void {
    this.said.push(
      typeof data === "string"
        ? `text ${Buffer.from(data).toString("hex")}`
        : `bytes ${Buffer.from(data).toString("hex")}`
    )
    if (this.onHeld?.() === true) this.hold()
  }
  protected onPing(payload: Uint8Array): void {
    this.said.push(`ping ${Buffer.from(payload).toString("hex")}`)
  }
  protected onClose(code: number, reason: string): void {
    this.said.push(`close ${code} ${reason}`)
  }
  protected onInvalid(code: number): void {
    this.said.push(`invalid ${code}`)
  }
  letGo(): void {
    this.release()
  }
}

/** What `ws` has for this; its types leave it out. */
interface Oracle extends NodeJS.WritableStream {
  on(event: string, listener: (...args: Array<any>) => void): this
}
const { Receiver } = Ws as unknown as { readonly Receiver: new(options: object) => Oracle }

const ask = async (packets: ReadonlyArray<Buffer>): Promise<Said> => {
  const said: Array<string> = []
  const oracle = new Receiver({ isServer: true, maxPayload: maxBytes, allowSynchronousEvents: true })
  oracle.on(
    "message",
    (data: Buffer, binary: boolean) => said.push(`${binary ? "bytes" : "text"} ${data.toString("hex")}`)
  )
  oracle.on("ping", (data: Buffer) => said.push(`ping ${data.toString("hex")}`))
  oracle.on("conclude", (code: number, reason: Buffer) => said.push(`close ${code} ${reason.toString()}`))
  oracle.on("error", (error) => {
    const [code] = Object.getOwnPropertySymbols(error)
    if (code !== undefined) said.push(`invalid ${error[code]}`)
  })
  for (const packet of packets) oracle.write(packet)
  await setImmediate()
  return said
}

const tell = (reader: Recorder, packets: ReadonlyArray<Buffer>): Said => {
  for (const packet of packets) reader.read(packet)
  return reader.said
}

const copies = (packets: ReadonlyArray<Buffer>) => packets.map((packet) => Buffer.from(packet))

// ------------------------------------------------------------- what a peer may send

const lengths = [0, 0, 1, 2, 3, 4, 5, 7, 30, 124, 125, 126, 127, 300, 65_535, 65_536, maxBytes, maxBytes + 1]

const payload = (random: Random): Buffer => {
  const length = random.chance(70) ? random.below(40) : random.pick(lengths)
  const text = random.pick(["a", "é", "😀", "zä"]).repeat(length).slice(0, length)
  const bytes = Buffer.from(random.chance(70) ? text : Buffer.alloc(length, random.below(256)))
  return bytes.subarray(0, Math.max(length, random.chance(80) ? bytes.length : 0))
}

const closing = (random: Random): Buffer => {
  const code = random.pick([999, 1000, 1001, 1004, 1005, 1006, 1011, 1014, 1015, 2999, 3000, 4999, 5000])
  const body = Buffer.concat([Buffer.from([code >> 8, code & 255]), payload(random)])
  return body.subarray(0, random.chance(10) ? random.below(2) : Math.min(body.length, 120 + random.below(10)))
}

/** Mostly a frame that may follow; now and then one that may not. */
const randomFrame = (random: Random, state: { open: boolean }): Buffer => {
  const wild = random.chance(3)
  const fin = random.chance(60)
  const control = random.chance(20)
  if (random.chance(2)) return frame(8, closing(random), { fin: !wild })
  if (control) return frame(random.pick([9, 10]), payload(random).subarray(0, wild ? 130 : 125), { fin: !wild || fin })
  const opcode = state.open !== wild ? 0 : random.pick([1, 2])
  state.open = !fin
  return frame(random.chance(1) ? random.below(16) : opcode, payload(random), {
    fin,
    masked: !random.chance(1),
    reserved: random.chance(1) ? random.pick([0x10, 0x20, 0x40]) : 0
  })
}

const randomStream = (random: Random): Buffer => {
  const state = { open: false }
  const bytes = Buffer.concat(Array.from({ length: 1 + random.below(30) }, () => randomFrame(random, state)))
  // Sometimes just noise from somewhere on.
  if (random.chance(5)) bytes.fill(random.below(256), random.below(bytes.length))
  return bytes.subarray(0, random.chance(10) ? random.below(bytes.length) : bytes.length)
}

/** In packets: most frames whole, some byte by byte. */
const cut = (random: Random, stream: Buffer): ReadonlyArray<Buffer> => {
  const packets: Array<Buffer> = []
  const size = random.pick([1, 2, 3, 10, 100, 5_000, 65_536])
  for (let at = 0; at < stream.length && packets.length < 20_000;) {
    const end = packets.length === 19_999 ? stream.length : at + 1 + random.below(size)
    packets.push(stream.subarray(at, end))
    at = end
  }
  return packets
}

describe("the reader of frames", () => {
  it.effect("says what the one of ws says, for 500 random streams in random packets", () =>
    Effect.promise(async () => {
      for (const seed of seeds(500)) {
        const random = makeRandom(seed)
        const packets = cut(random, randomStream(random))
        const expected = await ask(copies(packets))
        assert.deepStrictEqual(tell(new Recorder(), copies(packets)), expected, `HEDDLE_SEED=${seed}`)
      }
    }), 60_000)

  it.effect("says the same, and loses nothing, when it is held at random messages", () =>
    Effect.promise(async () => {
      for (const seed of seeds(500)) {
        const random = makeRandom(seed)
        const packets = cut(random, randomStream(random))
        const expected = tell(new Recorder(), copies(packets))
        const reader = new Recorder()
        let held = false
        reader.onHeld = () => {
          assert.isFalse(held, `HEDDLE_SEED=${seed}: a message while it was held`)
          held = random.chance(30)
          return held
        }
        const letGo = async () => {
          held = false
          reader.letGo()
          await new Promise<void>((done) => process.nextTick(done))
        }
        for (const packet of copies(packets)) {
          reader.read(packet)
          if (held && random.chance(50)) await letGo()
        }
        while (held) await letGo()
        assert.deepStrictEqual(reader.said, expected, `HEDDLE_SEED=${seed}`)
      }
    }), 60_000)

  it("keeps what comes in tiny pieces in little more than its bytes", () => {
    const piece = (size: number) => new Uint8Array(Buffer.alloc(64 * 1024).buffer, 0, size)
    const reader = new Recorder()
    const message = frame(2, new Uint8Array(6_000))
    for (const byte of message.subarray(0, -1)) {
      const packet = Buffer.from(piece(1).buffer, 0, 1)
      packet[0] = byte
      reader.read(packet)
    }
    const { pieces } = (reader as unknown as { readonly unread: { readonly pieces: ReadonlyArray<Uint8Array> } }).unread
    const kept = pieces.reduce((sum, { buffer }) => sum + buffer.byteLength, 0)
    assert.isAtMost(kept, 2 * message.length)
    assert.isAtMost(pieces.length, 128)
    reader.read(Buffer.from(message.subarray(-1)))
    assert.deepStrictEqual(reader.said, [`bytes ${"00".repeat(6_000)}`])
  })
})
