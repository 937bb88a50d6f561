/**
 * Immediates that do not wait for the event loop: in virtual time there is nothing else in it, and every yield of a
 * fiber asks it once.
 */
import { afterAll, beforeAll } from "@effect/vitest"

/** So many at once, before the event loop has its turn: for the timeouts of tests. */
const burst = 100

interface Immediate {
  readonly run: () => void
  isCleared: boolean
}

/** One after the other, and what promises set off between them, as `setImmediate` has it. */
const make = (real: typeof setImmediate) => {
  const queue: Array<Immediate> = []
  let at = 0
  let count = 0
  const next = () => {
    // The ticks of the process wait until no promise has anything to do.
    if (++count % burst === 0) real(step)
    else queueMicrotask(() => process.nextTick(step))
  }
  const step = () => {
    const { isCleared, run } = queue[at++]!
    if (at === queue.length) at = queue.length = 0
    else next()
    if (!isCleared) run()
  }
  return {
    set: (run: () => void): Immediate => {
      const immediate = { run, isCleared: false }
      if (queue.push(immediate) === 1) next()
      return immediate
    },
    clear: (immediate: Immediate) => {
      immediate.isCleared = true
    }
  }
}

/** For all tests of the file that calls it, in which nothing may wait for anything real. */
export const quickImmediates = (): void => {
  const { clearImmediate, setImmediate } = globalThis
  beforeAll(() => {
    const { clear, set } = make(setImmediate)
    Object.assign(globalThis, { clearImmediate: clear, setImmediate: set })
  })
  afterAll(() => {
    Object.assign(globalThis, { clearImmediate, setImmediate })
  })
}
