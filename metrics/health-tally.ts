import { histogramSize, LATENCY_BOUNDS } from '../lib/base/cells.ts'
import { MAX_ENDPOINTS, MAX_UPSTREAMS } from '../lib/base/shared-layout.ts'
import type { CheckResult, EndpointHealth, HealthFacts, StateChange } from './facts.ts'

/** Names that are remembered: twice as many as there can be at a time. */
const MOST_ENDPOINTS = 2 * MAX_ENDPOINTS
const MOST_UPSTREAMS = 2 * MAX_UPSTREAMS

/**
 * Counts checks and state changes in the control thread. They are kept by name, so a reload never takes a
 * count back. Of too many names those are forgotten of which nothing was heard for longest.
 */
export class HealthTally implements HealthFacts {
  readonly #endpoints = new Map<string, Tally>()
  readonly #seconds = new Map<string, Float64Array>()

  /** After every check. */
  checked(upstream: string, endpoint: string, result: CheckResult, durationMs: number): void {
    this.#tally(upstream, endpoint).checks[result] += 1
    this.#observe(upstream, durationMs / 1000)
  }

  /** After every flip of a state, whoever caused it. */
  changed(upstream: string, endpoint: string, to: StateChange): void {
    this.#tally(upstream, endpoint).changes[to] += 1
  }

  endpoint(upstream: string, endpoint: string): EndpointHealth | undefined {
    return this.#endpoints.get(keyOf(upstream, endpoint))
  }

  checkSeconds(upstream: string): ArrayLike<number> | undefined {
    return this.#seconds.get(upstream)
  }

  #tally(upstream: string, endpoint: string): Tally {
    const key = keyOf(upstream, endpoint)
    const known = this.#endpoints.get(key)
    if (known !== undefined) {
      keepLast(this.#endpoints, key, known, MOST_ENDPOINTS)
      return known
    }
    const changes = { up: 0, down: 0, ejected: 0, readmitted: 0, draining: 0, undrained: 0 }
    const fresh: Tally = { checks: { pass: 0, fail: 0, busy: 0 }, changes }
    keepLast(this.#endpoints, key, fresh, MOST_ENDPOINTS)
    return fresh
  }

  #observe(upstream: string, seconds: number): void {
    const cells = this.#seconds.get(upstream) ?? new Float64Array(histogramSize(LATENCY_BOUNDS))
    keepLast(this.#seconds, upstream, cells, MOST_UPSTREAMS)
    let i = 0
    while (i < LATENCY_BOUNDS.length && seconds > (LATENCY_BOUNDS[i] as number)) i += 1
    cells[i] = (cells[i] as number) + 1
    const sum = LATENCY_BOUNDS.length + 1
    cells[sum] = (cells[sum] as number) + seconds
  }
}

/** Puts it behind all others, and forgets the first where there are too many. */
function keepLast<T>(map: Map<string, T>, key: string, value: T, most: number): void {
  map.delete(key)
  map.set(key, value)
  const [first] = map.keys()
  if (map.size > most && first !== undefined) map.delete(first)
}

interface Tally {
  readonly checks: Record<CheckResult, number>
  readonly changes: Record<StateChange, number>
}

function keyOf(upstream: string, endpoint: string): string {
  return JSON.stringify([upstream, endpoint])
}
