import { createServer, constants as H2 } from 'node:http2'
import t from 'tap'
import { echo, Http2App, h2, NO_RETRY, start, submit } from './support/http2-app.ts'
import { END_STREAM, FRAME, type RawHttp2Line, RawHttp2Server } from './support/raw-http2.ts'
import { until } from './support/until.ts'
import { Process, TestJob } from './support/upstream-world.ts'

t.test('a request that was refused has not been acted on: a POST goes to another endpoint', async t => {
  const refusing = await new Http2App(createServer(), stream =>
    stream.close(H2.NGHTTP2_REFUSED_STREAM),
  ).listen(t)
  const fine = await new Http2App(createServer(), echo).listen(t)
  const { upstream } = start(t, h2([refusing.port, fine.port]))
  for (let n = 0; n < 4; n += 1) {
    const job = new TestJob('/', Buffer.from('once'))
    job.bodyWanted = () => {
      job.attempt?.sendBody(Buffer.from('once'), 0, 4)
      job.attempt?.endBody()
    }
    t.equal(await submit(upstream, job).end(), 200)
  }
  t.equal(fine.requests.length, 4)
  t.ok(refusing.requests.length > 0)
})

t.test(
  'GOAWAY: streams above its last one are sent elsewhere, those below finish, new ones take a new connection',
  async t => {
    const app = await RawHttp2Server.start(t)
    const { upstream } = start(t, h2([app.port]))
    const jobs = [1, 2].map(n => {
      const job = new TestJob(`/${n}`, Buffer.from('x'))
      job.bodyWanted = () => {
        job.attempt?.sendBody(Buffer.from('x'), 0, 1)
        job.attempt?.endBody()
      }
      return submit(upstream, job)
    }) as [TestJob, TestJob]
    const line = await app.line()
    const first = await line.request(1)
    await line.request(2)
    line.goaway(first)
    const second = await app.line(2)
    const again = await second.request(1)
    second.fields(again, [[':status', '202']], END_STREAM)
    t.equal(await jobs[1].end(), 202)
    line.fields(first, [[':status', '201']], END_STREAM)
    t.equal(await jobs[0].end(), 201)
    await until('the first connection to be closed', () => line.closed)
  },
)

t.test('GOAWAY with an error: what may have been acted on is not repeated', async t => {
  const app = await RawHttp2Server.start(t)
  const { upstream } = start(t, h2([app.port]))
  const jobs = [1, 2].map(n => {
    const job = new TestJob(`/${n}`, Buffer.from('x'))
    job.bodyWanted = () => void job.attempt?.endBody()
    return submit(upstream, job)
  }) as [TestJob, TestJob]
  const line = await app.line()
  const first = await line.request(1)
  await line.request(2)
  line.goaway(first, H2.NGHTTP2_ENHANCE_YOUR_CALM)
  t.equal(await jobs[0].end(), 'UPSTREAM_CLOSED')
  const second = await app.line(2)
  second.fields(await second.request(1), [[':status', '202']], END_STREAM)
  t.equal(await jobs[1].end(), 202)
})

t.test('a connection that is lost: a GET is repeated, a POST is not', async t => {
  const app = await RawHttp2Server.start(t)
  const { upstream } = start(t, h2([app.port]))
  const post = new TestJob('/post', Buffer.from('x'))
  const get = new TestJob('/get')
  submit(upstream, post)
  submit(upstream, get)
  const line = await app.line()
  await line.request(2)
  line.socket.destroy()
  t.equal(await post.end(), 'UPSTREAM_CLOSED')
  const second = await app.line(2)
  second.fields(await second.request(1), [[':status', '200']], END_STREAM)
  t.equal(await get.end(), 200)
})

for (const [how, end] of [
  ['is reset', line => line.socket.resetAndDestroy()],
  ['is closed', line => line.socket.end()],
] as const satisfies readonly (readonly [string, (line: RawHttp2Line) => void])[]) {
  t.test(
    `a connection ${how} in the turn that gives it a request: a POST that never left is sent elsewhere`,
    async t => {
      const app = await RawHttp2Server.start(t)
      const { upstream } = start(t, h2([app.port]))
      const first = submit(upstream, new TestJob('/first'))
      const line = await app.line()
      line.fields(await line.request(), [[':status', '200']], END_STREAM)
      t.equal(await first.end(), 200)
      const post = new TestJob('/post', Buffer.from('x'))
      post.bodyWanted = () => {
        post.attempt?.sendBody(Buffer.from('x'), 0, 1)
        post.attempt?.endBody()
      }
      // What is written in this phase leaves in the next turn of the event loop, which first reads the end.
      setImmediate(() => {
        end(line)
        submit(upstream, post)
      })
      const second = await app.line(2)
      second.fields(await second.request(1), [[':status', '201']], END_STREAM)
      t.equal(await post.end(), 201)
      t.equal(line.of(FRAME.headers).length, 1, 'it did not leave')
      t.equal(post.record.attempts, 2)
    },
  )
}

