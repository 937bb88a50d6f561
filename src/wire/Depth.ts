/**
 * How deep values nest: every field of a frame at most 64 levels, so that no reader of any language runs out of stack.
 */

/** Levels of arrays and objects that the value of a field may have. */
export const maxDepth = 64

/** Whether a value has at most `levels` levels of arrays and objects: 0 for a scalar, 1 for `[1]`. */
export const within = (value: unknown, levels: number): boolean => {
  if (typeof value !== "object" || value === null) return true
  if (ArrayBuffer.isView(value)) return true
  if (levels === 0) return false
  if (Array.isArray(value)) {
    for (const inner of value) if (!within(inner, levels - 1)) return false
    return true
  }
  for (const name in value) {
    if (!within((value as { readonly [name: string]: unknown })[name], levels - 1)) return false
  }
  return true
}

const shortest = 2 * (maxDepth + 1)

/** Whether a JSON text has so few brackets that no value in it is too deep. Brackets in strings count too. */
export const isShallow = (json: string): boolean =>
  json.length < shortest || openers(json, "{", openers(json, "[", maxDepth)) >= 0

/** What is left of `budget` after the brackets in the text; -1 when it does not suffice. */
const openers = (json: string, bracket: string, budget: number): number => {
  for (let at = json.indexOf(bracket); at >= 0 && budget >= 0; at = json.indexOf(bracket, at + 1)) budget--
  return budget
}
