/**
 * The first message of a client, sent with the upgrade as one of the subprotocols it offers: there a browser lets a page
 * set nothing else.
 */
import { copy, fromBase64Url, ofBinary, toBase64Url } from "./Bytes.ts"
import type { Codec } from "./Codec.ts"

const prefix = "heddle.hello."

/** The most bytes of such a message. In base64 that is half of what proxies commonly take for a header. */
export const maxBytes = 3_072

const encoder = new TextEncoder()

/** The subprotocol that carries a message. */
export const offer = (message: string | Uint8Array): string =>
  prefix + toBase64Url(copy(typeof message === "string" ? encoder.encode(message) : message))

/** The subprotocols that carry none. */
export const others = (protocols: ReadonlyArray<string>): ReadonlyArray<string> =>
  protocols.filter((protocol) => !protocol.startsWith(prefix))

const decoder = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const isAscii = /^[\0-\x7f]*$/

/** What was sent as text, from a character for each byte; null where it is none. */
const textOf = (binary: string): string | null => {
  if (isAscii.test(binary)) return binary
  try {
    return decoder.decode(ofBinary(binary))
  } catch {
    return null
  }
}

/** The message among the subprotocols that are offered, if there is one; null where it is not what it should be. */
export const find = (codec: Codec, protocols: ReadonlyArray<string>): string | Uint8Array | null | undefined => {
  const offered = protocols.find((protocol) => protocol.startsWith(prefix))
  if (offered === undefined) return undefined
  const binary = fromBase64Url(offered.slice(prefix.length))
  if (binary === undefined) return null
  return codec.isText ? textOf(binary) : ofBinary(binary)
}