t.test('half an answer is never taken for a whole one', async t => {
  const ends: readonly [
    string,
    (line: Awaited<ReturnType<RawHttp2Server['line']>>, stream: number) => void,
  ][] = [
    ['a reset with an error', (line, stream) => line.reset(stream, H2.NGHTTP2_INTERNAL_ERROR)],
    ['a reset without one', (line, stream) => line.reset(stream, H2.NGHTTP2_NO_ERROR)],
    ['a cancel', (line, stream) => line.reset(stream, H2.NGHTTP2_CANCEL)],
    ['the end of the connection', line => line.socket.end()],
    ['a reset of the connection', line => line.socket.resetAndDestroy()],
    [
      'GOAWAY and the end',
      line => {
        line.goaway(1)
        line.socket.end()
      },
    ],
    ['GOAWAY with an error', line => line.goaway(1, H2.NGHTTP2_INTERNAL_ERROR)],
  ]
  for (const [name, end] of ends) {
    const app = await RawHttp2Server.start(t)
    const { world, upstream } = start(t, h2([app.port]))
    const job = submit(upstream, new TestJob('/'))
    const line = await app.line()
    const stream = await line.request()
    line.fields(stream, [[':status', '200']])
    line.data(stream, 'half')
    await until('the half', () => job.received === 'half')
    end(line, stream)
    t.equal(await job.end(), 'UPSTREAM_TRUNCATED', name)
    t.ok(
      world.gauges().every(gauge => gauge === 0),
      name,
    )
  }
})

t.test('content-length is held to', async t => {
  for (const [length, body] of [
    ['4', 'abc'],
    ['2', 'abc'],
  ] as const) {
    const app = await RawHttp2Server.start(t)
    const { upstream } = start(t, h2([app.port], { retry: NO_RETRY }))
    const job = submit(upstream, new TestJob('/'))
    const line = await app.line()
    const stream = await line.request()
    line.fields(stream, [
      [':status', '200'],
      ['content-length', length],
    ])
    line.data(stream, body, END_STREAM)
    t.match(await job.end(), /^UPSTREAM_(?:TRUNCATED|BAD)$/, `${body.length} of ${length}`)
  }
})

t.test('heads that break HTTP/2 reach nobody', async t => {
  const bad: readonly (readonly (readonly [string, string])[])[] = [
    [['x', 'y']],
    [
      [':status', '200'],
      [':status', '201'],
    ],
    [[':status', '099']],
    [
      [':status', '200'],
      [':path', '/'],
    ],
    [
      ['x', 'y'],
      [':status', '200'],
    ],
    [
      [':status', '200'],
      ['connection', 'close'],
    ],
    [
      [':status', '200'],
      ['transfer-encoding', 'chunked'],
    ],
    [
      [':status', '200'],
      ['content-length', '1'],
      ['content-length', '2'],
    ],
    [
      [':status', '200'],
      ['content-length', '+1'],
    ],
    [[':status', '101']],
  ]
  for (const fields of bad) {
    const app = await RawHttp2Server.start(t)
    const { upstream } = start(t, h2([app.port], { retry: NO_RETRY }))
    const job = submit(upstream, new TestJob('/'))
    const line = await app.line()
    line.fields(await line.request(), fields)
    t.equal(await job.end(), 'UPSTREAM_BAD', JSON.stringify(fields))
  }
})

t.test('a field with a line end in it goes no further', async t => {
  for (const fields of [
    [['x', 'a\r\nset-cookie: b=c']],
    [['x', 'a\0b']],
    [['X-Upper', 'a']],
    [['x y', 'a']],
  ] as const) {
    const app = await RawHttp2Server.start(t)
    const { upstream } = start(t, h2([app.port], { retry: NO_RETRY }))
    const job = new TestJob('/')
    let text = ''
    const { answered } = job
    job.answered = head => {
      text = head.fields.toText()
      answered.call(job, head)
    }
    upstream.submit(job)
    const line = await app.line()
    line.fields(await line.request(), [[':status', '200'], ...fields], END_STREAM)
    await job.end()
    t.equal(text, '', 'refused, or the field dropped')
  }
})

