/** How a data thread keeps up with what it has to do. `lastMs`: how late its last tick was. */
export type LoopPressure =
  | { readonly state: 'calm'; readonly lastMs: number }
  | {
      readonly state: 'late'
      /** Twice as late as it may be. */
      readonly severe: boolean
      readonly lastMs: number
      /** The delay that told it, or the last one like it. */
      readonly delayMs: number
      readonly highAtMs: number
    }

export const CALM: LoopPressure = { state: 'calm', lastMs: 0 }

/** A limit is left below this share of it, once that has lasted for CALM_MS. */
const LEAVE_SHARE = 0.8
const CALM_MS = 1000

/**
 * What a thread is like after a tick that came `delayMs` too late. One late tick says nothing: the machine
 * may have slept, and who came meanwhile is served at once. Two in a row say that the work of one turn keeps
 * the next waiting.
 */
export function afterTick(now: LoopPressure, delayMs: number, nowMs: number, limitMs: number): LoopPressure {
  const lastingMs = Math.min(now.lastMs, delayMs)
  const verySevere = lastingMs > 2 * limitMs
  if (now.state === 'calm') {
    if (lastingMs <= limitMs) return { state: 'calm', lastMs: delayMs }
    return { state: 'late', severe: verySevere, lastMs: delayMs, delayMs: lastingMs, highAtMs: nowMs }
  }
  const severe = now.severe || verySevere
  if (delayMs >= LEAVE_SHARE * limitMs * (severe ? 2 : 1))
    return { state: 'late', severe, lastMs: delayMs, delayMs, highAtMs: nowMs }
  if (nowMs - now.highAtMs < CALM_MS) return { ...now, severe, lastMs: delayMs }
  if (severe) return { state: 'late', severe: false, lastMs: delayMs, delayMs, highAtMs: nowMs }
  return { state: 'calm', lastMs: delayMs }
}
