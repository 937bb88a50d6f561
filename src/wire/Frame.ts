/**
 * The frames of protocol version 1, as one table per direction: kind, then fields in the order of the wire.
 *
 * What the fields mean is in `PROTOCOL.md` beside this file.
 */

/** A value that JSON can hold, and in MessagePack also bytes. Decoded by the contract's schema, not by the frame. */
export type Json = unknown

/** Which log, which opening of it, which place in it. */
export type Position = readonly [epoch: string, term: number, offset: number]

/** The bounds the server announces in `welcome`; sizes in bytes, times in milliseconds. */
export interface Announced {
  readonly message: number
  readonly frames: number
  readonly payload: number
  readonly openRequests: number
  readonly rooms: number
  /** Frames a second, and how many at once. */
  readonly rate: number
  readonly burst: number
}

/** The form of one field. `read` gives undefined where the value does not fit. */
export interface Field<out T> {
  readonly expected: string
  readonly read: (value: unknown) => T | undefined
}

const field = <T>(expected: string, fits: (value: unknown) => boolean): Field<T> => ({
  expected,
  read: (value) => fits(value) ? value as T : undefined
})

const isInt = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0
const isText = (value: unknown): boolean => typeof value === "string"
const isRecord = (value: unknown): value is { readonly [name: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

export const int: Field<number> = {
  expected: "a whole number from 0",
  read: (value) => Number.isSafeInteger(value) && (value as number) >= 0 ? value as number : undefined
}
export const text: Field<string> = {
  expected: "a string",
  read: (value) => typeof value === "string" ? value : undefined
}
export const flag = field<boolean>("true or false", (value) => typeof value === "boolean")
export const texts = field<ReadonlyArray<string>>(
  "a list of strings",
  (value) => Array.isArray(value) && value.every(isText)
)
export const record = field<{ readonly [name: string]: string }>(
  "an object of strings",
  (value) => isRecord(value) && Object.values(value).every(isText)
)
/** A payload: anything; a missing one is null. */
export const json: Field<Json> = { expected: "a value", read: (value) => value === undefined ? null : value }
export const position = field<Position>(
  "[epoch, term, offset]",
  (value) => Array.isArray(value) && value.length === 3 && isText(value[0]) && isInt(value[1]) && isInt(value[2])
)
export const announced = field<Announced>(
  "an object of whole numbers",
  (value) => isRecord(value) && Object.values(value).every(isInt)
)
/** Members with their presence: `[[memberId, presence], …]`. */
export const members = field<ReadonlyArray<readonly [id: string, presence: Json]>>(
  "a list of [member, presence]",
  (value) => Array.isArray(value) && value.every((entry) => Array.isArray(entry) && isText(entry[0]))
)
/** Reliable events of a channel: `[[offset, name, payload, except], …]`. */
export const entries = field<
  ReadonlyArray<readonly [offset: number, name: string, payload: Json, except: ReadonlyArray<string> | null]>
>(
  "a list of [offset, name, payload, except]",
  (value) =>
    Array.isArray(value) &&
    value.every((entry) =>
      Array.isArray(entry) && isInt(entry[0]) && isText(entry[1]) &&
      (entry[3] === null || (Array.isArray(entry[3]) && entry[3].every(isText)))
    )
)
/** An error of the protocol's own, or null where there is none. */
export const error = field<{ readonly _tag: string; readonly [name: string]: unknown }>(
  "an object with _tag",
  (value) => isRecord(value) && isText(value["_tag"])
)

/** The same, or null; a missing trailing field is null. */
export const optional = <T>(inner: Field<T>): Field<T | null> => ({
  expected: `${inner.expected}, or null`,
  read: (value) => value === null || value === undefined ? null : inner.read(value)
})

/** Frames that a client sends. */
export const client = {
  hello: { token: optional(text), resume: optional(text) },
  join: { ref: int, room: text, key: text, payload: json, position: optional(position), last: optional(int) },
  leave: { ref: int, channel: int },
  request: { ref: int, channel: int, seq: int, ack: int, name: text, payload: json, again: optional(flag) },
  notice: { channel: int, name: text, payload: json },
  cancel: { ref: int },
  subscribe: { ref: int, topic: text, key: text, position: optional(position) },
  unsubscribe: { ref: int, channel: int },
  history: { ref: int, channel: int, before: optional(int), limit: int },
  renew: { ref: int, token: text },
  pong: {}
} as const

/** Frames that a server sends. */
export const server = {
  welcome: {
    session: text,
    heartbeat: int,
    silence: int,
    limits: announced,
    contracts: record,
    resume: optional(text),
    window: optional(int),
    seq: optional(int)
  },
  joined: { ref: int, channel: int, memberId: text, position, recovered: flag, snapshot: json },
  subscribed: { ref: int, channel: int, position, recovered: flag },
  page: { ref: int, channel: int, events: entries, more: flag },
  ok: { ref: int, value: json },
  failed: { ref: int, error: json },
  error: { ref: optional(int), error },
  event: { channel: int, offset: int, name: text, payload: json, except: optional(texts) },
  volatile: { channel: int, name: text, payload: json, except: optional(texts) },
  direct: { channel: int, name: text, payload: json },
  present: { channel: int, members, all: optional(flag) },
  absent: { channel: int, memberId: text },
  synced: { channel: int, position, reason: text, snapshot: json },
  left: { channel: int, reason: text, detail: text },
  ping: {},
  drain: { after: int }
} as const

/** Kinds of frames, each with its fields in the order of the wire. */
export type Table = { readonly [kind: string]: { readonly [name: string]: Field<unknown> } }

type FramesOf<T extends Table> = {
  readonly [K in keyof T]:
    & { readonly _tag: K }
    & { readonly [F in keyof T[K]]: T[K][F] extends Field<infer V> ? V : never }
}

export type ClientFrames = FramesOf<typeof client>
export type ServerFrames = FramesOf<typeof server>
export type ClientFrame = ClientFrames[keyof ClientFrames]
export type ServerFrame = ServerFrames[keyof ServerFrames]

/** A frame of a kind this version does not know. It is ignored. */
export interface Unknown {
  readonly _tag: "unknown"
  readonly kind: string
}

/** What stood in the place of a frame and is not one. Costs its sender an error frame. */
export interface Malformed {
  readonly _tag: "malformed"
  /** Where it was wrong, for example `request.channel`. */
  readonly field: string
  /** What was expected there; never echoes the value; at most 256 characters. */
  readonly detail: string
  /** The reference of the frame, where it has one that could be read. */
  readonly ref: number | null
}
