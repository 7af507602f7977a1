import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, fieldOf, get, post, RawClient } from '../support/raw-client.ts'
import { ok, RecordingUpstream, raw, rawThenClose } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

const upstream = await RecordingUpstream.start(t)
const causeway = await startCauseway(t, { config: configText({ endpoints: [upstream.port] }) })
const old = (target: string, fields = '') => `GET ${target} HTTP/1.0\r\nHost: example.test\r\n${fields}\r\n`

t.test('one connection serves one request after the other, on both sides', async t => {
  const client = await RawClient.connect(causeway.port())
  for (const n of [1, 2, 3, 4, 5]) {
    client.send(get(`/again?${n}`))
    t.equal((await client.response()).status, 200)
  }
  t.equal(client.ended, undefined)
  const numbers = new Set(upstream.seen('/again').map(request => request.connection))
  t.equal(numbers.size, 1, 'one connection to the app')
  client.destroy()
})

t.test('pipelined requests are answered in order, and reach the app one by one', async t => {
  // The first is the slowest: order must come from us.
  upstream.on('/pipe', async (line, request) => {
    await pause(request.target.endsWith('?0') ? 60 : 0)
    line.send(`HTTP/1.1 200 OK\r\nContent-Length: ${request.target.length}\r\n\r\n${request.target}`)
  })
  const client = await RawClient.connect(causeway.port())
  client.send(Array.from({ length: 20 }, (_, n) => get(`/pipe?${n}`)).join(''))
  for (let n = 0; n < 20; n += 1) t.equal((await client.response()).body.toString(), `/pipe?${n}`)
  client.destroy()
})

t.test('requests that pile up behind a slow one wait in the kernel, not in our memory', async t => {
  const COUNT = 100_000
  let release = () => {}
  upstream.on('/slow', async (line, request) => {
    await new Promise<void>(done => {
      release = done
    })
    await ok()(line, request)
  })
  const client = await RawClient.connect(causeway.port())
  client.send(get('/slow'))
  await upstream.arrival('/slow')
  const before = causeway.rssBytes()
  const padding = `Padding: ${'x'.repeat(400)}\r\n`
  for (let n = 0; n < COUNT; n += 100) client.send(get('/flood', padding).repeat(100))
  let taken = -1
  await until('the flow to stop', async () => {
    const stopped = taken === client.sentBytes
    taken = client.sentBytes
    await pause(200)
    return stopped && taken === client.sentBytes
  })
  const grown = causeway.rssBytes() - before
  t.ok(grown < 16 * 1024 * 1024, `RSS grew by ${grown} bytes`)
  release()
  const statuses = new Set<number>()
  for (let n = 0; n < 500; n += 1) statuses.add((await client.response()).status)
  t.same([...statuses], [200], 'and are answered in their turn')
  client.reset()
})

t.test('pipelined requests with bodies of both kinds keep their borders', async t => {
  const client = await RawClient.connect(causeway.port())
  const chunked =
    'POST /mixed?2 HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n'
  await client.sendInPieces(post('/mixed?1', 'one') + chunked + get('/mixed?3') + post('/mixed?4', 'four'), 7)
  for (let n = 1; n <= 4; n += 1) t.equal((await client.response()).status, 200)
  t.same(
    upstream.seen('/mixed').map(request => [request.target, request.body.toString()]),
    [
      ['/mixed?1', 'one'],
      ['/mixed?2', 'two'],
      ['/mixed?3', ''],
      ['/mixed?4', 'four'],
    ],
  )
  client.destroy()
})

t.test('a bad request behind good ones ends the connection after their answers', async t => {
  const client = await RawClient.connect(causeway.port())
  client.send(`${get('/good')}${get('/good')}GET /bad HTTP/1.1\r\n\r\n${get('/never')}`)
  t.equal((await client.response()).status, 200)
  t.equal((await client.response()).status, 200)
  t.equal((await client.response()).status, 400)
  await client.untilEnded()
  t.equal(upstream.seen('/never').length, 0)
})

t.test('Connection: close is answered and obeyed; what stands behind is not read', async t => {
  for (const option of ['close', 'Close', 'keep-alive, close']) {
    const client = await RawClient.connect(causeway.port())
    client.send(get('/bye', `Connection: ${option}\r\n`) + get('/behind-close'))
    const answer = await client.response()
    t.equal(answer.status, 200)
    t.equal(fieldOf(answer, 'connection'), 'close')
    await client.untilEnded()
  }
  t.equal(upstream.seen('/behind-close').length, 0)
})

t.test('an HTTP/1.0 client gets one answer and the end', async t => {
  const client = await RawClient.connect(causeway.port())
  client.send(old('/old') + old('/behind-old'))
  const answer = await client.response()
  t.equal(answer.status, 200)
  await client.untilEnded()
  t.equal(upstream.seen('/behind-old').length, 0)
  t.equal(upstream.seen('/old')[0]?.head.raw.split('\r\n')[0], 'GET /old HTTP/1.1', 'we speak 1.1 to the app')
})

