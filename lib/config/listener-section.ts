import { parseListenAddress } from './address.ts'
import { readCidr } from './networks.ts'
import { count, duration, flag, list, optionalTable, rate, required, size, table, text } from './option.ts'
import { mtlsSection, tlsOption } from './tls-section.ts'

/** [listeners.<name>.limits] */
export const limitsSection = {
  headersBytes: size('Bytes of a request head.', '32KiB', { min: '1KiB', max: '1MiB' }),
  headerCount: count('Fields of a request head.', 100, { min: 1, max: 10_000 }),
  bodyBytes: size('Bytes of a request body.', '100MiB', {
    min: '1B',
    max: '1000000GiB',
    off: Number.POSITIVE_INFINITY,
  }),
  connections: count('Open client connections, all threads together.', 10_000, { min: 1, max: 10_000_000 }),
  streams: count('Requests that run at a time on one HTTP/2 connection.', 100, { min: 1, max: 10_000 }),
}

/** [listeners.<name>.timeouts] */
export const listenerTimeoutsSection = {
  handshakeMs: duration('Time for a TLS handshake, and for a PROXY protocol header.', '10s', {
    min: '10ms',
    max: '1h',
  }),
  headerMs: duration('Time for a whole request head, from its first byte.', '10s', {
    min: '10ms',
    max: '1h',
  }),
  bodyMs: duration(
    'Longest silence inside a request body. Not in conversations, in which both sides may be silent: there `timeouts.idle` of the upstream counts.',
    '30s',
    { min: '10ms', max: '30d' },
  ),
  keepaliveMs: duration('Longest silence between two requests.', '75s', { min: '10ms', max: '1d' }),
  writeMs: duration('Longest time in which the client takes none of our bytes.', '60s', {
    min: '10ms',
    max: '30d',
  }),
  minRateBytes: rate(
    'Average rate that a request body must reach, once `timeouts.body` has passed. For uploads only: not for gRPC calls, nor for a body of unknown length whose answer has begun.',
    '240B/s',
    {
      min: '1B/s',
      max: '1GiB/s',
    },
  ),
}

/** [listeners.<name>] */
export const listenerSection = {
  address: required(
    text(
      'Where to listen: `"0.0.0.0:8080"`, `"[::]:8080"`, `"unix:/run/causeway/web.sock"`. `check` tries it for a moment.',
      'address',
      parseListenAddress,
    ),
  ),
  tls: tlsOption,
  mtls: optionalTable(
    'Ask clients for certificates. What stands in them reaches the app in Client-Cert (RFC 9440) and X-SSL-Client-*.',
    mtlsSection,
  ),
  http2: flag('Offer HTTP/2 to TLS clients.', true),
  h2c: flag('Take HTTP/2 without TLS from clients that begin with it (prior knowledge).', false),
  proxyProtocol: flag(
    'Every connection begins with a PROXY protocol header, version 1 or 2, from one of `trusted_proxies`; all others are refused.',
    false,
  ),
  trustedProxies: list(
    text(
      'Networks whose X-Forwarded-* or, without X-Forwarded-For, Forwarded fields are believed, walked from right to left. What the two say differently is not believed of either.',
      'CIDR',
      readCidr,
    ),
    [],
  ),
  limits: table('What one client may take.', limitsSection),
  timeouts: table('How long a client may take.', listenerTimeoutsSection),
}
