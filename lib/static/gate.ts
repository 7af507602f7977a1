/** Lets `max` pieces of work run at a time, the rest in the order they came. */
export class Gate {
  readonly #max: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(max: number) {
    this.#max = max
  }

  /** Resolves when it is the caller's turn; `leave` must follow. */
  async enter(): Promise<void> {
    if (this.#running < this.#max) {
      this.#running += 1
      return
    }
    await new Promise<void>(resolve => this.#waiting.push(resolve))
  }

  leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#running -= 1
    else next()
  }
}
