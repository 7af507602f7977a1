import type { EventLoopUtilization } from 'node:perf_hooks'

/**
 * The share of the time between two readings in which an event loop was busy, 0 to 1. Undefined without an
 * earlier one, and where no time has passed: a thread that has just started counts its idle time before its
 * loop runs, so that a difference may be negative.
 */
export function busyShare(
  before: EventLoopUtilization | undefined,
  now: EventLoopUtilization,
): number | undefined {
  if (before === undefined) return undefined
  const busyMs = now.active - before.active
  const idleMs = now.idle - before.idle
  if (busyMs < 0 || idleMs < 0 || busyMs + idleMs <= 0) return undefined
  return busyMs / (busyMs + idleMs)
}
