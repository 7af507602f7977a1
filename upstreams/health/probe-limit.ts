import type { Clock } from '../../lib/base/clock.ts'
import type { Deadline, Timers } from '../../lib/base/timers.ts'

/** How often a running probe's time is looked at. */
const STEP_MS = 100
/** A look that comes later than this after the one before: this thread stood still, not the endpoint. */
const PAUSE_MS = 250

/**
 * The time that one probe may take. Time in which this thread itself stood still (a suspended machine, a long
 * collection) does not count: an answer may have come meanwhile, and lies unread.
 */
export class ProbeLimit implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  readonly #abort = new AbortController()
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #timeoutMs: number
  #lookedAtMs: number
  #awakeMs = 0

  /** Begins now. */
  constructor(clock: Clock, timers: Timers, timeoutMs: number) {
    this.#clock = clock
    this.#timers = timers
    this.#timeoutMs = timeoutMs
    this.#lookedAtMs = clock.now()
    this.#arm()
  }

  /** Aborted when the time is over, or the probe is given up. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  giveUp(): void {
    this.#timers.disarm(this)
    this.#abort.abort()
  }

  /**
   * The probe has ended: was it in time? Timers are coarse: what came in the gap between the limit and its
   * tick is late all the same.
   */
  end(): boolean {
    this.#timers.disarm(this)
    this.#look()
    return !this.#abort.signal.aborted && this.#awakeMs <= this.#timeoutMs
  }

  expired(): void {
    this.#look()
    if (this.#awakeMs >= this.#timeoutMs) this.#abort.abort()
    else this.#arm()
  }

  #look(): void {
    const nowMs = this.#clock.now()
    this.#awakeMs += awakeMs(nowMs - this.#lookedAtMs)
    this.#lookedAtMs = nowMs
  }

  #arm(): void {
    this.#timers.arm(this, Math.min(STEP_MS, this.#timeoutMs - this.#awakeMs))
  }
}

/** How much of the time between two looks this thread was awake. */
function awakeMs(passedMs: number): number {
  return passedMs > PAUSE_MS ? STEP_MS : passedMs
}
