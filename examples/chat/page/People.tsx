import { useEffect, useLayoutEffect, useState } from "preact/hooks"
import { Avatar } from "./Avatar.tsx"
import type { Room } from "./room.ts"

interface Props {
  readonly room: Room
  /** Where the page is narrow the list is shown on demand. */
  readonly isShown: boolean
  readonly onHide: () => void
}

/** Copies the address of the room; absent where the browser does not let a page copy. */
const CopyLink = () => {
  const [isCopied, setIsCopied] = useState(false)
  useEffect(() => {
    if (!isCopied) return
    const timer = setTimeout(() => setIsCopied(false), 2_000)
    return () => clearTimeout(timer)
  }, [isCopied])
  if (navigator.clipboard === undefined) return null
  const copy = () => void navigator.clipboard.writeText(location.href).then(() => setIsCopied(true), () => {})
  return (
    <>
      <button type="button" onClick={copy}>{isCopied ? "Copied" : "Copy link to this room"}</button>
      <span class="unseen" role="status">{isCopied && "The address of the room is copied."}</span>
    </>
  )
}

/** Who is there, and how more can come. */
export const People = ({ isShown, onHide, room }: Props) => {
  useLayoutEffect(() => {
    if (!isShown) return
    const onKey = ({ key }: KeyboardEvent) => {
      if (key === "Escape") onHide()
    }
    addEventListener("keydown", onKey)
    return () => removeEventListener("keydown", onKey)
  }, [isShown, onHide])
  return (
    <aside id="people" class={isShown ? "shown" : ""} aria-label="People in this room">
      <h2>
        Here now <span class="count">{room.members.length}</span>
      </h2>
      <ul>
        {room.members.map((name) => (
          <li key={name}>
            <Avatar name={name} />
            <span class="name">{name}</span>
            {name === room.me && <span class="you">you</span>}
            {room.typing.includes(name) && <span class="you">typing</span>}
          </li>
        ))}
      </ul>
      <CopyLink />
    </aside>
  )
}
