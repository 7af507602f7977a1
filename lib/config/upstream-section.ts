import { parseEndpointAddress } from './address.ts'
import { BALANCE_POLICIES } from './balance-policies.ts'
import type { HashKey } from './model.ts'
import {
  choice,
  count,
  dictionary,
  duration,
  flag,
  list,
  optional,
  optionalTable,
  percent,
  required,
  shortOrTable,
  size,
  table,
  text,
  wordOr,
} from './option.ts'
import { upstreamTlsSection } from './tls-section.ts'

type Read<T> = { readonly value: T } | { readonly fault: string; readonly hint?: string }

// RFC 9110 5.6.2
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** An address with the text it was written as: the text is the endpoint's name. */
const endpointAddress = text('Address of the app.', 'address', readEndpoint)

/** [[upstreams.<name>.endpoints]], the long form of an endpoint. */
export const endpointSection = {
  address: required(endpointAddress),
  weight: count('Share of the traffic relative to the other endpoints.', 1, { min: 1, max: 1000 }),
  backup: flag('Receives traffic only while no other endpoint is ready.', false),
}

/** [upstreams.<name>.discovery] */
export const discoverySection = {
  intervalMs: duration(
    'Interval between two DNS lookups of a name, regardless of the TTL of its records.',
    '5s',
    {
      min: '100ms',
      max: '1h',
    },
  ),
  family: choice(
    'Address families in use. `"auto"`: the IPv4 addresses of a name, or its IPv6 addresses if it has no IPv4 address, so that a dual-stack host is one endpoint.',
    ['auto', 'ipv4', 'ipv6', 'both'],
    'auto',
  ),
}

/** [upstreams.<name>.sticky] */
export const stickySection = {
  cookie: text('Name of the cookie.', 'name', readCookieName, 'causeway_endpoint'),
  secret: required(
    text(
      'Key that signs the cookie; must be the same in all processes that serve the site. Keep it in a file and read it with `file:`.',
      'string',
      readSecret,
    ),
  ),
  maxAgeMs: wordOr(
    'session',
    duration('Lifetime of the cookie. `"session"`: until the browser closes.', undefined, {
      min: '1s',
      max: '365d',
    }),
  ),
}

/** [upstreams.<name>.adaptive] */
export const adaptiveSection = {
  mode: choice(
    'Estimate from the time to first byte how many concurrent requests an endpoint can handle. `"observe"`: report the limit only; `"enforce"`: apply it.',
    ['off', 'observe', 'enforce'],
    'observe',
  ),
  min: count('Lower bound of the limit of an endpoint.', 4, { min: 1, max: 10_000 }),
  max: count('Upper bound of the limit of an endpoint.', 1000, { min: 1, max: 1_000_000 }),
}

/** [upstreams.<name>.queue] */
export const queueSection = {
  length: count('Maximum number of requests that wait for a slot; 0: no queue.', 1024, {
    min: 0,
    max: 1_000_000,
  }),
  timeoutMs: duration('Maximum time that a request waits for a slot.', '10s', { min: '1ms', max: '1d' }),
}

/** [upstreams.<name>.health] */
export const healthSection = {
  type: choice('Type of the probe: an HTTP request, or a TCP connect only.', ['http', 'tcp'], 'http'),
  path: text('Request target of the probe.', 'path', readProbePath, '/healthz'),
  host: optional(
    text(
      'Host field of the probe. Default: the first host of a route to this upstream, or the address of the endpoint.',
      'host',
      readHost,
    ),
  ),
  headers: dictionary('Additional header fields of the probe.', readField),
  intervalMs: duration('Interval between two probes of one endpoint.', '2s', { min: '50ms', max: '1h' }),
  timeoutMs: duration('Timeout of one probe, including the connect.', '1s', { min: '10ms', max: '1h' }),
  rise: count('Consecutive successful probes after which an endpoint is up.', 2, { min: 1, max: 100 }),
  fall: count('Consecutive failed probes after which an endpoint is down.', 3, { min: 1, max: 100 }),
  expect: list(count('Statuses that count as success.', undefined, { min: 100, max: 599 }), [200]),
}

/** [upstreams.<name>.timeouts] */
export const upstreamTimeoutsSection = {
  connectMs: duration('Timeout of a connect.', '2s', { min: '10ms', max: '1d' }),
  responseMs: duration(
    'Timeout from the last byte of the request to the first byte of the response.',
    '60s',
    {
      min: '10ms',
      max: '30d',
    },
  ),
  idleMs: duration(
    'Idle timeout within the response. In a conversation (a gRPC call, or a response that begins before the end of a request of unknown length) it expires only if both sides are idle.',
    '30s',
    { min: '10ms', max: '30d' },
  ),
  tunnelMs: duration(
    'Timeout of a tunnel (a WebSocket, or forwarded TLS) in which both sides are idle.',
    '1h',
    {
      min: '1s',
      max: '30d',
    },
  ),
}

