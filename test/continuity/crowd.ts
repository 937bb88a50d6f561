/**
 * Many clients of one server, and when they come and go.
 */
import { Effect, type Scope } from "effect"
import * as Client from "../../src/client/Client.ts"
import { type Connect, Connector } from "../../src/client/Connector.ts"
import { json } from "../../src/wire/Json.ts"
import { Ledger } from "./fixtures/ledger.ts"

/** One client, as the network sees it. */
export interface Guest {
  /** Connections that were welcomed and have ended since, by close code. */
  readonly ends: Array<number>
  /** When it was welcomed, each time. */
  readonly welcomes: Array<number>
  /** Rooms it is in on this connection. */
  rooms: number
  /** Errors that the server told it. */
  readonly errors: Array<string>
}

export const makeCrowd = (connect: Connect, now: () => number) => {
  const guests: Array<Guest> = []

  const watched = (guest: Guest): Connect => (url, protocols, events) => {
    let isWelcome = false
    return connect(url, protocols, {
      ...events,
      message: (data) => {
        for (const frame of json.decodeServer(data, Infinity)!) {
          if (frame._tag === "welcome") {
            isWelcome = true
            guest.welcomes.push(now())
          } else if (frame._tag === "joined") guest.rooms++
          else if (frame._tag === "error") guest.errors.push(frame.error._tag)
        }
        events.message(data)
      },
      close: (code, reason) => {
        if (isWelcome) guest.ends.push(code)
        guest.rooms = 0
        events.close(code, reason)
      }
    })
  }

  /** One more client, in so many rooms. */
  const arrive = (url: string, rooms: number): Effect.Effect<Guest, never, Scope.Scope> =>
    Effect.gen(function*() {
      const guest: Guest = { ends: [], welcomes: [], rooms: 0, errors: [] }
      const index = guests.push(guest)
      const client = yield* Effect.provideService(Client.make({ url }), Connector, watched(guest))
      for (let room = 0; room < rooms; room++) {
        const key = rooms === 1 ? `${index % 100}` : `${index} ${room}`
        yield* Effect.forkScoped(Effect.ignore(client.join(Ledger, key)))
      }
      return guest
    })

  return { guests, arrive }
}

/** How many of the moments lie in each part of the time from one moment on, and when the last one is. */
export const spreadOf = (moments: ReadonlyArray<number>, from: number, part: number) => {
  const counts: Array<number> = []
  for (const moment of moments) {
    const index = Math.max(0, Math.floor((moment - from) / part))
    counts[index] = (counts[index] ?? 0) + 1
  }
  return { most: Math.max(...counts.filter((count) => count > 0)), last: Math.max(...moments) - from }
}
