/**
 * What a member is told in full: who is there.
 */
import type * as Frame from "../wire/Frame.ts"
import type { Room } from "./Room.ts"
import type { RoomMember } from "./RoomMember.ts"

/** Members in one frame: with 4 KiB of presence each it stays within 256 KiB. */
const pageSize = 64

/** Sends everybody's presence, in pages; the first may say that it is all there is. */
export const sendAll = (room: Room, member: RoomMember, isAgain = false): void => {
  if (room.contract.presence === undefined) return
  let page: Array<readonly [string, Frame.Json]> = []
  let all = isAgain ? true : null
  const send = (): void => {
    if (page.length > 0) member.session.send({ _tag: "present", channel: room.channel.id, members: page, all })
    page = []
    all = null
  }
  for (const other of room.members.values()) {
    page.push([other.id, other.wirePresence])
    if (page.length === pageSize) send()
  }
  send()
}
