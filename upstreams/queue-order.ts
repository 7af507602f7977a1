/**
 * Who of those that wait goes first. Oldest first while all can be served in time. Once some cannot, newest
 * first: most are then served at once and few in vain, where first come, first served would make all of them
 * wait for as long as they may (adaptive LIFO; Maurer, "Fail at Scale", ACM Queue 2015).
 */
export type Order =
  | { readonly first: 'oldest'; readonly sinceMs: number; readonly holdMs: number }
  | {
      readonly first: 'newest'
      readonly sinceMs: number
      /** How long it stays so at least. */
      readonly holdMs: number
      /** When the rate was looked at last, and how many had been served by then. */
      readonly lookedAtMs: number
      readonly servedThen: number
    }

/** What is seen of a queue over all threads. */
export interface QueueSight {
  readonly nowMs: number
  /** The longest wait. */
  readonly timeoutMs: number
  /** Requests that wait. */
  readonly queued: number
  /** Requests that have got a slot out of the queue, ever. */
  readonly served: number
}

/** Somebody was not served in time (`late`), or finds no place. */
export interface Loss {
  readonly why: 'late' | 'full'
  /** For how long the one that has waited longest could have been served. */
  readonly waitedMs: number
  /** How many were served in that time. */
  readonly servedMeanwhile: number
}

/** A full queue is too slow only if its first has waited for this share of the longest wait. */
const LONG_SHARE = 0.5
/** Back to oldest first when all that wait can be served within this share of the longest wait. */
const SHORT_SHARE = 0.5
/** Oldest first has done well if it has lasted for so many times the longest wait. */
const WELL_TIMES = 8
/** Each trial that fails makes the time to the next longer by this, up to so many times the longest wait. */
const HOLD_GROWTH = 4
const MOST_HOLD_TIMES = 32

/** A queue that has nobody yet. */
export function oldestFirst(nowMs: number): Order {
  return { first: 'oldest', sinceMs: nowMs, holdMs: 0 }
}

/**
 * Newest first from now on, if what is lost shows that the queue does not keep up: not all that wait can be
 * served in time at the rate seen. While nobody is served at all no order is better than another.
 */
export function afterLoss(now: Order, loss: Loss, sight: QueueSight): Order {
  if (now.first === 'newest' || loss.servedMeanwhile <= 0) return now
  const { queued, timeoutMs } = sight
  if (loss.waitedMs <= timeoutMs * LONG_SHARE) return now
  const allTakeMs = (queued * loss.waitedMs) / loss.servedMeanwhile
  if (loss.why === 'late' && allTakeMs <= timeoutMs) return now
  return newestFirst(now, sight)
}

/**
 * Oldest first again: nobody waits any more, or all that do can be served soon. The second is a trial, since
 * in a mild overload few wait under newest first although not all are served: if it fails, the next one comes
 * later.
 */
export function afterService(now: Order, sight: QueueSight): Order {
  if (now.first === 'oldest') return now
  const { nowMs, timeoutMs, queued, served } = sight
  if (queued === 0) return { first: 'oldest', sinceMs: nowMs, holdMs: now.holdMs }
  const lookedMs = nowMs - now.lookedAtMs
  if (lookedMs < timeoutMs) return now
  const allTakeMs = (queued * lookedMs) / (served - now.servedThen)
  const soon = allTakeMs <= timeoutMs * SHORT_SHARE
  if (soon && nowMs - now.sinceMs >= now.holdMs)
    return { first: 'oldest', sinceMs: nowMs, holdMs: now.holdMs }
  return { ...now, lookedAtMs: nowMs, servedThen: served }
}

/** Another thread has found the queue too slow. */
export function newestFirst(now: Order, { nowMs, timeoutMs, served }: QueueSight): Order {
  const failedSoon = nowMs - now.sinceMs < timeoutMs * WELL_TIMES
  const holdMs = failedSoon ? Math.min(now.holdMs * HOLD_GROWTH, timeoutMs * MOST_HOLD_TIMES) : timeoutMs
  return {
    first: 'newest',
    sinceMs: nowMs,
    holdMs: Math.max(timeoutMs, holdMs),
    lookedAtMs: nowMs,
    servedThen: served,
  }
}
