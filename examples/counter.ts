/**
 * One actor without any network: told, asked, crashed, restarted with fresh state, and stopped.
 *
 * Run with `node examples/counter.ts`, `bun examples/counter.ts` or `deno run -A examples/counter.ts`.
 */
import { Console, Effect, Schedule } from "effect"
import { Actor } from "heddle"

type Message =
  | { readonly _tag: "Add"; readonly amount: number }
  | { readonly _tag: "Get"; readonly reply: Actor.Reply<number> }

const program = Effect.gen(function*() {
  const counter = yield* Actor.spawn<Message>({
    id: "counter",
    mailbox: 10,
    supervision: { schedule: Schedule.spaced("50 millis"), intensity: { restarts: 3, within: "1 minute" } },
    // State is a local variable of one instance: a restart begins at 0 again.
    init: () =>
      Effect.sync(() => {
        let total = 0
        return {
          receive: (message) => {
            if (message._tag === "Get") return message.reply.succeed(total)
            if (message.amount < 0) throw new Error("cannot count backwards")
            total += message.amount
            return Effect.void
          }
        }
      }),
    onAbandoned: (message, why) => console.log(`abandoned: ${message._tag}, because it ${why._tag.toLowerCase()}`),
    onRestarted: () => console.log("restarted"),
    onStopped: (reason) => console.log(`gone: ${reason._tag}`)
  })
  const get = counter.ask<number>((reply) => ({ _tag: "Get", reply }))

  yield* counter.tell({ _tag: "Add", amount: 40 })
  yield* counter.tell({ _tag: "Add", amount: 2 })
  yield* Console.log(`total: ${yield* get}`)

  // The message that crashes it is lost; the one behind it waits for the new instance.
  yield* counter.tell({ _tag: "Add", amount: -1 })
  yield* counter.tell({ _tag: "Add", amount: 7 })
  yield* Console.log(`total after the crash: ${yield* get}`)

  yield* counter.stop()
  const refused = yield* Effect.flip(counter.tell({ _tag: "Add", amount: 1 }))
  yield* Console.log(refused.message)
})

Effect.runPromise(Effect.scoped(program))
