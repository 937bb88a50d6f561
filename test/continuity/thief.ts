/**
 * Somebody who has seen the old tokens of a client and tries to take its session over.
 */
import { Effect } from "effect"
import type { MemoryNetwork } from "../../src/testing/MemoryTransport.ts"
import { inVirtualTime, Peer } from "../engine/peer.ts"
import type { Tap } from "./tap.ts"

/** Tries a token that was replaced; none of them may open the session. */
export const thief = (tap: Tap, network: MemoryNetwork["Service"], url: string) =>
  Effect.gen(function*() {
    // Those before the last were replaced for certain: what came after them was used.
    const old = tap.replaced.at(-2)
    if (old === undefined || tap.session?.id !== old.session || tap.session.life !== tap.world.truth.life) return
    const { session } = tap
    const before = session.isForfeit
    const wasOffline = session.lostAt !== undefined
    // Whether it is, is seen afterwards.
    session.isForfeit = undefined
    const address = { hostname: "memory", port: 0, url: url.replace("ws", "http") }
    const peer = new Peer(network.connect, address, "", inVirtualTime, [])
    peer.onOpen = () => peer.send({ _tag: "hello", token: null, resume: old.token })
    for (let round = 0; round < 2_000 && peer.frames.length === 0 && peer.closed === undefined; round++) {
      yield* Effect.yieldNow
    }
    tap.world.note("thief")
    for (const welcome of peer.all("welcome")) {
      if (welcome.session === old.session) tap.violate("a token that was replaced is refused")
    }
    const isOffline = session.lostAt !== undefined
    session.isForfeit = before !== false ? before : wasOffline === isOffline ? wasOffline : undefined
    peer.close()
  })
