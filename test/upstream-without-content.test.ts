import t, { type Test } from 'tap'
import type { UpstreamConfig } from '../lib/config/model.ts'
import { h2, NO_RETRY, start } from './support/http2-app.ts'
import { END_STREAM, FRAME, type RawHttp2Line, RawHttp2Server } from './support/raw-http2.ts'
import { RecordingUpstream, raw, type Script } from './support/recording-upstream.ts'
import { RecordingUwsgi } from './support/recording-uwsgi.ts'
import { until } from './support/until.ts'
import { configOf, type End, TestJob } from './support/upstream-world.ts'

// Apps that send content where HTTP has none: to HEAD (uWSGI, gunicorn), with 204 and 304, behind interim
// answers. Not a byte of it may be read as part of another answer.

const BODY = '{"a": 1}'
const LENGTH = `Content-Length: ${BODY.length}\r\n`
const CHUNKED = 'Transfer-Encoding: chunked\r\n'
const CHUNKS = `${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`
/** A body that would be an answer. */
const POISON = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison'
const POISON_LENGTH = `Content-Length: ${POISON.length}\r\n`
const MINE = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine'

/** Method, status, the answer's fields, what comes as its body. */
const CASES: readonly (readonly [method: string, status: number, fields: string, body: string])[] = [
  ['HEAD', 200, LENGTH, BODY],
  ['HEAD', 200, CHUNKED, CHUNKS],
  ['HEAD', 200, '', BODY],
  ['HEAD', 404, POISON_LENGTH, POISON],
  ['HEAD', 304, LENGTH, BODY],
  ['GET', 204, LENGTH, BODY],
  ['GET', 204, '', POISON],
  ['GET', 304, CHUNKED, CHUNKS],
  ['GET', 304, POISON_LENGTH, POISON],
]

async function submitted(upstream: { submit(job: TestJob): void }, path: string, method = 'GET') {
  const job = new TestJob(path, undefined, method)
  upstream.submit(job)
  const end: End = await job.end()
  return [end, job.received]
}

function overUwsgi(config: UpstreamConfig): UpstreamConfig {
  return { ...config, endpoints: config.endpoints.map(it => ({ ...it, protocol: 'uwsgi' })) }
}

/** The body comes with the head, or when we have had time to take the connection for free. */
function answer(head: string, body: string, when: 'at once' | 'later'): Script {
  if (when === 'at once') return raw(head + body)
  return async (line, request) => {
    await request.whole()
    line.send(head)
    setImmediate(() => setImmediate(() => line.send(body)))
  }
}

for (const when of ['at once', 'later'] as const) {
  t.test(
    `HTTP/1.1: a body ${when} where there is none is nobody's, and its connection is not used again`,
    async t => {
      const app = await RecordingUpstream.start(t)
      const { upstream } = start(t, configOf([app.port], { retry: NO_RETRY }))
      app.on('/mine', raw(MINE))
      for (const [method, status, fields, body] of CASES) {
        app.on('/odd', answer(`HTTP/1.1 ${status} \r\n${fields}\r\n`, body, when))
        const name = `${method} ${status} ${fields.trim()}`
        const before = app.seen('/odd').length
        t.same(await submitted(upstream, '/odd', method), [status, ''], name)
        t.same(await submitted(upstream, '/mine'), [200, 'mine'], `${name}: the next`)
        t.not(app.seen('/mine').at(-1)?.connection, app.seen('/odd')[before]?.connection, name)
      }
      t.same(app.dirty, [])
    },
  )
}

t.test('HTTP/1.1: where the app says that nothing follows, the connection is used again', async t => {
  const app = await RecordingUpstream.start(t)
  const { upstream } = start(t, configOf([app.port]))
  for (const status of [200, 204, 205, 304]) {
    app.on('/none', raw(`HTTP/1.1 ${status} \r\nContent-Length: 0\r\n\r\n`))
    t.same(await submitted(upstream, '/none', status === 200 ? 'HEAD' : 'GET'), [status, ''])
  }
  t.equal(app.connections, 1)
})

t.test('HTTP/1.1: the content of a 205 is read by its framing, so the connection is used again', async t => {
  const app = await RecordingUpstream.start(t)
  const { upstream } = start(t, configOf([app.port]))
  app.on('/mine', raw(MINE))
  for (const [fields, body] of [
    [LENGTH, BODY],
    [CHUNKED, CHUNKS],
  ] as const) {
    app.on('/205', answer(`HTTP/1.1 205 \r\n${fields}\r\n`, body, 'later'))
    t.same(await submitted(upstream, '/205'), [205, BODY])
    t.same(await submitted(upstream, '/mine'), [200, 'mine'])
  }
  t.equal(app.connections, 1)
})

t.test('uwsgi: a body where there is none is nobody’s', async t => {
  const app = await RecordingUwsgi.start(t)
  const config = configOf([app.port], { retry: NO_RETRY })
  const { upstream } = start(t, overUwsgi(config))
  for (const [method, status, fields, body] of CASES) {
    for (const sent of ['together', 'apart']) {
      app.script = line => {
        const head = `HTTP/1.1 ${status} \r\n${fields}\r\n`
        if (sent === 'together') return line.finish(head + body)
        line.send(head)
        setImmediate(() => line.finish(body))
      }
      t.same(await submitted(upstream, '/odd', method), [status, ''], `${method} ${status}, ${sent}`)
      app.script = line => line.finish(MINE)
      t.same(await submitted(upstream, '/mine'), [200, 'mine'])
    }
  }
  t.same(app.dirty, [])
})

