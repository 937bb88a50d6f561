/** A room whose handlers are written by each test. */
import { Effect, Schema } from "effect"
import * as Room from "../../src/contract/Room.ts"
import * as Topic from "../../src/contract/Topic.ts"

export class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}

export class Lab extends Room.make("lab", {
  join: { payload: { name: Schema.String }, error: Refused },
  presence: { name: Schema.String },
  snapshot: { state: Schema.String },
  requests: { Do: { payload: { what: Schema.String }, success: Schema.String, error: Refused } },
  notices: { Note: { what: Schema.String } },
  events: { Said: { text: Schema.String }, Blinked: Room.volatile({ text: Schema.String }) }
}) {}

export class News extends Topic.make("news", { payload: { text: Schema.String } }) {}

export type LabRoom = Room.Handle<typeof Lab>
export type LabMember = Room.Member<typeof Lab>
type Result<A> = Effect.Effect<A, Refused | Room.EmitError>

/** What a test makes the room do; what it leaves out does as little as it may. */
export interface Script {
  readonly init?: (room: LabRoom) => Effect.Effect<void>
  readonly join?: (
    room: LabRoom,
    request: Room.JoinRequest<{ readonly name: string }>
  ) => Result<{ readonly name: string }>
  readonly snapshot?: (room: LabRoom, member: LabMember) => Effect.Effect<string>
  readonly leave?: (room: LabRoom, member: LabMember, reason: Room.LeaveReason) => Effect.Effect<void, Room.EmitError>
  readonly do?: (room: LabRoom, member: LabMember, what: string) => Result<string>
  readonly note?: (room: LabRoom, member: LabMember, what: string) => Effect.Effect<void, Room.EmitError>
}

/** Notes joins, leaves and what was done, beside what the script does. */
export const makeLab = (script: Script = {}, options?: Room.Options) => {
  const trace: Array<string> = []
  const note = (text: string) => Effect.sync(() => void trace.push(text))
  const layer = Lab.toLayer(
    Effect.fnUntraced(function*(room: LabRoom) {
      trace.push(`init ${room.key}`)
      yield* Effect.addFinalizer(() => note(`end ${room.key}`))
      if (script.init !== undefined) yield* script.init(room)
      return Lab.of({
        join: (request) =>
          Effect.suspend(() => {
            trace.push(`${request.cause} ${request.payload.name}`)
            return script.join?.(room, request) ?? Effect.succeed({ name: request.payload.name })
          }),
        snapshot: ({ member }) =>
          Effect.map(script.snapshot?.(room, member) ?? Effect.succeed("state"), (state) => ({ state })),
        leave: ({ member, reason }) =>
          Effect.suspend(() => {
            trace.push(`leave ${member.presence.name} ${reason}`)
            return script.leave?.(room, member, reason) ?? Effect.void
          }),
        Do: ({ member, payload: { what } }) =>
          Effect.suspend(() => {
            trace.push(`do ${what}`)
            return (script.do?.(room, member, what) ?? Effect.succeed(what)).pipe(
              Effect.tap(() => note(`done ${what}`)),
              Effect.onInterrupt(() => note(`interrupted ${what}`))
            )
          }),
        Note: ({ member, payload: { what } }) =>
          Effect.suspend(() => {
            trace.push(`note ${what}`)
            return script.note?.(room, member, what) ?? Effect.void
          })
      })
    }),
    options
  )
  return { layer, trace }
}
