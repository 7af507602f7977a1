/**
 * Closed streams that are remembered, each way of closing: frames may have been on their way (RFC 9113 5.1).
 */
const REMEMBERED = 1024

/** The last streams of a connection that something happened to, with a number for each. */
export class RecentStreams {
  readonly #numbers = new Map<number, number>()

  add(stream: number, value: number): void {
    this.#numbers.set(stream, value)
    if (this.#numbers.size <= REMEMBERED) return
    for (const oldest of this.#numbers.keys()) {
      this.#numbers.delete(oldest)
      return
    }
  }

  get(stream: number): number | undefined {
    return this.#numbers.get(stream)
  }

  /** A new number for a stream that is remembered; its place stays. */
  set(stream: number, value: number): void {
    if (this.#numbers.has(stream)) this.#numbers.set(stream, value)
  }

  has(stream: number): boolean {
    return this.#numbers.has(stream)
  }
}
