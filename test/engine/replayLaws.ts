/**
 * Random lives of a channel, its log and its subscribers, checked against a list of all events; and channels with one
 * fault each, to prove that the laws catch it.
 */
import { Channel } from "../../src/engine/Channel.ts"
import { Commits } from "../../src/engine/Commits.ts"
import type { Outgoing } from "../../src/engine/Fate.ts"
import { Hub } from "../../src/engine/Hub.ts"
import type { Log } from "../../src/engine/LogStore.ts"
import { Outbox } from "../../src/engine/Outbox.ts"
import { Joiner } from "../../src/engine/Packing.ts"
import * as Recovery from "../../src/engine/Recovery.ts"
import type { Subscription } from "../../src/engine/Subscription.ts"
import { Subscription as AnySubscription } from "../../src/engine/Subscription.ts"
import type * as Frame from "../../src/wire/Frame.ts"
import { json } from "../../src/wire/Json.ts"
import { DurableLogs } from "./durableLogs.ts"
import { makeRandom } from "./random.ts"
import { recordingSocket } from "./recordingSocket.ts"

/** What is wrong with a channel. */
export interface Fault {
  /** Breaks something, and answers with how to mend it. */
  readonly breaks?: () => () => void
  /** Where a subscriber begins. */
  readonly begin?: typeof Recovery.begin
}

const law = (sentence: string, holds: boolean): void => {
  if (!holds) throw new Error(`broken law: ${sentence}`)
}

/** A receiver, over all its connections. */
class Client {
  position: Frame.Position | null = null
  /** Event numbers by offset, since it last began anew. */
  view = new Map<number, number>()
  connection: Connection | undefined
}

interface Connection {
  readonly outbox: Outbox
  readonly state: ReturnType<typeof recordingSocket>["state"]
  readonly subscription: Subscription
  /** Stamps of what must not get lost. */
  readonly owed: Array<number>
  stamp: number
}

export const replayLaws = (seed: number, { begin = Recovery.begin, breaks = () => () => {} }: Fault = {}) => {
  const mend = breaks()
  try {
    return live(seed, begin)
  } finally {
    mend()
  }
}

