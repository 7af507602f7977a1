import type { ThreadEnv } from '../base/thread-env.ts'
import type { Deadline } from '../base/timers.ts'

const BEAT_MS = 250
/** Beats from one report of the event loop's delay to the next. */
const BEATS_A_REPORT = 20

/** A data thread's sign of life, and how late its event loop is: what a beat is late by, the loop was busy with something else. */
export class Heartbeat implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  slot: number | undefined = undefined
  readonly #env: ThreadEnv
  readonly #report: (longestDelayMs: number) => void
  #expectedMs = 0
  #longestDelayMs = 0
  #beats = 0

  constructor(env: ThreadEnv, report: (longestDelayMs: number) => void) {
    this.#env = env
    this.#report = report
  }

  start(): void {
    this.#beat()
  }

  expired(): void {
    const delayMs = this.#env.clock.now() - this.#expectedMs
    this.#longestDelayMs = Math.max(this.#longestDelayMs, delayMs)
    this.#beat()
  }

  #beat(): void {
    const { shared, thread, clock, timers } = this.#env
    shared.beat(thread)
    this.#beats += 1
    if (this.#beats % BEATS_A_REPORT === 0) {
      this.#report(this.#longestDelayMs)
      this.#longestDelayMs = 0
    }
    this.#expectedMs = clock.now() + BEAT_MS
    timers.arm(this, BEAT_MS)
  }
}
