import type { Room } from "./room.ts"

interface Props {
  readonly room: Room
  /** Connected, and in the room. */
  readonly isOnline: boolean
  readonly showsPeople: boolean
  readonly onPeople: () => void
  readonly onLeave: () => void
}

/** Where one is, as whom, and the way out. */
export const Header = ({ isOnline, onLeave, onPeople, room, showsPeople }: Props) => (
  <header>
    <img src="/icon.svg" alt="" width="32" height="32" />
    <div class="place">
      <h1>#{room.name}</h1>
      <p class={isOnline ? "online" : "offline"}>
        {room.me}, {isOnline ? "connected" : "offline"}
      </p>
    </div>
    <button
      type="button"
      class="people-button"
      aria-expanded={showsPeople}
      aria-controls="people"
      onClick={onPeople}
    >
      {room.members.length} here
    </button>
    <button type="button" onClick={onLeave}>Leave</button>
  </header>
)
