/**
 * What a member is told in full: who is there, and the events it missed.
 */
import type * as Frame from "../wire/Frame.ts"
import type { Limits } from "./Limits.ts"
import type { Entry } from "./Log.ts"
import type { Room } from "./Room.ts"
import type { RoomMember } from "./RoomMember.ts"

/** Members in one frame: with 4 KiB of presence each it stays within 256 KiB. */
const pageSize = 64

/** Sends everybody's presence, in pages. */
export const sendAll = (room: Room, member: RoomMember): void => {
  if (room.contract.presence === undefined) return
  let page: Array<readonly [string, Frame.Json]> = []
  const send = (): void => {
    if (page.length > 0) member.session.send({ _tag: "present", channel: room.channel.id, members: page, all: null })
    page = []
  }
  for (const other of room.members.values()) {
    page.push([other.id, other.wirePresence])
    if (page.length === pageSize) send()
  }
  send()
}

/** Missed events, if there is room for all of them in half an outbox: a replay is all or nothing. */
export const replayable = (
  missed: ReadonlyArray<Entry> | undefined,
  limits: Limits
): ReadonlyArray<Entry> | undefined => {
  if (missed === undefined || missed.length > limits.outboxFrames / 2) return undefined
  let bytes = 0
  for (const entry of missed) bytes += entry.bytes
  return bytes > limits.outboxBytes / 2 ? undefined : missed
}