/** [upstreams.<name>.keepalive] */
export const keepaliveSection = {
  idleMs: wordOr(
    'auto',
    duration(
      'How long an idle connection is kept open; must be shorter than the app\'s own keep-alive timeout. `"auto"` learns that timeout from traffic, and non-idempotent requests (POST) then use new connections. It also detects responses that are 40 ms late on reused connections (small writes of the app that wait for a delayed acknowledgement), and does not reuse connections there, except over TLS and HTTP/2.',
      undefined,
      { min: '10ms', max: '1d' },
    ),
  ),
  max: count('Maximum number of idle connections to one endpoint, per data thread; 0: none is kept.', 128, {
    min: 0,
    max: 65_535,
  }),
}

/** [upstreams.<name>.retry] */
export const retrySection = {
  attempts: count('Maximum number of retries after a failed attempt; 0: none.', 2, { min: 0, max: 10 }),
  budgetShare: percent('Maximum share of retries among the requests.', '20%'),
  statuses: list(
    count(
      'Statuses from the app that cause a retry on another endpoint, if the method is idempotent.',
      undefined,
      {
        min: 500,
        max: 599,
      },
    ),
    [],
  ),
}

/** [upstreams.<name>.passive] */
export const passiveSection = {
  failures: count('Consecutive failed requests after which an endpoint is ejected.', 3, {
    min: 1,
    max: 1000,
    off: 0,
  }),
  failureRateShare: percent(
    'Share of failures and 5xx responses among the requests of an endpoint at which it is ejected, if the other endpoints do better.',
    '50%',
  ),
  latencyFactor: count('Multiple of the latency of the other endpoints at which an endpoint is ejected.', 0, {
    min: 2,
    max: 1000,
    off: 0,
  }),
  ejectMs: duration(
    'Time for which an ejected endpoint receives no traffic; increases with each ejection.',
    '10s',
    {
      min: '100ms',
      max: '1d',
    },
  ),
  maxEjectedShare: percent(
    'Maximum share of endpoints ejected at the same time; at least one endpoint may always be ejected.',
    '50%',
  ),
  panicShare: percent(
    'Ejections are ignored while less than this share of the endpoints would remain.',
    '50%',
  ),
}

/** [upstreams.<name>.run] */
export const runSection = {
  command: required(
    list(text('Program and arguments; `{port}` and `{socket}` are replaced.', 'string', anyText), undefined),
  ),
  count: count('Number of processes to keep running.', 1, { min: 1, max: 256 }),
  protocol: choice('Protocol of the processes.', ['http', 'uwsgi'], 'http'),
  env: dictionary(
    'Additional environment variables; `{port}` and `{socket}` are replaced here as well. PORT or SOCKET is always set. The processes inherit the environment of Causeway, except for variables that are referenced only in other parts of the configuration (such as an admin token): list those here if the processes need them too.',
    readEnv,
  ),
}

