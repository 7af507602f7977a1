import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, get, post, RawClient } from '../support/raw-client.ts'
import { never, ok, RecordingUpstream, raw } from '../support/recording-upstream.ts'
import { RecordingUwsgi } from '../support/recording-uwsgi.ts'
import { until } from '../support/until.ts'
import { openWebSocket, switching } from '../support/websocket-app.ts'

const app = await RecordingUpstream.start(t)
app.on('/', ok('the app'))
app.on('/form', ok('the app'))
app.on(
  '/ws',
  switching(({ socket }) => socket.pipe(socket)),
)

interface Parts {
  readonly to: string
  /** Keys of the mirror's upstream. */
  readonly upstream?: string
  readonly share?: string
  readonly app?: string
  readonly server?: string
}

async function start(t: Test, { to, upstream = '', share = '100%', app: own, server }: Parts) {
  const route = `mirror = { upstream = "shadow", share = "${share}" }`
  const more = `[upstreams.shadow]\nendpoints = ["${to}"]\n${upstream}`
  return startCauseway(t, {
    config: configText({
      endpoints: [app.port],
      route,
      more,
      ...(own === undefined ? {} : { upstream: own }),
      ...(server === undefined ? {} : { server }),
    }),
  })
}

const startShadow = async (t: Test) => {
  const shadow = await RecordingUpstream.start(t)
  return { shadow, to: `127.0.0.1:${shadow.port}` }
}

const counted = (causeway: Running, result: string, count: number) =>
  causeway.metric('causeway_mirrored_requests_total', { route: 'app', result }, value => value === count)

t.test('a copy of each request reaches the other upstream, and its answer nobody', async t => {
  const { shadow, to } = await startShadow(t)
  shadow.on('/', raw('HTTP/1.1 500 Oh\r\nContent-Length: 6\r\n\r\nshadow'))
  const causeway = await start(t, { to })
  const port = causeway.port()
  for (let n = 0; n < 3; n += 1) {
    const answer = await ask(port, get('/', 'Cookie: a=b\r\nCookie: c=d\r\nX-Own: 1\r\n'))
    t.match(answer, { status: 200, body: Buffer.from('the app') })
  }
  t.equal((await ask(port, post('/form', 'a=b&c=d'))).status, 200)
  await counted(causeway, 'ok', 4)
  t.equal(shadow.seen('/').length, 3)
  t.same(shadow.seen('/')[0]?.head.fields, app.seen('/')[0]?.head.fields, 'the same head')
  t.equal(shadow.seen('/form')[0]?.body.toString(), 'a=b&c=d')
  await assertClean(t, causeway, [app, shadow])
  t.equal(causeway.access.length, 4, 'no line for a copy')
  t.ok(causeway.access.every(({ upstream }) => upstream === 'app'))
})

