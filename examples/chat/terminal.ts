/**
 * What the chat's client needs of a terminal: lines that are typed, and lines that appear above what is being typed.
 */
import { type Cause, Effect, Queue, Stream } from "effect"
import process from "node:process"
import * as Readline from "node:readline"

/** Reads lines until the scope closes; with Ctrl-C the process gets SIGINT as usual. */
export const make = Effect.gen(function*() {
  const { stdin, stdout } = process
  const terminal = Boolean(stdin.isTTY && stdout.isTTY)
  const keys = yield* Queue.sliding<void>(1)
  const lines = yield* Queue.unbounded<string, Cause.Done>()
  const readline = yield* Effect.acquireRelease(
    Effect.sync(() => Readline.createInterface({ input: stdin, output: stdout, terminal, prompt: "" })),
    (readline) =>
      Effect.sync(() => {
        if (terminal) stdout.write("\r\x1b[J")
        readline.close()
        stdin.destroy()
      })
  )
  readline.on("SIGINT", () => process.kill(process.pid, "SIGINT"))
  readline.on("close", () => void Queue.endUnsafe(lines))
  readline.on("line", (line) => {
    Queue.offerUnsafe(lines, line)
    if (!terminal) return
    // What was typed makes way for what the room says of it.
    const rows = Math.ceil((readline.getPrompt().length + line.length + 1) / stdout.columns)
    stdout.write(`\x1b[${rows}A\r\x1b[J`)
    readline.prompt()
  })
  if (terminal) stdin.on("keypress", () => void Queue.offerUnsafe(keys, undefined))

  /** Shows a line above the one that is being typed. */
  const print = (line: string) =>
    Effect.sync(() => {
      // What others send must not move the cursor.
      const text = line.replaceAll(/\p{Cc}/gu, " ")
      stdout.write(terminal ? `\r\x1b[J${text}\n` : `${text}\n`)
      if (terminal) readline.prompt(true)
    })

  /** Changes what stands before the line that is being typed. */
  const setPrompt = (prompt: string) =>
    Effect.sync(() => {
      readline.setPrompt(prompt)
      if (terminal) readline.prompt(true)
    })

  return {
    print,
    setPrompt,
    /** Ends with the input. */
    lines: Stream.fromQueue(lines),
    /** Emits while a line is being typed; a slow reader misses keys. */
    typing: Stream.fromQueue(keys).pipe(Stream.filter(() => readline.line !== "" && !readline.line.startsWith("/")))
  }
})
