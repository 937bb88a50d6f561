import { useEffect, useState } from "preact/hooks"
import type { Connection } from "./session.ts"

interface Props {
  readonly connection: Connection
  readonly onRetry: () => void
}

const textOf = (connection: Connection): string => {
  switch (connection.is) {
    case "online":
      return ""
    case "connecting":
      return connection.wasLost ? "Connection lost. Reconnecting…" : "Connecting…"
    case "waiting":
      return "Connection lost. Reconnecting"
    case "stopped":
      return `The server has ended the connection for good (${connection.code}${
        connection.reason === "" ? "" : `: ${connection.reason}`
      }).`
  }
}

const secondsUntil = (time: number) => Math.max(0, Math.ceil((time - Date.now()) / 1_000))

/** Counts down by the second, for the eye only: read aloud it would never end. */
const Countdown = ({ until }: { readonly until: number }) => {
  const [seconds, setSeconds] = useState(secondsUntil(until))
  useEffect(() => {
    const tick = () => setSeconds(secondsUntil(until))
    tick()
    const timer = setInterval(tick, 250)
    return () => clearInterval(timer)
  }, [until])
  return <span aria-hidden="true">{seconds > 0 ? ` in ${seconds} s…` : "…"}</span>
}

/** Says how the connection is, unless it is as it should be. Stays in the page, so that changes are read aloud. */
export const ConnectionBar = ({ connection, onRetry }: Props) => (
  <div class={`connection ${connection.is}`}>
    <p role="status">
      {textOf(connection)}
      {connection.is === "waiting" && <Countdown until={connection.retryAt} />}
    </p>
    {connection.is === "waiting" && <button type="button" onClick={onRetry}>Try now</button>}
    {connection.is === "stopped" && <button type="button" onClick={onRetry}>Connect again</button>}
  </div>
)
