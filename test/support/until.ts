import { readFileSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'

/** How long a test waits for something that should happen soon, on a machine that has nothing else to do. */
export const PATIENCE_MS = 10_000

/**
 * Polls until `probe` gives something truthy, and gives that; throws with `what` after the deadline, which a
 * busy machine moves.
 */
export async function until<T>(
  what: string | (() => string),
  probe: () => T | Promise<T>,
  patienceMs = PATIENCE_MS,
): Promise<NonNullable<T>> {
  const deadline = new Deadline(patienceMs)
  for (;;) {
    const value = await probe()
    if (value) return value
    if (deadline.restMs() <= 0) throw new Error(`waited ${deadline.waitedMs()} ms in vain: ${textOf(what)}`)
    await pause(10)
  }
}

/** The promise's value, or an error that names what did not come in time; a busy machine gets longer. */
export async function within<T>(
  what: string | (() => string),
  promise: Promise<T>,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const stop = new AbortController()
  const late = untilLate(new Deadline(patienceMs), stop.signal).then(
    waitedMs => {
      throw new Error(`waited ${waitedMs} ms in vain: ${textOf(what)}`)
    },
    () => undefined as never,
  )
  try {
    return await Promise.race([promise, late])
  } finally {
    stop.abort()
  }
}

/**
 * Whole milliseconds that this machine, as busy as it is now, should get for what takes `ms` on a quiet one.
 */
export function patience(ms = PATIENCE_MS): number {
  return Math.ceil(ms * slowness())
}

/** Resolves to the time that has passed once there is no patience left. */
async function untilLate(deadline: Deadline, signal: AbortSignal): Promise<number> {
  for (;;) {
    const restMs = deadline.restMs()
    if (restMs <= 0) return deadline.waitedMs()
    await pause(restMs, undefined, { signal })
  }
}

/** A wait's end. It moves away when the machine gets busier, and does not come back when that is over. */
class Deadline {
  readonly #patienceMs: number
  readonly #sinceMs = performance.now()
  #slowness = 1

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs
  }

  /**
   * Milliseconds that are left; reads the machine's load only once the patience of a quiet machine is used
   * up.
   */
  restMs(): number {
    const restMs = this.#patienceMs * this.#slowness - this.waitedMs()
    if (restMs > 0) return restMs
    this.#slowness = Math.max(this.#slowness, slowness())
    return this.#patienceMs * this.#slowness - this.waitedMs()
  }

  waitedMs(): number {
    return Math.round(performance.now() - this.#sinceMs)
  }
}

/**
 * How many times longer things may take than on a quiet machine: twice the threads that want each processor.
 */
function slowness(): number {
  return Math.max(1, (2 * Math.max(loadavg()[0] ?? 0, runnable())) / availableParallelism())
}

/**
 * Threads that run or want to, this one among them: the load average notices a new load only after a minute.
 */
function runnable(): number {
  try {
    return Number(/ (\d+)\//.exec(readFileSync('/proc/loadavg', 'latin1'))?.[1] ?? 1)
  } catch {
    return 1
  }
}

function textOf(what: string | (() => string)): string {
  return typeof what === 'string' ? what : what()
}
