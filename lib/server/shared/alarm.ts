import type { Deadline, Timers } from '../../base/timers.ts'

/** A deadline that calls a function: for the control thread, where a closure costs nothing that counts. */
export class Alarm implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  readonly #timers: Timers
  readonly #ring: () => void

  constructor(timers: Timers, ring: () => void) {
    this.#timers = timers
    this.#ring = ring
  }

  /** (Re)starts the time. */
  set(delayMs: number): void {
    this.#timers.disarm(this)
    this.#timers.arm(this, delayMs)
  }

  /** True between `set` and the ring. */
  get pending(): boolean {
    return this.tick !== undefined
  }

  clear(): void {
    this.#timers.disarm(this)
  }

  expired(): void {
    this.#ring()
  }
}

/** Resolves after the time has passed. */
export function pause(timers: Timers, delayMs: number): Promise<void> {
  return new Promise(resolve => {
    new Alarm(timers, resolve).set(delayMs)
  })
}

/** The promise's value, or `fallback` when it takes longer than `limitMs`. The promise itself goes on. */
export async function within<T, F>(
  timers: Timers,
  limitMs: number,
  promise: Promise<T>,
  fallback: F,
): Promise<T | F> {
  const late = Promise.withResolvers<F>()
  const alarm = new Alarm(timers, () => late.resolve(fallback))
  alarm.set(limitMs)
  try {
    return await Promise.race([promise, late.promise])
  } finally {
    alarm.clear()
  }
}