/** [upstreams.<name>] */
export const upstreamSection = {
  endpoints: optional(
    list(
      shortOrTable(
        {
          ...endpointAddress,
          doc: 'Addresses of the app: `"app:8000"`, `"http://app:8000"`, `"https://app:8443"`, `"h2://app:8443"` and `"h2c://app:8000"` (HTTP/2 with and without TLS), `"unix:/run/app.sock"`, `"uwsgi://app:3031"`, `"uwsgi+unix:/run/app.sock"`, or `{ address = "app:8000", weight = 2 }`. Every address that a name resolves to is an endpoint; `"srv://_http._tcp.app.example"` reads hosts, ports and weights from SRV records.',
        },
        endpointSection,
        address => ({ address, weight: 1, backup: false }),
      ),
      undefined,
    ),
  ),
  endpointsFile: optional(
    text(
      'File with additional endpoints, one per line (`app:8000 weight=2 backup`), reloaded when it changes.',
      'path',
      readFilePath,
    ),
  ),
  discovery: table('DNS lookups of endpoint names.', discoverySection),
  run: optionalTable(
    'App processes that Causeway starts in its own working directory and restarts when they exit. Replaces `endpoints`.',
    runSection,
  ),
  balance: choice('Load balancing policy.', BALANCE_POLICIES, 'p2c'),
  hashOn: optional(
    text(
      'Key for `balance = "hash"`: `"client-ip"`, `"uri"`, `"header:NAME"`, `"cookie:NAME"`.',
      'key',
      readHashKey,
    ),
  ),
  maxInflight: count(
    'Maximum number of concurrent requests per endpoint, and of its HTTP/1.1 connections, including idle ones. Further requests wait in the queue. 0: no limit.',
    0,
    {
      min: 0,
      max: 1_000_000,
    },
  ),
  adaptive: table('Learned concurrency limit, in addition to `max_inflight`.', adaptiveSection),
  abandoned: optional(
    choice(
      'Handling of a request whose client has disconnected. `"finish"`: the slot stays occupied until the app has completed the request, because a sync worker does not notice the disconnect; `"close"`: the connection to the app is closed. Default: `"finish"` if `body = "spool"` and either the app server is uWSGI or gunicorn or `max_inflight` is set; otherwise `"close"`.',
      ['finish', 'close'],
      undefined,
    ),
  ),
  slowStartMs: duration('Time over which the share of a recovered endpoint rises to its full weight.', '2s', {
    min: '0s',
    max: '1h',
  }),
  sticky: optionalTable('Session affinity: a signed cookie binds a client to its endpoint.', stickySection),
  queue: table('Queue of requests that wait for a slot, or for an endpoint to become ready.', queueSection),
  health: optionalTable(
    'Active health checks. Without this table, health is judged from traffic only.',
    healthSection,
  ),
  timeouts: table('Timeouts on the app side.', upstreamTimeoutsSection),
  server: choice(
    'App server behind the endpoints, if known; it determines the defaults of `abandoned`, `body` and `keepalive.idle`.',
    ['auto', 'uwsgi', 'gunicorn', 'uvicorn', 'hypercorn', 'daphne'],
    'auto',
  ),
  body: optional(
    choice(
      '`"spool"`: buffer the request body in full, in memory and then in a file, before a slot is taken, so that a slow client does not occupy a worker; the app receives a Content-Length. `"stream"`: forward it as it arrives. Default: `"stream"` for `server = "uvicorn"`, `"hypercorn"` and `"daphne"`, otherwise `"spool"`.',
      ['spool', 'stream'],
      undefined,
    ),
  ),
  readAheadBytes: size(
    'How much of one response is buffered ahead of a slow client, so that the client does not occupy a worker.',
    '1GiB',
    { min: '1KiB', max: '1000GiB', off: 0 },
  ),
  tls: table('TLS to `https://` and `h2://` endpoints.', upstreamTlsSection),
  proxyProtocol: wordOr(
    'off',
    choice(
      'Start every connection to an endpoint with a PROXY protocol header that carries the client address; such a connection serves one request.',
      ['v1', 'v2'],
      undefined,
    ),
  ),
  keepalive: table('Pool of idle connections.', keepaliveSection),
  retry: table('Retries after a failure, where repeating the request is safe.', retrySection),
  passive: table('Passive health checks: ejection of endpoints that fail in traffic.', passiveSection),
}

function readEndpoint(written: string) {
  const reading = parseEndpointAddress(written)
  return 'value' in reading ? { value: { name: written, ...reading.value } } : reading
}

// RFC 6265 4.1.1
function readCookieName(value: string): Read<string> {
  return TOKEN.test(value) ? { value } : { fault: 'expected the name of a cookie' }
}

function readSecret(value: string): Read<string> {
  if (value.length >= 16) return { value }
  return {
    fault: 'the secret must have at least 16 characters',
    hint: 'generate one with openssl rand -hex 32',
  }
}

function readFilePath(value: string): Read<string> {
  return value === '' || value.includes('\0') ? { fault: 'expected the path of a file' } : { value }
}

function readProbePath(value: string): Read<string> {
  if (/^\/[\x21-\x7e]*$/.test(value) && !value.includes('#')) return { value }
  return { fault: 'expected a path such as "/healthz"' }
}

function readHost(value: string): Read<string> {
  if (/^[A-Za-z0-9._-]+(?::\d{1,5})?$/.test(value) || /^\[[0-9A-Fa-f:.]+\](?::\d{1,5})?$/.test(value))
    return { value }
  return { fault: 'expected a host such as "example.com"' }
}

// RFC 9110 5.5: what a field value may hold; above all no line ends.
function readField(name: string, value: string): Read<string> {
  if (!TOKEN.test(name)) return { fault: `${JSON.stringify(name)} is not a valid field name` }
  if (name.toLowerCase() === 'host')
    return { fault: 'the Host field has its own key', hint: 'set health.host' }
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value)
    ? { value }
    : { fault: 'a field value cannot contain control characters' }
}

function readEnv(name: string, value: string): Read<string> {
  if (name === '' || /[=\0]/.test(name))
    return { fault: `${JSON.stringify(name)} is not a valid variable name` }
  return value.includes('\0') ? { fault: 'a variable cannot contain a NUL byte' } : { value }
}

function anyText(value: string): Read<string> {
  return value.includes('\0') ? { fault: 'an argument cannot contain a NUL byte' } : { value }
}

function readHashKey(value: string): Read<HashKey> {
  if (value === 'client-ip' || value === 'uri') return { value: { on: value } }
  const [, on, name = ''] = /^(header|cookie):(.+)$/.exec(value) ?? []
  if (on === 'header' && TOKEN.test(name)) return { value: { on, name: name.toLowerCase() } }
  if (on === 'cookie' && TOKEN.test(name)) return { value: { on, name } }
  return { fault: 'expected "client-ip", "uri", "header:NAME" or "cookie:NAME"' }
}
