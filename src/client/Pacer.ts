/**
 * How fast a client may send: a token bucket in the time it is told.
 *
 * The server measures when frames arrive, and a network may hold some of them back and then deliver them together. So
 * the bucket holds half of the burst that the server announced: what arrives is within the announced bounds as long as
 * the network delays no frame by more than the other half, one second by default.
 */
export class Pacer {
  private readonly rate: number
  private readonly burst: number
  private tokens: number
  private at: number

  /** `taken` frames have been sent before. */
  constructor(rate: number, burst: number, now: number, taken = 0) {
    this.rate = Math.max(rate, 1) / 1000
    this.burst = Math.max(Math.floor(burst / 2), 1)
    this.tokens = this.burst - taken
    this.at = now
  }

  /** Whether one more frame may be sent at this moment, in milliseconds. */
  ready(now: number): boolean {
    if (now > this.at) {
      this.tokens = Math.min(this.burst, this.tokens + (now - this.at) * this.rate)
      this.at = now
    }
    return this.tokens >= 1
  }

  /** Counts a frame; one that could not wait is a debt, which later ones wait for. */
  take(): void {
    this.tokens--
  }

  /** How many frames have been sent that time has not made up for. */
  get taken(): number {
    return this.burst - this.tokens
  }

  /** When the next frame may be sent. */
  get readyAt(): number {
    return this.at + Math.max(0, (1 - this.tokens) / this.rate)
  }
}
