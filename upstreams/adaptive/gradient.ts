/** What was learned of one endpoint so far. */
export interface Learned {
  /** Requests that it can run at a time; not rounded. */
  readonly limit: number
  /** Long-term mean of the time to its first byte. */
  readonly longMs: number
  /** Windows that the mean is of, at most LONG_WINDOWS. */
  readonly windows: number
}

/** What an endpoint did in one window of time. */
export interface Window {
  /** Mean time to the first byte, above 0. */
  readonly meanMs: number
  /** Requests that it runs. */
  readonly inflight: number
}

export interface Bounds {
  readonly min: number
  readonly max: number
}

/** Where learning begins, unless more runs already. */
const FIRST_LIMIT = 20
/** A mean may be so many times the long-term one before the limit falls. */
const TOLERANCE = 2
/** However bad one window is, the limit falls by no more than this. */
const LOWEST_GRADIENT = 0.5
/** Share of a new limit that is taken over at once. */
const SMOOTHING = 0.2
/** Windows that the long-term mean looks back. */
const LONG_WINDOWS = 600
/**
 * So many times slower the mean rises while a large limit is in use: else an app that is overloaded for an
 * hour would make that the measure.
 */
const LOADED_SLOWNESS = 10
/** A long-term mean so many times the present one is of other days: it comes down by STALE_DECAY a window. */
const STALE_RATIO = 2
const STALE_DECAY = 0.95

/**
 * What is known after one more window: the limit moves with the ratio of the long-term mean to that of the
 * window (the "gradient2" limit of Netflix's concurrency-limits), so that it falls when requests begin to
 * wait inside the app, and rises by about its square root otherwise. It rises only while more than half of it
 * is in use: an idle endpoint says nothing about what it can run. Pure.
 */
export function learn(before: Learned | undefined, window: Window, bounds: Bounds): Learned {
  if (before === undefined) {
    const limit = clamp(Math.max(FIRST_LIMIT, window.inflight), bounds)
    return { limit, longMs: window.meanMs, windows: 1 }
  }
  const windows = Math.min(before.windows + 1, LONG_WINDOWS)
  const meanMs = before.longMs + stepOf(before, window) / windows
  const longMs = meanMs > STALE_RATIO * window.meanMs ? meanMs * STALE_DECAY : meanMs
  const limit = nextLimit(before.limit, longMs, window, bounds)
  return { limit, longMs, windows }
}

/** Where few requests already take long, the app has become slower, and the mean follows soon. */
function stepOf({ longMs, limit }: Learned, { meanMs, inflight }: Window): number {
  const loaded = limit > FIRST_LIMIT && inflight > limit / 2
  return meanMs > longMs && loaded ? (meanMs - longMs) / LOADED_SLOWNESS : meanMs - longMs
}

function nextLimit(limit: number, longMs: number, { meanMs, inflight }: Window, bounds: Bounds): number {
  const gradient = Math.min(1, Math.max(LOWEST_GRADIENT, (TOLERANCE * longMs) / meanMs))
  const aim = limit * gradient + Math.sqrt(limit)
  const next = clamp(limit + (aim - limit) * SMOOTHING, bounds)
  return next > limit && inflight <= limit / 2 ? clamp(limit, bounds) : next
}

function clamp(limit: number, { min, max }: Bounds): number {
  return Math.max(Math.min(min, max), Math.min(limit, max))
}
