/**
 * One sweep for all connections: pings the quiet ones, closes the silent ones.
 *
 * It runs every half interval. A connection that was not heard of for 2.5 intervals, which the sweep sees at most half
 * an interval later, is closed. One that sends but is sent nothing is pinged too, for its client watches the server in
 * the same way.
 *
 * It is also when every live subscriber is compared with its log: one that was not delivered what it should have been
 * gets it then.
 */
import * as Effect from "effect/Effect"

/** What the sweep knows of a connection. */
export interface Beating {
  /** Sweeps since the peer was last heard of; set to 0 by every message from it. */
  quietSweeps: number
  /** Sweeps since something was last sent; set to 0 by every message to it. */
  idleSweeps: number
  readonly ping: () => void
  readonly silent: () => void
}

const pingAfter = 2
const silentAfter = 5

/** How long a peer may be silent, in milliseconds. */
export const silenceMillis = (heartbeat: number): number => (heartbeat * silentAfter) / 2

/** Sweeps as long as the fiber that runs it lives; `also` is done each time. */
export const sweep = (
  connections: ReadonlySet<Beating>,
  heartbeat: number,
  also: () => void = () => {}
): Effect.Effect<never> =>
  Effect.forever(Effect.delay(
    Effect.sync(() => {
      also()
      for (const connection of connections) {
        connection.quietSweeps++
        connection.idleSweeps++
        if (connection.quietSweeps > silentAfter) connection.silent()
        else if (Math.max(connection.quietSweeps, connection.idleSweeps) % pingAfter === 0) connection.ping()
      }
    }),
    heartbeat / 2
  ))
