/**
 * Reads MessagePack: of it what JSON has, and bytes.
 *
 * It trusts nothing that a message says about itself: each length is compared with what is left of the message before
 * anything is made for it, nesting is bounded, there are no extensions. Nothing is thrown; the first fault is kept in
 * `expected`, and from then on everything reads as undefined.
 */
import type { Bytes } from "./Bytes.ts"
import { copy } from "./Bytes.ts"
import * as Depth from "./Depth.ts"
import { formOf } from "./MsgpackForm.ts"

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Up to this many bytes a loop over ASCII is faster than the decoder. */
const shortText = 32

/** Names come again and again: kinds of frames, messages and fields. Found by what they are made of. */
const names: Array<string | undefined> = Array.from({ length: 512 })
const longestName = 24

export class Reader {
  at = 0
  /** What should have stood where reading ended. */
  expected: string | undefined
  private readonly data: Uint8Array
  private dataView: DataView | undefined

  constructor(data: Uint8Array) {
    this.data = data
  }

  private get view(): DataView {
    return this.dataView ??= new DataView(this.data.buffer, this.data.byteOffset, this.data.length)
  }

  /** Whether the message has been read to its end. */
  get isAtEnd(): boolean {
    return this.at >= this.data.length
  }

  /** Reads the head of an array and gives its length; -1, without moving, where there is none. */
  arrayLength(): number {
    const start = this.at
    const head = this.uint(1)
    const length = head >= 0x90 && head <= 0x9f
      ? head & 0x0f
      : head === 0xdc
      ? this.uint(2)
      : head === 0xdd
      ? this.uint(4)
      : -1
    if (length < 0) this.at = start
    return length
  }

