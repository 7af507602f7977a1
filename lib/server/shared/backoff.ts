/** Bounds of a back-off. */
export interface BackoffLimits {
  readonly firstMs: number
  readonly maxMs: number
  /** A life at least this long counts as a success: the next delay is the first again. */
  readonly resetAfterMs: number
}

/** Delays that double from one early death to the next. Pure: the caller measures the lives. */
export class Backoff {
  readonly #limits: BackoffLimits
  #nextMs: number

  constructor(limits: BackoffLimits) {
    this.#limits = limits
    this.#nextMs = limits.firstMs
  }

  /** How long to wait after something that lived for `lifeMs`. */
  delayAfter(lifeMs: number): number {
    if (lifeMs >= this.#limits.resetAfterMs) this.#nextMs = this.#limits.firstMs
    const delayMs = this.#nextMs
    this.#nextMs = Math.min(delayMs * 2, this.#limits.maxMs)
    return delayMs
  }
}
