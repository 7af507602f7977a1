/** How far back the rate looks, milliseconds. */
const WINDOW_MS = 2000
/** Longest time that a client is told to wait, seconds. */
const MAX_SECONDS = 60

/** How fast an upstream works its requests off, as this thread sees it: for Retry-After (RFC 9110 10.2.3). */
export class DrainRate {
  #sinceMs: number
  #count = 0
  #perSecond = 0

  constructor(nowMs: number) {
    this.#sinceMs = nowMs
  }

  /** One more request has been answered. */
  ended(nowMs: number): void {
    this.#roll(nowMs)
    this.#count += 1
  }

  /** Seconds until `waiting` requests are worked off, at least 1; undefined while nothing is. */
  secondsFor(waiting: number, nowMs: number): number | undefined {
    this.#roll(nowMs)
    const perSecond = Math.max(this.#perSecond, (this.#count * 1000) / WINDOW_MS)
    if (perSecond === 0) return undefined
    return Math.min(MAX_SECONDS, Math.max(1, Math.ceil(waiting / perSecond)))
  }

  #roll(nowMs: number): void {
    const passedMs = nowMs - this.#sinceMs
    if (passedMs < WINDOW_MS) return
    this.#perSecond = passedMs < 2 * WINDOW_MS ? (this.#count * 1000) / passedMs : 0
    this.#count = 0
    this.#sinceMs = nowMs
  }
}
