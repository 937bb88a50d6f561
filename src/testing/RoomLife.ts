/**
 * One life of a room under test: real clients do what a list of commands says, in the order of a seed.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Formatter from "effect/Formatter"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as TestClock from "effect/testing/TestClock"
import * as Dispatcher from "../actor/Dispatcher.ts"
import type * as Definition from "../contract/Definition.ts"
import { RequestError } from "../contract/RequestError.ts"
import type { Behavior } from "../contract/Room.ts"
import { BehaviorKey } from "../contract/Room.ts"
import * as Engine from "../engine/Engine.ts"
import type { Limits } from "../engine/Limits.ts"
import type { Command, Fault, Life } from "./RoomCommand.ts"
import * as RoomCommand from "./RoomCommand.ts"
import { RoomEvents } from "./RoomEvents.ts"
import type { AnyModel } from "./RoomModel.ts"
import type { AnyJoined, Method, Player } from "./RoomPlayer.ts"
import { unexpected } from "./RoomPlayer.ts"
import { RoomWatch } from "./RoomWatch.ts"
import * as SeededScheduler from "./SeededScheduler.ts"
import * as TestServer from "./TestServer.ts"

/** What lives are led by. */
export interface Options {
  readonly room: Definition.Any
  readonly layer: Layer.Layer<Behavior<any>, unknown, unknown>
  readonly key: unknown
  readonly clients: number
  readonly faults: ReadonlyArray<Fault>
  readonly model: AnyModel | undefined
  readonly token: ((client: number) => string) | undefined
  readonly limits: Partial<Limits>
}

/** How many crashes a supervisor surely takes. */
const maxCrashes = 4

/** Leads one life to its end; the watch tells what was seen. */
export const lead = (options: Options, life: Life, order: number): Effect.Effect<RoomWatch, unknown, unknown> => {
  const watch = new RoomWatch(options.model)
  const layer = Layer.effect(
    BehaviorKey,
    Effect.map(Layer.build(Layer.fresh(options.layer)), (built) => watch.wrap(Context.get(built, BehaviorKey)))
  )
  const engine = Engine.layer({
    rooms: [layer as Layer.Layer<Behavior<any>, unknown, unknown>],
    // Of two lives, in one a client that loses its connection takes up its session again, in the other the room loses it.
    limits: { frameRate: 1e9, frameBurst: 1e9, ...order % 2 === 0 ? { sessionWindow: 0 } : {}, ...options.limits }
  })
  return Effect.flatMap(TestServer.make(engine), (server) => play(options, life, watch, server)).pipe(
    Effect.scoped,
    Effect.provide(Logger.layer([])),
    Effect.provideService(Dispatcher.Dispatcher, Dispatcher.makeSeeded(order)),
    Random.withSeed(order),
    SeededScheduler.withSeed(order),
    Effect.as(watch)
  )
}

