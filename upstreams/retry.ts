import { type ErrorCode, traitsOf } from '../lib/base/errors.ts'

/** What is known about a request whose attempt has just failed. */
export interface Progress {
  readonly attemptsLeft: number
  readonly idempotent: boolean
  readonly repeatable: boolean
  /** Is an endpoint ready besides those that have failed it? */
  readonly othersReady: boolean
  /** The one that failed has failed it for the first time. */
  readonly firstThere: boolean
}

/**
 * May the request go to another endpoint? RFC 9110 9.2.2: never twice what may have been acted on and is not
 * idempotent.
 */
export function mayRetry(code: ErrorCode, at: Progress): boolean {
  if (at.attemptsLeft <= 0 || !at.repeatable) return false
  switch (traitsOf(code).retry) {
    case 'never':
      return false
    case 'unsent':
    case 'unacted':
      return true
    case 'idempotent':
      return at.idempotent
    case 'once':
      return at.idempotent && (at.othersReady || at.firstThere)
    case 'elsewhere':
      return at.idempotent && at.othersReady
  }
}

/**
 * Tokens that a quiet upstream has saved: enough for all requests that run when one endpoint of several dies.
 */
const RESERVE = 100
/** Tokens a second that come back whatever the traffic. */
const FLOOR_PER_SECOND = 10

/**
 * Retries may be at most a share of the requests, so that a sick upstream is not sent a multiple of its load
 * (the retry budget of Finagle and Linkerd). A token bucket: a request brings `share` tokens, a retry takes
 * one.
 */
export class RetryBudget {
  readonly #share: number
  #tokens = RESERVE
  #lastMs: number

  constructor(share: number, nowMs: number) {
    this.#share = share
    this.#lastMs = nowMs
  }

  requested(): void {
    if (this.#tokens < RESERVE) this.#tokens += this.#share
  }

  take(nowMs: number): boolean {
    if (this.#share === 0) return false
    this.#tokens = Math.min(RESERVE, this.#tokens + ((nowMs - this.#lastMs) / 1000) * FLOOR_PER_SECOND)
    this.#lastMs = nowMs
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}
