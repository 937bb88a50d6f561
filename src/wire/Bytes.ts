/**
 * Bytes within payloads: base64 in JSON, `bin` in MessagePack, from one and the same value.
 */

/**
 * Bytes in the form of the wire, in which a payload waits in frames and logs for whatever codec a subscriber has.
 *
 * A codec of bytes writes them as they are; `JSON.stringify` asks for `toJSON`.
 */
export class Bytes extends Uint8Array<ArrayBuffer> {
  toJSON(): string {
    let text = ""
    for (let at = 0; at < this.length; at += chunk) {
      const part = new Uint8Array(this.buffer, this.byteOffset + at, Math.min(chunk, this.length - at))
      // Spread would go through an iterator, which costs seven times as much.
      text += Reflect.apply(String.fromCharCode, null, part)
    }
    return btoa(text)
  }
}

/** As many arguments as any runtime takes. */
const chunk = 8_192

/** A copy, so that nothing that happens to the original afterwards changes what is sent. */
export const copy = (bytes: Uint8Array): Bytes => {
  const copied = new Bytes(new ArrayBuffer(bytes.length))
  copied.set(bytes)
  return copied
}

/** Bytes from a text with a character for each. */
export const ofBinary = (binary: string): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(binary.length)
  for (let index = 0; index < binary.length; index++) bytes[index] = binary.charCodeAt(index)
  return bytes
}

/** The bytes that a base64 text stands for; undefined where it is none. */
export const fromBase64 = (text: string): Uint8Array<ArrayBuffer> | undefined =>
  text.length % 4 === 0 && base64.test(text) ? ofBinary(atob(text)) : undefined

/** Base64 in the alphabet of RFC 4648 section 5 and without padding, for where `+`, `/` and `=` have a meaning. */
export const toBase64Url = (bytes: Bytes): string =>
  bytes.toJSON().replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")

/** The bytes that such a text stands for, a character for each; undefined where it is none. */
export const fromBase64Url = (text: string): string | undefined =>
  base64url.test(text) && text.length % 4 !== 1 ? atob(text.replaceAll("-", "+").replaceAll("_", "/")) : undefined

// `atob` would also take spaces, and texts without padding, or with it.
const base64 = /^[A-Za-z0-9+/]*={0,2}$/
const base64url = /^[\w-]*$/