t.test('an HTTP/1.0 client that asks for keep-alive gets it, and is told', async t => {
  const client = await RawClient.connect(causeway.port())
  for (const n of [1, 2]) {
    client.send(old(`/old-alive?${n}`, 'Connection: keep-alive\r\n'))
    const answer = await client.response()
    t.equal(answer.status, 200)
    t.match(fieldOf(answer, 'connection'), /^keep-alive$/i)
  }
  client.destroy()
})

t.test('an HTTP/1.0 client never sees chunks: the end of the connection is the end of the body', async t => {
  upstream.on(
    '/chunks',
    raw('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n'),
  )
  for (const fields of ['', 'Connection: keep-alive\r\n']) {
    const client = await RawClient.connect(causeway.port())
    client.send(old('/chunks', fields))
    const answer = await client.response()
    t.equal(answer.framing, 'close')
    t.equal(answer.body.toString(), 'hello world')
    t.notMatch(fieldOf(answer, 'connection') ?? '', /keep-alive/i)
    t.equal(client.ended, 'fin')
  }
})

t.test('a HTTP/1.0 client without Host is served', async t => {
  const answer = await ask(causeway.port(), 'GET /hostless HTTP/1.0\r\n\r\n')
  t.equal(answer.status, 200)
})

t.test(
  'chunked and close-delimited answers reach a 1.1 client in chunks, and the connection goes on',
  async t => {
    upstream.on('/closing', rawThenClose('HTTP/1.1 200 OK\r\nX: y\r\n\r\nuntil the end'))
    upstream.on('/closing-10', rawThenClose('HTTP/1.0 200 OK\r\n\r\nuntil the end'))
    upstream.on(
      '/chunked',
      raw(
        'HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n5;x=y\r\nuntil\r\n8\r\n the end\r\n0\r\nX: y\r\n\r\n',
      ),
    )
    const client = await RawClient.connect(causeway.port())
    for (const path of ['/closing', '/closing-10', '/chunked']) {
      client.send(get(path))
      const answer = await client.response()
      t.equal(answer.framing, 'chunked', path)
      t.equal(answer.body.toString(), 'until the end', path)
      t.ok(answer.complete, path)
    }
    client.destroy()
  },
)

t.test('HEAD, 204 and 304 have no body, whatever their fields say (RFC 9112 6.3)', async t => {
  upstream.on('/head', raw('HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nX: y\r\n\r\n'))
  upstream.on('/head-chunked', raw('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'))
  upstream.on('/204', raw('HTTP/1.1 204 No Content\r\n\r\n'))
  upstream.on('/304', raw('HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\nETag: "x"\r\n\r\n'))
  const client = await RawClient.connect(causeway.port())
  client.send('HEAD /head HTTP/1.1\r\nHost: example.test\r\n\r\n')
  const head = await client.response('HEAD')
  t.equal(fieldOf(head, 'content-length'), '1234', 'the length a GET would have had')
  client.send('HEAD /head-chunked HTTP/1.1\r\nHost: example.test\r\n\r\n')
  t.equal((await client.response('HEAD')).status, 200)
  client.send(get('/204'))
  t.equal((await client.response()).status, 204)
  client.send(get('/304'))
  const notModified = await client.response()
  t.equal(notModified.status, 304)
  t.equal(fieldOf(notModified, 'etag'), '"x"')
  client.send(get('/after'))
  t.equal((await client.response()).body.toString(), 'ok\n', 'the connection is in step')
  client.destroy()
})

t.test('an answer without a reason phrase, and with a foreign one, is relayed', async t => {
  upstream.on('/bare', raw('HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n'))
  upstream.on('/foreign', raw('HTTP/1.1 404 Gibt es nicht\r\nContent-Length: 0\r\n\r\n'))
  t.equal((await ask(causeway.port(), get('/bare'))).status, 299)
  const foreign = await ask(causeway.port(), get('/foreign'))
  t.equal(foreign.status, 404)
})

t.test('an answer that says close ends the upstream connection and not the client', async t => {
  upstream.on('/app-closes', ok('x', 'Connection: close\r\n'))
  const client = await RawClient.connect(causeway.port())
  for (const n of [1, 2, 3]) {
    client.send(get(`/app-closes?${n}`))
    const answer = await client.response()
    t.equal(answer.status, 200)
    t.not(fieldOf(answer, 'connection'), 'close')
  }
  const numbers = upstream.seen('/app-closes').map(request => request.connection)
  t.equal(new Set(numbers).size, 3, 'a connection each')
  client.destroy()
})

t.test('every answer has a Date, once', async t => {
  upstream.on('/dated', ok('x', 'Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n'))
  for (const path of ['/undated', '/dated']) {
    const answer = await ask(causeway.port(), get(path))
    t.equal(answer.fields.filter(([name]) => name.toLowerCase() === 'date').length, 1, path)
  }
})

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, [upstream])
})
