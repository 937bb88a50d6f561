import { useEffect, useState } from "preact/hooks"
import { Composer } from "./Composer.tsx"
import { ConnectionBar } from "./ConnectionBar.tsx"
import { Header } from "./Header.tsx"
import { Log } from "./Log.tsx"
import { People } from "./People.tsx"
import type { Session, View } from "./session.ts"

interface Props {
  readonly view: View
  readonly session: Session
  readonly onLeave: () => void
}

const typingText = (names: ReadonlyArray<string>): string => {
  if (names.length === 0) return ""
  if (names.length > 3) return "Several people are typing…"
  return `${new Intl.ListFormat("en").format(names)} ${names.length === 1 ? "is" : "are"} typing…`
}

/** A room: who is there, what is said, and what one says. */
export const RoomView = ({ onLeave, session, view: { connection, phase, problem, room } }: Props) => {
  const [showsPeople, setShowsPeople] = useState(false)
  const isOnline = connection.is === "online" && phase === "in"
  useEffect(() => {
    document.title = `#${room.name} · heddle chat`
    return () => void (document.title = "heddle chat")
  }, [room.name])
  return (
    <div class="room">
      <Header
        room={room}
        isOnline={isOnline}
        showsPeople={showsPeople}
        onPeople={() => setShowsPeople(!showsPeople)}
        onLeave={onLeave}
      />
      <People room={room} isShown={showsPeople} onHide={() => setShowsPeople(false)} />
      <main>
        <ConnectionBar connection={connection} onRetry={() => session.reconnect()} />
        {phase === "returning" && connection.is === "online" && (
          <div class="connection waiting">
            <p role="status">Not back in the room yet, trying again. {problem?.text}</p>
            <button type="button" onClick={onLeave}>Change name</button>
          </div>
        )}
        <Log
          room={room}
          isOnline={isOnline}
          onSayAgain={(id) => session.sayAgain(id)}
          onDiscard={(id) => session.discard(id)}
        />
        <p class="typing">{isOnline && typingText(room.typing)}</p>
        <Composer room={room.name} onSay={(text) => session.say(text)} onTyping={() => session.typing()} />
      </main>
    </div>
  )
}
