import type { Clock } from '../lib/base/clock.ts'
import type { Deadline, Timers } from '../lib/base/timers.ts'

interface Waiting<T> {
  readonly item: T
  readonly sinceMs: number
}

/** Requests that wait in this thread for a slot: bounded, first come first served, each for at most the same time. */
export class Queue<T> implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  slot: number | undefined = undefined
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #timeoutMs: number
  readonly #timedOut: (item: T, waitedMs: number) => void
  readonly #waiting: Waiting<T>[] = []

  constructor(options: {
    readonly clock: Clock
    readonly timers: Timers
    readonly timeoutMs: number
    /** Called for each that waited too long, already removed. */
    readonly timedOut: (item: T, waitedMs: number) => void
  }) {
    this.#clock = options.clock
    this.#timers = options.timers
    this.#timeoutMs = options.timeoutMs
    this.#timedOut = options.timedOut
  }

  get size(): number {
    return this.#waiting.length
  }

  push(item: T): void {
    this.#waiting.push({ item, sinceMs: this.#clock.now() })
    if (this.#waiting.length === 1) this.#timers.arm(this, this.#timeoutMs)
  }

  /** The one that has waited longest; it stays. */
  peek(): T | undefined {
    return this.#waiting[0]?.item
  }

  /** Takes the one that has waited longest; returns for how many milliseconds it did. */
  shift(): number {
    const first = this.#waiting.shift()
    this.#watchFirst()
    return first === undefined ? 0 : this.#clock.now() - first.sinceMs
  }

  /** Takes one out because its client has gone; false if it is not here. */
  remove(item: T): boolean {
    const index = this.#waiting.findIndex(waiting => waiting.item === item)
    if (index < 0) return false
    this.#waiting.splice(index, 1)
    this.#watchFirst()
    return true
  }

  expired(): void {
    const now = this.#clock.now()
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const waitedMs = now - first.sinceMs
      if (waitedMs < this.#timeoutMs) break
      this.#waiting.shift()
      this.#timedOut(first.item, waitedMs)
    }
    this.#watchFirst()
  }

  #watchFirst(): void {
    const first = this.#waiting[0]
    if (first === undefined) this.#timers.disarm(this)
    else this.#timers.arm(this, Math.max(0, first.sinceMs + this.#timeoutMs - this.#clock.now()))
  }
}
