/**
 * Groups of raw connections: from a name to whoever is in it at this moment.
 */
import type * as Codec from "../wire/Codec.ts"
import * as Utf8 from "../wire/Utf8.ts"
import type { AnySocket, Message } from "./EndpointDefinition.ts"
import type { Outbox } from "./Outbox.ts"

/** A member of groups. */
export interface Grouped {
  readonly id: string
  readonly outbox: Outbox<undefined>
  /** The connection has ended. */
  readonly over: boolean
}

/**
 * A message in the form that all its receivers share.
 *
 * Throws for one that no outbox would hold: a mistake in the application.
 */
export const encode = (message: Message, limit: number): Codec.Encoded => {
  const bytes = typeof message === "string" ? Utf8.byteLength(message) : message.length
  if (bytes > limit) throw new RangeError(`heddle: a message of ${bytes} bytes, more than ${limit}, cannot be sent`)
  // Bytes of shared memory are copied: no runtime sends them.
  return { data: typeof message === "string" || isSendable(message) ? message : new Uint8Array(message), bytes }
}

const isSendable = (bytes: Uint8Array): bytes is Uint8Array<ArrayBuffer> => bytes.buffer instanceof ArrayBuffer

export class RawGroups {
  private readonly groups = new Map<string, Set<Grouped>>()
  private readonly maxBytes: number

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  /** Groups with members. */
  get size(): number {
    return this.groups.size
  }

  join(name: string, member: Grouped): void {
    const group = this.groups.get(name)
    if (group === undefined) this.groups.set(name, new Set([member]))
    else group.add(member)
  }

  leave(name: string, member: Grouped): void {
    const group = this.groups.get(name)
    if (group?.delete(member) && group.size === 0) this.groups.delete(name)
  }

  /** Appends to the outbox of every member, encoded once. Answers how many took it. */
  publish(name: string, message: Message, except: AnySocket | ReadonlyArray<AnySocket> = []): number {
    const group = this.groups.get(name)
    if (group === undefined) return 0
    const excepted = new Set((Array.isArray(except) ? except : [except]).map(({ id }: AnySocket) => id))
    const encoded = encode(message, this.maxBytes)
    let receivers = 0
    // A member whose outbox overflows ends here and now, and is no longer in the group.
    for (const member of group) {
      if (excepted.has(member.id)) continue
      member.outbox.push(encoded)
      if (!member.over) receivers++
    }
    return receivers
  }
}
