/**
 * Makes the array of a frame from its object, in the order of the wire: the reverse of `Build.ts`.
 *
 * Written out for the same reason, but only for the kinds that come by the thousand, since every browser loads them. A
 * test compares each one with its row of the table.
 */
import type * as Frame from "./Frame.ts"

type Writers<Frames> = { readonly [K in keyof Frames]?: (frame: Frames[K]) => Array<unknown> }

export const client: Writers<Frame.ClientFrames> = {
  request: (f) => [f._tag, f.ref, f.channel, f.seq, f.ack, f.name, f.payload, f.again],
  notice: (f) => [f._tag, f.channel, f.name, f.payload]
}

export const server: Writers<Frame.ServerFrames> = {
  ok: (f) => [f._tag, f.ref, f.value],
  failed: (f) => [f._tag, f.ref, f.error],
  event: (f) => [f._tag, f.channel, f.offset, f.name, f.payload, f.except],
  volatile: (f) => [f._tag, f.channel, f.name, f.payload, f.except],
  direct: (f) => [f._tag, f.channel, f.name, f.payload]
}
