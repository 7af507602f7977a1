/** One endpoint of the pool: `workers` that take one request at a time, each for `workMs`. */
export interface EndpointShape {
  readonly workers: number
  readonly workMs: number
}

/**
 * Three endpoints of one kind, and one that is ten times slower: an old machine, a full disk, a noisy
 * neighbour.
 */
export const ENDPOINTS: readonly EndpointShape[] = [10, 10, 10, 100].map(workMs => ({ workers: 4, workMs }))

/** Requests a second that all endpoints can do together. */
export const CAPACITY_PER_SECOND = ENDPOINTS.reduce(
  (sum, { workers, workMs }) => sum + (workers * 1000) / workMs,
  0,
)

export const LOAD_SHARE = 0.7