  /** Reads a value of at most `levels` levels of arrays and maps. */
  value(levels: number): unknown {
    const head = this.uint(1)
    if (head <= 0x7f) return head < 0 ? undefined : head
    if (head <= 0x8f) return this.map(head & 0x0f, levels)
    if (head <= 0x9f) return this.array(head & 0x0f, levels)
    if (head <= 0xbf) return this.text(head & 0x1f)
    if (head >= 0xe0) return head - 0x100
    switch (head) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xc4:
        return this.bytes(this.uint(1))
      case 0xc5:
        return this.bytes(this.uint(2))
      case 0xc6:
        return this.bytes(this.uint(4))
      case 0xca:
        return this.float(4)
      case 0xcb:
        return this.float(8)
      case 0xcc:
        return this.number(this.uint(1))
      case 0xcd:
        return this.number(this.uint(2))
      case 0xce:
        return this.number(this.uint(4))
      case 0xcf:
        return this.long(false)
      case 0xd0:
        return this.take(1) ? this.view.getInt8(this.at - 1) : undefined
      case 0xd1:
        return this.take(2) ? this.view.getInt16(this.at - 2) : undefined
      case 0xd2:
        return this.take(4) ? this.view.getInt32(this.at - 4) : undefined
      case 0xd3:
        return this.long(true)
      case 0xd9:
        return this.text(this.uint(1))
      case 0xda:
        return this.text(this.uint(2))
      case 0xdb:
        return this.text(this.uint(4))
      case 0xdc:
        return this.array(this.uint(2), levels)
      case 0xdd:
        return this.array(this.uint(4), levels)
      case 0xde:
        return this.map(this.uint(2), levels)
      case 0xdf:
        return this.map(this.uint(4), levels)
      default:
        return this.fail("a value without extensions")
    }
  }

  /** Moves behind values of any form and depth; false where the message ends before, or there is no such form. */
  skip(values: number): boolean {
    for (let open = values; open > 0; open--) {
      const head = this.uint(1)
      if (head < 0 || head === 0xc1) return false
      const form = formOf(head)
      const count = form.size === 0 ? form.count : this.uint(form.size)
      if (count < 0 || !this.take(form.fixed + count * form.bytes)) return false
      open += count * form.values
      // Every value has at least one byte.
      if (open - 1 > this.data.length - this.at) return false
    }
    return true
  }

  /** Begins again at a place before, as if nothing had been wrong. */
  back(at: number): void {
    this.at = at
    this.expected = undefined
  }

  private fail(expected: string): undefined {
    this.expected ??= expected
    this.at = this.data.length
    return undefined
  }

  /** Moves by a number of bytes, if there are as many. */
  private take(bytes: number): boolean {
    if (bytes > this.data.length - this.at) {
      this.fail("a complete value")
      return false
    }
    this.at += bytes
    return true
  }

  /** A whole number of 1, 2 or 4 bytes; -1 where the message ends. */
  private uint(bytes: 1 | 2 | 4): number {
    const { at } = this
    if (!this.take(bytes)) return -1
    return bytes === 1 ? this.data[at]! : bytes === 2 ? this.view.getUint16(at) : this.view.getUint32(at)
  }

  private number(value: number): number | undefined {
    return value < 0 ? undefined : value
  }

  /** A number of 8 bytes. As in JSON, it is rounded where a double cannot hold it. */
  private long(signed: boolean): number | undefined {
    if (!this.take(8)) return undefined
    const high = signed ? this.view.getInt32(this.at - 8) : this.view.getUint32(this.at - 8)
    return high * 0x1_0000_0000 + this.view.getUint32(this.at - 4)
  }

  private float(bytes: 4 | 8): number | undefined {
    if (!this.take(bytes)) return undefined
    const value = bytes === 4 ? this.view.getFloat32(this.at - 4) : this.view.getFloat64(this.at - 8)
    return Number.isFinite(value) ? value : this.fail("a finite number")
  }

  private bytes(length: number): Bytes | undefined {
    if (length < 0 || !this.take(length)) return undefined
    return copy(this.data.subarray(this.at - length, this.at))
  }

  private text(length: number): string | undefined {
    if (length < 0 || !this.take(length)) return undefined
    const start = this.at - length
    return length > shortText ? this.decode(start) : this.ascii(start) ?? this.decode(start)
  }

  private ascii(at: number): string | undefined {
    const { data, at: end } = this
    let text = ""
    for (; at + 4 <= end; at += 4) {
      const a = data[at]!
      const b = data[at + 1]!
      const c = data[at + 2]!
      const d = data[at + 3]!
      if ((a | b | c | d) > 0x7f) return undefined
      text += String.fromCharCode(a, b, c, d)
    }
    for (; at < end; at++) {
      if (data[at]! > 0x7f) return undefined
      text += String.fromCharCode(data[at]!)
    }
    return text
  }

  /** Reads text that was probably read before. */
  name(): string | undefined {
    const head = this.isAtEnd ? 0 : this.data[this.at]!
    const length = head & 0x1f
    if (head < 0xa0 || head > 0xa0 + longestName || length > this.data.length - this.at - 1) {
      const value = this.value(0)
      return typeof value === "string" ? value : this.fail("text")
    }
    const start = this.at + 1
    const end = start + length
    let hash = length
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ this.data[at]!, 0x01000193)
    const place = (hash ^ (hash >>> 15)) & (names.length - 1)
    const known = names[place]
    if (known !== undefined && this.is(known, start, length)) {
      this.at = end
      return known
    }
    const name = this.value(0) as string | undefined
    if (name?.length === length) names[place] = name
    return name
  }

  /** Whether a text of ASCII stands at a place. */
  private is(text: string, start: number, length: number): boolean {
    if (text.length !== length) return false
    for (let index = 0; index < length; index++) {
      if (text.charCodeAt(index) !== this.data[start + index]) return false
    }
    return true
  }

  private decode(start: number): string | undefined {
    try {
      return decoder.decode(this.data.subarray(start, this.at))
    } catch {
      return this.fail("UTF-8")
    }
  }

  private array(length: number, levels: number): ReadonlyArray<unknown> | undefined {
    if (!this.enter(length, levels)) return undefined
    const values: Array<unknown> = []
    for (let index = 0; index < length; index++) {
      values.push(this.value(levels - 1))
      if (this.expected !== undefined) return undefined
    }
    return values
  }

  private map(length: number, levels: number): { readonly [name: string]: unknown } | undefined {
    if (!this.enter(length * 2, levels)) return undefined
    const entries: Record<string, unknown> = {}
    for (let index = 0; index < length; index++) {
      const name = this.name()
      if (name === undefined) return this.fail("text as the key of a map")
      const value = this.value(levels - 1)
      if (this.expected !== undefined) return undefined
      if (name === "__proto__") define(entries, name, value)
      else entries[name] = value
    }
    return entries
  }

  private enter(values: number, levels: number): boolean {
    if (values < 0) return false
    if (levels === 0) this.fail(`at most ${Depth.maxDepth} levels`)
    else if (values > this.data.length - this.at) this.fail("a complete value")
    return this.expected === undefined
  }
}

const define = (entries: object, name: string, value: unknown): void => {
  Object.defineProperty(entries, name, { value, enumerable: true, configurable: true, writable: true })
}
