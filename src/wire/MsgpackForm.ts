/**
 * The forms of MessagePack values, extensions too: as much as it takes to step over one without reading it.
 */

/** What follows the first byte of a value: `fixed` bytes, then `count` times `bytes` and `values`. */
export interface Form {
  /** Bytes of the count; 0 where the first byte says it. */
  readonly size: 0 | 1 | 2 | 4
  readonly count: number
  readonly fixed: number
  readonly bytes: number
  readonly values: number
}

const form = (size: Form["size"], count: number, fixed: number, bytes: number, values: number): Form => ({
  size,
  count,
  fixed,
  bytes,
  values
})

/** From 0xc0 to 0xdf. */
const forms: ReadonlyArray<Form> = [
  ...[0, 0, 0, 0].map((fixed) => form(0, 0, fixed, 0, 0)),
  ...([1, 2, 4] as const).map((size) => form(size, 0, 0, 1, 0)),
  ...([1, 2, 4] as const).map((size) => form(size, 0, 1, 1, 0)),
  ...[4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 3, 5, 9, 17].map((fixed) => form(0, 0, fixed, 0, 0)),
  ...([1, 2, 4] as const).map((size) => form(size, 0, 0, 1, 0)),
  ...([2, 4] as const).map((size) => form(size, 0, 0, 0, 1)),
  ...([2, 4] as const).map((size) => form(size, 0, 0, 0, 2))
]

const scalar = form(0, 0, 0, 0, 0)

/** The form of a value by its first byte. That 0xc1 has none is for the reader to know. */
export const formOf = (head: number): Form => {
  if (head <= 0x7f || head >= 0xe0) return scalar
  if (head <= 0x8f) return form(0, head & 0x0f, 0, 0, 2)
  if (head <= 0x9f) return form(0, head & 0x0f, 0, 0, 1)
  return head <= 0xbf ? form(0, head & 0x1f, 0, 1, 0) : forms[head - 0xc0]!
}
