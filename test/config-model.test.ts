import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig } from '../lib/config/load.ts'
import type { Snapshot } from '../lib/config/model.ts'
import { formatProblems } from '../lib/config/problem.ts'
import { TestAuthority } from './support/certificates.ts'
import { FULL } from './support/full-config.ts'

const SMALL = `
[listeners.web]
address = "127.0.0.1:8080"
[upstreams.app]
endpoints = ["app:8000"]
[routes.app]
upstream = "app"
`

/** How endpoints are spoken to where nothing is written of TLS. */
const PLAIN_TLS = {
  ca: undefined,
  serverName: undefined,
  verify: true,
  certificate: undefined,
  key: undefined,
}

/** What an upstream is when little is written. */
const DEFAULTS = {
  maxInflight: 0,
  adaptive: { mode: 'observe', min: 4, max: 1000 },
  abandoned: 'close',
  slowStartMs: 2000,
  sticky: undefined,
  endpointsFile: undefined,
  discovery: { intervalMs: 5000, family: 'auto' },
  queue: { length: 1024, timeoutMs: 10_000 },
  timeouts: { connectMs: 2000, responseMs: 60_000, idleMs: 30_000, tunnelMs: 3_600_000 },
  tls: PLAIN_TLS,
  proxyProtocol: undefined,
  keepalive: { idleMs: undefined, max: 128 },
  retry: { attempts: 2, budgetShare: 0.2, statuses: [] },
  passive: {
    failures: 3,
    failureRateShare: 0.5,
    latencyFactor: 0,
    ejectMs: 10_000,
    maxEjectedShare: 0.5,
    panicShare: 0.5,
  },
}

const FULL_UPSTREAMS = [
  {
    name: 'app',
    balance: 'hash',
    maxInflight: 4,
    adaptive: { mode: 'enforce', min: 2, max: 50 },
    abandoned: 'close',
    slowStartMs: 30_000,
    sticky: { cookie: 'stay', secret: '0123456789abcdef', maxAgeMs: 3_600_000 },
    endpointsFile: '/run/endpoints',
    discovery: { intervalMs: 1000, family: 'both' },
    queue: { length: 0, timeoutMs: 1000 },
    timeouts: { connectMs: 100, responseMs: 3_600_000, idleMs: 60_000, tunnelMs: 7_200_000 },
    server: 'uwsgi',
    body: 'spool',
    readAheadBytes: 0,
    tls: { ...PLAIN_TLS, serverName: 'app.internal', verify: false },
    proxyProtocol: 'v2',
    keepalive: { idleMs: 4000, max: 0 },
    retry: { attempts: 3, budgetShare: 0.1, statuses: [502, 503] },
    passive: {
      failures: 5,
      failureRateShare: 0.8,
      latencyFactor: 4,
      ejectMs: 30_000,
      maxEjectedShare: 0.25,
      panicShare: 0,
    },
    endpoints: [
      ...(
        [
          ['http://10.0.0.1:80/', { kind: 'tcp', host: '10.0.0.1', port: 80 }, 'http1', 2, true],
          ['unix:/run/app.sock', { kind: 'unix', path: '/run/app.sock' }, 'http1', 1, false],
          ['[::1]:1', { kind: 'tcp', host: '::1', port: 1 }, 'http1', 1, false],
          ['uwsgi+unix:/run/app.sock2', { kind: 'unix', path: '/run/app.sock2' }, 'uwsgi', 1, false],
        ] as const
      ).map(([name, address, protocol, weight, backup]) => ({ name, address, protocol, weight, backup })),
    ],
    names: [
      {
        name: 'app:8000',
        lookup: { kind: 'host', host: 'app', port: 8000 },
        protocol: 'http1',
        weight: 1,
        backup: false,
      },
      {
        name: 'srv://_http._tcp.app.example',
        lookup: { kind: 'srv', service: '_http._tcp.app.example' },
        protocol: 'http1',
        weight: 1,
        backup: false,
      },
      {
        name: 'uwsgi://app:3031',
        lookup: { kind: 'host', host: 'app', port: 3031 },
        protocol: 'uwsgi',
        weight: 1,
        backup: false,
      },
    ],
    run: undefined,
    hashOn: { on: 'header', name: 'x-user' },
    health: {
      kind: 'http',
      path: '/ping?x=1',
      host: 'example.com',
      headers: { 'X-Probe': '1' },
      intervalMs: 5000,
      timeoutMs: 2000,
      rise: 1,
      fall: 2,
      expect: [200, 204],
    },
  },
  {
    name: 'demo',
    balance: 'p2c',
    ...DEFAULTS,
    server: 'uvicorn',
    body: 'stream',
    readAheadBytes: 1_073_741_824,
    endpoints: [],
    names: [],
    run: {
      command: ['node', 'app.ts', '{socket}'],
      count: 3,
      env: { MODE: 'demo' },
      withheld: ['PEBBLE_CA'],
      transport: 'socket',
      protocol: 'uwsgi',
    },
    hashOn: { on: 'client-ip' },
    health: {
      kind: 'tcp',
      path: '/healthz',
      host: undefined,
      headers: {},
      intervalMs: 2000,
      timeoutMs: 1000,
      rise: 2,
      fall: 3,
      expect: [200],
    },
  },
]

