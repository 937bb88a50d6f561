/**
 * What a client is told first: its session, the bounds it must keep, and what is served.
 */
import type * as Frame from "../wire/Frame.ts"
import { silenceMillis } from "./Heartbeat.ts"
import type { Limits } from "./Limits.ts"
import type { Session } from "./Session.ts"

export const make = (
  session: Session,
  token: string | undefined,
  limits: Limits,
  contracts: { readonly [name: string]: string }
): Frame.ServerFrames["welcome"] => ({
  _tag: "welcome",
  session: session.id,
  heartbeat: limits.heartbeat,
  silence: silenceMillis(limits.heartbeat),
  limits: {
    message: limits.messageBytes,
    frames: limits.messageFrames,
    payload: limits.joinBytes,
    openRequests: limits.openRequests,
    rooms: limits.roomsPerSession,
    rate: limits.frameRate,
    burst: limits.frameBurst
  },
  contracts,
  resume: token ?? null,
  window: token === undefined ? null : limits.sessionWindow,
  seq: token === undefined ? null : session.requests.last
})
