/** Who has to look when this happens. */
export type Fault = 'client' | 'upstream' | 'proxy' | 'operator'
/**
 * May the request be tried again? `unsent`: nothing was written; `unacted`: it was, and the app says that it
 * has not acted on it; `idempotent`: if its method allows; `once`: the same, elsewhere, or once more at the
 * only endpoint, which may be restarting; `elsewhere`: if its method allows, and another endpoint is there,
 * so that a request that kills its worker does not go through all workers of one app server.
 */
export type Retry = 'never' | 'unsent' | 'unacted' | 'idempotent' | 'once' | 'elsewhere'

interface Traits {
  readonly status: number
  readonly fault: Fault
  readonly retry: Retry
}

const TRAITS = {
  // The client's doing.
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
  // Refused here.
  NO_ROUTE: { status: 404, fault: 'client', retry: 'never' },
  NOT_FOUND: { status: 404, fault: 'client', retry: 'never' },
  MISDIRECTED: { status: 421, fault: 'client', retry: 'never' },
  METHOD_NOT_ALLOWED: { status: 405, fault: 'client', retry: 'never' },
  TOO_MANY_CONNECTIONS: { status: 503, fault: 'operator', retry: 'never' },
  SPOOL_FAILED: { status: 503, fault: 'operator', retry: 'never' },
  OUT_OF_RESOURCES: { status: 503, fault: 'operator', retry: 'never' },
  OVERLOADED: { status: 503, fault: 'operator', retry: 'never' },
  MAINTENANCE: { status: 503, fault: 'operator', retry: 'never' },
  // The upstream's doing.
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
  // Ours.
  SHUTDOWN: { status: 503, fault: 'proxy', retry: 'never' },
  INTERNAL: { status: 500, fault: 'proxy', retry: 'never' },
} as const satisfies Record<string, Traits>

/** Public: stands in logs as `end` (in lower case) and in metrics as `reason`. Listed in lib/ERRORS.md. */
export type ErrorCode = keyof typeof TRAITS
/** How an exchange ended, in one word: `ok`, or the error code in lower case. */
export type EndCause = 'ok' | Lowercase<ErrorCode>

export const ERROR_CODES = Object.keys(TRAITS) as ErrorCode[]
/** Every end cause, in a fixed order: its index is the metric cell. */
export const END_CAUSES: readonly EndCause[] = ['ok', ...ERROR_CODES.map(endCauseOf)]

export function traitsOf(code: ErrorCode): Traits {
  return TRAITS[code]
}

export function endCauseOf(code: ErrorCode): EndCause {
  return code.toLowerCase() as Lowercase<ErrorCode>
}
