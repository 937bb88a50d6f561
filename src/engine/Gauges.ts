/**
 * What the metrics read from a running engine, at the moment at which somebody asks.
 */
import type { Shared } from "./Connection.ts"
import type { EndpointHost } from "./EndpointHost.ts"
import type { Stats } from "./Stats.ts"

const sum = <A>(items: Iterable<A>, of: (item: A) => number): number => {
  let total = 0
  for (const item of items) total += of(item)
  return total
}

/** Makes them known until the engine has closed. */
export const register = (stats: Stats, shared: Shared, endpoints: EndpointHost): void => {
  const { connections, core, served, sessions, users } = shared
  stats.gauge("heddle_connections", "Open connections", () => connections.size, { kind: "protocol" })
  stats.gauge("heddle_connections", "Open connections", () => endpoints.size, { kind: "endpoint" })
  stats.gauge("heddle_users", "Users who are connected, or whose rate has not recovered", () => users.size)
  stats.gauge("heddle_sessions", "Sessions that may be kept", () => sessions.attachedCount, { state: "attached" })
  stats.gauge("heddle_sessions", "Sessions that may be kept", () => sessions.detachedCount, { state: "detached" })
  stats.gauge(
    "heddle_outbox_bytes",
    "Bytes that wait for clients which do not read",
    () => sum(connections, ({ outbox }) => outbox.queuedBytes) + endpoints.outboxBytes
  )
  for (const fate of Object.keys(core.drops) as ReadonlyArray<keyof typeof core.drops>) {
    stats.counter(
      "heddle_drops_total",
      "Frames dropped for clients which do not read, by what became of them",
      () => core.drops[fate],
      { fate }
    )
  }
  for (const [room, { rooms }] of served.rooms) {
    const all = () => rooms.values()
    stats.gauge("heddle_rooms", "Running rooms", () => rooms.size, { room })
    stats.gauge("heddle_members", "Members of rooms", () => sum(all(), ({ members }) => members.size), { room })
    stats.gauge(
      "heddle_mailbox_messages",
      "Messages that wait for rooms",
      () => sum(all(), ({ actor }) => actor.pending),
      { room }
    )
  }
}
