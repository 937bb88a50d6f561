/**
 * Writes MessagePack: what JSON has, each value in its shortest form, and bytes.
 */
import * as Utf8 from "./Utf8.ts"

const encoder = new TextEncoder()

/** Up to this many characters a loop over ASCII is faster than the encoder. */
const shortText = 24

const maxUint32 = 0xffff_ffff

/** Frames are written one behind another into a buffer of this size, since a buffer of its own for each costs more. */
const slabBytes = 16_384

export class Writer {
  private data = new Uint8Array(slabBytes)
  private view = new DataView(this.data.buffer)
  private start = 0
  private at = 0

  /** Writes one value and gives its bytes, which nothing overwrites. Throws for what is not a value of JSON. */
  write(value: unknown): Uint8Array<ArrayBuffer> {
    this.at = this.start
    this.value(value)
    const written = this.data.subarray(this.start, this.at)
    this.start = this.at
    return written
  }

  private value(value: unknown): void {
    switch (typeof value) {
      case "string":
        return this.text(value)
      case "number":
        return this.number(value)
      case "boolean":
        return this.byte(value ? 0xc3 : 0xc2)
      case "undefined":
        return this.byte(0xc0)
      case "object":
        if (value === null) return this.byte(0xc0)
        if (Array.isArray(value)) return this.array(value)
        return value instanceof Uint8Array ? this.bytes(value) : this.map(value)
      default:
        throw new TypeError(`a ${typeof value} has no MessagePack form`)
    }
  }

  /** Makes room, and gives where it begins. */
  private reserve(bytes: number): number {
    if (this.at + bytes > this.data.length) this.renew(bytes)
    const { at } = this
    this.at = at + bytes
    return at
  }

  /** Goes on in a new buffer with what was written of this value. */
  private renew(bytes: number): void {
    const written = this.data.subarray(this.start, this.at)
    this.data = new Uint8Array(Math.max(slabBytes, (written.length + bytes) * 2))
    this.data.set(written)
    this.view = new DataView(this.data.buffer)
    this.start = 0
    this.at = written.length
  }

  private byte(byte: number): void {
    const at = this.reserve(1)
    this.data[at] = byte
  }

  /** A first byte and a number of 1, 2 or 4 bytes. */
  private head(byte: number, size: 1 | 2 | 4, value: number): void {
    const at = this.reserve(1 + size)
    this.data[at] = byte
    if (size === 1) this.data[at + 1] = value
    else if (size === 2) this.view.setUint16(at + 1, value)
    else this.view.setUint32(at + 1, value)
  }

  private number(value: number): void {
    if (!Number.isSafeInteger(value)) return Number.isFinite(value) ? this.float(value) : this.byte(0xc0)
    if (value >= 0) {
      if (value <= 0x7f) this.byte(value)
      else if (value <= 0xff) this.head(0xcc, 1, value)
      else if (value <= 0xffff) this.head(0xcd, 2, value)
      else if (value <= maxUint32) this.head(0xce, 4, value)
      else this.long(0xcf, value)
    } else if (value >= -0x20) this.byte(value & 0xff)
    else if (value >= -0x80) this.head(0xd0, 1, value & 0xff)
    else if (value >= -0x8000) this.head(0xd1, 2, value & 0xffff)
    else if (value >= -0x8000_0000) this.head(0xd2, 4, value >>> 0)
    else this.long(0xd3, value)
  }

  private long(byte: number, value: number): void {
    const at = this.reserve(9)
    this.data[at] = byte
    this.view.setBigInt64(at + 1, BigInt(value))
  }

  private float(value: number): void {
    const at = this.reserve(9)
    this.data[at] = 0xcb
    this.view.setFloat64(at + 1, value)
  }

  private text(text: string): void {
    const { length } = text
    if (length <= shortText) {
      const at = this.reserve(length + 1)
      const { data } = this
      data[at] = 0xa0 | length
      let index = 0
      for (; index < length; index++) {
        const code = text.charCodeAt(index)
        if (code > 0x7f) break
        data[at + 1 + index] = code
      }
      if (index === length) return
      this.at = at
    }
    const bytes = Utf8.byteLength(text)
    if (bytes <= 0x1f) this.byte(0xa0 | bytes)
    else if (bytes <= 0xff) this.head(0xd9, 1, bytes)
    else if (bytes <= 0xffff) this.head(0xda, 2, bytes)
    else this.head(0xdb, 4, bytes)
    const at = this.reserve(bytes)
    encoder.encodeInto(text, this.data.subarray(at))
  }

  private bytes(bytes: Uint8Array): void {
    if (bytes.length <= 0xff) this.head(0xc4, 1, bytes.length)
    else if (bytes.length <= 0xffff) this.head(0xc5, 2, bytes.length)
    else this.head(0xc6, 4, bytes.length)
    const at = this.reserve(bytes.length)
    this.data.set(bytes, at)
  }

  private array(values: ReadonlyArray<unknown>): void {
    if (values.length <= 0x0f) this.byte(0x90 | values.length)
    else if (values.length <= 0xffff) this.head(0xdc, 2, values.length)
    else this.head(0xdd, 4, values.length)
    for (const value of values) this.value(value)
  }

  /** As in JSON, what is undefined is left out. */
  private map(entries: object): void {
    const names = Object.keys(entries)
    let count = names.length
    for (const name of names) if ((entries as Record<string, unknown>)[name] === undefined) count--
    if (count <= 0x0f) this.byte(0x80 | count)
    else if (count <= 0xffff) this.head(0xde, 2, count)
    else this.head(0xdf, 4, count)
    for (const name of names) {
      const value = (entries as Record<string, unknown>)[name]
      if (value === undefined) continue
      this.text(name)
      this.value(value)
    }
  }
}
