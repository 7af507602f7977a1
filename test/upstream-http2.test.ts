import { createSecureServer, createServer, constants as H2, type ServerHttp2Stream } from 'node:http2'
import { type AddressInfo, createServer as createPlainServer } from 'node:net'
import t from 'tap'
import { TestAuthority } from './support/certificates.ts'
import { echo, Http2App, h2, NO_RETRY, start, submit } from './support/http2-app.ts'
import { END_STREAM, FRAME, RawHttp2Server } from './support/raw-http2.ts'
import { until } from './support/until.ts'
import { TestJob } from './support/upstream-world.ts'

t.test('requests to an h2c endpoint share one connection, and slots are counted as always', async t => {
  const gates = new Map<string, ServerHttp2Stream>()
  const app = await new Http2App(createServer(), (stream, path) => gates.set(path, stream)).listen(t)
  const { world, upstream } = start(t, h2([app.port], { maxInflight: 3 }))
  const jobs = Array.from({ length: 6 }, (_, n) => submit(upstream, new TestJob(`/${n}`)))
  for (const [n, job] of jobs.entries()) {
    const stream = await until(`request ${n}`, () => gates.get(`/${n}`))
    t.ok(world.inflight() <= 3)
    stream.respond({ ':status': 200 })
    stream.end('done')
    t.equal(await job.end(), 200)
    t.equal(job.received, 'done')
  }
  t.equal(app.sessions.length, 1)
  t.ok(
    world.gauges().every(gauge => gauge === 0),
    'nothing runs, and the connection rests',
  )
})

t.test('h2 is spoken over TLS, and only if the endpoint agrees to it (ALPN)', async t => {
  const authority = new TestAuthority(t.testdir())
  const { certificate: cert, key } = authority.issue({ names: ['app.internal'] })
  const secured = {
    tls: {
      ca: { path: '/ca.pem', text: authority.certificate },
      serverName: 'app.internal',
      verify: true,
      certificate: undefined,
      key: undefined,
    },
    retry: NO_RETRY,
  }
  const app = await new Http2App(createSecureServer({ cert, key }), echo).listen(t)
  const { upstream } = start(t, h2([app.port], secured, 'h2'))
  const job = submit(upstream, new TestJob('/tls', Buffer.from('body')))
  t.equal(await job.end(), 200)
  t.equal(job.received, '/tls\nbody')
  t.match(app.requests[0]?.raw, [':method', 'POST', ':scheme', 'https', ':path', '/tls'])

  const { createServer: https } = await import('node:https')
  const old = https({ cert, key })
  await new Promise<void>(done => old.listen(0, '127.0.0.1', done))
  t.teardown(() => old.close())
  const { port } = old.address() as AddressInfo
  const second = start(t, h2([port], secured, 'h2'))
  const refused = submit(second.upstream, new TestJob('/'))
  t.equal(await refused.end(), 'CONNECT_FAILED')
  t.match(refused.detail, 'ALPN')
})

t.test('an h2c endpoint that speaks HTTP/1.1, or nothing, is a connect that failed', async t => {
  const old = createPlainServer(socket => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'))
  })
  await new Promise<void>(done => old.listen(0, '127.0.0.1', done))
  t.teardown(() => old.close())
  const timeouts = { connectMs: 100, responseMs: 5000, idleMs: 5000, tunnelMs: 5000 }
  const wrong = start(t, h2([(old.address() as AddressInfo).port], { retry: NO_RETRY }))
  const job = submit(wrong.upstream, new TestJob('/', Buffer.from('x')))
  t.same([await job.end(), job.detail], ['CONNECT_FAILED', 'does not support HTTP/2'])

  const deaf = createPlainServer(socket => socket.on('error', () => {}))
  await new Promise<void>(done => deaf.listen(0, '127.0.0.1', done))
  t.teardown(() => deaf.close())
  const silent = start(t, h2([(deaf.address() as AddressInfo).port], { retry: NO_RETRY, timeouts }))
  t.equal(await submit(silent.upstream, new TestJob('/', Buffer.from('x'))).end(), 'CONNECT_TIMEOUT')
  t.ok(wrong.world.gauges().every(gauge => gauge === 0))
  t.ok(silent.world.gauges().every(gauge => gauge === 0))
})

