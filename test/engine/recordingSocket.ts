/** A socket whose runtime is as full as the test says, and that notes what it was given. */
import type * as Transport from "../../src/engine/Transport.ts"

export const recordingSocket = () => {
  let flushes: Array<() => void> = []
  const state = {
    sent: [] as Array<string | Uint8Array>,
    closes: [] as Array<{ readonly code: number; readonly reason: string }>,
    /** Bytes that the runtime holds. */
    buffered: 0,
    /** Whether what is sent stays there. */
    full: false,
    get asked() {
      return flushes.length
    },
    /** Ends the runtime's tick. */
    tick: () => {
      const due = flushes
      flushes = []
      for (const flush of due) flush()
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
    tickEnd: (flush) => void flushes.push(flush)
  }
  return { socket, ...state, state }
}
