import { Buffer } from 'node:buffer'
import t, { type Test } from 'tap'
import type { EndpointConfig, UpstreamConfig } from '../lib/config/model.ts'
import { RecordingUpstream } from './support/recording-upstream.ts'
import { RecordingUwsgi } from './support/recording-uwsgi.ts'
import { until } from './support/until.ts'
import { configOf, type End, PASSIVE, Process, TestJob } from './support/upstream-world.ts'

function endpointAt(port: number, protocol: EndpointConfig['protocol'] = 'uwsgi'): EndpointConfig {
  return {
    name: `127.0.0.1:${port}`,
    address: { kind: 'tcp', host: '127.0.0.1', port },
    protocol,
    weight: 1,
    backup: false,
  }
}

/** An app, and an upstream of one process in front of it. Everything must be given back in the end. */
async function worldOf(t: Test, changes: Partial<UpstreamConfig> = {}) {
  const app = await RecordingUwsgi.start(t)
  const world = new Process(t)
  const env = world.env(0)
  const upstream = world.upstream(env, configOf([], { endpoints: [endpointAt(app.port)], ...changes }))
  const ask = async (job: TestJob): Promise<End> => {
    upstream.submit(job)
    return job.end()
  }
  const clean = async () => {
    t.same(app.dirty, [])
    t.ok(
      world.gauges().every(gauge => gauge === 0),
      'all slots and connections are given back',
    )
    upstream.retire()
    const { connections, descriptors } = env.shared
    await until('every descriptor to be given back', () => descriptors.taken + connections.open(0) === 0)
  }
  return { app, world, upstream, ask, clean }
}

t.test('each request has a connection of its own, opened for it and closed behind it', async t => {
  const { app, ask, clean } = await worldOf(t)
  // An app that would go on, as gunicorn does.
  app.script = line =>
    line.send(
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\nKeep-Alive: timeout=60\r\n\r\nok',
    )
  for (const path of ['/1', '/2', '/3']) t.equal(await ask(new TestJob(path)), 200)
  t.same(
    app.lines.map(line => line.variables.get('PATH_INFO')),
    ['/1', '/2', '/3'],
  )
  await until('the connections to be closed', () => app.lines.every(line => line.ended))
  await clean()
})

t.test('answers: with a length, to the end of the connection, in chunks, without a body', async t => {
  const { app, ask, clean } = await worldOf(t)
  const answer = async (text: string, method = 'GET') => {
    app.script = line => line.finish(text)
    const job = new TestJob('/', undefined, method)
    return [await ask(job), job.received]
  }
  t.same(await answer('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'), [200, 'hello'])
  t.same(await answer('HTTP/1.1 200 OK\r\n\r\nto the end'), [200, 'to the end'])
  t.same(await answer('HTTP/1.0 404 NOT FOUND\r\nStatus: 404\r\n\r\nnone'), [404, 'none'])
  t.same(await answer('HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'), [200, 'ok'])
  // uWSGI sends the body of a HEAD, and so do apps that of a 304.
  t.same(await answer('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello', 'HEAD'), [200, ''])
  t.same(await answer('HTTP/1.1 304 Not Modified\r\n\r\nhello'), [304, ''])
  t.same(await answer('HTTP/1.1 204 No Content\r\n\r\nhello'), [204, ''])
  t.same(await answer('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more'), [200, 'ok'])
  t.same(await answer('HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\nok'), [200, 'ok'])
  await clean()
})

t.test('answers that break off or break HTTP are told from whole ones', async t => {
  const { app, ask, clean } = await worldOf(t)
  const answer = async (text: string) => {
    app.script = line => line.finish(text)
    return ask(new TestJob('/'))
  }
  t.equal(await answer(''), 'UPSTREAM_CLOSED')
  t.equal(await answer('HTTP/1.1 200 OK\r\nContent-'), 'UPSTREAM_CLOSED')
  t.equal(await answer('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'), 'UPSTREAM_TRUNCATED')
  t.equal(
    await answer('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n'),
    'UPSTREAM_TRUNCATED',
  )
  t.equal(await answer('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nplain'), 'UPSTREAM_BAD')
  t.equal(await answer('-- unavailable modifier requested: 5 --\r\n'), 'UPSTREAM_BAD')
  t.equal(await answer('HTTP/1.1 101 Switching Protocols\r\n\r\n'), 'UPSTREAM_BAD')
  app.script = line => line.reset()
  t.equal(await ask(new TestJob('/')), 'UPSTREAM_CLOSED')
  await clean()
})

t.test('a body goes behind the packet as it is, and our side stays open for the answer', async t => {
  const { app, ask, clean } = await worldOf(t)
  const body = Buffer.alloc(300_000, 'body ')
  app.script = async line => {
    await until('the whole body', () => line.whole)
    t.notOk(line.ended, 'no half-close')
    line.finish('HTTP/1.1 200 OK\r\n\r\n')
  }
  t.equal(await ask(new TestJob('/', body)), 200)
  t.ok(app.lines[0]?.body.equals(body))
  t.equal(app.lines[0]?.variables.get('CONTENT_LENGTH'), '300000')
  await clean()
})