const live = (seed: number, begin: typeof Recovery.begin): ReadonlySet<string> => {
  const random = makeRandom(seed)
  const notes = new Set<string>()
  const isDurable = random.chance(50)
  const catchesUp = random.chance(70)
  const hasDirect = random.chance(60)
  const retention = { capacity: 3 + random.below(60), timeToLive: random.chance(20) ? 300 : Infinity }
  const maxBytes = random.chance(20) ? 500 + random.below(3_000) : 1e9
  const maxFrames = 4 + random.below(40)
  const clients = Array.from({ length: 4 }, () => new Client())
  let store = new DurableLogs(maxBytes)
  let commits: Commits | undefined
  let soon: ReadonlyArray<() => void> = []
  let doomed: Array<Client> = []
  let hub: Hub
  let channel!: Channel
  let [now, numbers, stamps, epochs] = [0, 0, 0, 0]
  /** Numbers of all events of this epoch, by offset. */
  let truth: Array<number> = [0]
  let turns: Array<() => void> = []

  const start = () => {
    soon = []
    commits = isDurable
      ? new Commits({
        transaction: store.transaction,
        soon: (commit) => void (soon = [...soon, commit]),
        onFailed: (_, outboxes) => {
          notes.add("failed commit")
          doomed = clients.filter(({ connection }) =>
            connection !== undefined && (connection.outbox.queuedFrames > 0 || outboxes.has(connection.outbox))
          )
          for (const { connection } of doomed) connection!.outbox.abort()
          truth.length = channel.head + 1
        }
      })
      : undefined
    hub = new Hub({
      maxChannels: 1,
      historyBytes: maxBytes,
      now: () => now,
      nextEpoch: () => `e${++epochs}`,
      store: isDurable ? store : undefined,
      commits
    })
    channel = hub.open("a", retention)!
    // A log that was not opened before has nothing.
    truth.length = channel.head + 1
    channel.onOwed = (subscription, reason) => {
      const { cursor } = subscription as unknown as { readonly cursor: number }
      law("state is owed only for what the log has lost", channel.log.first(-Infinity) > cursor + 1)
      notes.add(reason)
      turns.push(() => {
        if (subscription.index < 0) return
        subscription.suspend()
        const { position } = channel
        const tell = () => {
          if (subscription.index < 0) return
          subscription.outbox.push(json.encode({ _tag: "synced", channel: 1, position, reason, snapshot: null }))
          subscription.release()
        }
        // A snapshot may take its time.
        if (random.chance(50)) tell()
        else turns.push(tell)
      })
    }
  }

  const disconnect = (client: Client) => {
    const { connection } = client
    if (connection === undefined) return
    read(client)
    client.connection = undefined
    channel.unsubscribe(connection.subscription)
    connection.outbox.close()
  }

  const connect = (client: Client) => {
    const { socket, state } = recordingSocket()
    const outbox: Outbox = new Outbox(
      {
        ...socket,
        send: (data) => {
          if (isDurable) {
            for (const line of String(data).split("\n")) {
              const frame = JSON.parse(line)
              law("nothing is sent before its commit", frame[0] !== "event" || store.isCommitted("a", frame[2]))
            }
          }
          socket.send(data)
        }
      },
      new Joiner(json),
      {
        maxBytes: 4_000,
        maxFrames,
        maxTickBytes: 1e6,
        onStalled: () => {},
        beforeHandOver: commits?.commit
      },
      {
        onOverflow: () => {
          law("who catches up is not closed for events", !catchesUp || hasDirect)
          notes.add("closed")
          doomed.push(client)
        }
      }
    )
    const { position } = channel
    const subscription = channel.subscribe(outbox)
    const connection = { outbox, state, subscription, owed: [], stamp: 0 }
    client.connection = connection
    const answer = () => {
      if (client.connection !== connection) return
      const last = random.chance(20) ? random.below(40) : null
      const first = begin(channel.log, { position: client.position, last }, position, now)
      outbox.push(json.encode({ _tag: "joined", ref: 1, channel: 1, memberId: "m", snapshot: null, ...first }))
      subscription.release(first.position[2])
    }
    if (random.chance(70)) answer()
    else turns.push(answer)
  }

  /** Looks at what has come since. */
  const read = (client: Client) => {
    const connection = client.connection!
    const lines = connection.state.lines()
    connection.state.sent.length = 0
    for (const line of lines) {
      const frame = json.decodeServer(line, 1)![0] as Frame.ServerFrame
      if (frame._tag === "joined" && frame.recovered) {
        notes.add("recovered")
        law("who continues is where it was", client.position![2] === frame.position[2])
        for (const [offset, number] of client.view) {
          law("who continues saw what the log had", truth[offset] === number)
        }
        client.position = frame.position
      } else if (frame._tag === "joined" || frame._tag === "synced") {
        if (frame._tag === "joined") notes.add(client.position === null ? "fresh" : "refused")
        client.view = new Map()
        client.position = frame.position
      } else {
        const offset = client.position![2]
        const payload = (frame as Frame.ServerFrames["event"]).payload as { readonly [name: string]: number }
        law("everything keeps its place", payload["stamp"]! > connection.stamp)
        connection.stamp = payload["stamp"]!
        if (frame._tag === "event") {
          law("offsets are contiguous", frame.offset === offset + 1)
          law("an event is the one of its offset", truth[frame.offset] === payload["number"])
          client.view.set(frame.offset, payload["number"]!)
          client.position = [client.position![0], client.position![1], frame.offset]
        } else {
          law("cause before effect", payload["after"]! <= offset)
          if (frame._tag === "direct") law("nothing is owed twice", connection.owed.shift() === connection.stamp)
        }
      }
    }
  }

  const tick = () => {
    for (const client of clients) {
      client.connection?.state.tick()
      if (client.connection !== undefined) read(client)
    }
    for (const commit of soon) commit()
    soon = []
    for (const client of doomed.splice(0)) disconnect(client)
  }

  const publish = () => {
    const number = ++numbers
    const frame = channel.event("Said", { number, stamp: ++stamps, filling: "x".repeat(random.below(60)) }, null)
    const encoded = json.encode(frame)
    truth[frame.offset] = number
    channel.publish(frame, catchesUp ? { ...encoded, fate: { _tag: "catchUp" } } : encoded)
    // A connection that overflowed has ended by the next publish.
    for (const client of doomed.splice(0)) disconnect(client)
  }

  const turn = () => {
    for (const run of turns.splice(0)) run()
  }

  const restart = () => {
    for (const client of clients) disconnect(client)
    turns = []
    if (isDurable) {
      const lost = random.chance(40) ? 1 + random.below(5) : 0
      commits!.commit()
      store = store.again(lost)
      notes.add(lost === 0 ? "reopened" : "lost tail")
    } else truth = [0]
    start()
  }

  start()
  for (let step = 0; step < 120; step++) {
    const client = random.pick(clients)
    const { connection } = client
    const dice = random.below(100)
    now += random.below(20)
    if (dice < 40) { for (let count = random.below(12); count >= 0; count--) publish() }
    else if (dice < 48) {
      const payload = { stamp: ++stamps, after: channel.head }
      const frame = { _tag: "volatile", channel: 1, name: "Moved", payload, except: null } as const
      channel.deliver(frame, { ...json.encode(frame), fate: { _tag: "dropOldest" } })
    } else if (dice < 54) {
      if (!hasDirect || connection === undefined) continue
      const payload = { stamp: ++stamps, after: channel.head }
      const frame = json.encode({ _tag: "direct", channel: 1, name: "Said", payload })
      connection.owed.push(stamps)
      connection.subscription.deliver(frame, 0)
    } else if (dice < 66) {
      if (connection === undefined) connect(client)
    } else if (dice < 80) {
      if (connection === undefined) continue
      const { outbox, state } = connection
      state.full = !state.full && random.chance(70)
      state.buffered = state.full ? 1e6 : 0
      if (!state.full) {
        notes.add("caught up")
        outbox.drained()
      }
    } else if (dice < 84) disconnect(client)
    else if (dice < 92) turn()
    else if (dice < 94) restart()
    else if (dice < 96) store.failing = "commit"
    if (random.chance(70)) tick()
    if (store.failing !== undefined && random.chance(50)) {
      tick()
      store.failing = undefined
    }
  }
  store.failing = undefined
  for (let rounds = 0; rounds < 300; rounds++) {
    turn()
    for (const { connection } of clients) {
      if (connection === undefined) continue
      connection.state.full = false
      connection.state.buffered = 0
      connection.outbox.drained()
    }
    tick()
  }
  for (const { connection, position } of clients) {
    if (connection === undefined) continue
    law("everybody comes to the end of the log", position![2] === channel.head)
    law("nothing that is owed is lost", connection.owed.length === 0)
  }
  return notes
}

