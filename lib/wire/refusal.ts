import type { ErrorCode } from '../base/errors.ts'

/** How much of a head we take. */
export interface HeadLimits {
  /** The whole head, start line and empty lines included. */
  readonly headersBytes: number
  readonly headerCount: number
  /** The request line without its CRLF. */
  readonly targetBytes: number
}

/** Why a request head is refused, with the answer that it gets. A closed list: log field and metric label. */
const REQUEST_CODES = {
  // Line ends and lines, RFC 9112 2.2.
  'bare-cr': 'BAD_REQUEST',
  'bare-lf': 'BAD_REQUEST',
  /** Anything but one CRLF before the request line. */
  'empty-lines': 'BAD_REQUEST',
  // Request line, RFC 9112 3.
  method: 'BAD_REQUEST',
  'request-line': 'BAD_REQUEST',
  'target-character': 'BAD_REQUEST',
  'target-form': 'BAD_REQUEST',
  'target-percent': 'BAD_REQUEST',
  'target-too-long': 'TARGET_TOO_LONG',
  version: 'BAD_REQUEST',
  'version-unsupported': 'BAD_VERSION',
  connect: 'NOT_IMPLEMENTED',
  trace: 'METHOD_NOT_ALLOWED',
  // Fields, RFC 9112 5.
  'field-name': 'BAD_REQUEST',
  'field-value': 'BAD_REQUEST',
  'space-before-colon': 'BAD_REQUEST',
  'obs-fold': 'BAD_REQUEST',
  'head-too-large': 'HEAD_TOO_LARGE',
  'header-count': 'HEAD_TOO_LARGE',
  // Framing, RFC 9112 6.
  'te-http10': 'BAD_REQUEST',
  'te-repeated': 'BAD_REQUEST',
  'te-value': 'BAD_REQUEST',
  'te-unknown': 'NOT_IMPLEMENTED',
  'cl-and-te': 'BAD_REQUEST',
  'cl-repeated': 'BAD_REQUEST',
  'cl-value': 'BAD_REQUEST',
  // Host (RFC 9112 3.2), Connection (RFC 9110 7.6.1), Expect (RFC 9110 10.1.1).
  'host-missing': 'BAD_REQUEST',
  'host-repeated': 'BAD_REQUEST',
  'host-value': 'BAD_REQUEST',
  'host-differs': 'BAD_REQUEST',
  connection: 'BAD_REQUEST',
  expect: 'EXPECTATION_FAILED',
  // HTTP/2 only, RFC 9113 8.
  'pseudo-missing': 'BAD_REQUEST',
  'pseudo-order': 'BAD_REQUEST',
  'pseudo-repeated': 'BAD_REQUEST',
  'pseudo-unknown': 'BAD_REQUEST',
  scheme: 'BAD_REQUEST',
  'protocol-unknown': 'NOT_IMPLEMENTED',
  'connection-field': 'BAD_REQUEST',
  'cl-mismatch': 'BAD_REQUEST',
  trailers: 'BAD_REQUEST',
} as const satisfies Record<string, ErrorCode>

/** The further ones of a response, which all end as UPSTREAM_BAD. */
type ResponseOnly = 'status-line'

export type RequestDetail = keyof typeof REQUEST_CODES
export type RefusalDetail = RequestDetail | ResponseOnly

/** A head that is not taken. The connection is not read any further. */
export interface Refusal {
  readonly refused: ErrorCode
  readonly detail: RefusalDetail
}

/**
 * How far a scan came: to the end of its part, to the end of what has arrived, or to something that is
 * refused.
 */
export type Outcome = 'complete' | 'partial' | RefusalDetail

/** Every detail a request can be refused with. */
export const REQUEST_DETAILS = Object.keys(REQUEST_CODES) as readonly RequestDetail[]

// Made once, so that a flood of bad heads allocates nothing.
const REQUEST_REFUSALS: ReadonlyMap<RefusalDetail, Refusal> = new Map(
  REQUEST_DETAILS.map(detail => [detail, { refused: REQUEST_CODES[detail], detail }]),
)

/** What an unfinished or refused scan of a request means to the caller. */
export function requestRefusal(outcome: Outcome): Refusal | undefined {
  if (outcome === 'partial') return undefined
  return REQUEST_REFUSALS.get(outcome as RefusalDetail)
}

/** The same for a response. */
export function responseRefusal(outcome: Outcome): Refusal | undefined {
  if (outcome === 'partial' || outcome === 'complete') return undefined
  return { refused: 'UPSTREAM_BAD', detail: outcome }
}
