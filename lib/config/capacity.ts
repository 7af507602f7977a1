import { MAX_ENDPOINTS, MAX_UPSTREAMS } from '../base/shared-layout.ts'
import type { Snapshot } from './model.ts'
import type { Report } from './problem.ts'
import type { Place } from './source.ts'
import { hasTunnel } from './tunnel-fit.ts'

/** Pairs of listener and route that a process can count for: each has some 600 counters a data thread. */
export const MAX_PAIRS = 16 * 1024
/** From this share of a limit on it is warned of. */
const WARN_SHARE = 0.75

/** Pairs of listener and route, or tunnel, or no route at all: each is counted by itself. */
export function pairsOf({ listeners, routes, tunnels }: Snapshot): number {
  let pairs = 0
  for (const listener of listeners) {
    pairs += 1 + routes.length
    for (const tunnel of tunnels) if (hasTunnel(listener, tunnel)) pairs += 1
  }
  return pairs
}

function endpointsOf({ upstreams }: Snapshot): number {
  return upstreams.reduce((sum, { endpoints, run }) => sum + endpoints.length + (run?.count ?? 0), 0)
}

/**
 * Is there more of something than the memory that threads share has places for? The same for a check, a start
 * and a reload.
 */
export function checkCapacity(snapshot: Snapshot, at: Place, report: Report): void {
  const all = [
    ['pairs of listener and route', pairsOf(snapshot), MAX_PAIRS],
    ['upstreams', snapshot.upstreams.length, MAX_UPSTREAMS],
    ['endpoints', endpointsOf(snapshot), MAX_ENDPOINTS],
  ] as const
  for (const [what, count, most] of all) {
    if (count > most)
      report.error(
        at,
        `there are ${count} ${what}; the limit of a process is ${most}`,
        'distribute them over several processes',
      )
    else if (count >= most * WARN_SHARE)
      report.warning(at, `there are ${count} ${what}; the limit of a process is ${most}`)
  }
}
