import type { Clock } from '../base/clock.ts'
import type { Timers } from '../base/timers.ts'
import { Alarm } from './alarm.ts'

/** An endpoint that fails again and again stays out for up to so many times its first ejection. */
const MAX_FACTOR = 10

/** The ejections of one endpoint: each lasts longer than the one before, until the endpoint has behaved for a while. */
export class Ejection {
  readonly #clock: Clock
  readonly #alarm: Alarm
  readonly #over: () => void
  #running = false
  #factor = 0
  #overAtMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, timers: Timers, over: () => void) {
    this.#clock = clock
    this.#over = over
    this.#alarm = new Alarm(timers, () => this.#end())
  }

  get running(): boolean {
    return this.#running
  }

  /** Begins one; returns how long it lasts. Quiet for MAX_FACTOR times `ejectMs` since the last: counts as the first again. */
  begin(ejectMs: number): number {
    const quietMs = this.#clock.now() - this.#overAtMs
    this.#factor = quietMs >= ejectMs * MAX_FACTOR ? 1 : Math.min(this.#factor + 1, MAX_FACTOR)
    this.#running = true
    const forMs = ejectMs * this.#factor
    this.#alarm.set(forMs)
    return forMs
  }

  /** What it was ejected for is over: it has been away and has come back. */
  forgive(): void {
    if (!this.#running) return
    this.#alarm.clear()
    this.#end()
  }

  #end(): void {
    this.#running = false
    this.#overAtMs = this.#clock.now()
    this.#over()
  }
}
