import { join } from 'node:path'
import t, { type Test } from 'tap'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, fieldOf, get, type RawResponse } from '../support/raw-client.ts'
import { ok, RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

const upstream = await RecordingUpstream.start(t)
upstream.on('/own-hsts', ok('ok\n', 'Strict-Transport-Security: max-age=1\r\n'))

const pages = t.testdir({
  '5xx.html': '<h1>Sorry</h1><p>Id {request_id}</p>',
  '404.html': '<h1>Gone</h1>',
  'closed.html': '<h1>Back soon</h1>',
  files: { 'a.txt': 'small file\n' },
})

async function start(t: Test, route: string, more = ''): Promise<Running> {
  const listener = 'trusted_proxies = ["127.0.0.0/8"]'
  return startCauseway(t, { config: configText({ endpoints: [upstream.port], listener, route, more }) })
}

const forwarded = (scheme: string, path = '/') =>
  `GET ${path} HTTP/1.1\r\nHost: example.test:8080\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: ${scheme}\r\n\r\n`

t.test('plain http is sent to https, and what came by https is not', async t => {
  const causeway = await start(t, 'redirect_https = true')
  const port = causeway.port()
  const asked = upstream.requests.length
  const answer = await ask(port, get('/a/b?c=%2Fd'))
  t.equal(answer.status, 301)
  t.equal(fieldOf(answer, 'location'), 'https://example.test/a/b?c=%2Fd')
  const post = await ask(
    port,
    'POST /form HTTP/1.1\r\nHost: example.test:8080\r\nContent-Length: 3\r\n\r\na=b',
  )
  t.equal(post.status, 308, 'method and body are kept')
  t.equal(fieldOf(post, 'location'), 'https://example.test/form')
  t.equal(upstream.requests.length, asked, 'the app hears nothing of it')
  t.equal(
    (await ask(port, forwarded('https'))).status,
    200,
    'behind a balancer that ends TLS there is no loop',
  )
  t.equal((await ask(port, forwarded('http'))).status, 301)
  t.equal(
    (await ask(port, get('/.well-known/acme-challenge/token'))).status,
    200,
    'ACME asks over plain http',
  )
  await assertClean(t, causeway, [upstream])
})

t.test('the redirect leads to no host that only a field names', async t => {
  const more = '[routes.shop]\nhosts = ["shop.test", "*.shop.test"]\nupstream = "app"\n'
  const causeway = await start(t, 'redirect_https = true', more)
  const placeOf = async (host: string, field: string) =>
    fieldOf(await ask(causeway.port(), `GET /a HTTP/1.1\r\nHost: ${host}\r\n${field}\r\n\r\n`), 'location')
  for (const field of [
    'X-Forwarded-Host: evil.test',
    'Forwarded: for=192.0.2.1;host=evil.test',
    'X-Forwarded-Host: shop.test.evil.test',
  ])
    t.equal(await placeOf('example.test:8080', field), 'https://example.test/a', field)
  for (const name of ['example.test:8443', 'EXAMPLE.test.', 'shop.test', 'a.shop.test:81'])
    t.equal(
      await placeOf('example.test', `X-Forwarded-Host: ${name}`),
      `https://${name.replace(/:.*/, '')}/a`,
      name,
    )
  await assertClean(t, causeway, [upstream])
})

t.test('a client does not choose its address where only some may in', async t => {
  const causeway = await start(t, 'maintenance = { bypass = ["10.0.0.0/8", "127.0.0.0/8"] }')
  const statusOf = async (fields: string) =>
    (await ask(causeway.port(), `GET /a HTTP/1.1\r\nHost: a\r\n${fields}\r\n\r\n`)).status
  t.equal(await statusOf('X-Forwarded-For: 10.1.1.1'), 200)
  t.equal(await statusOf('Forwarded: for=10.1.1.1'), 200)
  t.equal(await statusOf('X-Forwarded-For: 10.1.1.1\r\nForwarded: for=192.0.2.1'), 503)
  t.equal(await statusOf('X-Forwarded-For: 192.0.2.1\r\nForwarded: for=10.1.1.1'), 503)
  t.equal(await statusOf('X-Forwarded-For: 192.0.2.1\r\nForwarded: for=unknown'), 503)
  await assertClean(t, causeway, [upstream])
})

t.test('HSTS goes out over https only, once, and the app has the last word', async t => {
  const files = `[routes.files]\npath = "/files/"\nhsts = "max-age=60"\nstatic = { root = "${join(pages, 'files')}" }`
  const causeway = await start(t, 'hsts = "max-age=31536000; includeSubDomains"', files)
  const port = causeway.port()
  const values = (answer: RawResponse) =>
    answer.fields
      .filter(([name]) => name.toLowerCase() === 'strict-transport-security')
      .map(([, value]) => value)
  t.same(values(await ask(port, forwarded('https'))), ['max-age=31536000; includeSubDomains'])
  t.same(values(await ask(port, forwarded('http'))), [])
  t.same(values(await ask(port, forwarded('https', '/own-hsts'))), ['max-age=1'])
  for (let n = 0; n < 2; n += 1) {
    t.same(values(await ask(port, forwarded('https', '/files/a.txt'))), ['max-age=60'])
    t.same(values(await ask(port, forwarded('http', '/files/a.txt'))), [])
  }
  await assertClean(t, causeway, [upstream])
})

t.test('errors of ours have the pages of the route; the app keeps its own', async t => {
  upstream.on('/app-error', line => line.send('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\napp'))
  const route = `error_pages = { 5xx = "${join(pages, '5xx.html')}", 404 = "${join(pages, '404.html')}" }`
  const dead = `
[upstreams.dead]
endpoints = ["127.0.0.1:1"]
queue = { timeout = "200ms" }
[routes.dead]
path = "/dead/"
upstream = "dead"
${route}
[routes.files]
path = "/files/"
static = { root = "${join(pages, 'files')}" }
${route}`
  const causeway = await start(t, route, dead)
  const port = causeway.port()
  const answer = await ask(port, get('/dead/'))
  t.equal(answer.status, 503)
  t.equal(fieldOf(answer, 'content-type'), 'text/html; charset=utf-8')
  t.match(answer.body.toString(), /^<h1>Sorry<\/h1><p>Id [\w-]{8,}<\/p>$/)
  const missing = await ask(port, get('/files/none.txt'))
  t.equal(missing.status, 404)
  t.equal(missing.body.toString(), '<h1>Gone</h1>')
  const own = await ask(port, get('/app-error'))
  t.equal(own.status, 502)
  t.equal(own.body.toString(), 'app')
  const head = await ask(port, 'HEAD /dead/ HTTP/1.1\r\nHost: a\r\n\r\n', 'HEAD')
  t.equal(head.status, 503)
  t.equal(head.body.length, 0)
  await assertClean(t, causeway, [upstream])
})

t.test('a route under maintenance lets in whom it knows', async t => {
  const causeway = await start(
    t,
    `maintenance = { page = "${join(pages, 'closed.html')}", retry_after = "90s", bypass = ["10.9.0.0/16"], bypass_cookie = "open=sesame-2026" }`,
  )
  const port = causeway.port()
  const asked = upstream.requests.length
  const closed = await ask(port, get('/'))
  t.equal(closed.status, 503)
  t.equal(closed.body.toString(), '<h1>Back soon</h1>')
  t.equal(fieldOf(closed, 'retry-after'), '90')
  t.equal(fieldOf(closed, 'cache-control'), 'no-store')
  const withCookie = (cookie: string) =>
    ask(port, `GET / HTTP/1.1\r\nHost: a\r\nCookie: x=1; ${cookie}\r\n\r\n`)
  t.equal((await withCookie('open=sesame-2025')).status, 503)
  t.equal((await withCookie('opens=sesame-2026')).status, 503)
  t.equal(upstream.requests.length, asked, 'the app hears nothing of it')
  t.equal((await withCookie('open=sesame-2026')).status, 200)
  const from = (ip: string) => ask(port, `GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: ${ip}\r\n\r\n`)
  t.equal((await from('10.9.1.1')).status, 200)
  t.equal((await from('10.8.1.1')).status, 503)
  await until('the access lines', () => causeway.access.length > 0)
  t.match(causeway.access[0], { status: 503, end: 'maintenance' })
  await assertClean(t, causeway, [upstream])
})