const DEFAULT_SPOOL = {
  folder: tmpdir(),
  memoryBytes: 65_536,
  memoryTotalBytes: 67_108_864,
  diskBytes: 4_294_967_296,
}

/** What a route says when nothing is written. */
const authority = new TestAuthority(t.testdir())
const PLAIN = { redirectHttps: undefined, hsts: undefined, errorPages: [], maintenance: undefined }

/** What a listener says when nothing is written. */
const PLAIN_LISTENER = { tls: undefined, mtls: undefined, http2: true, h2c: false, proxyProtocol: false }

const PLAIN_PROXY = { priority: 'normal', canary: undefined, mirror: undefined, mount: undefined }

t.test('the smallest configuration has every documented default', async t => {
  const { hash, ...snapshot } = await snapshotOf(t, SMALL)
  t.match(hash, /^[0-9a-f]{12}$/)
  t.strictSame(snapshot, {
    server: {
      workers: undefined,
      drainMs: 30_000,
      spool: DEFAULT_SPOOL,
      resolver: [],
      overload: { loopDelayMs: 500, memoryShare: 0.95 },
    },
    log: { level: 'info', access: { kind: 'stdout' }, format: 'json' },
    admin: { address: { kind: 'tcp', host: '127.0.0.1', port: 9180 }, token: undefined },
    acme: {
      directory: 'https://acme-v02.api.letsencrypt.org/directory',
      email: undefined,
      folder: resolve('state/acme'),
      ca: undefined,
      challenges: ['tls-alpn-01', 'http-01'],
      keyType: 'ecdsa',
      externalAccount: undefined,
    },
    tunnels: [],
    listeners: [
      {
        name: 'web',
        address: { kind: 'tcp', host: '127.0.0.1', port: 8080 },
        trustedProxies: [],
        ...PLAIN_LISTENER,
        limits: {
          headersBytes: 32_768,
          headerCount: 100,
          bodyBytes: 104_857_600,
          connections: 10_000,
          streams: 100,
        },
        timeouts: {
          handshakeMs: 10_000,
          headerMs: 10_000,
          bodyMs: 30_000,
          keepaliveMs: 75_000,
          writeMs: 60_000,
          minRateBytes: 240,
        },
      },
    ],
    upstreams: [
      {
        name: 'app',
        balance: 'p2c',
        ...DEFAULTS,
        server: 'auto',
        body: 'spool',
        readAheadBytes: 1_073_741_824,
        endpoints: [],
        names: [
          {
            name: 'app:8000',
            lookup: { kind: 'host', host: 'app', port: 8000 },
            protocol: 'http1',
            weight: 1,
            backup: false,
          },
        ],
        run: undefined,
        hashOn: { on: 'client-ip' },
        health: undefined,
      },
    ],
    routes: [
      {
        name: 'app',
        hosts: [],
        path: '/',
        action: { kind: 'proxy', upstream: 'app', ...PLAIN_PROXY },
        ...PLAIN,
      },
    ],
  })
})

