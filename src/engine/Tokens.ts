/**
 * The secrets with which a client takes its session up again: how they are made, and which of them are good.
 *
 * Only hashes are kept, so that nobody who reads the memory or the store of a server can take a session over.
 */
import * as Context from "effect/Context"

/** Makes secrets nobody can guess, and the hashes that are kept of them. */
export interface Tokens {
  /** A new secret with at least 128 random bits, in letters that fit a URL. */
  readonly make: () => string
  /** A hash from which the secret cannot be found; always of the same length. */
  readonly hash: (secret: string) => string
}

const secretBytes = 18

/** Where secrets come from: by default 144 random bits of the operating system, and SHA-256. */
export const Tokens: Context.Reference<Tokens> = Context.Reference<Tokens>("heddle/engine/Tokens", {
  defaultValue: () => {
    // Not imported: contracts come from the same package, and are bundled for browsers.
    const { hash, randomFillSync } = globalThis.process.getBuiltinModule("node:crypto")
    // Asking the system costs more than what it gives: so much is asked for at once, and used once.
    const pool = globalThis.Buffer.alloc(secretBytes * 128)
    let at = pool.length
    return {
      make: () => {
        if (at === pool.length) {
          randomFillSync(pool)
          at = 0
        }
        const secret = pool.toString("base64url", at, at + secretBytes)
        pool.fill(0, at, at += secretBytes)
        return secret
      },
      hash: (secret) => hash("sha256", secret, "base64url")
    }
  }
})

/** Compares two hashes in a time that does not tell where they differ. */
const isEqual = (one: string, other: string): boolean => {
  if (one.length !== other.length) return false
  let difference = 0
  for (let index = 0; index < one.length; index++) difference |= one.charCodeAt(index) ^ other.charCodeAt(index)
  return difference === 0
}

/** Tokens of one session that were replaced and are still recognised. */
const maxRetired = 8

/** What is kept of the tokens of one session. */
export interface Hashes {
  readonly newest: string
  /** Good until the newest has been seen to arrive. */
  readonly former: string | undefined
  readonly retired: ReadonlyArray<string>
}

/** The tokens of one session: the newest, the one before it until the newest has arrived, and those that are no more. */
export class Keyring {
  private newest: string
  private former: string | undefined
  private retired: Array<string> | undefined

  constructor({ former, newest, retired }: Hashes) {
    this.newest = newest
    this.former = former
    if (retired.length > 0) this.retired = [...retired]
  }

  get hashes(): Hashes {
    return { newest: this.newest, former: this.former, retired: this.retired ?? [] }
  }

  /** What a token is that hashes to this. */
  judge(hash: string): "good" | "reused" | "unknown" {
    if (isEqual(hash, this.newest) || (this.former !== undefined && isEqual(hash, this.former))) return "good"
    return this.retired?.some((one) => isEqual(one, hash)) === true ? "reused" : "unknown"
  }

  /** Hands out the next token to whoever came with a good one, which stays good until `confirm`. */
  rotate(used: string, next: string): void {
    const isNewest = isEqual(used, this.newest)
    const replaced = isNewest ? this.former : this.newest
    if (isNewest) this.former = this.newest
    this.newest = next
    if (replaced !== undefined) this.retire(replaced)
  }

  /** The newest has arrived. Answers whether that was news. */
  confirm(): boolean {
    if (this.former === undefined) return false
    this.retire(this.former)
    this.former = undefined
    return true
  }

  private retire(hash: string): void {
    this.retired ??= []
    this.retired.push(hash)
    if (this.retired.length > maxRetired) this.retired.shift()
  }
}
