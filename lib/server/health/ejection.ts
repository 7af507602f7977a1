import type { Clock } from '../../base/clock.ts'
import type { Timers } from '../../base/timers.ts'
import { Alarm } from '../shared/alarm.ts'

/** An endpoint that fails again and again stays out for up to so many times its first ejection. */
const MAX_FACTOR = 10
/** Endpoints that were ejected together must not come back together, nor at the same time in every proxy. */
const JITTER = 0.1

/** What the ejections of an endpoint are given. */
export interface EjectionOptions {
  readonly clock: Clock
  readonly timers: Timers
  /** Uniform in [0, 1). */
  random(): number
  over(): void
}

/**
 * The ejections of one endpoint: each lasts longer than the one before, until the endpoint has behaved for a
 * while.
 */
export class Ejection {
  readonly #options: EjectionOptions
  readonly #alarm: Alarm
  #running = false
  #factor = 0
  #overAtMs = Number.NEGATIVE_INFINITY

  constructor(options: EjectionOptions) {
    this.#options = options
    this.#alarm = new Alarm(options.timers, () => this.#end())
  }

  get running(): boolean {
    return this.#running
  }

  /**
   * Begins one; returns how long it lasts. Quiet for MAX_FACTOR times `ejectMs` since the last: counts as the
   * first again.
   */
  begin(ejectMs: number): number {
    const { clock, random } = this.#options
    const quietMs = clock.now() - this.#overAtMs
    this.#factor = quietMs >= ejectMs * MAX_FACTOR ? 1 : Math.min(this.#factor + 1, MAX_FACTOR)
    this.#running = true
    const forMs = Math.round(ejectMs * this.#factor * (1 + JITTER * (2 * random() - 1)))
    this.#alarm.set(forMs)
    return forMs
  }

  /** What it was ejected for is over: it has been away and has come back. */
  forgive(): void {
    if (!this.#running) return
    this.#alarm.clear()
    this.#end()
  }

  /** Forgotten without a word: its index is another endpoint's now. */
  drop(): void {
    this.#alarm.clear()
    this.#running = false
  }

  #end(): void {
    this.#running = false
    this.#overAtMs = this.#options.clock.now()
    this.#options.over()
  }
}
