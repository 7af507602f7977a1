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
const endpointAddress = text('Where an app answers.', 'address', readEndpoint)

/** [[upstreams.<name>.endpoints]], the long form of an endpoint. */
export const endpointSection = {
  address: required(endpointAddress),
  weight: count('Share of the traffic, compared with the other endpoints.', 1, { min: 1, max: 1000 }),
  backup: flag('Gets traffic only while no other endpoint is ready.', false),
}

/** [upstreams.<name>.discovery] */
export const discoverySection = {
  intervalMs: duration('Time between two lookups of a name, whatever its records say.', '5s', {
    min: '100ms',
    max: '1h',
  }),
  family: choice(
    'Addresses that count. `"auto"`: IPv4 where a name has any, else IPv6, so that a host with both is one endpoint.',
    ['auto', 'ipv4', 'ipv6', 'both'],
    'auto',
  ),
}

/** [upstreams.<name>.sticky] */
export const stickySection = {
  cookie: text('Name of the cookie.', 'name', readCookieName, 'causeway_endpoint'),
  secret: required(
    text(
      'Key that the cookie is signed with; the same in all processes that serve the site. Best read by `file:`.',
      'string',
      readSecret,
    ),
  ),
  maxAgeMs: wordOr(
    'session',
    duration('How long the cookie is kept. `"session"`: until the browser closes.', undefined, {
      min: '1s',
      max: '365d',
    }),
  ),
}

/** [upstreams.<name>.adaptive] */
export const adaptiveSection = {
  mode: choice(
    'Learn from the time to the first byte how many requests an endpoint can run. `"observe"` only shows it, `"enforce"` holds requests to it.',
    ['off', 'observe', 'enforce'],
    'observe',
  ),
  min: count('Lowest limit of an endpoint.', 4, { min: 1, max: 10_000 }),
  max: count('Highest limit of an endpoint.', 1000, { min: 1, max: 1_000_000 }),
}

/** [upstreams.<name>.queue] */
export const queueSection = {
  length: count('Requests that may wait for a slot; 0: none waits.', 1024, { min: 0, max: 1_000_000 }),
  timeoutMs: duration('Longest wait for a slot.', '10s', { min: '1ms', max: '1d' }),
}

/** [upstreams.<name>.health] */
export const healthSection = {
  type: choice('An HTTP request, or only a connect.', ['http', 'tcp'], 'http'),
  path: text('Target of the probe.', 'path', readProbePath, '/healthz'),
  host: optional(
    text(
      'Host field of the probe; default: first host of a route to this upstream, else the endpoint.',
      'host',
      readHost,
    ),
  ),
  headers: dictionary('More fields of the probe.', readField),
  intervalMs: duration('Time between two probes of one endpoint.', '2s', { min: '50ms', max: '1h' }),
  timeoutMs: duration('Time one probe may take, connect included.', '1s', { min: '10ms', max: '1h' }),
  rise: count('Consecutive passes that bring an endpoint back.', 2, { min: 1, max: 100 }),
  fall: count('Consecutive failures that take an endpoint out.', 3, { min: 1, max: 100 }),
  expect: list(count('Statuses that pass.', undefined, { min: 100, max: 599 }), [200]),
}

/** [upstreams.<name>.timeouts] */
export const upstreamTimeoutsSection = {
  connectMs: duration('Time for a connect.', '2s', { min: '10ms', max: '1d' }),
  responseMs: duration("From the request's last byte to the answer's first.", '60s', {
    min: '10ms',
    max: '30d',
  }),
  idleMs: duration(
    'Longest silence inside the answer; in a conversation (a gRPC call, or an answer that has begun before the end of a request of unknown length) the longest silence of both sides.',
    '30s',
    { min: '10ms', max: '30d' },
  ),
  tunnelMs: duration('Longest silence of both sides in a tunnel (WebSocket, or TLS passed on).', '1h', {
    min: '1s',
    max: '30d',
  }),
}