/** Gunicorn's own field has a `_`, which the strict reader takes for an attack. */
async function startPlainApp(t: Test) {
  const heard: IncomingHttpHeaders[] = []
  const server = createServer((request, response) => {
    heard.push(request.headers)
    response.end('ok')
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  t.teardown(() => server.close())
  return { heard, port: (server.address() as AddressInfo).port }
}

t.test('a copy says what the other upstream has to be told of its mount', async t => {
  for (const [own, other] of [
    ['gunicorn', 'auto'],
    ['auto', 'gunicorn'],
  ]) {
    const [front, shadow] = [await startPlainApp(t), await startPlainApp(t)]
    const causeway = await startCauseway(t, {
      config: configText({
        endpoints: [front.port],
        upstream: `server = "${own}"`,
        route: 'script_name = "/shop"\nmirror = { upstream = "shadow" }',
        more: `[upstreams.shadow]\nendpoints = ["127.0.0.1:${shadow.port}"]\nserver = "${other}"`,
      }),
    })
    await ask(causeway.port(), get('/shop/a', 'Cookie: a=b\r\nCookie: c=d\r\n'))
    await counted(causeway, 'ok', 1)
    const name = (server: string | undefined) => (server === 'gunicorn' ? '/shop' : undefined)
    t.match(front.heard, [{ 'x-forwarded-prefix': '/shop', cookie: 'a=b; c=d' }])
    t.match(shadow.heard, [{ 'x-forwarded-prefix': '/shop', cookie: 'a=b; c=d' }])
    t.equal(front.heard[0]?.['script_name'], name(own))
    t.equal(shadow.heard[0]?.['script_name'], name(other))
    await assertClean(t, causeway)
  }
})

t.test('a mirror that is gone, or never answers, is not noticed', async t => {
  const { shadow, to } = await startShadow(t)
  const causeway = await start(t, { to, upstream: 'timeouts = { response = "300ms" }\nmax_inflight = 4' })
  const port = causeway.port()
  shadow.on('/', never)
  const answers = await Promise.all(Array.from({ length: 10 }, () => ask(port, get('/'))))
  t.ok(answers.every(({ status }) => status === 200))
  await counted(causeway, 'dropped', 6)
  await counted(causeway, 'failed', 4)
  t.equal(shadow.seen('/').length, 4, 'no copy waits for a slot, none is tried again')
  const metrics = await causeway.metrics()
  t.equal(metrics.sum('causeway_upstream_queue_depth', { upstream: 'shadow' }), 0)
  await shadow.stop()
  for (let n = 0; n < 5; n += 1) t.equal((await ask(port, get('/'))).status, 200)
  await until('all copies to be counted', async () => {
    const now = await causeway.metrics()
    return now.sum('causeway_mirrored_requests_total', { route: 'app' }) === 15
  })
  t.equal((await causeway.metrics()).sum('causeway_mirrored_requests_total', { result: 'ok' }), 0)
  await assertClean(t, causeway, [app, shadow])
})

t.test('no more than a hundred copies are on their way at a time', async t => {
  const { shadow, to } = await startShadow(t)
  shadow.on('/', never)
  const causeway = await start(t, { to })
  const answers = await Promise.all(Array.from({ length: 105 }, () => ask(causeway.port(), get('/'))))
  t.ok(answers.every(({ status }) => status === 200))
  await counted(causeway, 'dropped', 5)
  await until('the others to be there', () => shadow.seen('/').length === 100)
  await shadow.stop()
  await counted(causeway, 'failed', 100)
  await assertClean(t, causeway, [app, shadow])
})

t.test('the client that leaves takes its copy with it nowhere', async t => {
  const { shadow, to } = await startShadow(t)
  app.on('/slow', never)
  const release = Promise.withResolvers<void>()
  shadow.on('/slow', async (line, request) => {
    await release.promise
    await ok('late')(line, request)
  })
  const causeway = await start(t, { to })
  const client = await RawClient.connect(causeway.port())
  client.send(get('/slow'))
  await until('both to have it', () => app.seen('/slow').length === 1 && shadow.seen('/slow').length === 1)
  client.destroy()
  await causeway.accessOf('/slow')
  release.resolve()
  await counted(causeway, 'ok', 1)
  await assertClean(t, causeway, [app, shadow])
})

t.test('a body that is not in memory, and one that streams, is not copied', async t => {
  const { shadow, to } = await startShadow(t)
  const small = await start(t, { to, server: 'spool = { memory = "4KiB" }' })
  t.equal((await ask(small.port(), post('/form', 'x'.repeat(3000)))).status, 200)
  await counted(small, 'ok', 1)
  t.equal((await ask(small.port(), post('/form', 'x'.repeat(300_000)))).status, 200)
  await counted(small, 'dropped', 1)
  t.equal((await ask(small.port(), post('/form', ''))).status, 200)
  await counted(small, 'ok', 2)
  t.same(
    shadow.seen('/form').map(({ bodyBytes }) => bodyBytes),
    [3000, 0],
  )
  await small.metric('causeway_spool_memory_bytes', {}, value => value === 0)
  await assertClean(t, small, [app, shadow])
  const streaming = await start(t, { to, app: 'body = "stream"' })
  t.equal((await ask(streaming.port(), post('/form', 'abc'))).status, 200)
  t.equal((await ask(streaming.port(), get('/'))).status, 200)
  await counted(streaming, 'dropped', 1)
  await counted(streaming, 'ok', 1)
  await assertClean(t, streaming, [app, shadow])
})

t.test('a stream without end is not listened to', async t => {
  const { shadow, to } = await startShadow(t)
  app.on('/events', ok('done'))
  shadow.on('/events', line =>
    line.send(
      'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n:\r\n\r\n',
    ),
  )
  const causeway = await start(t, { to })
  t.equal((await ask(causeway.port(), get('/events'))).status, 200)
  await counted(causeway, 'ok', 1)
  await causeway.metric('causeway_upstream_in_flight', { upstream: 'shadow' }, value => value === 0)
  await until('its connection to be closed', () => shadow.open === 0)
  await assertClean(t, causeway, [app, shadow])
})

t.test('WebSockets are not copied, and a share is a share', async t => {
  const { shadow, to } = await startShadow(t)
  const causeway = await start(t, { to })
  const client = await openWebSocket(causeway.port(), '/ws')
  client.destroy()
  t.equal((await ask(causeway.port(), get('/'))).status, 200)
  await counted(causeway, 'ok', 1)
  t.equal(shadow.requests.length, 1)
  await assertClean(t, causeway, [app, shadow])
  const half = await start(t, { to, share: '50%' })
  for (let n = 0; n < 60; n += 1) await ask(half.port(), get('/'))
  const copies = await until('some copies', async () => {
    const metrics = await half.metrics()
    return metrics.sum('causeway_mirrored_requests_total', { result: 'ok' })
  })
  // Fewer or more in one run of 10^9.
  t.ok(copies > 5 && copies < 55, String(copies))
  await assertClean(t, half, [app, shadow])
})

t.test('the other upstream may speak uwsgi', async t => {
  const shadow = await RecordingUwsgi.start(t)
  const causeway = await start(t, { to: `uwsgi://127.0.0.1:${shadow.port}` })
  t.equal(
    (await ask(causeway.port(), post('/form?q=1', 'a=b', 'Cookie: a=b\r\nCookie: c=d\r\n'))).status,
    200,
  )
  await counted(causeway, 'ok', 1)
  const line = await shadow.line(0)
  t.match(Object.fromEntries(line.variables), {
    REQUEST_METHOD: 'POST',
    REQUEST_URI: '/form?q=1',
    CONTENT_LENGTH: '3',
    HTTP_COOKIE: 'a=b; c=d',
  })
  t.equal(line.body.toString(), 'a=b')
  await assertClean(t, causeway, [app])
})
