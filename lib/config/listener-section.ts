import { parseListenAddress } from './address.ts'
import { readCidr } from './networks.ts'
import { count, duration, flag, list, optionalTable, rate, required, size, table, text } from './option.ts'
import { mtlsSection, tlsOption } from './tls-section.ts'

/** [listeners.<name>.limits] */
export const limitsSection = {
  headersBytes: size('Maximum size of a request head.', '32KiB', { min: '1KiB', max: '1MiB' }),
  headerCount: count('Maximum number of fields in a request head.', 100, { min: 1, max: 10_000 }),
  bodyBytes: size('Maximum size of a request body.', '100MiB', {
    min: '1B',
    max: '1000000GiB',
    off: Number.POSITIVE_INFINITY,
  }),
  connections: count('Maximum number of open client connections, across all data threads.', 10_000, {
    min: 1,
    max: 10_000_000,
  }),
  streams: count('Maximum number of concurrent requests on one HTTP/2 connection.', 100, {
    min: 1,
    max: 10_000,
  }),
}

/** [listeners.<name>.timeouts] */
export const listenerTimeoutsSection = {
  handshakeMs: duration('Timeout of a TLS handshake, and of a PROXY protocol header.', '10s', {
    min: '10ms',
    max: '1h',
  }),
  headerMs: duration('Timeout of a complete request head, from its first byte.', '10s', {
    min: '10ms',
    max: '1h',
  }),
  bodyMs: duration(
    'Idle timeout within a request body. Does not apply to conversations (bidirectional streams such as gRPC calls), where either side may pause: there `timeouts.idle` of the upstream applies.',
    '30s',
    { min: '10ms', max: '30d' },
  ),
  keepaliveMs: duration('Idle timeout of a connection between two requests.', '75s', {
    min: '10ms',
    max: '1d',
  }),
  writeMs: duration('Timeout of a write: maximum time during which the client accepts no bytes.', '60s', {
    min: '10ms',
    max: '30d',
  }),
  minRateBytes: rate(
    'Minimum average rate of a request body, enforced once `timeouts.body` has elapsed. Applies to uploads only: not to gRPC calls, nor to a body of unknown length whose response has begun.',
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
      'Address to listen on: `"0.0.0.0:8080"`, `"[::]:8080"`, `"unix:/run/causeway/web.sock"`. `causeway check` binds it briefly.',
      'address',
      parseListenAddress,
    ),
  ),
  tls: tlsOption,
  mtls: optionalTable(
    'Mutual TLS: request certificates from clients. Their contents reach the app in Client-Cert (RFC 9440) and X-SSL-Client-*.',
    mtlsSection,
  ),
  http2: flag('Offer HTTP/2 to TLS clients.', true),
  h2c: flag('Accept HTTP/2 without TLS from clients with prior knowledge.', false),
  proxyProtocol: flag(
    'Require a PROXY protocol header, version 1 or 2, at the start of every connection, from a peer in `trusted_proxies`; all other connections are refused.',
    false,
  ),
  trustedProxies: list(
    text(
      'Networks of proxies in front whose X-Forwarded-* fields are trusted (without X-Forwarded-For: Forwarded), evaluated from right to left. Where the two contradict each other, neither is trusted.',
      'CIDR',
      readCidr,
    ),
    [],
  ),
  limits: table('Limits on what clients may send and hold.', limitsSection),
  timeouts: table('Timeouts on the client side.', listenerTimeoutsSection),
}