/** [upstreams.<name>.keepalive] */
export const keepaliveSection = {
  idleMs: wordOr(
    'auto',
    duration(
      'How long an unused connection is kept: less than the app keeps it. `"auto"` learns that from the app; requests that must not be repeated (POST) then take new connections. It also learns where answers on used connections come 40 ms late (small writes of the app that wait for a delayed acknowledgement), and uses none there (over TLS and HTTP/2 it does all the same).',
      undefined,
      { min: '10ms', max: '1d' },
    ),
  ),
  max: count('Unused connections to one endpoint, in each thread; 0: none is kept.', 128, {
    min: 0,
    max: 65_535,
  }),
}

/** [upstreams.<name>.retry] */
export const retrySection = {
  attempts: count('Further attempts after a failed one; 0: none.', 2, { min: 0, max: 10 }),
  budgetShare: percent('Retries, as a share of the requests.', '20%'),
  statuses: list(
    count('Answers of the app that are tried elsewhere, where the method allows to repeat.', undefined, {
      min: 500,
      max: 599,
    }),
    [],
  ),
}

/** [upstreams.<name>.passive] */
export const passiveSection = {
  failures: count('Consecutive failures in traffic that eject an endpoint.', 3, {
    min: 1,
    max: 1000,
    off: 0,
  }),
  failureRateShare: percent(
    'Failures and 5xx answers, as a share of the requests of an endpoint, that eject it, if the others do better.',
    '50%',
  ),
  latencyFactor: count('How many times slower than the others an endpoint must be to be ejected.', 0, {
    min: 2,
    max: 1000,
    off: 0,
  }),
  ejectMs: duration('How long an ejected endpoint gets no traffic; longer each time.', '10s', {
    min: '100ms',
    max: '1d',
  }),
  maxEjectedShare: percent('Most endpoints that are ejected at a time; always at least one.', '50%'),
  panicShare: percent('With a smaller share of the endpoints left, ejections do not count.', '50%'),
}

