import type { Clock } from './clock.ts'
import { keptMs, threadCpuMs } from './thread-run.ts'

/** Something that can run out. Embedded in the object that waits, so that arming allocates nothing. */
export interface Deadline {
  /**
   * When it runs out, on the clock's scale less the pauses of the thread; Infinity while disarmed. Written by
   * `Timers` only.
   */
  dueMs: number
  /** The tick at which the wheel looks at it; undefined while it is on no wheel. Written by `Timers` only. */
  tick: number | undefined
  /** Runs once when it is due. May arm itself again. */
  expired(): void
}

/** How late a deadline may fire at most. */
const TICK_MS = 50
const BUCKETS = 512

/**
 * One coarse timer wheel for a whole thread (Varghese and Lauck, SOSP 1987, scheme 6). Arming again to a
 * later time, which every request does, is a single assignment: the wheel finds out when the old bucket comes
 * round. Never early, late by less than one tick and the delay of the event loop.
 *
 * Time in which the thread was kept from running counts for nobody: what others have sent meanwhile is still
 * to be read, and nobody is late for that.
 */
export class Timers {
  readonly #clock: Clock
  readonly #failed: (error: unknown) => void
  readonly #buckets: Set<Deadline>[] = Array.from({ length: BUCKETS }, () => new Set<Deadline>())
  #tick: number
  #timer: NodeJS.Timeout | undefined
  /** All pauses so far. */
  #pausedMs = 0
  #tickedMs: number
  #cpuMs = 0

  /**
   * `failed`: told what a deadline has thrown, which is a mistake of ours. Without it the error is thrown
   * once the others have had their turn.
   */
  constructor(clock: Clock, failed: (error: unknown) => void = throwLater) {
    this.#clock = clock
    this.#failed = failed
    this.#tickedMs = clock.now()
    this.#tick = Math.floor(this.#tickedMs / TICK_MS)
  }

  /** Starts the ticking. The timer does not keep the process alive. */
  start(): void {
    if (this.#timer !== undefined) return
    this.#tickedMs = this.#clock.now()
    this.#cpuMs = threadCpuMs()
    this.#timer = setInterval(() => {
      this.ticked(threadCpuMs())
      this.advance()
    }, TICK_MS).unref()
  }

  /**
   * A tick has come, and so much CPU time has the thread used in all. Called by the ticking, or by a test.
   */
  ticked(cpuMs: number): void {
    const nowMs = this.#clock.now()
    this.#pausedMs += keptMs(nowMs - this.#tickedMs, TICK_MS, cpuMs - this.#cpuMs)
    this.#tickedMs = nowMs
    this.#cpuMs = cpuMs
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  arm(deadline: Deadline, delayMs: number): void {
    const dueMs = this.#now + delayMs
    // Looked at no later than that: it is put on from there.
    if (deadline.tick !== undefined && deadline.tick * TICK_MS <= dueMs) {
      deadline.dueMs = dueMs
      return
    }
    this.disarm(deadline)
    deadline.dueMs = dueMs
    this.#place(deadline)
  }

  /**
   * As `arm`, but not later than due: for the rare wait that is shorter than a tick. Costs a timer of its
   * own.
   */
  armSoon(deadline: Deadline, delayMs: number): void {
    this.arm(deadline, delayMs)
    if (this.#timer !== undefined) setTimeout(() => this.#look(deadline), Math.ceil(delayMs) + 1).unref()
  }

  disarm(deadline: Deadline): void {
    if (deadline.tick !== undefined) this.#buckets[deadline.tick % BUCKETS]?.delete(deadline)
    deadline.tick = undefined
    deadline.dueMs = Number.POSITIVE_INFINITY
  }

  /** Fires what is due now. Called by the ticking, or by a test that moved its clock. */
  advance(): void {
    const target = Math.floor(this.#now / TICK_MS)
    // After a long stall one round visits every bucket once; more rounds would find nothing new.
    if (target - this.#tick > BUCKETS) this.#tick = target - BUCKETS
    while (this.#tick < target) {
      this.#tick += 1
      this.#visit(this.#tick)
    }
  }

  /** For work that a deadline has begun and that fails after its `expired` has returned. */
  report(error: unknown): void {
    this.#failed(error)
  }

  get #now(): number {
    return this.#clock.now() - this.#pausedMs
  }

  #look(deadline: Deadline): void {
    if (deadline.dueMs > this.#now) return
    this.disarm(deadline)
    this.#fire(deadline)
  }

  /** What one deadline throws is no matter of the others that are due in the same tick. */
  #fire(deadline: Deadline): void {
    try {
      deadline.expired()
    } catch (error) {
      this.#failed(error)
    }
  }

  #visit(tick: number): void {
    const held = this.#buckets[tick % BUCKETS]
    if (held === undefined || held.size === 0) return
    const now = this.#now
    // A copy: expired() may arm into this very bucket.
    for (const deadline of [...held]) {
      if (deadline.tick === undefined || deadline.tick > tick) continue
      held.delete(deadline)
      deadline.tick = undefined
      if (deadline.dueMs > now) {
        this.#place(deadline)
        continue
      }
      deadline.dueMs = Number.POSITIVE_INFINITY
      this.#fire(deadline)
    }
  }

  #place(deadline: Deadline): void {
    const tick = Math.max(Math.ceil(deadline.dueMs / TICK_MS), this.#tick + 1)
    deadline.tick = tick
    this.#buckets[tick % BUCKETS]?.add(deadline)
  }
}

function throwLater(error: unknown): void {
  process.nextTick(() => {
    throw error
  })
}
