/**
 * Actors: supervised state behind a bounded mailbox, one message at a time.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { Actor, Options, StopReason } from "./ActorRef.ts"
import { Dispatcher } from "./Dispatcher.ts"
import { Handle } from "./Handle.ts"
import { type Home, Lease } from "./Home.ts"

export { AskTimeout, MailboxFull, Stopped, Unanswered } from "./ActorError.ts"
export type { Abandoned, Actor, Behavior, Options, StopReason } from "./ActorRef.ts"
export type { Reply } from "./Ask.ts"
export type { Supervision } from "./Supervision.ts"

/**
 * Starts an actor that lives until the scope closes, or until it stops before that.
 *
 * **Details**
 *
 * Messages may be sent at once; they wait for `init`. Handlers run with the references of the spawning context:
 * its clock, scheduler, loggers and `Dispatcher`. Closing the scope interrupts the handler, discards what waits,
 * and returns when the instance's scope is closed too. An actor that has stopped leaves nothing in the scope.
 *
 * **Gotchas**
 *
 * `init` has a scope of its own, that of the instance: what it acquires is released at each restart.
 *
 * @category constructors
 * @since 0.1.0
 */
export const spawn = <M, C = never, E = unknown, R = never>(
  options: Options<M, C, E, R>
): Effect.Effect<Actor<M, C>, never, Exclude<R, Scope.Scope> | Scope.Scope> =>
  Effect.contextWith((context: Context.Context<Exclude<R, Scope.Scope> | Scope.Scope>) =>
    Effect.sync(() => spawnUnsafe(context, options))
  )

/**
 * Like `spawn`, synchronously: for callbacks, with a context that was taken from where the actor belongs.
 *
 * **Details**
 *
 * Outside of fibers and turns, an actor whose `init` is synchronous is ready when this returns.
 *
 * **Gotchas**
 *
 * Do not use `Effect.runSync(spawn(…))` for this: the actor would keep the scheduler of `runSync`, which never lets
 * the runtime have its turn.
 *
 * @category constructors
 * @since 0.1.0
 */
export const spawnUnsafe = <M, C = never, E = unknown, R = never>(
  context: Context.Context<Exclude<R, Scope.Scope> | Scope.Scope>,
  options: Options<M, C, E, R>
): Actor<M, C> => spawnIn(new Lease(Context.get(context, Scope.Scope)), context, options)

/**
 * Like `spawnUnsafe`, in a home that ends its actors together.
 *
 * @internal
 */
export const spawnIn = <M, C = never, E = unknown, R = never>(
  home: Home,
  context: Context.Context<Exclude<R, Scope.Scope>>,
  options: Options<M, C, E, R>
): Actor<M, C> => {
  const dispatcher = Context.get(context, Dispatcher)
  // The context has all of R but the scope, which is that of each instance.
  const runnable = options as Options<M, C, unknown, Scope.Scope>
  const handle = new Handle<M, C>(runnable, context as Context.Context<never>, home, dispatcher)
  home.enter(handle)
  dispatcher.run(() => handle.start())
  return handle
}

/**
 * Like `tellUnsafe` of an actor made by `spawn`, which makes a function for each actor: of these there are many.
 *
 * @internal
 */
export const offer = <M>(actor: Actor<M, never>, message: M): "accepted" | "full" | "stopped" =>
  (actor as Handle<M, never>).offer(message)

/**
 * Sends `watcher` a control message when `watched` stops, so that the news is never refused.
 *
 * **Details**
 *
 * It is sent once, at once when `watched` has stopped already, and not at all when the watcher stops first. Each
 * call watches once more. Both must come from `spawn`.
 *
 * @category death watch
 * @since 0.1.0
 */
export const watch = <C>(
  watcher: Actor<never, C>,
  watched: Actor<never, never>,
  message: (reason: StopReason) => C
): Effect.Effect<void> =>
  Effect.sync(() => {
    if (watcher.state === "stopped") return
    let told = false
    let forgetWatcher = () => {}
    const forget = observe(watched, (reason) => {
      told = true
      forgetWatcher()
      watcher.controlUnsafe(message(reason))
    })
    if (!told) forgetWatcher = observe(watcher, forget)
  })

/**
 * Calls `f` once when the actor is no more, and answers with how to forget about it.
 *
 * @internal
 */
export const observe = (actor: Actor<never, never>, f: (reason: StopReason) => void): () => void => {
  if (actor instanceof Handle) return actor.observe(f)
  throw new TypeError("not an actor made by spawn")
}