/** [upstreams.<name>.run] */
export const runSection = {
  command: required(
    list(
      text('Program and arguments; `{port}` or `{socket}` in them is replaced.', 'string', anyText),
      undefined,
    ),
  ),
  count: count('Processes to keep running.', 1, { min: 1, max: 256 }),
  protocol: choice('What the processes speak.', ['http', 'uwsgi'], 'http'),
  env: dictionary(
    'More environment; `{port}` and `{socket}` are replaced here, too. PORT or SOCKET is always set. The processes inherit Causeway’s environment, but for variables that only other parts of the configuration name (an admin token, say): name here what they need as well.',
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
          doc: 'Where the app answers: `"app:8000"`, `"http://app:8000"`, `"https://app:8443"`, `"h2://app:8443"` and `"h2c://app:8000"` (HTTP/2 with and without TLS), `"unix:/run/app.sock"`, `"uwsgi://app:3031"`, `"uwsgi+unix:/run/app.sock"`, or `{ address = "app:8000", weight = 2 }`. Every address of a name is an endpoint; `"srv://_http._tcp.app.example"` takes hosts, ports and weights from SRV records.',
        },
        endpointSection,
        address => ({ address, weight: 1, backup: false }),
      ),
      undefined,
    ),
  ),
  endpointsFile: optional(
    text(
      'File with more endpoints, one a line (`app:8000 weight=2 backup`), read again when it changes.',
      'path',
      readFilePath,
    ),
  ),
  discovery: table('How names of endpoints are looked up.', discoverySection),
  run: optionalTable(
    'App processes that Causeway starts itself, in the folder that it was started in, and restarts when they die. Instead of `endpoints`.',
    runSection,
  ),
  balance: choice('How an endpoint is chosen.', BALANCE_POLICIES, 'p2c'),
  hashOn: optional(
    text(
      'What `balance = "hash"` hashes: `"client-ip"`, `"uri"`, `"header:NAME"`, `"cookie:NAME"`.',
      'key',
      readHashKey,
    ),
  ),
  maxInflight: count(
    'Requests that one endpoint runs at a time, and connections of HTTP/1.1 that it has, idle ones too; the rest waits here; 0: no cap.',
    0,
    {
      min: 0,
      max: 1_000_000,
    },
  ),
  adaptive: table('A limit that is learned, besides `max_inflight`.', adaptiveSection),
  abandoned: optional(
    choice(
      'What becomes of a request whose client has left. `"finish"`: its slot stays taken until the app has really ended it, because a sync worker does not notice; `"close"`: the connection is closed. Default: `"finish"` for uWSGI, gunicorn, and where `max_inflight` is set with `body = "spool"`; else `"close"`.',
      ['finish', 'close'],
      undefined,
    ),
  ),
  slowStartMs: duration('Time over which an endpoint that has come back gets its full share.', '2s', {
    min: '0s',
    max: '1h',
  }),
  sticky: optionalTable('A client stays with its endpoint, by a signed cookie.', stickySection),
  queue: table('Requests that wait for a slot, or for an endpoint to become ready.', queueSection),
  health: optionalTable(
    'Active probes. Without this table, endpoints are only judged by their traffic.',
    healthSection,
  ),
  timeouts: table('How long the app may take.', upstreamTimeoutsSection),
  server: choice(
    'What answers there, where it is known: it decides the defaults of `body` and `keepalive.idle`.',
    ['auto', 'uwsgi', 'gunicorn', 'uvicorn', 'hypercorn', 'daphne'],
    'auto',
  ),
  body: optional(
    choice(
      '`"spool"`: take a request body whole, in memory and then in a file, before a slot is taken, so that a slow client holds no worker; the app gets its length. `"stream"`: pass it on as it comes. Default: `"stream"` for `server = "uvicorn"`, `"hypercorn"` and `"daphne"`, else `"spool"`.',
      ['spool', 'stream'],
      undefined,
    ),
  ),
  readAheadBytes: size(
    'Bytes of one answer taken from the app ahead of a slow client, so that it holds no worker.',
    '1GiB',
    { min: '1KiB', max: '1000GiB', off: 0 },
  ),
  tls: table('How `https://` and `h2://` endpoints are spoken to.', upstreamTlsSection),
  proxyProtocol: wordOr(
    'off',
    choice(
      'Begin every connection to an endpoint with a PROXY protocol header that names the client; such a connection carries one request.',
      ['v1', 'v2'],
      undefined,
    ),
  ),
  keepalive: table('Connections that wait for their next request.', keepaliveSection),
  retry: table('Another attempt after a failure, where nothing can have been done twice.', retrySection),
  passive: table('Ejection by failures in traffic.', passiveSection),
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
    hint: 'openssl rand -hex 32 makes a good one',
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
  if (!TOKEN.test(name)) return { fault: `${JSON.stringify(name)} is no field name` }
  if (name.toLowerCase() === 'host')
    return { fault: 'the Host field has a key of its own', hint: 'write health.host' }
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value)
    ? { value }
    : { fault: 'a field value cannot hold control characters' }
}

function readEnv(name: string, value: string): Read<string> {
  if (name === '' || /[=\0]/.test(name)) return { fault: `${JSON.stringify(name)} is no name of a variable` }
  return value.includes('\0') ? { fault: 'a variable cannot hold a zero byte' } : { value }
}

function anyText(value: string): Read<string> {
  return value.includes('\0') ? { fault: 'an argument cannot hold a zero byte' } : { value }
}

function readHashKey(value: string): Read<HashKey> {
  if (value === 'client-ip' || value === 'uri') return { value: { on: value } }
  const [, on, name = ''] = /^(header|cookie):(.+)$/.exec(value) ?? []
  if (on === 'header' && TOKEN.test(name)) return { value: { on, name: name.toLowerCase() } }
  if (on === 'cookie' && TOKEN.test(name)) return { value: { on, name } }
  return { fault: 'expected "client-ip", "uri", "header:NAME" or "cookie:NAME"' }
}
