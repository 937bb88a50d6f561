/**
 * What the chat's server and its clients say to each other: the server, the page and the terminal import this file.
 */
import { Schema } from "effect"
import { Room } from "heddle"

export const maxText = 2_000
/** So much of what was said is told to those who come later. */
export const shownAtFirst = 50

export const Name = Schema.String.check(Schema.isPattern(/^[\p{L}\p{N}_-]{1,20}$/u))
export const RoomName = Schema.String.check(Schema.isPattern(/^[\p{L}\p{N}_-]{1,40}$/u))
const Text = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(maxText))

export class NameTaken extends Schema.TaggedError<NameTaken>()("NameTaken", { wanted: Name }) {
  override get message() {
    return `the name ${this.wanted} is taken`
  }
}

export class RoomFull extends Schema.TaggedError<RoomFull>()("RoomFull", { limit: Schema.Int }) {
  override get message() {
    return `the room is full: ${this.limit} are there`
  }
}

export class Chat extends Room.make("chat", {
  key: RoomName,
  join: { payload: { name: Name }, error: [NameTaken, RoomFull] },
  /** Who is there, as everybody in the room sees it. */
  presence: { name: Name },
  requests: {
    /** Says something to everybody in the room. Answers with the place of the message in the room's order. */
    Say: { payload: { text: Text }, success: Schema.Int }
  },
  notices: {
    /** Tells the others that this member is writing. */
    Typing: {}
  },
  events: {
    Said: { from: Name, text: Text, at: Schema.Date },
    Joined: { name: Name },
    Left: { name: Name },
    Typing: Room.volatile({ from: Name })
  }
}) {}
