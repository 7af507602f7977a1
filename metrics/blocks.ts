import { defineBlock, FINE_BOUNDS, histogramSize, LATENCY_BOUNDS } from '../lib/base/cells.ts'
import { END_CAUSES } from '../lib/base/errors.ts'
import type { Priority } from '../lib/config/model.ts'
import { MIRROR_RESULTS } from '../lib/proxy/mirror-measures.ts'
import { PROTOCOL_ERRORS } from './protocol-errors.ts'

/** Methods with a cell of their own; every other counts as `other`, so that no client can make a series. */
export const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'other'] as const

const KNOWN_STATUSES = [
  101, 200, 201, 202, 203, 204, 205, 206, 207, 300, 301, 302, 303, 304, 307, 308, 400, 401, 402, 403, 404,
  405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 423, 424, 425, 426, 428,
  429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 507, 508, 511,
] as const
const CLASSES = ['1xx', '2xx', '3xx', '4xx', '5xx', 'other'] as const

/**
 * Label values of `code`: known statuses, then what is left of each class as `5xx`, so that `5..` matches all
 * of it.
 */
export const CODES: readonly string[] = [...KNOWN_STATUSES.map(String), ...CLASSES]

const CODE_INDEX: Uint8Array = (() => {
  const table = new Uint8Array(1000).fill(CODES.length - 1)
  for (let status = 100; status < 600; status += 1) {
    table[status] = KNOWN_STATUSES.length + Math.floor(status / 100) - 1
  }
  for (const [i, status] of KNOWN_STATUSES.entries()) table[status] = i
  return table
})()

/** Index in METHODS. Hot. */
export function methodIndex(method: string): number {
  for (let i = 0; i < METHODS.length - 1; i += 1) if (method === METHODS[i]) return i
  return METHODS.length - 1
}

/** Index in CODES of any number. Hot. */
export function codeIndex(status: number): number {
  return CODE_INDEX[status] ?? CODES.length - 1
}

/** Why a request was refused: the process had too much to do. */
export const SHED_CAUSES = ['loop', 'memory'] as const
export type ShedCause = (typeof SHED_CAUSES)[number]
export const PRIORITIES: readonly Priority[] = ['high', 'normal', 'low']

/** Where the exchange was when its client left. */
export const ABORT_PHASES = ['request', 'queue', 'upstream', 'response'] as const
export type AbortPhase = (typeof ABORT_PHASES)[number]

/**
 * Cells of one listener and route together: what its exchanges came to. Written by
 * lib/front/access/access.ts.
 */
export const EXCHANGE_BLOCK = defineBlock({
  /** METHODS by CODES: the cells of one method stand together. */
  requests: METHODS.length * CODES.length,
  /** First request byte to last answer byte, seconds. */
  duration: histogramSize(LATENCY_BOUNDS),
  /** Seconds that the proxy itself took. */
  overhead: histogramSize(FINE_BOUNDS),
  bytesIn: 1,
  bytesOut: 1,
  /** In the order of END_CAUSES. */
  ends: END_CAUSES.length,
  /** Answers that the proxy made itself because of a failure; in the order of END_CAUSES. */
  generated: END_CAUSES.length,
  /** In the order of ABORT_PHASES. */
  aborts: ABORT_PHASES.length,
  /** Copies of requests, in the order of MIRROR_RESULTS. */
  mirrored: MIRROR_RESULTS.length,
  /** Requests refused because the process had too much to do: SHED_CAUSES by PRIORITIES. */
  shed: SHED_CAUSES.length * PRIORITIES.length,
})

/**
 * Why a client's connection was refused, or an idle one closed for another: the listener's limit, or no
 * descriptor.
 */
export const REJECTIONS = ['limit', 'fd'] as const
export type Rejection = (typeof REJECTIONS)[number]

/**
 * Why a TLS handshake came to nothing. no_certificate: there is none to show. certificate: the client's is
 * missing or not good. protocol: whatever OpenSSL does not agree with.
 */
export const HANDSHAKE_FAILURES = ['no_certificate', 'timeout', 'closed', 'certificate', 'protocol'] as const
export type HandshakeFailure = (typeof HANDSHAKE_FAILURES)[number]
export const HANDSHAKE_RESULTS = ['full', 'resumed', ...HANDSHAKE_FAILURES] as const
export type HandshakeResult = (typeof HANDSHAKE_RESULTS)[number]

/** Cells of one listener. Written by lib/front/listener.ts and its connections. */
export const LISTENER_BLOCK = defineBlock({
  connections: 1,
  /** Gauge: connections open now. */
  active: 1,
  /** Gauge: of these, without a request. */
  idle: 1,
  /** How often a newcomer needed that another thread closes an idle one. */
  wanted: 1,
  /** In the order of REJECTIONS. */
  rejected: REJECTIONS.length,
  /** Idle connections closed to make room, in the order of REJECTIONS. */
  evicted: REJECTIONS.length,
  /** Gauge: exchanges begun and not ended. */
  inflight: 1,
  /** In the order of PROTOCOL_ERRORS. */
  protocolErrors: PROTOCOL_ERRORS.length,
  /** In the order of HANDSHAKE_RESULTS. */
  handshakes: HANDSHAKE_RESULTS.length,
})
