/**
 * A map for what is usually one or a handful: the rooms of a session, the requests that it waits for.
 *
 * An idle session stands beside thousands of others, and a hash table of one entry costs 200 bytes. One through which
 * entries come and go is replaced every few of them, and each table it had points to the next: once the oldest has been
 * promoted to the old generation, all of them survive until that is collected. So the first entry has a place of its own, some more
 * are searched for, and only beyond that there is a `Map`.
 */

/** Entries beyond the first that are searched rather than hashed. */
const few = 32

export class Few<V> {
  private key = -1
  private item: V | undefined = undefined
  private keys: Array<number> | undefined = undefined
  private items: Array<V> = none
  private many: Map<number, V> | undefined = undefined

  get size(): number {
    return (this.item === undefined ? 0 : 1) + (this.keys?.length ?? 0) + (this.many?.size ?? 0)
  }

  get(key: number): V | undefined {
    if (this.key === key) return this.item
    const index = this.indexOf(key)
    return index < 0 ? this.many?.get(key) : this.items[index]
  }

  has(key: number): boolean {
    return this.get(key) !== undefined
  }

  set(key: number, item: V): void {
    const index = this.indexOf(key)
    if (index >= 0) this.items[index] = item
    else if (this.many?.has(key) === true) this.many.set(key, item)
    else if (this.item === undefined || this.key === key) {
      this.key = key
      this.item = item
    } else this.add(key, item)
  }

  delete(key: number): boolean {
    if (this.key === key) {
      this.key = -1
      this.item = undefined
      return true
    }
    const { items, keys } = this
    const index = this.indexOf(key)
    if (index >= 0) {
      // The last takes its place: nothing moves up.
      const lastKey = keys!.pop()!
      const lastItem = items.pop()!
      if (index < keys!.length) {
        keys![index] = lastKey
        items[index] = lastItem
      }
      return true
    }
    const { many } = this
    if (many === undefined || !many.delete(key)) return false
    if (many.size === 0) this.many = undefined
    return true
  }

  clear(): void {
    this.key = -1
    this.item = this.keys = this.many = undefined
    this.items = none
  }

  /** A copy of what is in it, in no order that means anything. */
  values(): Array<V> {
    const values = this.many === undefined ? [...this.items] : [...this.items, ...this.many.values()]
    if (this.item !== undefined) values.push(this.item)
    return values
  }

  private indexOf(key: number): number {
    return this.keys === undefined ? -1 : this.keys.indexOf(key)
  }

  private add(key: number, item: V): void {
    if (this.keys === undefined) {
      this.keys = [key]
      this.items = [item]
    } else if (this.keys.length < few) {
      this.keys.push(key)
      this.items.push(item)
    } else (this.many ??= new Map()).set(key, item)
  }
}

/** Of all that have no second entry; never written to. */
const none: Array<never> = []