// ------------------------------------------------------------- faults

/** Replaces methods of a class for as long as the fault lasts; each gets the real one first. */
const patch = (
  of: { readonly prototype: object },
  methods: { readonly [name: string]: (this: any, real: (...args: Array<any>) => any, ...args: Array<any>) => any }
): Fault => ({
  breaks: () => {
    const prototype = of.prototype as { [name: string]: any }
    const real = Object.fromEntries(Object.keys(methods).map((name) => [name, prototype[name]]))
    for (const [name, method] of Object.entries(methods)) {
      if (typeof real[name] !== "function") throw new Error(`there is no ${name} to break`)
      prototype[name] = function(this: any, ...args: Array<unknown>) {
        return method.call(this, real[name].bind(this), ...args)
      }
    }
    return () => void Object.assign(prototype, real)
  }
})

const believing = (change: (log: Log, position: Frame.Position) => Frame.Position): Fault => ({
  begin: (log, wish, ...rest) =>
    Recovery.begin(log, { ...wish, position: wish.position === null ? null : change(log, wish.position) }, ...rest)
})

export const faults: { readonly [name: string]: { readonly law: string; readonly fault: Fault } } = {
  "skips the first event of a replay": {
    law: "offsets are contiguous",
    fault: patch(AnySubscription, { release: (real, from) => real(from === undefined ? undefined : from + 1) })
  },
  "skips the last event of a replay": {
    law: "offsets are contiguous",
    fault: patch(AnySubscription, {
      advance(real) {
        if (this.isReplaying && this.owed === undefined && this.cursor === this.source.head - 1) this.cursor++
        return real()
      }
    })
  },
  "skips the first event of a catch-up": {
    law: "offsets are contiguous",
    fault: patch(AnySubscription, {
      replay(real, from) {
        real(this.waiting === undefined ? from + 1 : from)
      }
    })
  },
  "skips the last event of a catch-up": {
    law: "offsets are contiguous",
    fault: patch(AnySubscription, {
      follow(real, waiting) {
        if (this.owed === undefined && this.cursor === this.source.head - 1) this.cursor++
        return real(waiting)
      }
    })
  },
  "ignores the epoch of a position": {
    law: "who continues saw what the log had",
    fault: believing(({ epoch }, [, term, offset]) => [epoch, term, offset])
  },
  "ignores the term of a position": {
    law: "who continues saw what the log had",
    fault: believing((log, [epoch, , offset]) => [epoch, log.term, offset])
  },
  "gives a volatile event an offset": {
    law: "offsets are contiguous",
    fault: patch(Channel, {
      deliver(real, frame, encoded, ...rest) {
        this.options.commits?.begin(this)
        this.log.append(encoded, 0)
        return real(frame, encoded, ...rest)
      }
    })
  },
  "delivers a live event before the replay has ended": {
    law: "offsets are contiguous",
    fault: patch(AnySubscription, {
      hold(real, waiting, frame: Outgoing, offset, isAnswer) {
        if (this.isReplaying && offset > 0) this.outbox.push(frame)
        return real(waiting, frame, offset, isAnswer)
      }
    })
  },
  "commits after it has written": {
    law: "nothing is sent before its commit",
    fault: patch(Outbox, {
      handOver(real) {
        const { options } = this
        this.options = { ...options, beforeHandOver: undefined }
        real()
        this.options = options
        options.beforeHandOver?.()
      }
    })
  },
  "lets an answer overtake the events before it": {
    law: "cause before effect",
    fault: patch(AnySubscription, {
      hold(real, waiting, frame: Outgoing, offset, isAnswer) {
        if (!this.isReplaying || frame.fate !== undefined || offset > 0) return real(waiting, frame, offset, isAnswer)
        this.outbox.push(frame)
        return false
      }
    })
  },
  "goes on live before it has told the state": {
    law: "offsets are contiguous",
    fault: patch(AnySubscription, {
      suspend(real) {
        real()
        if (this.isSuspended) this.release()
      }
    })
  },
  "forgets who catches up": {
    law: "everybody comes to the end of the log",
    fault: patch(AnySubscription, { go: () => {} })
  }
}
