import { request } from 'node:http'
import { connect } from 'node:net'
import t from 'tap'
import type { StatusDocument } from '../../lib/server/admin/status.ts'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

type Target = { readonly port: number } | { readonly socketPath: string }

function ask(
  target: Target,
  method: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', ...target, method, path, agent: false, headers }, answer => {
      let body = ''
      answer.setEncoding('utf8').on('data', (text: string) => {
        body += text
      })
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body }))
    })
    asked.on('error', reject)
    asked.end()
  })
}

const app = await RecordingUpstream.start(t)
app.on('/sick', line =>
  line.send('HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'),
)
const causeway = await startCauseway(t, {
  config: configText({
    endpoints: [app.port],
    upstream: 'health = { path = "/sick", interval = "100ms", timeout = "5s" }',
  }),
})
const target = { port: Number(new URL(causeway.adminUrl).port) }

t.test('/healthz and /readyz say ok, /metrics speaks Prometheus', async t => {
  t.match(await ask(target, 'GET', '/healthz'), { status: 200, body: 'ok\n' })
  t.match(await ask(target, 'GET', '/readyz'), { status: 200, body: 'ready\n' })
  const metrics = await ask(target, 'GET', '/metrics')
  t.match(metrics, { status: 200, headers: { 'content-type': /^text\/plain; version=0\.0\.4/ } })
  t.match(metrics.body, /^causeway_build_info\{/m)
})

t.test('/status says how every endpoint is, and what its last check said', async t => {
  const status = await until('the first check', async () => {
    const it = JSON.parse((await ask(target, 'GET', '/status')).body) as StatusDocument
    return it.upstreams[0]?.endpoints[0]?.state === 'down' ? it : undefined
  })
  t.match(status, {
    phase: 'ready',
    generation: 1,
    hash: /^[0-9a-f]{12}$/,
    listeners: [{ name: 'web', address: `127.0.0.1:${causeway.port()}` }],
    threads: [{ thread: 0, state: 'running', generation: 1 }],
    upstreams: [
      {
        name: 'app',
        endpoints: [
          {
            name: `127.0.0.1:${app.port}`,
            state: 'down',
            inflight: 0,
            weight: 1,
            reason: /status 500/,
            check: { ok: false },
          },
        ],
      },
    ],
    last_reload: null,
  })
  t.ok((status.threads[0]?.beats ?? 0) > 0)
})

t.test('/config says what runs', async t => {
  const config = JSON.parse((await ask(target, 'GET', '/config')).body) as { listeners: unknown[] }
  t.match(config.listeners[0], { name: 'web', address: `127.0.0.1:${causeway.port()}` })
})

t.test('the page runs no script and loads nothing', async t => {
  const page = await ask(target, 'GET', '/')
  t.equal(page.status, 200)
  t.match(page.headers['content-security-policy'], /^default-src 'none'; style-src 'sha256-[^']+'/)
  t.notMatch(page.body, /<script|<img|https?:/)
  t.match(page.body, /no endpoint of upstream app is up \(status 500/)
})

t.test('wrong paths and methods are refused, and a HEAD has no body', async t => {
  t.equal((await ask(target, 'GET', '/nothing')).status, 404)
  t.equal((await ask(target, 'GET', '/__proto__')).status, 404)
  t.match(await ask(target, 'POST', '/status'), { status: 405, headers: { allow: 'GET, HEAD' } })
  t.match(await ask(target, 'GET', '/reload'), { status: 405, headers: { allow: 'POST' } })
  t.match(await ask(target, 'HEAD', '/healthz'), { status: 200, body: '' })
})

t.test('POST /reload takes the configuration and says how it went', async t => {
  const answer = await ask(target, 'POST', '/reload')
  t.equal(answer.status, 200)
  t.match(JSON.parse(answer.body), { ok: true, generation: 2, problems: [] })
})

t.test('a page of another site cannot read it through a name that it controls (DNS rebinding)', async t => {
  for (const path of ['/status', '/config', '/metrics', '/', '/nothing']) {
    const answer = await ask(target, 'GET', path, { host: 'evil.example' })
    t.equal(answer.status, 403, path)
    t.equal(answer.headers['access-control-allow-origin'], undefined)
  }
  t.equal((await ask(target, 'POST', '/reload', { host: 'evil.example' })).status, 403)
})

t.test('rubbish ends its own connection and nothing else', async t => {
  for (const bytes of [
    '\0\0\0\0',
    'GET\r\n\r\n',
    'GET / HTTP/9.9\r\n\r\n',
    `GET /${'x'.repeat(70_000)} HTTP/1.1\r\n\r\n`,
  ]) {
    const socket = connect(target.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.end(bytes, 'latin1')
    await new Promise(done => socket.resume().once('close', done))
  }
  t.equal((await ask(target, 'GET', '/healthz')).status, 200)
  await assertClean(t, causeway, [app])
})

t.test('with a token every page but /healthz and /readyz wants it, by any name', async t => {
  const secured = await startCauseway(t, {
    config: configText({ endpoints: [app.port] }).replace(
      '[admin]',
      '[admin]\ntoken = "s3cret-s3cret-s3cret"',
    ),
  })
  const at = { port: Number(new URL(secured.adminUrl).port) }
  for (const path of ['/status', '/config', '/metrics', '/', '/nothing']) {
    const refused = await ask(at, 'GET', path)
    t.match(refused, { status: 401, headers: { 'www-authenticate': 'Bearer' } }, path)
    t.equal((await ask(at, 'GET', path, { authorization: 'Bearer wrong' })).status, 401)
  }
  t.equal((await ask(at, 'GET', '/healthz', { host: 'pod.example' })).status, 200)
  t.equal((await ask(at, 'GET', '/readyz', { host: 'pod.example' })).status, 200)
  const authorization = 'Bearer s3cret-s3cret-s3cret'
  t.equal((await ask(at, 'GET', '/status', { authorization, host: 'admin.example' })).status, 200)
  const config = await ask(at, 'GET', '/config', { authorization })
  t.notMatch(config.body, 's3cret')
})

t.test(
  'a browser opens the status page with the token as password, and no other site can use that',
  async t => {
    const token = 's3cret:s3cret:s3cret'
    const secured = await startCauseway(t, {
      config: configText({ endpoints: [app.port] }).replace('[admin]', `[admin]\ntoken = "${token}"`),
    })
    const at = { port: Number(new URL(secured.adminUrl).port) }
    const basic = (pair: string) => ({ authorization: `Basic ${Buffer.from(pair).toString('base64')}` })
    t.match(await ask(at, 'GET', '/'), {
      status: 401,
      headers: { 'www-authenticate': /Basic realm="Causeway"/ },
    })
    for (const user of ['', 'admin'])
      t.match(await ask(at, 'GET', '/', basic(`${user}:${token}`)), { status: 200, body: /<h1>Causeway/ })
    for (const pair of [`admin:${token}x`, `admin:${token.slice(1)}`, `${token}:`, 'admin', ':', ''])
      t.equal((await ask(at, 'GET', '/', basic(pair))).status, 401, pair)
    t.equal((await ask(at, 'GET', '/', { authorization: 'Basic !' })).status, 401)
    const known = basic(`admin:${token}`)
    const host = `127.0.0.1:${at.port}`
    for (const from of [
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { origin: 'http://evil.example' },
      { origin: 'null' },
      { origin: 'http://127.0.0.1:1' },
    ]) {
      for (const path of ['/reload', '/upstreams/app/drain'])
        t.equal((await ask(at, 'POST', path, { ...known, host, ...from })).status, 403, JSON.stringify(from))
    }
    t.equal((await ask(at, 'POST', '/reload', { ...known, host, origin: `http://${host}` })).status, 200)
  },
)

t.test('it may listen on a unix socket', async t => {
  const socketPath = `/tmp/causeway-${process.pid}-admin.sock`
  const running = await startCauseway(t, {
    config: configText({ endpoints: [app.port] }).replace(
      'address = "127.0.0.1:0"',
      `address = "unix:${socketPath}"`,
    ),
  })
  t.equal((await ask({ socketPath }, 'GET', '/status')).status, 200)
  t.equal(await running.stop(), 0)
})
