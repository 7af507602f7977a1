import type { Clock } from '../../base/clock.ts'

/** The average rate of what arrives, from the first look on. */
export class ByteRate {
  readonly #clock: Clock
  readonly #startMs: number
  #bytes = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#startMs = clock.now()
  }

  add(bytes: number): void {
    this.#bytes += bytes
  }

  /**
   * Is it slower than so many bytes a second (0: never)? Not asked before `graceMs`: a beginning may be slow.
   */
  isBelow(bytesPerSecond: number, graceMs: number): boolean {
    const tookMs = this.#clock.now() - this.#startMs
    return tookMs > graceMs && this.#bytes < (tookMs / 1000) * bytesPerSecond
  }
}
