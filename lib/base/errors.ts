/** Whose fault it is: who needs to look into it. */
export type Fault = 'client' | 'upstream' | 'proxy' | 'operator'
/**
 * Whether the request may be retried. `unsent`: yes, nothing was written. `unacted`: yes, the app reports
 * that it has not processed the request. `idempotent`: if the method is idempotent. `elsewhere`: if the
 * method is idempotent and another endpoint is ready. `once`: like `elsewhere`, or once more on the only
 * endpoint, which may be restarting; so a request that crashes its worker does not crash all workers of one
 * app server.
 */
export type Retry = 'never' | 'unsent' | 'unacted' | 'idempotent' | 'once' | 'elsewhere'

interface Traits {
  readonly status: number
  readonly fault: Fault
  readonly retry: Retry
}

const TRAITS = {
  // Client errors.
  CLIENT_GONE: { status: 499, fault: 'client', retry: 'never' },
  CLIENT_TIMEOUT: { status: 408, fault: 'client', retry: 'never' },
  BAD_REQUEST: { status: 400, fault: 'client', retry: 'never' },
  EXPECTATION_FAILED: { status: 417, fault: 'client', retry: 'never' },
  BAD_VERSION: { status: 505, fault: 'client', retry: 'never' },
  NOT_IMPLEMENTED: { status: 501, fault: 'client', retry: 'never' },
  TARGET_TOO_LONG: { status: 414, fault: 'client', retry: 'never' },
  HEAD_TOO_LARGE: { status: 431, fault: 'client', retry: 'never' },
  LENGTH_REQUIRED: { status: 411, fault: 'operator', retry: 'never' },
  BODY_TOO_LARGE: { status: 413, fault: 'client', retry: 'never' },
  // Refused by the proxy.
  NO_ROUTE: { status: 404, fault: 'client', retry: 'never' },
  NOT_FOUND: { status: 404, fault: 'client', retry: 'never' },
  MISDIRECTED: { status: 421, fault: 'client', retry: 'never' },
  METHOD_NOT_ALLOWED: { status: 405, fault: 'client', retry: 'never' },
  TOO_MANY_CONNECTIONS: { status: 503, fault: 'operator', retry: 'never' },
  SPOOL_FAILED: { status: 503, fault: 'operator', retry: 'never' },
  OUT_OF_RESOURCES: { status: 503, fault: 'operator', retry: 'never' },
  OVERLOADED: { status: 503, fault: 'operator', retry: 'never' },
  MAINTENANCE: { status: 503, fault: 'operator', retry: 'never' },
  // Upstream errors.
  NO_ENDPOINT: { status: 503, fault: 'upstream', retry: 'never' },
  QUEUE_FULL: { status: 503, fault: 'upstream', retry: 'never' },
  QUEUE_TIMEOUT: { status: 503, fault: 'upstream', retry: 'never' },
  CONNECT_FAILED: { status: 502, fault: 'upstream', retry: 'unsent' },
  CONNECT_TIMEOUT: { status: 504, fault: 'upstream', retry: 'unsent' },
  REUSED_CLOSED: { status: 502, fault: 'upstream', retry: 'idempotent' },
  UPSTREAM_REFUSED: { status: 503, fault: 'upstream', retry: 'unacted' },
  UPSTREAM_CLOSED: { status: 502, fault: 'upstream', retry: 'once' },
  UPSTREAM_BAD: { status: 502, fault: 'upstream', retry: 'never' },
  UPSTREAM_HEAD_TOO_LARGE: { status: 431, fault: 'operator', retry: 'never' },
  UPSTREAM_TIMEOUT: { status: 504, fault: 'upstream', retry: 'elsewhere' },
  UPSTREAM_TRUNCATED: { status: 502, fault: 'upstream', retry: 'never' },
  TUNNEL_IDLE: { status: 504, fault: 'upstream', retry: 'never' },
  // Proxy errors.
  SHUTDOWN: { status: 503, fault: 'proxy', retry: 'never' },
  INTERNAL: { status: 500, fault: 'proxy', retry: 'never' },
} as const satisfies Record<string, Traits>

/** Public: `end` in logs (in lower case) and `reason` in metrics. Documented in lib/ERRORS.md. */
export type ErrorCode = keyof typeof TRAITS
/** How an exchange ended, in one word: `ok`, or the error code in lower case. */
export type EndCause = 'ok' | Lowercase<ErrorCode>

export const ERROR_CODES = Object.keys(TRAITS) as ErrorCode[]
/** All end causes in a fixed order: the index is the metric cell. */
export const END_CAUSES: readonly EndCause[] = ['ok', ...ERROR_CODES.map(endCauseOf)]

export function traitsOf(code: ErrorCode): Traits {
  return TRAITS[code]
}

export function endCauseOf(code: ErrorCode): EndCause {
  return code.toLowerCase() as Lowercase<ErrorCode>
}
