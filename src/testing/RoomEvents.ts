/**
 * What clients of a room under test receive, held against what the room emitted.
 */
import * as Effect from "effect/Effect"
import * as Formatter from "effect/Formatter"
import * as Stream from "effect/Stream"
import type { RequestError } from "../contract/RequestError.ts"
import type { AnyJoined, Player } from "./RoomPlayer.ts"
import type { RoomWatch } from "./RoomWatch.ts"

/** All members receive the same reliable events, in one order and without a gap. */
export class RoomEvents {
  private readonly watch: RoomWatch
  /** What the first who received it was told, by offset. */
  private readonly told = new Map<number, string>()

  constructor(watch: RoomWatch) {
    this.watch = watch
  }

  /** Receives what a player does, until it is out of the room. */
  collect(player: Player, joined: AnyJoined): Effect.Effect<void, RequestError> {
    return Stream.runForEach(joined.events, ({ _tag, offset, payload }) =>
      Effect.sync(() => {
        this.watch.activity++
        this.watch.names.set(joined.memberId, player.name)
        if (_tag === "synced") player.last = undefined
        else if (offset !== undefined) {
          if (player.last !== undefined) this.contiguous(player, player.last, offset)
          player.last = offset
          this.same(player, _tag, `${_tag} ${Formatter.format(payload)}`, offset)
        }
      }))
  }

  /** Nothing more will come: what was emitted after the last event received was not for this player. */
  finish(player: Player): void {
    const { last } = player
    if (last !== undefined) this.contiguous(player, last, Math.max(last, ...this.watch.emitted.keys()) + 1)
  }

  private same(player: Player, name: string, event: string, offset: number): void {
    const first = this.told.get(offset) ?? event
    this.told.set(offset, first)
    const emitted = this.watch.emitted.get(offset)?.name
    if (first === event && emitted === name) return
    const other = first === event ? emitted ?? "nothing" : first
    this.watch.violate("one order for all", `${player.name} received ${event} as event ${offset}, which is ${other}`)
  }

  /** Everything between two events that a player received is not for it. */
  private contiguous(player: Player, from: number, to: number): void {
    if (to <= from) this.watch.violate("one order for all", `${player.name} received event ${to} after ${from}`)
    for (let offset = from + 1; offset < to; offset++) {
      const missed = this.watch.emitted.get(offset)
      if (missed === undefined) continue
      // A member whose name is not known may have been this player, cut off before it heard of it.
      if (missed.except.some((id) => (this.watch.names.get(id) ?? player.name) === player.name)) continue
      this.watch.violate("no event is lost", `${player.name} did not receive event ${offset}, ${missed.name}`)
    }
  }
}
