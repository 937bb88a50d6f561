/** A socket whose runtime is as full as the test says, and that notes what it was given. */
import type * as Transport from "../../src/engine/Transport.ts"

export const recordingSocket = () => {
  let flushers: Array<Transport.Flusher> = []
  const state = {
    sent: [] as Array<string | Uint8Array>,
    closes: [] as Array<{ readonly code: number; readonly reason: string }>,
    /** Bytes that the runtime holds. */
    buffered: 0,
    /** Whether what is sent stays there. */
    full: false,
    get asked() {
      return flushers.length
    },
    /** Ends the runtime's tick. */
    tick: () => {
      const due = flushers
      flushers = []
      for (const flusher of due) flusher.flush()
    },
    lines: (): ReadonlyArray<string> => state.sent.flatMap((data) => String(data).split("\n"))
  }
  const socket: Transport.Socket = {
    send: (data) => {
      state.sent.push(data)
      if (state.full) state.buffered += data.length
    },
    bufferedAmount: () => state.buffered,
    close: (code, reason) => void state.closes.push({ code, reason }),
    tickEnd: (flusher) => void flushers.push(flusher)
  }
  return { socket, ...state, state }
}
