/**
 * The hub: from each room and topic to its subscribers, and the log of each.
 *
 * `publish` is a synchronous call in the publisher's turn. It assigns the offset, appends to the log, encodes once for
 * each codec and appends to every subscriber's outbox. Subscribing is a synchronous call too, so that a join is one
 * turn: a subscriber sees every event after its position and none before it. Delivery is at most once; what a
 * connection lost is in the log as far as the room keeps one.
 */
import { Channel } from "./Channel.ts"
import type { Commits } from "./Commits.ts"
import { MemoryLogs } from "./Log.ts"
import type { LogStore, Retention } from "./LogStore.ts"

/** Bounds and sources of a hub. */
export interface Options {
  /** Channels at once; those that nobody uses leave first. */
  readonly maxChannels: number
  /** Of all logs in memory. */
  readonly historyBytes: number
  readonly now: () => number
  readonly nextEpoch: () => string
  /** Where the logs are that keep events; in memory unless said. */
  readonly store?: LogStore | undefined
  /** There if the store has transactions. */
  readonly commits?: Commits | undefined
}

export class Hub {
  /** Makes what is published durable; undefined where nothing is. */
  readonly commits: Commits | undefined
  private readonly options: Options
  private readonly memory: MemoryLogs
  private readonly channels = new Map<string, Channel>()
  private lastId = 0

  constructor(options: Options) {
    this.options = options
    this.commits = options.commits
    this.memory = new MemoryLogs(options.historyBytes)
  }

  get size(): number {
    return this.channels.size
  }

  /**
   * The channel of an address, opened if need be; undefined when the hub is full of channels in use. Throws if the store
   * cannot open its log.
   */
  open(address: string, retention: Retention): Channel | undefined {
    const found = this.channels.get(address)
    if (found !== undefined) return found
    if (this.channels.size >= this.options.maxChannels && !this.evict()) return undefined
    const { nextEpoch, now, store } = this.options
    // What keeps nothing has no use for a store, and nothing to commit.
    const isStored = retention.capacity > 0 && store !== undefined
    const logs = isStored ? store : this.memory
    const channel = new Channel({
      id: ++this.lastId,
      address,
      retention,
      now,
      commits: isStored ? this.commits : undefined,
      open: () => logs.open(address, retention, nextEpoch)
    })
    this.channels.set(address, channel)
    return channel
  }

  /** Replays to every live subscriber what it should have been delivered and was not. Answers how many there were. */
  repair(): number {
    let repaired = 0
    for (const channel of this.channels.values()) repaired += channel.repair()
    return repaired
  }

  /** Drops the longest-standing channel that nobody uses; whoever comes back to it finds what the store still has. */
  private evict(): boolean {
    for (const channel of this.channels.values()) {
      if (!channel.unused) continue
      this.channels.delete(channel.address)
      channel.close()
      return true
    }
    return false
  }
}
