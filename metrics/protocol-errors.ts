import { HELLO_DETAILS } from '../lib/wire/client-hello.ts'
import { PROXY_DETAILS } from '../lib/wire/proxy-protocol.ts'
import type { RequestDetail } from '../lib/wire/refusal.ts'

/** What was wrong with a request's bytes, in few enough words for a label. What fits nothing is `other`. */
export const PROTOCOL_ERRORS = [
  'line_end',
  'request_line',
  'method',
  'target',
  'version',
  'field',
  'host',
  'transfer_encoding',
  'content_length',
  'chunk',
  'too_large',
  'expect',
  'tls',
  'proxy_header',
  'http2',
  'flood',
  'other',
] as const
export type ProtocolErrorKind = (typeof PROTOCOL_ERRORS)[number]

const KINDS: Readonly<Record<RequestDetail, ProtocolErrorKind>> = {
  'bare-cr': 'line_end',
  'bare-lf': 'line_end',
  'empty-lines': 'line_end',
  method: 'method',
  'request-line': 'request_line',
  'target-character': 'target',
  'target-form': 'target',
  'target-percent': 'target',
  'target-too-long': 'too_large',
  version: 'version',
  'version-unsupported': 'version',
  connect: 'method',
  trace: 'method',
  'field-name': 'field',
  'field-value': 'field',
  'space-before-colon': 'field',
  'obs-fold': 'field',
  'head-too-large': 'too_large',
  'header-count': 'too_large',
  'te-http10': 'transfer_encoding',
  'te-repeated': 'transfer_encoding',
  'te-value': 'transfer_encoding',
  'te-unknown': 'transfer_encoding',
  'cl-and-te': 'transfer_encoding',
  'cl-repeated': 'content_length',
  'cl-value': 'content_length',
  'host-missing': 'host',
  'host-repeated': 'host',
  'host-value': 'host',
  'host-differs': 'host',
  connection: 'field',
  expect: 'expect',
  'pseudo-missing': 'http2',
  'pseudo-order': 'http2',
  'pseudo-repeated': 'http2',
  'pseudo-unknown': 'http2',
  scheme: 'http2',
  'protocol-unknown': 'http2',
  'connection-field': 'http2',
  'cl-mismatch': 'content_length',
  trailers: 'http2',
}

const INDEX: ReadonlyMap<string, number> = new Map(
  [
    ...Object.entries(KINDS),
    ...HELLO_DETAILS.map(detail => [detail, 'tls'] as const),
    // Not of the bytes: of what a path may mean (lib/server/data/runtime.ts).
    ['path-readings', 'target'] as const,
    ...[...PROXY_DETAILS, 'proxy-peer'].map(detail => [detail, 'proxy_header'] as const),
  ].map(([detail, kind]) => [detail, PROTOCOL_ERRORS.indexOf(kind)]),
)
const CHUNK = PROTOCOL_ERRORS.indexOf('chunk')
const HTTP2 = PROTOCOL_ERRORS.indexOf('http2')
const FLOOD = PROTOCOL_ERRORS.indexOf('flood')

/**
 * Index in PROTOCOL_ERRORS of a refusal's detail. Those of a chunked body all begin with `chunk`, those of a
 * broken HTTP/2 connection with `http2`, those of a flood with `flood`.
 */
export function protocolErrorIndex(detail: string): number {
  const known = INDEX.get(detail)
  if (known !== undefined) return known
  if (detail.startsWith('chunk')) return CHUNK
  if (detail.startsWith('http2')) return HTTP2
  return detail.startsWith('flood') ? FLOOD : PROTOCOL_ERRORS.length - 1
}
