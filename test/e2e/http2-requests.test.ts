import { createHash, randomBytes } from 'node:crypto'
import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { Http2Call, Http2Client } from '../support/http2-client.ts'
import { fieldOf, RawClient } from '../support/raw-client.ts'
import { never, ok, RecordingUpstream, raw, rawThenClose } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

// What clients of HTTP/1 are promised holds for those of HTTP/2.

const MIB = 1024 * 1024
const PROTOCOL_ERROR = 1
const INTERNAL_ERROR = 2
const CANCEL = 8
const big = randomBytes(8 * MIB)
const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

const files = t.testdir({ 'a.txt': 'static text\n', 'big.bin': big })
const upstream = await RecordingUpstream.start(t)
const streaming = await RecordingUpstream.start(t)
const causeway = await startCauseway(t, {
  config: configText({
    endpoints: [upstream.port],
    upstream: 'abandoned = "close"',
    listener: 'h2c = true\nlimits = { body = "9MiB", headers = "4KiB" }\ntimeouts = { body = "300ms" }',
    more: `
[upstreams.streaming]
endpoints = ["127.0.0.1:${streaming.port}"]
body = "stream"
[routes.streaming]
path = "/stream/"
upstream = "streaming"
[routes.files]
path = "/files/"
static = { root = "${files}" }
`,
  }),
})
const client = new Http2Client(causeway.port())

t.test('a GET reaches the app as clean HTTP/1.1, and is logged as HTTP/2.0', async t => {
  const answer = await client.get('/hello?x=1', {
    'user-agent': 'h2',
    cookie: ['a=1', 'b=2'],
    te: 'trailers',
  })
  t.equal(answer.status, 200)
  t.equal(answer.body.toString(), 'ok\n')
  t.equal(answer.headers['content-length'], '3')
  t.ok(answer.headers['date'])
  const request = await upstream.arrival('/hello')
  t.equal(request.target, '/hello?x=1')
  t.equal(request.field('host'), 'example.test')
  t.equal(request.field('cookie'), 'a=1; b=2')
  t.equal(request.field('x-forwarded-proto'), 'http')
  t.match(await causeway.accessOf('/hello'), { proto: 'HTTP/2.0', status: 200, host: 'example.test' })
})

t.test('a body goes up and comes down byte for byte, with and without a length', async t => {
  upstream.on('/down', line => {
    line.send(`HTTP/1.1 200 OK\r\nContent-Length: ${big.length}\r\n\r\n`)
    line.send(big)
  })
  upstream.on('/down-close', line => {
    line.send('HTTP/1.1 200 OK\r\n\r\n')
    line.send(big)
    line.end()
  })
  const answers = await Promise.all([client.get('/down'), client.get('/down-close'), client.get('/down')])
  for (const { body, reset } of answers) t.same([hash(body), reset], [hash(big), 0])
  const trailing = await client.get('/down-close', { te: 'trailers' })
  t.same([hash(trailing.body), trailing.reset], [hash(big), 0], 'and where trailers could have followed')
  for (const path of ['/up', '/stream/up']) {
    t.equal((await client.post(path, big)).status, 200)
    t.equal((await client.post(path, big, { 'content-length': big.length })).status, 200)
    const app = path === '/up' ? upstream : streaming
    t.same(
      app.seen(path).map(({ body }) => hash(body)),
      [hash(big), hash(big)],
    )
  }
})

t.test('answers without a body end with their head', async t => {
  upstream.on('/204', raw('HTTP/1.1 204 No Content\r\n\r\n'))
  upstream.on('/304', raw('HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n'))
  upstream.on('/head', raw('HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n'))
  t.match(await client.get('/204'), { status: 204, reset: 0, body: Buffer.alloc(0) })
  t.match(await client.get('/304'), { status: 304, headers: { etag: '"x"' } })
  t.match(await client.get('/head', { ':method': 'HEAD' }), {
    status: 200,
    headers: { 'content-length': '77' },
  })
  t.match(await client.get('/files/a.txt', { ':method': 'HEAD' }), { headers: { 'content-length': '12' } })
})

