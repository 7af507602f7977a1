import type { Clock } from '../lib/base/clock.ts'
import type { Deadline, Timers } from '../lib/base/timers.ts'
import type { Priority } from '../lib/config/model.ts'

interface Waiting<T> {
  readonly item: T
  readonly sinceMs: number
  /** When it has waited too long. */
  readonly dueMs: number
}

/** Index of a lane: who goes first. */
const LANE: Readonly<Record<Priority, number>> = { high: 0, normal: 1, low: 2 }
const LANES = Object.keys(LANE).length
/** Once the first has waited this share of the longest wait, the queue does not keep up with what comes. */
const LATE_SHARE = 0.5

/**
 * Requests that wait in this thread for a slot, each for at most the same time. The most urgent goes first, and among equals the first
 * that came; but while the queue does not keep up, the newest: then most clients are served at once and few in vain, where
 * first come, first served would make all of them wait for nearly as long as they may (adaptive LIFO; Maurer, "Fail at Scale",
 * ACM Queue 2015).
 */
export class Queue<T> implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  slot: number | undefined = undefined
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #timeoutMs: number
  readonly #timedOut: (item: T, waitedMs: number) => void
  /** Each in the order of `dueMs`. */
  readonly #lanes: readonly Waiting<T>[][] = Array.from({ length: LANES }, () => [])
  #size = 0
  #late = false
  /** Until then there was nobody to serve anyone: that is no lateness of the queue. */
  #heldUntilMs = Number.NEGATIVE_INFINITY

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
    return this.#size
  }

  /** `waitedMs`: for how long it has waited here before; it waits the less now. */
  push(item: T, priority: Priority = 'normal', waitedMs = 0): void {
    const nowMs = this.#clock.now()
    const lane = this.#lanes[LANE[priority]] as Waiting<T>[]
    const dueMs = nowMs + Math.max(0, this.#timeoutMs - waitedMs)
    let at = lane.length
    while (at > 0 && (lane[at - 1] as Waiting<T>).dueMs > dueMs) at -= 1
    lane.splice(at, 0, { item, sinceMs: nowMs, dueMs })
    this.#size += 1
    if (dueMs < this.dueMs) this.#timers.arm(this, dueMs - nowMs)
  }

  /** The one whose turn it is, or that comes so many turns later; it stays. */
  peek(turnsLater = 0): T | undefined {
    const late = this.#isLate()
    let left = turnsLater
    for (const lane of this.#lanes) {
      if (left < lane.length) return lane[late ? lane.length - 1 - left : left]?.item
      left -= lane.length
    }
    return undefined
  }

  /**
   * Takes this one out; returns for how many milliseconds it waited, undefined if it is not here. It is named and not just "the next",
   * because whose turn it is may change with time since `peek`.
   */
  take(item: T): number | undefined {
    for (const lane of this.#lanes) {
      const waiting = lane[0]?.item === item ? lane[0] : lane.findLast(each => each.item === item)
      if (waiting !== undefined) return this.#take(waiting)
    }
    return undefined
  }

  /** Takes out who must make room for a newcomer of this priority: the oldest of a lower one, or of its own in a late queue. */
  evict(priority: Priority): { readonly item: T; readonly waitedMs: number } | undefined {
    const own = LANE[priority]
    for (let at = LANES - 1; at >= own; at -= 1) {
      const oldest = this.#lanes[at]?.[0]
      if (oldest === undefined || (at === own && !this.#isLate())) continue
      return { item: oldest.item, waitedMs: this.#take(oldest) }
    }
    return undefined
  }

  /** No endpoint is ready. */
  held(): void {
    this.#heldUntilMs = this.#clock.now()
    this.#late = false
  }

  expired(): void {
    const nowMs = this.#clock.now()
    for (const lane of this.#lanes) {
      for (let first = lane[0]; first !== undefined && first.dueMs <= nowMs; first = lane[0]) {
        this.#timedOut(first.item, this.#take(first))
      }
    }
    this.#watchFirst()
  }

  /** From when the first has waited long, until nobody waits. */
  #isLate(): boolean {
    if (this.#late || this.#size === 0) return this.#late
    const nowMs = this.#clock.now()
    const waitedMs = this.#timeoutMs - (this.#earliestDueMs() - nowMs)
    this.#late = Math.min(waitedMs, nowMs - this.#heldUntilMs) > this.#timeoutMs * LATE_SHARE
    return this.#late
  }

  #take(waiting: Waiting<T>): number {
    for (const lane of this.#lanes) {
      const at = lane[0] === waiting ? 0 : lane.lastIndexOf(waiting)
      if (at >= 0) lane.splice(at, 1)
    }
    this.#size -= 1
    if (this.#size === 0) this.#late = false
    this.#watchFirst()
    return this.#clock.now() - waiting.sinceMs
  }

  #watchFirst(): void {
    if (this.#size === 0) this.#timers.disarm(this)
    else this.#timers.arm(this, Math.max(0, this.#earliestDueMs() - this.#clock.now()))
  }

  #earliestDueMs(): number {
    return Math.min(...this.#lanes.map(lane => lane[0]?.dueMs ?? Number.POSITIVE_INFINITY))
  }
}
