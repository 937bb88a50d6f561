/**
 * How many frames a connection may send: so many a second, so many at once.
 */
export class TokenBucket {
  private readonly rate: number
  private readonly burst: number
  private tokens: number
  private at: number

  constructor(rate: number, burst: number, now: number) {
    this.rate = rate
    this.burst = burst
    this.tokens = burst
    this.at = now
  }

  /** Takes one token, if there is one at this moment (in milliseconds). */
  take(now: number): boolean {
    this.refill(now)
    if (this.tokens < 1) return false
    this.tokens--
    return true
  }

  /** Whether it has so many tokens as it may have: nothing was taken for a while. */
  isFull(now: number): boolean {
    this.refill(now)
    return this.tokens >= this.burst
  }

  private refill(now: number): void {
    if (now <= this.at) return
    this.tokens = Math.min(this.burst, this.tokens + ((now - this.at) * this.rate) / 1000)
    this.at = now
  }

  /** Milliseconds until there is a token again. */
  get wait(): number {
    return Math.ceil(Math.max(0, (1 - this.tokens) * 1000) / this.rate)
  }
}
