/**
 * What a close frame may say.
 */
import * as Utf8 from "../wire/Utf8.ts"

/** A close frame carries 125 bytes, two of them the code. */
const reasonBytes = 123

const ranges = [[1000, 1003], [1007, 1009], [1011, 1013], [3000, 4999]] as const

/** Whether an endpoint may send the code (RFC 6455 section 7.4). */
export const isCode = (code: number): boolean =>
  Number.isInteger(code) && ranges.some(([first, last]) => code >= first && code <= last)

/** Cuts a reason to what fits, not within a character. */
export const clip = (reason: string): string => {
  let clipped = reason.slice(0, reasonBytes)
  while (Utf8.exceeds(clipped, reasonBytes)) clipped = clipped.slice(0, -1)
  const isCut = clipped.length < reason.length && !clipped.isWellFormed()
  return (isCut ? clipped.slice(0, -1) : clipped).toWellFormed()
}

/** The content of a close frame. Throws for a code that must not be sent: a mistake in the application. */
export const make = (code: number, reason: string): { readonly code: number; readonly reason: string } => {
  if (!isCode(code)) throw new RangeError(`heddle: ${code} is not a close code that an endpoint may send`)
  return { code, reason: clip(reason) }
}
