/**
 * Where the page is: the room in its address, which can be shared, and the name that this tab remembers.
 */

const stored = "heddle-chat"

export const live = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`

interface Remembered {
  readonly name: string
  readonly room: string
  /** The tab was in the room when it was last seen. */
  readonly isInside: boolean
}

const roomOfAddress = (): string => new URLSearchParams(location.search).get("room") ?? ""

export const remembered = (): Remembered => {
  const room = roomOfAddress() || "lobby"
  const [name = "", inside = ""] = (sessionStorage.getItem(stored) ?? "").split(" ")
  return { name, room, isInside: name !== "" && inside === room }
}

export const entered = (name: string, room: string): void => {
  sessionStorage.setItem(stored, `${name} ${room}`)
  const address = `?room=${encodeURIComponent(room)}`
  if (location.search !== address) history.pushState(null, "", address)
}

export const left = (): void => {
  const { name } = remembered()
  if (name !== "") sessionStorage.setItem(stored, name)
}
