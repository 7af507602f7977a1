import type { SharedState } from '../../base/shared-state.ts'

/** What of an upstream waits for a slot, over all data threads. */
export interface QueueStatus {
  readonly waiting: number
  /** 0 while nobody waits. */
  readonly oldest_ms: number
}

/** `index`: of the upstream's words; undefined while it has none. */
export function queueStatus(shared: SharedState, index: number | undefined, nowMs: number): QueueStatus {
  if (index === undefined) return { waiting: 0, oldest_ms: 0 }
  return { waiting: shared.queued(index), oldest_ms: shared.longestWaitMs(index, nowMs) }
}
