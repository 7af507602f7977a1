import type { Deadline, Timers } from '../base/timers.ts'

/** Resolves after the time has passed, or at once when the signal ends the wait. */
export function pause(timers: Timers, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const deadline: Deadline = { dueMs: Number.POSITIVE_INFINITY, tick: undefined, expired: end }
    function end(): void {
      signal.removeEventListener('abort', end)
      timers.disarm(deadline)
      resolve()
    }
    signal.addEventListener('abort', end)
    if (signal.aborted) end()
    else timers.arm(deadline, delayMs)
  })
}
