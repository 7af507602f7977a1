/**
 * Is memory short? `keptBytes`: what the process holds while it uses far less of it, since the allocator
 * keeps some for the next time.
 */
export type MemoryPressure =
  | { readonly state: 'calm'; readonly keptBytes: number }
  | { readonly state: 'short'; readonly keptBytes: number; readonly sinceMs: number }

export interface MemoryLook {
  /** What the system counts as the process's. */
  readonly residentBytes: number
  /** What its parts have in use. */
  readonly inUseBytes: number
  readonly limitBytes: number
  /** Of the limit; 0: never short. */
  readonly share: number
  readonly nowMs: number
}

export const NEVER_SHORT: MemoryPressure = { state: 'calm', keptBytes: 0 }

/** No longer short below this share of what makes it short. */
const LEAVE_SHARE = 0.95
/**
 * With so little in use, and that for so long, what is resident beyond is kept by the allocator: it is there
 * for the next requests.
 */
const UNUSED_SHARE = 0.8
const UNUSED_MS = 3000
/** What is kept may grow by so much of the limit, up to so much in all. */
const GROWTH_SHARE = 0.02
const HIGHEST_SHARE = 0.99

/**
 * What one look makes of the state before. The system ends a process by what is resident, so that is what
 * makes memory short; but what is resident may stay so when nothing is in use any more, and nobody is refused
 * for that.
 */
export function afterLook(now: MemoryPressure, look: MemoryLook): MemoryPressure {
  const { residentBytes, inUseBytes, limitBytes, share, nowMs } = look
  if (share === 0) return NEVER_SHORT
  const line = share * limitBytes
  const most = Math.max(residentBytes, inUseBytes)
  if (now.state === 'short') {
    if (most < line * LEAVE_SHARE) return NEVER_SHORT
    const unused = nowMs - now.sinceMs >= UNUSED_MS && inUseBytes < line * UNUSED_SHARE
    return unused ? { state: 'calm', keptBytes: residentBytes } : now
  }
  const keptBytes = residentBytes < line * LEAVE_SHARE ? 0 : now.keptBytes
  const grown = Math.min(keptBytes + GROWTH_SHARE * limitBytes, HIGHEST_SHARE * limitBytes)
  if (inUseBytes < line && residentBytes < Math.max(line, grown)) return { state: 'calm', keptBytes }
  return { state: 'short', keptBytes, sinceMs: nowMs }
}
