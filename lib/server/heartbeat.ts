import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { ThreadEnv } from '../base/thread-env.ts'
import type { Deadline } from '../base/timers.ts'

const BEAT_MS = 250
/** Beats from one report of the event loop's delay to the next. */
const BEATS_A_REPORT = 20
/** The monitor looks this often, and counts the time in between as delay. */
const RESOLUTION_MS = 20

/** A data thread's sign of life, and now and then how late its event loop was at worst. */
export class Heartbeat implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  slot: number | undefined = undefined
  readonly #env: ThreadEnv
  readonly #report: (longestDelayMs: number) => void
  readonly #monitor = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  #beats = 0

  constructor(env: ThreadEnv, report: (longestDelayMs: number) => void) {
    this.#env = env
    this.#report = report
  }

  start(): void {
    this.#monitor.enable()
    this.expired()
  }

  expired(): void {
    this.#env.shared.beat(this.#env.thread)
    this.#beats += 1
    if (this.#beats % BEATS_A_REPORT === 0) {
      this.#report(Math.max(0, this.#monitor.max / 1e6 - RESOLUTION_MS))
      this.#monitor.reset()
    }
    this.#env.timers.arm(this, BEAT_MS)
  }
}
