/** Bytes of a buffer. */
export const READ_BYTES = 64 * 1024

type Take = (buffer: Buffer) => void

/**
 * Buffers to read files into, made when they are first needed and used again: however many reads are wanted,
 * so many run at a time, and hold memory.
 */
export class ReadBuffers {
  readonly #most: number
  readonly #free: Buffer[] = []
  readonly #waiting: Take[] = []
  #made = 0

  constructor(most: number) {
    this.#most = most
  }

  /** Gives a buffer, at once or as soon as one comes free. It is to be given back by `giveBack`. */
  take(take: Take): void {
    const buffer = this.#free.pop()
    if (buffer !== undefined) return take(buffer)
    if (this.#made === this.#most) {
      this.#waiting.push(take)
      return
    }
    this.#made += 1
    take(Buffer.allocUnsafeSlow(READ_BYTES))
  }

  giveBack(buffer: Buffer): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free.push(buffer)
    else next(buffer)
  }
}
