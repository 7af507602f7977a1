import type { ThreadEnv } from '../../base/thread-env.ts'
import { threadCpuMs } from '../../base/thread-run.ts'
import type { Deadline } from '../../base/timers.ts'

/**
 * The thread's timer wheel turns so often whether anything waits or not, so that listening to it wakes nobody
 * up.
 */
const TICK_MS = 50
const BEAT_MS = 250
const REPORT_MS = 5000

/**
 * A data thread's sign of life, and now and then how late its event loop was at worst: what a tick came too
 * late. (Node's `monitorEventLoopDelay` is finer, but its timer of its own was half the cost of an idle
 * thread.)
 */
export class Heartbeat implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  readonly #env: ThreadEnv
  readonly #report: (longestDelayMs: number) => void
  readonly #ticked: (delayMs: number) => void
  readonly #cpu: () => number
  #cpuMs = 0
  #tickedMs = 0
  #beatMs = Number.NEGATIVE_INFINITY
  #reportedMs = 0
  #longestDelayMs = 0

  /**
   * `ticked`: told at every tick how late it came by the thread's own work: what it waited for a processor is
   * no sign that it has too much to do.
   */
  constructor(
    env: ThreadEnv,
    report: (longestDelayMs: number) => void,
    ticked: (delayMs: number) => void = () => {},
    cpu: () => number = threadCpuMs,
  ) {
    this.#cpu = cpu
    this.#env = env
    this.#report = report
    this.#ticked = ticked
  }

  start(): void {
    const nowMs = this.#env.clock.now()
    this.#tickedMs = nowMs
    this.#cpuMs = this.#cpu()
    this.#reportedMs = nowMs
    this.expired()
  }

  expired(): void {
    const { clock, timers, shared, thread } = this.#env
    // Due at once: the wheel looks at it at its next tick. First of all, for without it the thread counts as
    // stuck.
    timers.arm(this, 0)
    const nowMs = clock.now()
    const delayMs = nowMs - this.#tickedMs - TICK_MS
    this.#longestDelayMs = Math.max(this.#longestDelayMs, delayMs)
    this.#tickedMs = nowMs
    const cpuMs = this.#cpu()
    this.#ticked(Math.min(delayMs, cpuMs - this.#cpuMs))
    this.#cpuMs = cpuMs
    if (nowMs - this.#beatMs >= BEAT_MS) {
      this.#beatMs = nowMs
      shared.beat(thread)
    }
    if (nowMs - this.#reportedMs >= REPORT_MS) {
      this.#reportedMs = nowMs
      this.#report(this.#longestDelayMs)
      this.#longestDelayMs = 0
    }
  }
}
