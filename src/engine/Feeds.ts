/**
 * Who has more for an outbox than there is room for. Exists only where there are any.
 */

/** Gives an outbox what it has room for, as that becomes free. */
export interface Feed {
  /** Pushes what the outbox takes. Answers whether that was all. */
  readonly pull: () => boolean
}

export class Feeds {
  private readonly feeds: Array<Feed> = []

  add(feed: Feed): void {
    this.feeds.push(feed)
  }

  /** Lets each of them push. Answers whether none has any more. */
  pull(): boolean {
    const { feeds } = this
    // Who went first goes last the next time.
    for (let count = feeds.length; count > 0; count--) {
      const feed = feeds.shift()!
      if (!feed.pull()) feeds.push(feed)
    }
    return feeds.length === 0
  }
}
