// Where the words of endpoints and upstreams stand: shared-state.ts reads and writes them.

export const MAX_ENDPOINTS = 4096
export const MAX_UPSTREAMS = 1024

/** Words of one endpoint. */
export const WORD = {
  state: 0,
  failures: 1,
  inflight: 2,
  badAnswers: 3,
  rampMissing: 4,
  limit: 5,
  learned: 6,
} as const
export const ENDPOINT_WORDS = 7
/** Words of one upstream. */
export const POOL = { version: 0, served: 1, waiting: 2, queued: 3, newestFirst: 4 } as const
export const UPSTREAM_WORDS = 5
/**
 * Words of one upstream in one thread: places in the queue, whether it waits, its wakes, whose turn it is
 * there, since when the oldest waits, how often it has looked for a slot, and at which look it was found
 * overdue.
 */
export const WAIT = { places: 0, waiting: 1, wakes: 2, turn: 3, oldest: 4, looks: 5, overdue: 6 } as const
export const WAIT_WORDS = 7
/** Words of all endpoints and upstreams: behind them come the vital ones. */
export function poolWords(threads: number): number {
  return MAX_ENDPOINTS * (ENDPOINT_WORDS + threads) + MAX_UPSTREAMS * (UPSTREAM_WORDS + WAIT_WORDS * threads)
}
