import { useCallback, useEffect, useRef, useState } from "preact/hooks"
import { Door } from "./Door.tsx"
import * as Place from "./place.ts"
import { RoomView } from "./RoomView.tsx"
import { Session, type View } from "./session.ts"

/** The door as long as it is not in a room, then the room. */
export const App = () => {
  const session = useRef<Session>(undefined)
  const [view, setView] = useState<View>()

  const enter = useCallback((name: string, room: string) => {
    session.current?.close()
    session.current = new Session(Place.live, room, name, setView)
    setView(session.current.view)
  }, [])
  const leave = useCallback(() => {
    session.current?.close()
    session.current = undefined
    Place.left()
    setView(undefined)
  }, [])

  const isInside = view?.phase === "in" || view?.phase === "returning"
  const [room, name] = [view?.room.name, view?.room.me]
  useEffect(() => {
    if (isInside) Place.entered(name!, room!)
  }, [isInside, name, room])
  useEffect(() => {
    // Back in the tab after a reload: the same name in the same room.
    const { isInside, name, room } = Place.remembered()
    if (isInside) enter(name, room)
    addEventListener("popstate", leave)
    return () => removeEventListener("popstate", leave)
  }, [enter, leave])

  return isInside
    ? <RoomView view={view} session={session.current!} onLeave={leave} />
    : <Door view={view} onEnter={enter} onCancel={leave} onRetry={() => session.current?.reconnect()} />
}
