/** The same colour for the same name, on every page. */
const hueOf = (name: string): number => {
  let hash = 0x811c9dc5
  for (const character of name) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193) >>> 0
  return (hash >>> 4) % 360
}

/** A name's first letter on its colour, for the eye only. */
export const Avatar = ({ name }: { readonly name: string }) => (
  <span class="avatar" style={{ "--hue": hueOf(name) }} aria-hidden="true">{[...name][0]!.toLocaleUpperCase()}</span>
)
