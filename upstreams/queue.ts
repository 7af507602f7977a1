import type { Clock } from '../lib/base/clock.ts'
import type { Deadline, Timers } from '../lib/base/timers.ts'
import type { Priority } from '../lib/config/model.ts'
import type { Order } from './queue-order.ts'

/** One that waits. */
export interface Waiting<T> {
  readonly item: T
  /** Who goes first: 0 before all others. */
  readonly lane: number
  /** When it came here. */
  readonly sinceMs: number
  /** When it has waited too long. */
  readonly dueMs: number
  /** What was counted when it came. */
  readonly mark: number
}

type First = Order['first']

/** Index of a lane: who goes first. */
export const LANE: Readonly<Record<Priority, number>> = { high: 0, normal: 1, low: 2 }
const LANES = Object.keys(LANE).length

/**
 * Requests that wait in this thread for a slot, each for at most the same time. The most urgent goes first,
 * and among equals the oldest or the newest, as the caller says (see Order).
 */
export class Queue<T> implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #timeoutMs: number
  readonly #timedOut: (waiting: Waiting<T>, waitedMs: number) => void
  /** Each in the order of `dueMs`. */
  readonly #lanes: readonly Waiting<T>[][] = Array.from({ length: LANES }, () => [])
  #size = 0

  constructor(options: {
    readonly clock: Clock
    readonly timers: Timers
    readonly timeoutMs: number
    /** Called for each that waited too long, already removed. */
    readonly timedOut: (waiting: Waiting<T>, waitedMs: number) => void
  }) {
    this.#clock = options.clock
    this.#timers = options.timers
    this.#timeoutMs = options.timeoutMs
    this.#timedOut = options.timedOut
  }

  get size(): number {
    return this.#size
  }

  /** `waitedMs`: for how long it has waited here before; it waits the less now. `mark`: see Waiting. */
  push(item: T, priority: Priority = 'normal', waitedMs = 0, mark = 0): void {
    const nowMs = this.#clock.now()
    const lane = LANE[priority]
    const others = this.#lanes[lane] as Waiting<T>[]
    const dueMs = nowMs + Math.max(0, this.#timeoutMs - waitedMs)
    let at = others.length
    while (at > 0 && (others[at - 1] as Waiting<T>).dueMs > dueMs) at -= 1
    others.splice(at, 0, { item, lane, sinceMs: nowMs, dueMs, mark })
    this.#size += 1
    if (dueMs < this.dueMs) this.#timers.arm(this, dueMs - nowMs)
  }

  /** The one whose turn it is, or that comes so many turns later; it stays. */
  peek(first: First, turnsLater = 0): Waiting<T> | undefined {
    let left = turnsLater
    for (const lane of this.#lanes) {
      if (left < lane.length) return lane[first === 'newest' ? lane.length - 1 - left : left]
      left -= lane.length
    }
    return undefined
  }

  /** The one that has waited longest, whatever its lane. */
  oldest(): Waiting<T> | undefined {
    let oldest: Waiting<T> | undefined
    for (const [first] of this.#lanes)
      if (first !== undefined && (oldest === undefined || first.dueMs < oldest.dueMs)) oldest = first
    return oldest
  }

  /**
   * Takes this one out; returns for how many milliseconds it waited, undefined if it is not here. It is named
   * and not just "the next", because whose turn it is may change with time since `peek`.
   */
  take(item: T): number | undefined {
    for (const lane of this.#lanes) {
      const waiting = lane[0]?.item === item ? lane[0] : lane.findLast(each => each.item === item)
      if (waiting !== undefined) return this.#take(waiting)
    }
    return undefined
  }

  /**
   * Takes out who must make room for a newcomer of this priority: the oldest of a lower one, or of its own
   * where the newest goes first.
   */
  evict(priority: Priority, first: First): { readonly item: T; readonly waitedMs: number } | undefined {
    const own = LANE[priority]
    for (let at = LANES - 1; at >= own; at -= 1) {
      const oldest = this.#lanes[at]?.[0]
      if (oldest === undefined || (at === own && first === 'oldest')) continue
      return { item: oldest.item, waitedMs: this.#take(oldest) }
    }
    return undefined
  }

  expired(): void {
    const nowMs = this.#clock.now()
    for (const lane of this.#lanes) {
      for (let first = lane[0]; first !== undefined && first.dueMs <= nowMs; first = lane[0]) {
        this.#timedOut(first, this.#take(first))
      }
    }
    this.#watchFirst()
  }

  #take(waiting: Waiting<T>): number {
    const lane = this.#lanes[waiting.lane] as Waiting<T>[]
    lane.splice(lane[0] === waiting ? 0 : lane.lastIndexOf(waiting), 1)
    this.#size -= 1
    this.#watchFirst()
    return this.#clock.now() - waiting.sinceMs
  }

  #watchFirst(): void {
    const oldest = this.oldest()
    if (oldest === undefined) this.#timers.disarm(this)
    else this.#timers.arm(this, Math.max(0, oldest.dueMs - this.#clock.now()))
  }
}
