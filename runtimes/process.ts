/**
 * Runs a program as the main program of a process; the same on Node, Bun and Deno.
 */
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { constVoid } from "effect/Function"
import * as Runtime from "effect/Runtime"
import process from "node:process"

const signals = ["SIGINT", "SIGTERM"] as const
const exitCodes = { SIGINT: 130, SIGTERM: 143 }

const start = (ended: () => void) =>
  Runtime.makeRunMain(({ fiber }) => {
    let signalled = false
    const onSignal = (signal: (typeof signals)[number]) => {
      // Not left to the default action: Deno does not put it back when a listener is removed.
      if (signalled) process.exit(exitCodes[signal])
      signalled = true
      fiber.interruptUnsafe()
    }
    const onRejection = (reason: unknown) => Effect.runFork(Effect.logError("unhandled rejection", reason))
    for (const signal of signals) process.on(signal, onSignal)
    process.on("unhandledRejection", onRejection)
    fiber.addObserver((exit) => {
      for (const signal of signals) process.removeListener(signal, onSignal)
      process.removeListener("unhandledRejection", onRejection)
      const calm = Exit.isSuccess(exit) || (signalled && Cause.hasInterruptsOnly(exit.cause))
      process.exitCode = calm ? 0 : 1
      ended()
    })
  })

/** A line for an expected failure, everything for a defect. */
const report = <E>(cause: Cause.Cause<E>): Effect.Effect<void> => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.void
  const failure = Cause.squash(cause)
  const error = failure instanceof Config.ConfigError ? failure.cause : failure
  return Cause.hasDies(cause) || !(error instanceof Error) || error.message === ""
    ? Effect.logError(cause)
    : Effect.logError(error.message.replaceAll(/\n\s*/g, " "))
}

/** Makes a `runMain`; `ended` is called after the program has ended and the exit code is set. */
export const makeRunMain = (ended: () => void): <A, E>(effect: Effect.Effect<A, E>) => void => {
  const run = start(ended)
  return (effect) => run(Effect.tapCause(effect, report), { disableErrorReporting: true })
}

/**
 * Runs an effect as the main program: SIGINT and SIGTERM interrupt it, and its end is the process's.
 *
 * **Details**
 *
 * The exit code is 0 after success or a clean end by signal, 1 otherwise. A failure is logged in one line, a defect
 * with its cause. An unhandled rejection elsewhere is logged and the program goes on. The process ends by itself once
 * nothing keeps it alive; a second signal ends it at once.
 */
export const runMain: <A, E>(effect: Effect.Effect<A, E>) => void = makeRunMain(constVoid)
