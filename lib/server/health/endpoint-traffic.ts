import type { Traffic } from '../../../upstreams/health/alibi.ts'
import { ATTEMPT_ERRORS, ENDPOINT_BLOCK } from '../../../upstreams/measures.ts'
import { type CellReader, LATENCY_BOUNDS } from '../../base/cells.ts'
import type { SharedState } from '../../base/shared-state.ts'
import type { RunningPool } from '../shared/running-pool.ts'

const AT = ENDPOINT_BLOCK.at
/** Cells of `attempts` that are answers, by class. */
const CLASSES = 5
const TIMEOUTS = ['header_timeout', 'body_timeout'] as const

/** Where traffic is looked up. */
export interface EndpointTrafficParts {
  readonly cells: CellReader
  readonly shared: SharedState
  pools(): readonly RunningPool[]
}

/** What all data threads have seen of an endpoint; undefined if it does not run. */
export function endpointTraffic(
  { cells, shared, pools }: EndpointTrafficParts,
  upstream: string,
  endpoint: string,
): Traffic | undefined {
  const pool = pools().find(({ config }) => config.name === upstream)
  const place = pool?.place.endpoints[pool.config.endpoints.findIndex(({ name }) => name === endpoint)]
  if (pool === undefined || place === undefined) return undefined
  const total = (at: number) => cells.total(place.row + at)
  let signs = total(AT.tunnelBytesReceived)
  for (let i = 0; i < CLASSES; i += 1) signs += total(AT.attempts + i)
  let timeouts = 0
  for (const kind of TIMEOUTS) timeouts += total(AT.errors + ATTEMPT_ERRORS.indexOf(kind))
  return {
    running: shared.inflight(place.index),
    slots: slotsOf(pool.config.maxInflight, shared.limit(place.index)),
    signs,
    timeouts,
    longestMs: longestMs(total),
    responseMs: pool.config.timeouts.responseMs,
  }
}

/** Requests that an endpoint may run at a time, by its cap and by what was learned; 0: no cap. */
export function slotsOf(maxInflight: number, learned: number): number {
  return learned > 0 && (maxInflight === 0 || learned < maxInflight) ? learned : maxInflight
}

/** The upper bound of the slowest answers' bucket. */
function longestMs(total: (at: number) => number): number | undefined {
  const bounds: readonly number[] = LATENCY_BOUNDS
  for (let i = bounds.length; i >= 0; i -= 1)
    if (total(AT.duration + i) > 0) return (bounds[i] ?? Number.POSITIVE_INFINITY) * 1000
  return undefined
}
