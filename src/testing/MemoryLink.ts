/**
 * One direction of an in-memory connection: ordered, scheduled, and held back while its reader does not read.
 */
import type * as Scheduler from "effect/Scheduler"

/** What travels on a link. */
export type Packet =
  | { readonly _tag: "Message"; readonly data: string | Uint8Array }
  | { readonly _tag: "Close"; readonly code: number; readonly reason: string }

/** The reader's end, and the writer's `drain`. */
export interface Ends {
  readonly message: (data: string | Uint8Array, bytes: number) => void
  readonly close: (code: number, reason: string) => void
  readonly drain: () => void
}

/** One direction. */
export interface MemoryLink {
  /** Sends a packet; bytes are copied. */
  readonly send: (packet: Packet) => void
  /** Bytes sent and not yet read. */
  readonly bytes: () => number
  /** Runs a task in the order of this link. */
  readonly schedule: (task: () => void) => void
  readonly pause: () => void
  readonly resume: () => void
  /** Forgets what is under way. */
  readonly clear: () => void
  /** Forgets what is under way, takes nothing more, and tells the reader, whether it reads or not. */
  readonly break: (onBroken: () => void) => void
}

/** From here on, `drain` is called when the reader has read everything. */
const highWaterMark = 65_536

const encoder = new TextEncoder()

/** Makes a link whose tasks run in a dispatcher of its own. */
export const make = (scheduler: Scheduler.Scheduler, ends: Ends): MemoryLink => {
  const dispatcher = scheduler.makeDispatcher()
  const schedule = (task: () => void) => dispatcher.scheduleTask(task, 0)
  let queue: Array<{ readonly packet: Packet; readonly bytes: number }> = []
  let bytes = 0
  let reading = true
  let broken = false
  let full = false

  const deliver = () => {
    if (!reading || queue.length === 0) return
    const { bytes: size, packet } = queue.shift()!
    bytes -= size
    if (packet._tag === "Close") return ends.close(packet.code, packet.reason)
    ends.message(packet.data, size)
    if (full && bytes === 0) {
      full = false
      ends.drain()
    }
  }
  const clear = () => {
    queue = []
    bytes = 0
  }

  return {
    send: (packet) => {
      if (broken) return
      const isBytes = packet._tag === "Message" && typeof packet.data !== "string"
      const copy = isBytes ? { _tag: packet._tag, data: new Uint8Array(packet.data as Uint8Array) } : packet
      const size = packet._tag === "Close"
        ? 0
        : isBytes
        ? packet.data.length
        : encoder.encode(packet.data as string).length
      queue.push({ packet: copy, bytes: size })
      bytes += size
      full ||= bytes >= highWaterMark
      schedule(deliver)
    },
    bytes: () => bytes,
    schedule,
    pause: () => {
      reading = false
    },
    resume: () => {
      if (reading) return
      reading = true
      for (const _ of queue) schedule(deliver)
    },
    clear,
    break: (onBroken) => {
      broken = true
      clear()
      schedule(onBroken)
    }
  }
}
