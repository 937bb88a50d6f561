/**
 * How many connections each address has.
 */

/** Of all kinds of connections together. Counts nothing while nobody is ever refused. */
export class Addresses {
  private readonly max: number
  private readonly counts = new Map<string, number>()

  constructor(max: number) {
    this.max = max
  }

  /** Addresses that have a connection. */
  get size(): number {
    return this.counts.size
  }

  /** Whether it has as many as it may. */
  isFull(address: string): boolean {
    return (this.counts.get(address) ?? 0) >= this.max
  }

  /** Whether anybody asks for an address. */
  get isCounting(): boolean {
    return this.max !== Infinity
  }

  add(address: string): void {
    if (this.isCounting) this.counts.set(address, (this.counts.get(address) ?? 0) + 1)
  }

  remove(address: string): void {
    const left = (this.counts.get(address) ?? 0) - 1
    if (left > 0) this.counts.set(address, left)
    else this.counts.delete(address)
  }
}

/** A set of connections, each of which counts for its address exactly as long as it is in the set. */
export class Connections<A extends { readonly address: string }> extends Set<A> {
  readonly addresses: Addresses

  constructor(addresses: Addresses) {
    super()
    this.addresses = addresses
  }

  override add(connection: A): this {
    if (!this.has(connection)) this.addresses.add(connection.address)
    return super.add(connection)
  }

  override delete(connection: A): boolean {
    const isIn = super.delete(connection)
    if (isIn) this.addresses.remove(connection.address)
    return isIn
  }
}
