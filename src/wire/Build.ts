/**
 * Makes the object of a frame from its values, checked and in the order of the wire.
 *
 * Written out for each kind, since an object literal costs a tenth of what keys from a table cost. The types tie each
 * one to its row of the table; the round trip of every kind, a test, ties the order.
 */
import type * as Frame from "./Frame.ts"

/** The elements of a frame's array: the kind, then the fields. */
export type Values = ReadonlyArray<any>

type Builders<Frames> = { readonly [K in keyof Frames]: (values: Values) => Frames[K] }

export const client: Builders<Frame.ClientFrames> = {
  hello: (v) => ({ _tag: "hello", token: v[1], resume: v[2] }),
  join: (v) => ({ _tag: "join", ref: v[1], room: v[2], key: v[3], payload: v[4], position: v[5], last: v[6] }),
  leave: (v) => ({ _tag: "leave", ref: v[1], channel: v[2] }),
  request: (v) => ({
    _tag: "request",
    ref: v[1],
    channel: v[2],
    seq: v[3],
    ack: v[4],
    name: v[5],
    payload: v[6],
    again: v[7]
  }),
  notice: (v) => ({ _tag: "notice", channel: v[1], name: v[2], payload: v[3] }),
  cancel: (v) => ({ _tag: "cancel", ref: v[1] }),
  subscribe: (v) => ({ _tag: "subscribe", ref: v[1], topic: v[2], key: v[3], position: v[4] }),
  unsubscribe: (v) => ({ _tag: "unsubscribe", ref: v[1], channel: v[2] }),
  history: (v) => ({ _tag: "history", ref: v[1], channel: v[2], before: v[3], limit: v[4] }),
  renew: (v) => ({ _tag: "renew", ref: v[1], token: v[2] }),
  pong: () => ({ _tag: "pong" })
}

export const server: Builders<Frame.ServerFrames> = {
  welcome: (v) => ({
    _tag: "welcome",
    session: v[1],
    heartbeat: v[2],
    silence: v[3],
    limits: v[4],
    contracts: v[5],
    resume: v[6],
    window: v[7],
    seq: v[8]
  }),
  joined: (v) => ({
    _tag: "joined",
    ref: v[1],
    channel: v[2],
    memberId: v[3],
    position: v[4],
    recovered: v[5],
    snapshot: v[6]
  }),
  subscribed: (v) => ({ _tag: "subscribed", ref: v[1], channel: v[2], position: v[3], recovered: v[4] }),
  page: (v) => ({ _tag: "page", ref: v[1], channel: v[2], events: v[3], more: v[4] }),
  ok: (v) => ({ _tag: "ok", ref: v[1], value: v[2] }),
  failed: (v) => ({ _tag: "failed", ref: v[1], error: v[2] }),
  error: (v) => ({ _tag: "error", ref: v[1], error: v[2] }),
  event: (v) => ({ _tag: "event", channel: v[1], offset: v[2], name: v[3], payload: v[4], except: v[5] }),
  volatile: (v) => ({ _tag: "volatile", channel: v[1], name: v[2], payload: v[3], except: v[4] }),
  direct: (v) => ({ _tag: "direct", channel: v[1], name: v[2], payload: v[3] }),
  present: (v) => ({ _tag: "present", channel: v[1], members: v[2], all: v[3] }),
  absent: (v) => ({ _tag: "absent", channel: v[1], memberId: v[2] }),
  synced: (v) => ({ _tag: "synced", channel: v[1], position: v[2], reason: v[3], snapshot: v[4] }),
  left: (v) => ({ _tag: "left", channel: v[1], reason: v[2], detail: v[3] }),
  ping: () => ({ _tag: "ping" }),
  drain: (v) => ({ _tag: "drain", after: v[1] })
}
