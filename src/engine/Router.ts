/**
 * From the frames of a session to rooms and topics. Never waits for a room.
 */
import * as RequestError from "../contract/RequestError.ts"
import type { Encoded } from "../wire/Codec.ts"
import type * as Frame from "../wire/Frame.ts"
import type { Limits } from "./Limits.ts"
import { overloaded } from "./Overloaded.ts"
import type { RoomHost } from "./RoomHost.ts"
import type { Call, Session } from "./Session.ts"
import type { TopicHost } from "./TopicHost.ts"

/** What an engine serves, by name. */
export interface Served {
  readonly rooms: ReadonlyMap<string, RoomHost>
  readonly topics: ReadonlyMap<string, TopicHost>
  /** Nothing new is begun any more. */
  readonly isDraining: () => boolean
}

const draining = new RequestError.RoomStopped({ detail: "the server is stopping" })

/** Frames that lessen the work, and so are taken at any rate. */
const relieving: ReadonlySet<string> = new Set<Frame.ClientFrame["_tag"]>(["leave", "unsubscribe", "cancel", "pong"])

/** Whether a frame is taken however many came before it. */
export const isNeverRefused = ({ _tag }: { readonly _tag: string }): boolean => relieving.has(_tag)

/** Routes one frame. Answers with what was wrong with the frame itself, if anything was. */
export const route = (
  served: Served,
  limits: Limits,
  session: Session,
  frame: Frame.ClientFrame
): Frame.Malformed | undefined => {
  const { ref } = frame as { readonly ref?: number }
  if (ref !== undefined && frame._tag !== "cancel" && session.pending.has(ref)) {
    return malformed(`${frame._tag}.ref`, "a reference that is not in use")
  }
  switch (frame._tag) {
    case "request":
      return request(served, session, limits, frame)
    case "notice": {
      const room = session.memberships.get(frame.channel)?.room
      if (served.isDraining()) session.complain(draining)
      else if (room === undefined) session.complain(new RequestError.NotJoined())
      else room.notice(frame)
      return
    }
    case "join": {
      const host = served.rooms.get(frame.room)
      if (host === undefined) session.refuse(frame.ref, new RequestError.NotServed({ detail: "there is no such room" }))
      else if (served.isDraining()) session.refuse(frame.ref, draining)
      else if (hasPlace(session, limits, frame.ref, host.hasMember(session, frame.key))) host.join(session, frame)
      return
    }
    case "subscribe": {
      const host = served.topics.get(frame.topic)
      if (host === undefined) {
        session.refuse(frame.ref, new RequestError.NotServed({ detail: "there is no such topic" }))
      } else if (served.isDraining()) {
        session.refuse(frame.ref, draining)
      } else if (hasPlace(session, limits, frame.ref)) host.subscribe(session, frame)
      return
    }
    case "history": {
      const membership = session.memberships.get(frame.channel)
      if (membership === undefined) session.refuse(frame.ref, new RequestError.NotJoined())
      else if (membership.room !== undefined) membership.room.history(frame)
      else session.refuse(frame.ref, new RequestError.NotServed({ detail: "a topic has no history" }))
      return
    }
    case "leave":
    case "unsubscribe": {
      const membership = session.memberships.get(frame.channel)
      if (membership === undefined) session.refuse(frame.ref, new RequestError.NotJoined())
      else membership.leave(frame.ref)
      return
    }
    case "cancel":
      session.pending.get(frame.ref)?.cancel("the client cancelled it")
      return
    case "pong":
      return
    case "hello":
    case "renew":
      return malformed(frame._tag, "no second one on this connection")
  }
}

const malformed = (field: string, detail: string, ref: number | null = null): Frame.Malformed => ({
  _tag: "malformed",
  field,
  detail,
  ref
})

const request = (
  served: Served,
  session: Session,
  limits: Limits,
  frame: Frame.ClientFrames["request"]
): Frame.Malformed | undefined => {
  const { channel, ref, seq } = frame
  const { requests } = session
  session.acknowledge(frame.ack)
  if (frame.again === true) {
    const known = requests.find(seq)
    if (known !== undefined) return repeat(session, known, frame)
    if (!requests.isUnseen(seq)) return malformed("request.seq", notHigher, ref)
    if (requests.isDoubtful(seq)) {
      session.isLost(ref, seq)
      return
    }
  } else if (seq <= requests.last) return malformed("request.seq", notHigher, ref)
  requests.accept(seq, frame.again === true)
  if (served.isDraining()) {
    session.refuse(ref, draining)
    return
  }
  if (session.open >= limits.openRequests || requests.isFull(limits.openRequests, limits.outboxBytes)) {
    session.refuse(ref, overloaded)
    return
  }
  const room = session.memberships.get(channel)?.room
  if (room === undefined) session.refuse(ref, new RequestError.NotJoined())
  else room.request(frame)
  return
}

const notHigher = "a number higher than any before"

/** A request that was sent before: its answer is told again, or awaited under the new reference. */
const repeat = (
  session: Session,
  known: Call | Encoded,
  { channel, ref }: Frame.ClientFrames["request"]
): Frame.Malformed | undefined => {
  if ("data" in known) session.repeat(ref, channel, known)
  else if (known.to !== session.outbox) session.move(known, ref)
  else return malformed("request.again", "a request of an earlier connection", ref)
  return
}

const hasPlace = (session: Session, limits: Limits, ref: number, isMember = false): boolean => {
  if (session.open >= limits.openRequests) {
    session.refuse(ref, overloaded)
    return false
  }
  const max = limits.roomsPerSession
  if (isMember || session.places < max) return true
  session.refuse(ref, new RequestError.LimitExceeded({ limit: "rooms of a session", max }))
  return false
}