/** What is no head is no answer: an interim answer has no content, whatever its fields say (RFC 9112 6.3). */
const INTERIM = [
  `HTTP/1.1 103 Early Hints\r\n${LENGTH}\r\n${BODY}`,
  `HTTP/1.1 102 \r\n${CHUNKED}\r\n${CHUNKS}`,
]

t.test(
  'HTTP/1.1 and uwsgi: an interim answer with a body breaks HTTP, and harms only its own request',
  async t => {
    const plain = await RecordingUpstream.start(t)
    const uwsgi = await RecordingUwsgi.start(t)
    const config = configOf([uwsgi.port], { retry: NO_RETRY })
    const ofPlain = start(t, configOf([plain.port], { retry: NO_RETRY })).upstream
    const ofUwsgi = start(t, overUwsgi(config)).upstream
    plain.on('/mine', raw(MINE))
    for (const interim of INTERIM) {
      plain.on('/odd', raw(interim + MINE))
      uwsgi.script = line => line.finish(interim + MINE)
      t.same(await submitted(ofPlain, '/odd'), ['UPSTREAM_BAD', ''])
      t.same(await submitted(ofUwsgi, '/odd'), ['UPSTREAM_BAD', ''])
      uwsgi.script = line => line.finish(MINE)
      t.same(await submitted(ofPlain, '/mine'), [200, 'mine'])
      t.same(await submitted(ofUwsgi, '/mine'), [200, 'mine'])
    }
    plain.on('/said', raw(`HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\n${MINE}`))
    t.same(await submitted(ofPlain, '/said'), [200, 'mine'], 'none at all is fine')
  },
)

/** A server, and its n-th request over all connections. */
async function http2World(t: Test, changes: Partial<UpstreamConfig> = { retry: NO_RETRY }) {
  const app = await RawHttp2Server.start(t)
  const { upstream } = start(t, h2([app.port], changes))
  let asked = 0
  const ask = async (method: string, serve: (line: RawHttp2Line, stream: number) => void) => {
    const end = submitted(upstream, '/', method)
    asked += 1
    const [line, stream] = await until(`request ${asked}`, () => {
      const all = app.lines.flatMap(line =>
        line.of(FRAME.headers).map(frame => [line, frame.stream] as const),
      )
      return all[asked - 1]
    })
    serve(line, stream)
    return end
  }
  const next = async (after: string) => {
    const end = await ask('GET', (line, stream) => {
      line.fields(stream, [[':status', '200']])
      line.data(stream, 'mine', END_STREAM)
    })
    t.same(end, [200, 'mine'], `the next after ${after}`)
  }
  return { app, upstream, ask, next }
}

t.test('HTTP/2: DATA that comes later where there is none ends its own stream', async t => {
  const { app, upstream, ask, next } = await http2World(t)
  let cancelled = 0
  for (const [method, status] of CASES) {
    const late: (() => void)[] = []
    const end = await ask(method, (line, stream) => {
      line.fields(stream, [[':status', String(status)]])
      late.push(() => line.data(stream, BODY, END_STREAM))
    })
    t.same(end, [status, ''], `${method} ${status}`)
    cancelled += 1
    await until('the stream to be cancelled', () => app.lines[0]?.of(FRAME.reset).length === cancelled)
    for (const send of late) send()
    await next(`${method} ${status}`)
  }
  t.equal(app.lines.length, 1, 'over one connection')
  await until('nothing to be in flight', () => upstream.endpointAt(0)?.inflight === 0)
})

t.test('HTTP/2: DATA that comes with the head costs the connection, and poisons nothing', async t => {
  // With retries: the next request may meet the connection in its last moment.
  const { upstream, ask, next } = await http2World(t, {})
  for (const [method, status] of CASES) {
    // node:http2 ends a connection on which DATA is malformed (RFC 9113 5.4.1 allows it).
    const end = await ask(method, (line, stream) => {
      line.socket.cork()
      line.fields(stream, [[':status', String(status)]])
      line.data(stream, BODY, END_STREAM)
      line.socket.uncork()
    })
    t.same(end, [status, ''], `${method} ${status}`)
    await next(`${method} ${status}`)
  }
  await until('nothing to be in flight', () => upstream.endpointAt(0)?.inflight === 0)
})

t.test('HTTP/2: DATA behind an interim head breaks HTTP, and harms only its own request', async t => {
  const { app, ask, next } = await http2World(t)
  const early = await ask('GET', (line, stream) => {
    line.fields(stream, [[':status', '103']])
    line.data(stream, BODY)
    line.fields(stream, [[':status', '200']], END_STREAM)
  })
  t.type(early[0], 'string', 'DATA behind an interim head')
  t.equal(early[1], '')
  await until('its connection to be closed', () => app.lines[0]?.closed)
  await next('an interim answer')
})
