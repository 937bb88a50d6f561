import { Schema } from "effect"
import { useEffect, useRef, useState } from "preact/hooks"
import { Name, RoomName } from "../contract.ts"
import { ConnectionBar } from "./ConnectionBar.tsx"
import * as Place from "./place.ts"
import type { Problem, View } from "./session.ts"

interface Props {
  readonly view: View | undefined
  readonly onEnter: (name: string, room: string) => void
  readonly onCancel: () => void
  readonly onRetry: () => void
}

const isName = Schema.is(Name)
const isRoomName = Schema.is(RoomName)

const problemWith = (name: string, room: string): Problem | undefined => {
  if (name === "") return { field: "name", text: "Say who you are." }
  if (!isName(name)) {
    return { field: "name", text: "A name has 1 to 20 letters and digits, “_” and “-” among them, and no spaces." }
  }
  if (room === "") return { field: "room", text: "Say which room." }
  if (isRoomName(room)) return undefined
  return { field: "room", text: "A room’s name has 1 to 40 letters and digits, “_” and “-” among them, and no spaces." }
}

/** Asks for a name and a room. */
export const Door = ({ onCancel, onEnter, onRetry, view }: Props) => {
  const [initial] = useState(Place.remembered)
  const [name, setName] = useState(view?.room.me ?? initial.name)
  const [room, setRoom] = useState(view?.room.name ?? initial.room)
  const [found, setFound] = useState<Problem>()
  const nameField = useRef<HTMLInputElement>(null)
  const roomField = useRef<HTMLInputElement>(null)
  const isJoining = view?.phase === "joining"
  const problem = found ?? (view?.phase === "refused" ? view.problem : undefined)

  useEffect(() => nameField.current?.focus(), [])
  useEffect(() => {
    if (problem !== undefined) (problem.field === "room" ? roomField : nameField).current?.focus()
  }, [problem])

  const submit = (event: Event) => {
    event.preventDefault()
    if (isJoining) return
    const wrong = problemWith(name.trim(), room.trim())
    setFound(wrong)
    if (wrong === undefined) onEnter(name.trim(), room.trim())
  }
  const edit = (set: (text: string) => void) => (event: { readonly currentTarget: HTMLInputElement }) => {
    setFound(undefined)
    if (view?.phase === "refused") onCancel()
    set(event.currentTarget.value)
  }
  const described = (field: Problem["field"]) =>
    problem?.field === field ? { "aria-invalid": true, "aria-describedby": "problem" } : {}

  return (
    <main class="door">
      {isJoining && <ConnectionBar connection={view.connection} onRetry={onRetry} />}
      <form noValidate onSubmit={submit}>
        <img src="/icon.svg" alt="" width="44" height="44" />
        <h1>heddle chat</h1>
        <p>Choose a name and a room. Whoever has the address of the room can join you there.</p>
        <div class="field">
          <label for="name">Your name</label>
          <input
            id="name"
            ref={nameField}
            value={name}
            onInput={edit(setName)}
            autocomplete="nickname"
            autocapitalize="none"
            spellcheck={false}
            placeholder="ada"
            {...described("name")}
          />
        </div>
        <div class="field">
          <label for="room">Room</label>
          <input
            id="room"
            ref={roomField}
            value={room}
            onInput={edit(setRoom)}
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            placeholder="lobby"
            {...described("room")}
          />
        </div>
        <p id="problem" class={`problem about-${problem?.field ?? "both"}`} role="alert">{problem?.text}</p>
        <div class="actions">
          <button type="submit" class="primary" aria-disabled={isJoining}>{isJoining ? "Joining…" : "Join"}</button>
          {isJoining && <button type="button" onClick={onCancel}>Cancel</button>}
        </div>
      </form>
    </main>
  )
}
