/** So much at once, and so much a second: filled by time. What it refuses costs nothing more. */
export class TokenBucket {
  readonly #burst: number
  readonly #perSecond: number
  #tokens: number
  #atMs: number

  constructor(burst: number, perSecond: number, nowMs: number) {
    this.#burst = burst
    this.#perSecond = perSecond
    this.#tokens = burst
    this.#atMs = nowMs
  }

  /** False: there is not so much left. */
  charge(cost: number, nowMs: number): boolean {
    const filled = Math.min(this.#burst, this.#tokens + ((nowMs - this.#atMs) * this.#perSecond) / 1000)
    this.#atMs = nowMs
    this.#tokens = Math.max(0, filled - cost)
    return filled >= cost
  }
}