t.test(
  'a connection that has been silent is asked before it gets a request; one that is dead is replaced',
  async t => {
    const app = await RawHttp2Server.start(t)
    const timeouts = { connectMs: 2000, responseMs: 5000, idleMs: 5000, tunnelMs: 5000 }
    const world = new Process(t)
    let nowMs = 1000
    const env = { ...world.env(0), clock: { ...world.env(0).clock, now: () => nowMs } }
    const upstream = world.upstream(env, h2([app.port], { timeouts }))
    t.teardown(() => upstream.retire())
    const serve = async (connection: number, request: number) => {
      const line = await app.line(connection)
      line.fields(await line.request(request), [[':status', '200']], END_STREAM)
      return line
    }
    const first = submit(upstream, new TestJob('/1'))
    const line = await serve(1, 1)
    t.equal(await first.end(), 200)
    nowMs += 2000
    const second = submit(upstream, new TestJob('/2', Buffer.from('x')))
    await serve(1, 2)
    t.equal(await second.end(), 200)
    t.equal(line.of(FRAME.ping).length, 1)
    nowMs += 2000
    line.alive = false
    const third = submit(upstream, new TestJob('/3', Buffer.from('x')))
    await until('the ping', () => line.of(FRAME.ping).length === 2)
    await serve(2, 1)
    t.equal(await third.end(), 200)
    t.equal(line.of(FRAME.headers).length, 2, 'the dead one got no third request')
  },
)

t.test('fields in two lines reach the app as two lines, whatever the field', async t => {
  const app = await new Http2App(createServer(), stream => {
    stream.respond({ ':status': 200 })
    stream.end()
  }).listen(t)
  const { upstream } = start(t, h2([app.port]))
  const names = ['if-none-match', 'user-agent', 'dnt', 'content-type', 'authorization', 'accept', 'range']
  for (const name of names) {
    const job = new TestJob('/')
    job.more = [name, '"a"', name, '"b"']
    t.equal(await submit(upstream, job).end(), 200, name)
    const raw = app.requests.at(-1)?.raw ?? []
    t.same(
      raw.filter((_, i) => i % 2 === 1 && raw[i - 1] === name),
      ['"a"', '"b"'],
      name,
    )
  }
  t.equal(app.sessions.length, 1)
})

t.test('what our own library does not write is said once, and costs nobody a connection', async t => {
  const app = await new Http2App(createServer(), echo).listen(t)
  const { upstream, world } = start(t, h2([app.port]))
  t.equal(await submit(upstream, new TestJob('/before')).end(), 200)
  const job = new TestJob('/')
  job.more = ['connection', 'close']
  t.equal(await submit(upstream, job).end(), 'INTERNAL')
  t.match(job.detail, 'ERR_HTTP2_INVALID_CONNECTION_HEADERS')
  t.equal(await submit(upstream, new TestJob('/behind')).end(), 200)
  t.equal(app.sessions.length, 1)
  t.equal(job.record.attempts, 1)
  t.same(world.suspects, [], 'the endpoint has done nothing')
})

t.test('a head larger than the endpoint takes is not sent: 431, and the connection stays', async t => {
  const app = await new Http2App(createServer({ settings: { maxHeaderListSize: 4096 } }), echo).listen(t)
  const { upstream } = start(t, h2([app.port]))
  const job = new TestJob('/')
  job.more = ['x-large', 'x'.repeat(5000)]
  t.equal(await submit(upstream, job).end(), 'UPSTREAM_HEAD_TOO_LARGE')
  t.match(job.detail, 'allows at most 4096')
  t.equal(await submit(upstream, new TestJob('/')).end(), 200)
  t.equal(app.sessions.length, 1)
})

t.test(
  'a request that is given up in the moment in which its connection is there leaves nothing',
  async t => {
    const app = await new Http2App(createServer({ settings: { maxHeaderListSize: 4096 } }), echo).listen(t)
    const { upstream, world } = start(t, h2([app.port]))
    const [refused, other] = [new TestJob('/'), new TestJob('/')]
    refused.more = ['x-large', 'x'.repeat(5000)]
    // As two requests of one client whose connection the first one's answer ends.
    refused.afterwards = () => other.leave()
    for (const job of [refused, other]) submit(upstream, job)
    t.equal(await refused.end(), 'UPSTREAM_HEAD_TOO_LARGE')
    t.equal(await submit(upstream, new TestJob('/')).end(), 200)
    await until('its connection to rest', () => world.resting() === 1)
    t.ok(world.gauges().every(gauge => gauge === 0))
  },
)

t.test(
  'an endpoint that closes each connection before it takes a request gets a handful of them',
  async t => {
    const app = await RawHttp2Server.start(t)
    const { upstream, world } = start(t, h2([app.port], { retry: NO_RETRY }))
    const job = submit(upstream, new TestJob('/'))
    let served = 0
    const goodbye = setInterval(() => {
      for (; served < app.lines.length; served += 1) app.lines[served]?.goaway(0)
    }, 1)
    t.teardown(() => clearInterval(goodbye))
    t.match(await job.end(), /^(?:UPSTREAM_REFUSED|UPSTREAM_CLOSED)$/)
    t.ok(app.lines.length <= 6, `${app.lines.length} connections`)
    await until('nothing to be left', () => world.gauges().every(gauge => gauge === 0))
  },
)
