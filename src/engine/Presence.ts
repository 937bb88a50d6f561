/**
 * What a member is told in full: who is there.
 */
import type * as Frame from "../wire/Frame.ts"
import type { Feed } from "./Feeds.ts"
import type { Outbox } from "./Outbox.ts"
import type { Room } from "./Room.ts"
import type { RoomMember } from "./RoomMember.ts"

/** Members in one frame: with 4 KiB of presence each it stays within 256 KiB. */
const pageSize = 64

/**
 * Sends everybody's presence, in pages, as the outbox has room for them; then calls back, at once where one page is enough.
 *
 * `isAgain`: the first page says that it is all there is. Never calls back if the connection is lost meanwhile, or if it
 * is all sent again.
 */
export const sendAll = (room: Room, member: RoomMember, isAgain: boolean, done: () => void): void => {
  if (room.contract.presence === undefined) return done()
  const roll = member.roll = new Roll(room, member, isAgain, done)
  if (!roll.pull()) member.session.outbox.feed(roll)
}

/** Who is there at the moment it is told; whoever comes, goes or changes meanwhile is told of behind it. */
class Roll implements Feed {
  private readonly channel: number
  private readonly members: Iterator<RoomMember>
  private readonly member: RoomMember
  private readonly outbox: Outbox
  private readonly done: () => void
  private all: true | null
  private isFirst = true

  constructor(room: Room, member: RoomMember, isAgain: boolean, done: () => void) {
    this.channel = room.channel.id
    this.members = room.members.values()
    this.member = member
    this.outbox = member.session.outbox
    this.done = done
    this.all = isAgain ? true : null
  }

  pull(): boolean {
    while (this.member.roll === this && !this.outbox.isClosed) {
      // The first page is a part of the state that it follows; the others never meet a bound.
      if (!this.isFirst && !this.outbox.takes(0)) return false
      this.isFirst = false
      if (this.send()) continue
      this.member.roll = undefined
      this.done()
    }
    return true
  }

  /** Sends a page. Answers whether there may be another. */
  private send(): boolean {
    const page: Array<readonly [string, Frame.Json]> = []
    while (page.length < pageSize) {
      const { done, value } = this.members.next()
      if (done === true) break
      page.push([value.id, value.wirePresence])
    }
    if (page.length > 0) {
      const present = { _tag: "present", channel: this.channel, members: page, all: this.all } as const
      this.outbox.push(this.outbox.codec.encode(present))
      this.all = null
    }
    return page.length === pageSize
  }
}