const play = Effect.fnUntraced(function*(
  options: Options,
  { commands }: Life,
  watch: RoomWatch,
  server: TestServer.TestServer["Service"]
) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const players: Array<Player> = []
  let crashes = 0
  const events = new RoomEvents(watch)

  const isBusy = () =>
    players.some(({ client, joining, open }) =>
      joining || open > 0 || SubscriptionRef.getUnsafe(client.state)._tag !== "online"
    )
  /** A client has another id after each reconnect; one that it was cut off from before it heard of it stays unknown. */
  const learnNames = () => {
    for (const { joined, name } of players) if (joined !== undefined) watch.names.set(joined.memberId, name)
  }
  /** Lets everything happen that happens by itself, and time pass only while somebody waits for an answer. */
  const settle = Effect.fnUntraced(function*(rounds: number) {
    for (let quiet = 0, waited = 0; quiet < rounds;) {
      const before = watch.activity
      for (let yields = 0; yields < 10; yields++) yield* Effect.yieldNow
      learnNames()
      if (watch.activity !== before) quiet = 0
      else if (!isBusy()) quiet++
      else if (++waited > 200) return watch.violate("every request is answered", "somebody still waits for an answer")
      else yield* TestClock.adjust(waited < 100 ? 10 : 1_000)
    }
  })

  const judge = (player: Player, what: string, error: unknown) => {
    watch.activity++
    if (!(error instanceof RequestError) || !unexpected.has(error.reason._tag)) return
    // A payload may be generated that is larger than a join may be.
    if (what === "the join" && error.reason._tag === "LimitExceeded") return
    watch.violate("every request is answered as its contract says", `${what} of ${player.name}: ${error.message}`)
  }

  const join = Effect.fnUntraced(function*(player: Player, payload: unknown) {
    const own = yield* Scope.fork(scope)
    const enter = player.client.join as (
      ...args: ReadonlyArray<unknown>
    ) => Effect.Effect<AnyJoined, unknown, Scope.Scope>
    const result = yield* Effect.result(Scope.provide(enter(options.room, options.key, payload), own))
    player.joining = false
    if (Result.isFailure(result)) {
      judge(player, "the join", result.failure)
      return yield* Scope.close(own, Exit.void)
    }
    const joined = result.success
    watch.activity++
    player.joined = joined
    player.last = undefined
    watch.names.set(joined.memberId, player.name)
    yield* Effect.ignore(events.collect(player, joined))
    // Left, removed, or not taken back.
    if (player.joined === joined) player.joined = undefined
    yield* Scope.close(own, Exit.void)
  })

  const send = Effect.fnUntraced(function*(player: Player, name: string, payload: unknown) {
    const method = (player.joined as unknown as { readonly [name: string]: Method })[name]!
    player.open++
    const result = yield* Effect.result(method(payload))
    player.open--
    if (Result.isFailure(result)) judge(player, name, result.failure)
  })

  const fork = (effect: Effect.Effect<unknown>) => Effect.forkIn(effect, scope, { startImmediately: true })

  /** Who may join: of those that never did only the first, so that a failure tells of A before it tells of B. */
  const outside = () => {
    const first = players.find(({ fresh }) => fresh)
    return players.filter((player) =>
      player.joined === undefined && !player.joining && (!player.fresh || player === first)
    )
  }
  const perform = (command: Command): Effect.Effect<unknown> => {
    if (command._tag === "Pass") {
      watch.commands.push(RoomCommand.format(command, ""))
      return TestClock.adjust(command.millis)
    }
    if (command._tag === "Crash") {
      if (watch.handle === undefined || crashes++ >= maxCrashes) return Effect.void
      watch.commands.push(RoomCommand.format(command, ""))
      return watch.handle.after(0, Effect.die(new Error("a crash that the test asked for")))
    }
    const able = command._tag === "Join" ? outside() : players.filter(({ joined }) => joined !== undefined)
    if (able.length === 0) return Effect.void
    const player = able[command.client % able.length]!
    const joined = player.joined!
    watch.commands.push(RoomCommand.format(command, player.name))
    switch (command._tag) {
      case "Join":
        player.joining = true
        player.fresh = false
        return fork(join(player, command.payload))
      case "Send":
        return fork(send(player, command.name, command.payload))
      case "Leave":
        player.joined = undefined
        return joined.leave
      case "Drop":
        // The client comes back after at most 50 ms, and joins again.
        return Effect.andThen(player.client.cut, command.waits ? TestClock.adjust(100) : Effect.void)
    }
  }

  for (let index = 0; index < options.clients; index++) {
    const token = options.token?.(index)
    const client = yield* Scope.provide(
      server.client({ reconnect: { base: 50, max: 50 }, ...token === undefined ? {} : { token } }),
      scope
    )
    players.push({
      name: RoomCommand.nameOf(index),
      client,
      joined: undefined,
      joining: false,
      fresh: true,
      open: 0,
      last: undefined
    })
  }
  yield* settle(1)
  for (const command of commands) {
    if (watch.violations.length > 0) break
    learnNames()
    yield* perform(command)
    if (command.waits) yield* settle(4)
    else for (let yields = yield* Random.nextIntBetween(0, 40); yields > 0; yields--) yield* Effect.yieldNow
  }

  if (watch.violations.length === 0) {
    // Enough for clients to come back, and for rooms that crashed again and again.
    yield* TestClock.adjust(10_000)
    yield* settle(12)
    for (const player of players) {
      const { joined, name } = player
      if (joined === undefined) continue
      events.finish(player)
      if (!watch.members.has(joined.memberId)) {
        watch.violate("who is told joined is a member", `${name} is not among the members`)
      }
      if (options.room["~heddle/Room"].presence === undefined) continue
      const seen = [...SubscriptionRef.getUnsafe(joined.presence).keys()].sort()
      const members = [...watch.members.keys()].sort()
      if (seen.join() !== members.join()) {
        watch.violate(
          "presence is who is there",
          `${name} sees ${Formatter.format(seen)}, not ${Formatter.format(members)}`
        )
      }
    }
  }

  const abrupt = options.faults.includes("drop")
  if (watch.violations.length === 0) watch.commands.push(abrupt ? "the server stops" : "everybody leaves")
  for (const player of abrupt ? [] : players) {
    const { joined } = player
    if (joined === undefined) continue
    player.joined = undefined
    yield* joined.leave
    yield* settle(4)
  }
  // The end, in time that has to pass for it.
  let ended = false
  const end = Effect.andThen(server.stop, Scope.close(scope, Exit.void))
  yield* Effect.forkChild(
    Effect.ensuring(
      end,
      Effect.sync(() => {
        ended = true
      })
    ),
    { startImmediately: true }
  )
  for (let round = 0; round < 60 && !ended; round++) {
    for (let yields = 0; yields < 20; yields++) yield* Effect.yieldNow
    if (!ended) yield* TestClock.adjust(500)
  }
  if (!ended) watch.violate("everything ends", "the server did not stop within 30 seconds")
  for (const times of watch.leaves.values()) {
    if (times === 0) watch.violate("every join has one leave", "a member's leave did not run")
  }
})
