import { type ErrorCode, endCauseOf, traitsOf } from '../base/errors.ts'
import type { Priority } from '../config/model.ts'

/**
 * What came of all requests of a run. Times are milliseconds; those of answers count from the arrival to the
 * last byte.
 */
export interface Outcome {
  readonly requests: number
  /** Answers below 500. */
  readonly ok: number
  /** 503 of the dispatcher, by their end cause. */
  readonly refused: Readonly<Record<string, number>>
  /** All that else has no good answer, by end cause; `http_500` for what the app answers. */
  readonly failed: Readonly<Record<string, number>>
  /** Clients that did not wait for their answer. */
  readonly left: number
  /** The same, of each priority. */
  readonly priorities: Readonly<Record<Priority, { readonly requests: number; readonly ok: number }>>
  /** Of the good answers; undefined if there was none. */
  readonly latency: LatencyFacts | undefined
  readonly queue: {
    /** Most requests that waited at a time, over all threads. */
    readonly longest: number
    /** Requests that had to wait, and how long they did on average. */
    readonly waited: number
    readonly meanWaitMs: number
  }
  readonly retries: number
  /** Requests that must not be repeated, and that an app has begun more than once. To be 0, always. */
  readonly repeated: number
}

/** Quantiles of the time to an answer, milliseconds. */
export interface LatencyFacts {
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly meanMs: number
}

/** How a request ended. */
export type End =
  | { readonly kind: 'answer'; readonly status: number }
  | { readonly kind: 'failure'; readonly code: ErrorCode }
  | { readonly kind: 'left' }

/** What is known of a request at its end. */
export interface RequestFacts {
  readonly tookMs: number
  readonly queueMs: number
  readonly attempts: number
  readonly priority: Priority
  readonly idempotent: boolean
  /** How often an app has begun to work on it. */
  readonly begun: number
}

/** Counts requests as they end. */
export class Tally {
  readonly #latenciesMs: number[] = []
  readonly #refused = new Map<string, number>()
  readonly #failed = new Map<string, number>()
  readonly #priorities = {
    high: { requests: 0, ok: 0 },
    normal: { requests: 0, ok: 0 },
    low: { requests: 0, ok: 0 },
  }
  #requests = 0
  #left = 0
  #longestQueue = 0
  #waited = 0
  #waitedMs = 0
  #retries = 0
  #repeated = 0

  count(end: End, facts: RequestFacts): void {
    this.#requests += 1
    this.#priorities[facts.priority].requests += 1
    this.#retries += Math.max(0, facts.attempts - 1)
    if (!facts.idempotent && facts.begun > 1) this.#repeated += 1
    if (facts.queueMs > 0) {
      this.#waited += 1
      this.#waitedMs += facts.queueMs
    }
    switch (end.kind) {
      case 'answer':
        if (end.status < 500) this.#served(facts)
        else increment(this.#failed, `http_${end.status}`)
        break
      case 'failure':
        increment(traitsOf(end.code).status === 503 ? this.#refused : this.#failed, endCauseOf(end.code))
        break
      case 'left':
        this.#left += 1
        break
    }
  }

  /** So many wait now. */
  sawQueue(length: number): void {
    if (length > this.#longestQueue) this.#longestQueue = length
  }

  outcome(): Outcome {
    return {
      requests: this.#requests,
      ok: this.#latenciesMs.length,
      refused: sortedRecord(this.#refused),
      failed: sortedRecord(this.#failed),
      left: this.#left,
      priorities: this.#priorities,
      latency: latencyFacts(this.#latenciesMs),
      queue: {
        longest: this.#longestQueue,
        waited: this.#waited,
        meanWaitMs: this.#waited === 0 ? 0 : this.#waitedMs / this.#waited,
      },
      retries: this.#retries,
      repeated: this.#repeated,
    }
  }

  #served({ tookMs, priority }: RequestFacts): void {
    this.#latenciesMs.push(tookMs)
    this.#priorities[priority].ok += 1
  }
}

function latencyFacts(latenciesMs: readonly number[]): LatencyFacts | undefined {
  if (latenciesMs.length === 0) return undefined
  const sorted = Float64Array.from(latenciesMs).sort()
  return {
    p50Ms: quantile(sorted, 0.5),
    p90Ms: quantile(sorted, 0.9),
    p99Ms: quantile(sorted, 0.99),
    maxMs: quantile(sorted, 1),
    meanMs: sorted.reduce((sum, ms) => sum + ms, 0) / sorted.length,
  }
}

/** Nearest rank: a value that occurred. */
function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] as number
}

function increment(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

function sortedRecord(counts: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...counts].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