t.test('fields, interim answers, set-cookie and trailers come as they were sent', async t => {
  const app = await new Http2App(createServer(), stream => {
    stream.additionalHeaders({ ':status': 103, link: '</a.css>; rel=preload' })
    const fields = { ':status': 200, 'set-cookie': ['a=1', 'b=2'], 'content-type': 'application/grpc' }
    stream.respond(fields, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': 'fine' }))
    stream.end('body')
  }).listen(t)
  const { upstream } = start(t, h2([app.port]))
  const job = new TestJob('/')
  const heads: string[] = []
  const trailers: string[] = []
  job.informed = head => void heads.push(`${head.status} ${head.fields.toText()}`)
  const { answered, answerEnd } = job
  job.answered = head => {
    heads.push(`${head.status} ${head.fields.toText()}`)
    answered.call(job, head)
  }
  job.answerEnd = fields => {
    trailers.push(fields?.toText() ?? '')
    answerEnd.call(job)
  }
  upstream.submit(job)
  t.equal(await job.end(), 200)
  t.match(heads, [
    /^103 link: <\/a.css>/,
    /^200 set-cookie: a=1\r\nset-cookie: b=2\r\ncontent-type: application\/grpc\r\n/,
  ])
  t.same(trailers, ['grpc-status: 0\r\ngrpc-message: fine\r\n'])
})

t.test('HEAD, 204 and 304 have no body', async t => {
  const app = await new Http2App(createServer(), (stream, path) => {
    const length = path === '/head' ? { 'content-length': 10 } : {}
    stream.respond(
      { ':status': path === '/head' ? 200 : Number(path.slice(1)), ...length },
      { endStream: true },
    )
  }).listen(t)
  const { upstream } = start(t, h2([app.port]))
  t.equal(await submit(upstream, new TestJob('/head', undefined, 'HEAD')).end(), 200)
  t.equal(await submit(upstream, new TestJob('/204')).end(), 204)
  t.equal(await submit(upstream, new TestJob('/304')).end(), 304)
  t.equal(app.sessions.length, 1)
})

t.test('both directions have back-pressure', async t => {
  const size = 4 * 1024 * 1024
  let taken = 0
  let upload: ServerHttp2Stream | undefined
  const app = await new Http2App(createServer(), (stream, path) => {
    if (path === '/down') {
      stream.respond({ ':status': 200 })
      stream.end(Buffer.alloc(size))
    } else {
      upload = stream
      stream.on('data', (bytes: Buffer) => {
        taken += bytes.length
      })
      stream.pause()
      stream.on('end', () => {
        stream.respond({ ':status': 200 })
        stream.end()
      })
    }
  }).listen(t)
  const { upstream } = start(t, h2([app.port]))
  const down = new TestJob('/down')
  let received = 0
  down.answerBytes = (_bytes, from, to) => {
    received += to - from
    return false
  }
  upstream.submit(down)
  await until('the first bytes', () => received > 0)
  // Another request on the same connection goes through while the first one is paused.
  const up = new TestJob('/up', Buffer.alloc(size))
  upstream.submit(up)
  await until('the upload', () => upload !== undefined)
  t.ok(received < size / 2, `${received} bytes, and no more until somebody asks for them`)
  t.equal(taken, 0)
  upload?.resume()
  t.equal(await up.end(), 200)
  t.equal(taken, size)
  while (received < size) {
    down.attempt?.resumeAnswer()
    await new Promise(done => setImmediate(done))
  }
  t.equal(await down.end(), 200)
  t.equal(app.sessions.length, 1)
})

t.test(
  'a client that leaves ends its stream with CANCEL, and an upload never as if it were whole',
  async t => {
    const app = await RawHttp2Server.start(t)
    const { world, upstream } = start(t, h2([app.port]))
    const job = new TestJob('/')
    job.bodyFraming = 'chunked'
    job.bodyWanted = () => void job.attempt?.sendBody(Buffer.from('half of it'), 0, 10)
    upstream.submit(job)
    const line = await app.line()
    const stream = await line.request()
    await until('the half', () => line.of(FRAME.data).length === 1)
    job.leave()
    const [reset] = await until('the reset', () =>
      line.of(FRAME.reset).length > 0 ? line.of(FRAME.reset) : undefined,
    )
    t.same([reset?.stream, reset?.payload.readUInt32BE(0)], [stream, H2.NGHTTP2_CANCEL])
    t.same(
      line.of(FRAME.data).map(({ flags }) => flags & END_STREAM),
      [0],
    )
    t.ok(world.gauges().every(gauge => gauge === 0))
  },
)

t.test('MAX_CONCURRENT_STREAMS is held to, and more connections are opened when it is reached', async t => {
  const gates: ServerHttp2Stream[] = []
  const app = await new Http2App(createServer({ settings: { maxConcurrentStreams: 2 } }), stream =>
    gates.push(stream),
  ).listen(t)
  const { upstream } = start(t, h2([app.port]))
  const jobs = Array.from({ length: 5 }, (_, n) => submit(upstream, new TestJob(`/${n}`)))
  await until('all requests', () => gates.length === 5)
  t.equal(app.sessions.length, 3)
  for (const stream of gates) {
    stream.respond({ ':status': 200 })
    stream.end()
  }
  for (const job of jobs) t.equal(await job.end(), 200)
})

t.test('an unused connection closes after keepalive.idle, and at once where none is kept', async t => {
  for (const keepalive of [
    { idleMs: 60, max: 8 },
    { idleMs: undefined, max: 0 },
  ]) {
    const app = await new Http2App(createServer(), echo).listen(t)
    const { world, upstream } = start(t, h2([app.port], { keepalive }))
    t.equal(await submit(upstream, new TestJob('/', Buffer.from('x'))).end(), 200)
    await until('the connection to close', () => app.sessions[0]?.closed === true)
    t.ok(world.gauges().every(gauge => gauge === 0))
  }
})

t.test('a silent app is an answer that is late; the others on its connection do not notice', async t => {
  const app = await new Http2App(createServer(), (stream, path) => {
    if (path === '/slow') return
    echo(stream, path, [])
  }).listen(t)
  const timeouts = { connectMs: 1000, responseMs: 100, idleMs: 5000, tunnelMs: 5000 }
  const { upstream } = start(t, h2([app.port], { timeouts, retry: NO_RETRY }))
  const slow = submit(upstream, new TestJob('/slow'))
  t.equal(await submit(upstream, new TestJob('/quick', Buffer.from('x'))).end(), 200)
  t.equal(await slow.end(), 'UPSTREAM_TIMEOUT')
  t.equal(await submit(upstream, new TestJob('/quick', Buffer.from('x'))).end(), 200)
  t.equal(app.sessions.length, 1)
})
