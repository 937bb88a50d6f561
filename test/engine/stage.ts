/** Tests of rooms and connections in memory, in a few words. */
import { it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import type * as Room from "../../src/contract/Room.ts"
import type * as Engine from "../../src/engine/Engine.ts"
import { memory, type Options, serve, type World } from "./harness.ts"
import { type LabRoom, makeLab, News, type Script } from "./lab.ts"
import type { Peer } from "./peer.ts"

export interface Stage extends World {
  readonly trace: Array<string>
  /** Joins room `a`, or another, as `name`. */
  readonly member: (name: string, key?: string) => Effect.Effect<Member, never, Scope.Scope>
  readonly settle: Effect.Effect<void>
}

export interface Member {
  readonly peer: Peer
  readonly channel: number
  readonly memberId: string
  readonly position: readonly [string, number, number]
  readonly do: (what: string) => number
}

/** Lets everything run that can run without time passing. */
export const settle = Effect.forEach(Array.from({ length: 60 }), () => Effect.yieldNow, { discard: true })

/** A kind of test, with a room that does what the script says; `staged` gives each its stage. */
export const labTest = <S>(staged: (world: World, trace: Array<string>) => S) =>
(
  sentence: string,
  script: Script,
  body: (stage: S) => Effect.Effect<void, unknown, Scope.Scope | Engine.Engine>,
  room?: Room.Options,
  options: Partial<Options> = {}
) =>
  it.effect(sentence, () => {
    const { layer, trace } = makeLab(script, room)
    return serve(memory, { rooms: [layer, News], ...options })((world) => body(staged(world, trace)))
  })

/** A test with a room that does what the script says. */
export const roomTest = labTest((world, trace): Stage => ({
  ...world,
  trace,
  settle,
  member: Effect.fnUntraced(function*(name: string, key = "a") {
    const peer = yield* world.peer()
    const { channel, memberId, position } = yield* peer.join("lab", key, { name })
    return { peer, channel, memberId, position, do: (what) => peer.sendRequest(channel, "Do", { what }) }
  })
}))

export const say = (room: LabRoom, text: string) => Effect.asVoid(room.emit("Said", { text }))
export const texts = (peer: Peer) => peer.events().map((payload) => (payload as { readonly text: string }).text)
export const hang = (what: string) => what === "hang" ? Effect.never : Effect.succeed(what)
export const count = (trace: ReadonlyArray<string>, entry: string) => trace.filter((one) => one === entry).length
export const ok = (ref: number, value: unknown = null) => ({ _tag: "ok", ref, value } as const)

/** A test with an engine of these limits and other options. */
export const connectionTest = (
  sentence: string,
  options: Partial<Options> & { readonly script?: Script; readonly room?: Room.Options },
  body: (world: World & { readonly trace: Array<string> }) => Effect.Effect<void, unknown, Scope.Scope | Engine.Engine>
) =>
  it.effect(sentence, () => {
    const { layer, trace } = makeLab(options.script, options.room)
    return serve(memory, { rooms: [layer, News], ...options })((world) => body({ ...world, trace }))
  })

export const ask = (peer: Peer, channel: number, what: string) => peer.sendRequest(channel, "Do", { what })