t.test('every word of the configuration reaches the snapshot', async t => {
  const { server, log, admin, acme, listeners, upstreams, routes, tunnels } = await snapshotOf(t, FULL)
  t.strictSame(server, {
    workers: 4,
    drainMs: 90_000,
    spool: { folder: '/var/spool', memoryBytes: 4096, memoryTotalBytes: 1_048_576, diskBytes: 1_073_741_824 },
    resolver: ['10.0.0.2', '[::1]:5353', '[fd00::1]'],
    overload: { loopDelayMs: undefined, memoryShare: 0.8 },
  })
  t.strictSame(log, { level: 'debug', access: { kind: 'file', path: '/var/log/access.log' }, format: 'json' })
  t.strictSame(admin, {
    address: { kind: 'tcp', host: '0.0.0.0', port: 9180 },
    token: 's3cret-s3cret-s3cret',
  })
  t.strictSame(acme, {
    directory: 'https://127.0.0.1:14000/dir',
    email: 'admin@example.com',
    folder: resolve('certificates'),
    ca: authority.file,
    challenges: ['http-01'],
    keyType: 'rsa',
    externalAccount: { keyId: 'kid-1', hmacKey: 'c2VjcmV0' },
  })
  t.strictSame(tunnels, [{ name: 'mail', hosts: ['mail.example.com'], listeners: ['web'], upstream: 'mail' }])
  t.strictSame(listeners, [
    {
      name: 'web',
      address: { kind: 'tcp', host: '::', port: 443 },
      trustedProxies: ['10.0.0.0/8', '::1'],
      ...PLAIN_LISTENER,
      tls: { kind: 'auto' },
      http2: false,
      proxyProtocol: true,
      limits: {
        headersBytes: 8192,
        headerCount: 50,
        bodyBytes: Number.POSITIVE_INFINITY,
        connections: 5,
        streams: 7,
      },
      timeouts: {
        handshakeMs: 5000,
        headerMs: 1000,
        bodyMs: 2000,
        keepaliveMs: 3000,
        writeMs: 4000,
        minRateBytes: 0,
      },
    },
    { ...listeners[1], name: 'local', address: { kind: 'unix', path: '/run/web.sock' }, h2c: true },
  ])
  const others = upstreams.filter(({ name }) => name !== 'mail')
  t.strictSame(others, FULL_UPSTREAMS)
  t.strictSame(routes, [
    {
      name: 'files',
      hosts: ['example.com', '*.example.com'],
      path: '/static/',
      action: {
        kind: 'static',
        root: resolve('.'),
        index: ['index.html', 'index.htm'],
        internal: true,
        manifest: false,
        keepMs: 300_000,
        compress: false,
        cacheControl: 'max-age=60',
      },
      redirectHttps: true,
      hsts: 'max-age=31536000; includeSubDomains',
      errorPages: [],
      maintenance: undefined,
    },
    {
      name: 'app',
      hosts: [],
      path: '/shop/',
      action: {
        kind: 'proxy',
        upstream: 'app',
        priority: 'low',
        canary: { upstream: 'demo', share: 0.1, header: 'X-Try=1', cookie: 'try=1' },
        mirror: { upstream: 'demo', share: 0.01 },
        mount: { stripPrefix: '/shop', scriptName: '/store', rewriteAnswers: true },
      },
      redirectHttps: undefined,
      hsts: undefined,
      errorPages: [
        page(502, 502, 'application/json; charset=utf-8', 'package.json'),
        page(500, 599, 'application/octet-stream', 'LICENSE'),
      ],
      maintenance: {
        page: page(503, 503, 'application/octet-stream', 'LICENSE'),
        bypass: ['10.0.0.0/8'],
        bypassCookie: 'open=sesame-2026',
        retryAfterSeconds: 90,
      },
    },
    {
      name: 'demo',
      hosts: ['demo.example.com'],
      path: '/',
      action: { kind: 'proxy', upstream: 'demo', ...PLAIN_PROXY },
      ...PLAIN,
    },
  ])
})

t.test('a snapshot can be posted to a thread', async t => {
  const snapshot = await snapshotOf(t, FULL)
  t.strictSame(structuredClone(snapshot), snapshot)
})

function page(from: number, to: number, type: string, file: string) {
  return { from, to, type, text: readFileSync(file, 'latin1') }
}

async function snapshotOf(t: Test, text: string): Promise<Snapshot> {
  const env = { PEBBLE_CA: authority.file }
  const loaded = await loadConfig(join(t.testdir({ 'c.toml': text }), 'c.toml'), env)
  if (!loaded.ok) throw new Error(formatProblems(loaded.problems))
  return loaded.snapshot
}
