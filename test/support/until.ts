import { setTimeout as pause } from 'node:timers/promises'

/** How long a test waits for something that should happen soon; generous, because CI machines are busy. */
export const PATIENCE_MS = 10_000

/** Polls until `probe` gives something truthy, and gives that; throws with `what` after the deadline. */
export async function until<T>(
  what: string | (() => string),
  probe: () => T | Promise<T>,
  patienceMs = PATIENCE_MS,
): Promise<NonNullable<T>> {
  const end = performance.now() + patienceMs
  for (;;) {
    const value = await probe()
    if (value) return value
    if (performance.now() > end) throw new Error(`waited ${patienceMs} ms in vain: ${textOf(what)}`)
    await pause(10)
  }
}

/** The promise's value, or an error that names what did not come in time. */
export async function within<T>(
  what: string | (() => string),
  promise: Promise<T>,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const stop = new AbortController()
  const late = pause(patienceMs, undefined, { signal: stop.signal }).then(
    () => {
      throw new Error(`waited ${patienceMs} ms in vain: ${textOf(what)}`)
    },
    () => undefined as never,
  )
  try {
    return await Promise.race([promise, late])
  } finally {
    stop.abort()
  }
}

function textOf(what: string | (() => string)): string {
  return typeof what === 'string' ? what : what()
}
