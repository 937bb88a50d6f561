/**
 * One WebSocket on Bun: its callbacks, and what the engine sees of it.
 */
import type * as Transport from "../src/engine/Transport.ts"
import * as Shim from "./shim.ts"

/** What is used of a socket of Bun's. */
interface BunSocket {
  readonly data: Socket
  binaryType: "uint8array"
  send(data: string | Uint8Array<ArrayBuffer>): number
  getBufferedAmount(): number
  close(code: number, reason: string): void
  pause(): void
  resume(): void
  terminate(): void
}

/** The socket whose `message` callback runs, and what to call when it ends. */
let current: BunSocket | undefined
const flushers: Array<Transport.Flusher> = []
/** The socket that Bun has corked: longer, until these were called. */
let corked: BunSocket | undefined

/** One socket of heddle's: what Bun carries with it, and what the engine sees of it. There are many. */
export class Socket implements Transport.Socket {
  open: Shim.Open | undefined = undefined
  leaving = false
  private accepted: Transport.Accepted | undefined
  private readonly sockets: Set<Shim.Open>
  /** Set as it opens, before anybody has it. A field added later would lie outside of the object. */
  private ws: BunSocket = undefined!
  /** It is closing or gone, whoever began. */
  private isOver = false
  /** Something may wait that was sent: only then there is a point in asking. */
  private mayWait = false

  constructor(accepted: Transport.Accepted, sockets: Set<Shim.Open>) {
    this.accepted = accepted
    this.sockets = sockets
  }

  opened(ws: BunSocket): void {
    const accepted = this.accepted!
    // It holds the request, which nobody needs any more.
    this.accepted = undefined
    this.ws = ws
    ws.binaryType = "uint8array"
    this.open = new Shim.Open(this.sockets, accepted.open(this), this)
  }

  gone(code: number, reason: string): void {
    this.isOver = true
    // Looked up then: who closes within `open` has no handler yet.
    if (this.leaving) queueMicrotask(() => this.open!.close(code, reason))
    else this.open!.close(code, reason)
  }

  send(data: string | Uint8Array<ArrayBuffer>): void {
    if (this.isOver) return
    const { ws } = this
    // Whether what is corked has to wait shows later.
    this.mayWait = ws.send(data) < 0 || corked === ws || this.mayWait
  }

  bufferedAmount(): number {
    if (!this.mayWait) return 0
    const amount = this.ws.getBufferedAmount()
    if (amount === 0 && corked !== this.ws) this.mayWait = false
    return amount
  }

  tickEnd(flusher: Transport.Flusher): void {
    // Inside its own callback a socket is corked: what is sent there leaves in one write.
    if (current === this.ws) flushers.push(flusher)
    else Shim.tickEnd(flusher)
  }

  close(code: number, reason: string): void {
    this.leave(() => this.ws.close(code, reason))
  }

  pause(): void {
    this.ws.pause()
  }

  resume(): void {
    this.ws.resume()
  }

  terminate(): void {
    this.leave(() => this.ws.terminate())
  }

  /** Bun calls the `close` callback from within `close` and `terminate`; the seam promises it later. */
  private leave(leave: () => void): void {
    this.isOver = true
    this.leaving = true
    leave()
    this.leaving = false
  }
}

/** A callback of a socket is over: what it asked for is sent in the one write for which Bun has corked. */
const ended = (): void => {
  current = undefined
  for (const flusher of flushers) flusher.flush()
  flushers.length = 0
  corked = undefined
}

/** What Bun calls for every socket. */
export const callbacks = {
  open: (ws: BunSocket) => {
    current = corked = ws
    ws.data.opened(ws)
    ended()
  },
  message: (ws: BunSocket, data: string | Uint8Array) => {
    current = corked = ws
    ws.data.open!.handler.message(data)
    ended()
  },
  drain: ({ data }: BunSocket) => data.open!.handler.drain(),
  close: ({ data }: BunSocket, code: number, reason: string) => data.gone(code, reason)
}
