/**
 * Where a client keeps what it needs to go on with its session after it was loaded again.
 */

/**
 * A place for one short text, for one client at a time.
 *
 * The text is a secret: whoever has it can take the session over. A client loads it once, when it is made, saves a new
 * one at each welcome, and clears it when it stops. While it lives, other clients of its process leave the store alone;
 * those of other processes need a store of their own. Neither function may throw.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionStore {
  /** What was saved last, or null. */
  readonly load: () => string | null
  /** Replaces it; with null nothing is kept. */
  readonly save: (text: string | null) => void
}

/** A page may be refused its own storage, or have filled it: then the session ends with the page. */
const attempt = <A>(f: () => A): A | undefined => {
  try {
    return f()
  } catch {
    return undefined
  }
}

/**
 * Keeps the session of a page when it is loaded again, in the session storage of its tab.
 *
 * **Details**
 *
 * The text lies in the storage only while the page is away, from `pagehide` on: a tab that is duplicated or opened from
 * this one gets a copy of the storage, and two pages must not share a session. Clients of one page that are to keep
 * theirs need a key each.
 *
 * **Gotchas**
 *
 * A page that crashes, or that the system ends without `pagehide`, begins with a new session.
 *
 * @category constructors
 * @since 0.1.0
 */
export const sessionStorage = (key: string = "heddle"): SessionStore => {
  let text: string | null = null
  const remove = () => attempt(() => globalThis.sessionStorage.removeItem(key))
  const onHide = () => {
    const leaving = text
    if (leaving !== null) attempt(() => globalThis.sessionStorage.setItem(key, leaving))
  }
  const hold = (next: string | null): void => {
    if (next !== null && text === null) {
      globalThis.addEventListener?.("pagehide", onHide)
      // Back from the cache of pages, without having been loaded.
      globalThis.addEventListener?.("pageshow", remove)
    } else if (next === null && text !== null) {
      globalThis.removeEventListener?.("pagehide", onHide)
      globalThis.removeEventListener?.("pageshow", remove)
    }
    text = next
  }
  return {
    load: () => {
      hold(attempt(() => globalThis.sessionStorage.getItem(key)) ?? null)
      remove()
      return text
    },
    save: (next) => {
      hold(next)
      if (next === null) remove()
    }
  }
}