t.test('an answer that comes before the body is taken arrives, also through a reset', async t => {
  const { app, ask, clean } = await worldOf(t)
  app.script = line => {
    line.socket.pause()
    line.send('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno')
    setImmediate(() => line.socket.destroy())
  }
  const job = new TestJob('/', Buffer.alloc(8_000_000, 'x'))
  t.equal(await ask(job), 403)
  t.equal(job.received, 'no')
  await clean()
})

t.test('a client that leaves takes its connection along at once', async t => {
  const { app, upstream, clean } = await worldOf(t)
  app.script = () => undefined
  const job = new TestJob('/')
  upstream.submit(job)
  const line = await app.line(0)
  t.notOk(line.ended)
  job.leave()
  await until('the app to see it', () => line.ended)
  await clean()
})

t.test('a client that leaves inside its body does so too: half a body would hold a worker', async t => {
  const { app, upstream, clean } = await worldOf(t)
  const job = new TestJob('/', Buffer.alloc(1000, 'x'))
  job.bodyWanted = () => {
    job.attempt?.sendBody(Buffer.alloc(500, 'x'), 0, 500)
    job.attempt?.flushBody()
  }
  app.script = () => undefined
  upstream.submit(job)
  const line = await app.line(0)
  await until('half of the body', () => line.body.length === 500)
  t.notOk(line.ended)
  job.leave()
  await until('the app to see it', () => line.ended || line.closed)
  t.notOk(line.whole)
  await clean()
})

t.test('a body without a length cannot be sent: said before anything is connected', async t => {
  const { app, ask, world, clean } = await worldOf(t, {
    passive: { ...PASSIVE, failures: 1, ejectMs: 10_000 },
  })
  const job = new TestJob('/', Buffer.from('body'))
  job.bodyFraming = 'chunked'
  t.equal(await ask(job), 'LENGTH_REQUIRED')
  t.match(job.detail, /set body = "spool"/)
  t.equal(app.lines.length, 0)
  t.same(world.ejected, [], 'the endpoint cannot help it')
  await clean()
})

t.test('a packet that the app will not take is 431 with a hint, and no failure of the endpoint', async t => {
  const { app, ask, world, clean } = await worldOf(t, {
    passive: { ...PASSIVE, failures: 1, ejectMs: 10_000 },
  })
  let bufferBytes = 4096
  app.script = line => {
    const size = [...line.variables].reduce((sum, [key, value]) => sum + 4 + key.length + value.length, 0)
    if (size <= bufferBytes) line.finish('HTTP/1.1 200 OK\r\n\r\n')
    else line.reset()
  }
  const large = (bytes: number) => {
    const job = new TestJob('/')
    job.cookie = 'x'.repeat(bytes)
    return job
  }
  t.equal(await ask(large(3900)), 200)
  const refused = large(4100)
  t.equal(await ask(refused), 'UPSTREAM_HEAD_TOO_LARGE')
  t.match(refused.detail, /reset the connection.* 4\d\d\d bytes of variables: raise uwsgi's buffer-size/)
  t.equal(app.lines.length, 2, 'it is not tried again')

  const impossible = large(66_000)
  t.equal(await ask(impossible), 'UPSTREAM_HEAD_TOO_LARGE')
  t.match(impossible.detail, /a value takes 66000 bytes/)
  t.equal(app.lines.length, 2, 'nothing was connected')
  t.same(world.ejected, [])

  bufferBytes = 32_768
  t.equal(await ask(large(10_000)), 200)
  bufferBytes = 0
  t.equal(await ask(large(9_000)), 'UPSTREAM_CLOSED', 'it has taken larger ones: a worker died')
  t.same(world.ejected, [`127.0.0.1:${app.port}`])
  await clean()
})

t.test('a GET goes from a dead endpoint to the next one, whatever each of them speaks', async t => {
  const { app, world, clean } = await worldOf(t)
  const http = await RecordingUpstream.start(t)
  http.on('/', (line, _request) => line.reset())
  const config = configOf([], { endpoints: [endpointAt(http.port, 'http1'), endpointAt(app.port)] })
  const mixed = world.upstream(world.env(0), config)
  for (let n = 0; n < 4; n += 1) {
    const job = new TestJob('/')
    mixed.submit(job)
    t.equal(await job.end(), 200)
  }
  t.ok(http.requests.length > 0, 'the other was asked first')
  t.equal(app.lines.length, 4)
  t.same(http.dirty, [])
  mixed.retire()
  await clean()
})

t.test(
  'a reload that changes only the protocol is obeyed, and leaves no connection of the old one',
  async t => {
    const http = await RecordingUpstream.start(t)
    const world = new Process(t)
    const env = world.env(0)
    const before = world.upstream(env, configOf([], { endpoints: [endpointAt(http.port, 'http1')] }))
    const first = new TestJob('/')
    before.submit(first)
    t.equal(await first.end(), 200)
    t.equal(http.open, 1, 'it waits in the pool')
    const after = world.upstream(env, configOf([], { endpoints: [endpointAt(http.port)] }), before)
    before.retire(after)
    await until('it to be closed', () => http.open === 0)
    const second = new TestJob('/')
    after.submit(second)
    await until('the packet to arrive', () => http.sockets.some(socket => socket.bytesRead > 0))
    t.equal(http.connections, 2)
    t.equal(http.requests.length, 1, 'it is no HTTP')
    second.leave()
    after.retire()
  },
)