t.test('fields of the app that HTTP/2 does without are dropped, others repeat as they are', async t => {
  upstream.on(
    '/fields',
    ok(
      'x',
      'Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nX-App: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n',
    ),
  )
  const { headers } = await client.get('/fields')
  t.match(headers, { 'x-app': '1', 'set-cookie': ['a=1', 'b=2'] })
  t.notOk(headers['keep-alive'])
})

t.test('interim answers pass', async t => {
  upstream.on(
    '/hints',
    raw(
      'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    ),
  )
  t.match(await client.get('/hints'), { status: 200, interim: [103] })
  const call = client.call({ ':method': 'POST', ':path': '/stream/continue', expect: '100-continue' }, true)
  call.stream.once('continue', () => call.stream.end('now'))
  t.equal((await call.answer).status, 200)
  t.equal((await streaming.arrival('/stream/continue')).body.toString(), 'now')
})

t.test('static files, whole, in part, and not again', async t => {
  const whole = await client.get('/files/a.txt')
  t.equal(whole.body.toString(), 'static text\n')
  t.equal((await client.get('/files/a.txt')).body.toString(), 'static text\n', 'and from memory')
  t.match(await client.get('/files/a.txt', { range: 'bytes=0-5' }), {
    status: 206,
    body: Buffer.from('static'),
  })
  t.equal((await client.get('/files/a.txt', { 'if-none-match': String(whole.headers['etag']) })).status, 304)
  t.equal(hash((await client.get('/files/big.bin')).body), hash(big))
  t.equal((await client.get('/files/none')).status, 404)
  t.equal((await client.post('/files/a.txt', 'x'.repeat(1000))).status, 405)
})

t.test('an answer that breaks off is told by a reset', async t => {
  upstream.on('/short', rawThenClose('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'))
  upstream.on(
    '/short-chunked',
    rawThenClose('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'),
  )
  t.equal((await client.get('/short')).reset, INTERNAL_ERROR)
  t.equal((await client.get('/short-chunked')).reset, INTERNAL_ERROR)
})

t.test('an app that is not there is a 502 with a page', async t => {
  upstream.on('/gone', line => line.reset())
  const answer = await client.post('/gone', 'x')
  t.equal(answer.status, 502)
  t.match(answer.body.toString(), /Request id: /)
  t.equal(answer.headers['cache-control'], 'no-store')
})

t.test('an answer before the end of the upload arrives, and the upload ends without an error', async t => {
  streaming.on('/stream/early', line => line.send('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'))
  const call = client.call({ ':method': 'POST', ':path': '/stream/early' }, true)
  call.stream.write(Buffer.alloc(1000))
  const answer = await call.answer
  t.match(answer, { status: 403, reset: 0 })
  t.equal(answer.body.toString(), 'no')
})

t.test('bodies have their limits', async t => {
  const promised = client.call({ ':method': 'POST', ':path': '/large', 'content-length': 10 * MIB }, true)
  t.equal((await promised.answer).status, 413)
  const call = client.call({ ':method': 'POST', ':path': '/large' }, true)
  for (let i = 0; i < 10; i += 1) call.stream.write(big.subarray(0, MIB))
  t.equal((await call.answer).status, 413)
  const silent = client.call({ ':method': 'POST', ':path': '/silent' }, true)
  silent.stream.write('a')
  t.equal((await silent.answer).status, 408)
  t.same(upstream.seen('/large'), [])
})

t.test('heads have their limits', async t => {
  t.equal((await client.get('/head-size', { x: 'y'.repeat(5000) })).status, 431)
  t.equal((await client.get(`/${'y'.repeat(20_000)}`)).reset, 11, 'far beyond: unread')
  t.equal((await client.get('/trace', { ':method': 'TRACE' })).status, 405)
  t.equal((await client.get('/bad%zz')).status, 400)
  await causeway.metric('causeway_protocol_errors_total', { kind: 'too_large' }, value => value > 0)
})

t.test('what is no message resets its stream, and reaches nobody', async t => {
  t.equal((await client.get('http://evil.test/')).reset, PROTOCOL_ERROR)
  t.equal((await client.get('/host', { host: 'other.test' })).reset, PROTOCOL_ERROR)
  await causeway.metric('causeway_protocol_errors_total', { kind: 'host' }, value => value === 1)
  t.same(upstream.seen('/host'), [])
})

t.test('trailers of a request are dropped, and those that would mean something break it', async t => {
  const withTrailers = (path: string, trailers: Record<string, string>) => {
    const headers = { ':method': 'POST', ':path': path, ':authority': 'example.test' }
    const stream = client.session.request(headers, { waitForTrailers: true, endStream: false })
    stream.on('wantTrailers', () => stream.sendTrailers(trailers))
    stream.end('body')
    return new Http2Call(stream).answer
  }
  t.equal((await withTrailers('/trailers', { 'x-checksum': 'abc' })).status, 200)
  const { names, body } = await upstream.arrival('/trailers')
  t.equal(body.toString(), 'body')
  t.notOk(names.includes('x-checksum'))
  t.equal((await withTrailers('/bad-trailers', { 'content-length': '9' })).reset, PROTOCOL_ERROR)
  t.same(upstream.seen('/bad-trailers'), [])
})

t.test('a client that leaves frees the slot, whatever was going on', async t => {
  upstream.on('/wait', never)
  upstream.on('/half', line => line.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'))
  streaming.on('/stream/wait', never)
  const waiting = client.call({ ':path': '/wait' })
  await upstream.arrival('/wait')
  waiting.stream.close(CANCEL)
  const half = client.call({ ':path': '/half' })
  await until('half of the answer', () => half.received > 0)
  half.stream.close(CANCEL)
  const upload = client.call({ ':method': 'POST', ':path': '/stream/wait' }, true)
  upload.stream.write('some')
  await streaming.arrival('/stream/wait')
  upload.stream.close(CANCEL)
  const collected = client.call({ ':method': 'POST', ':path': '/never-seen' }, true)
  collected.stream.write('some')
  collected.stream.close(CANCEL)
  await causeway.metric('causeway_upstream_in_flight', {}, value => value === 0)
  await causeway.metric('causeway_requests_in_flight', {}, value => value === 0)
  t.match(await causeway.accessOf('/half'), { end: 'client_gone' })
  t.same(upstream.seen('/never-seen'), [], 'half a body is no request')
})

t.test('a connection that is cut frees all its slots', async t => {
  const other = new Http2Client(causeway.port())
  const calls = Array.from({ length: 8 }, () => other.call({ ':path': '/wait' }))
  await until('the requests at the app', () => upstream.seen('/wait').length === 9)
  other.destroy()
  await Promise.all(calls.map(({ answer }) => answer))
  await causeway.metric('causeway_upstream_in_flight', {}, value => value === 0)
  t.pass()
})

t.test('HTTP/1 goes on beside it, and a broken preface is a bad request', async t => {
  const old = await RawClient.connect(causeway.port())
  old.send('GET /old HTTP/1.1\r\nHost: example.test\r\n\r\n')
  t.equal((await old.response()).status, 200)
  const broken = await RawClient.connect(causeway.port())
  broken.send('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n')
  t.ok([400, 505].includes((await broken.response()).status))
  old.destroy()
  broken.destroy()
})

t.test(
  'a 426 says over HTTP/1.1 to what to switch, and over HTTP/2 nothing of that (RFC 9113 8.2.2)',
  async t => {
    const switches = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'
    upstream.on('/426', raw(`HTTP/1.1 426 Upgrade Required\r\n${switches}Content-Length: 4\r\n\r\nnone`))
    const { status, headers, body, reset } = await client.get('/426')
    t.same([status, body.toString(), reset], [426, 'none', 0])
    t.equal(headers['sec-websocket-version'], '13')
    t.notOk('upgrade' in headers || 'connection' in headers)
    const one = await RawClient.connect(causeway.port())
    t.teardown(() => one.destroy())
    one.send('GET /426 HTTP/1.1\r\nHost: example.test\r\n\r\n')
    const answer = await one.response()
    t.same(
      [answer.status, fieldOf(answer, 'upgrade'), fieldOf(answer, 'connection')],
      [426, 'websocket', 'upgrade'],
    )
  },
)

t.test('in the end', async t => {
  client.destroy()
  await assertClean(t, causeway, [upstream, streaming])
})
