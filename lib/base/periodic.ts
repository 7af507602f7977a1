import type { Deadline, Timers } from './timers.ts'

/**
 * Work that is done again and again. The next time is set before the work begins, so that nothing it throws
 * can end it; what it throws is reported by the timers. Work that returns a promise is not begun again while
 * it runs.
 */
export class Periodic implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  readonly #timers: Timers
  readonly #everyMs: number
  readonly #work: () => void | Promise<void>
  #working = false

  constructor(timers: Timers, everyMs: number, work: () => void | Promise<void>) {
    this.#timers = timers
    this.#everyMs = everyMs
    this.#work = work
  }

  /** True from `start` or `run` to `stop`. */
  get started(): boolean {
    return this.tick !== undefined
  }

  /** For the first time in `everyMs`. */
  start(): void {
    this.#timers.arm(this, this.#everyMs)
  }

  /** Now, and from now on. What the work throws this time is the caller's. */
  run(): void {
    this.start()
    this.#begin()
  }

  /** Once sooner than usual. */
  soon(delayMs: number): void {
    this.#timers.arm(this, delayMs)
  }

  stop(): void {
    this.#timers.disarm(this)
  }

  expired(): void {
    this.run()
  }

  #begin(): void {
    if (this.#working) return
    const working = this.#work()
    if (working === undefined) return
    this.#working = true
    working
      .catch((error: unknown) => this.#timers.report(error))
      .finally(() => {
        this.#working = false
      })
  }
}
