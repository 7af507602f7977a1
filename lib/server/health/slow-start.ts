import type { Clock } from '../../base/clock.ts'
import type { SharedState } from '../../base/shared-state.ts'
import type { Timers } from '../../base/timers.ts'
import { Alarm } from '../shared/alarm.ts'

/** Steps from nothing to the full share. */
const STEPS = 20
const MIN_STEP_MS = 50

/** What slow starts are given. */
export interface SlowStartOptions {
  readonly shared: SharedState
  readonly clock: Clock
  readonly timers: Timers
}

interface Ramp {
  readonly alarm: Alarm
  readonly upstreamIndex: number
  readonly beganMs: number
  readonly overMs: number
}

/**
 * Gives endpoints that have come back their share bit by bit: caches are cold, and all who waited must not
 * fall on them at once.
 */
export class SlowStart {
  readonly #options: SlowStartOptions
  readonly #ramps = new Map<number, Ramp>()

  constructor(options: SlowStartOptions) {
    this.#options = options
  }

  /** Begins anew, over `overMs` (0: not at all). To be called before the endpoint is marked ready. */
  begin(index: number, upstreamIndex: number, overMs: number): void {
    this.end(index)
    if (overMs <= 0) return
    const { clock, timers } = this.#options
    const alarm = new Alarm(timers, () => this.#step(index))
    this.#ramps.set(index, { alarm, upstreamIndex, beganMs: clock.now(), overMs })
    this.#step(index)
  }

  /** The full share at once: it is over, or the endpoint is out again. */
  end(index: number): void {
    this.#ramps.get(index)?.alarm.clear()
    this.#ramps.delete(index)
    this.#options.shared.setRamp(index, 100)
  }

  #step(index: number): void {
    const ramp = this.#ramps.get(index)
    if (ramp === undefined) return
    const { shared, clock } = this.#options
    const percent = rampPercent(clock.now() - ramp.beganMs, ramp.overMs)
    if (percent < 100) {
      shared.setRamp(index, percent)
      ramp.alarm.set(Math.max(MIN_STEP_MS, ramp.overMs / STEPS))
    } else {
      this.end(index)
    }
    shared.changed(ramp.upstreamIndex)
  }
}

/** Share that is due after this time: linear, never nothing. */
export function rampPercent(sinceMs: number, overMs: number): number {
  return Math.min(100, Math.max(100 / STEPS, Math.round((100 * sinceMs) / overMs)))
}
