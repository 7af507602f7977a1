import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, get, post, RawClient } from '../support/raw-client.ts'
import { ok, RecordingUpstream, raw, rawThenClose, type Script } from '../support/recording-upstream.ts'

const upstream = await RecordingUpstream.start(t)
const causeway = await startCauseway(t, {
  config: configText({
    endpoints: [upstream.port],
    upstream: 'passive = { failures = "off" }\nretry = { attempts = 1 }',
  }),
})
const answer = (fields: string, body = '') => raw(`HTTP/1.1 200 OK\r\n${fields}\r\n${body}`)

/** Answers that no correct app gives, and that two clients could read in two ways. */
const BAD: readonly (readonly [name: string, script: Script])[] = [
  ['not HTTP', raw('hello\r\n\r\n')],
  ['SSH', raw('SSH-2.0-OpenSSH_9.2\r\n\r\n')],
  ['HTTP/2 answer', raw('HTTP/2 200\r\n\r\n')],
  ['version 1.10', raw('HTTP/1.10 200 OK\r\n\r\n')],
  ['lower-case version', raw('http/1.1 200 OK\r\n\r\n')],
  ['two digits', raw('HTTP/1.1 20 OK\r\n\r\n')],
  ['four digits', raw('HTTP/1.1 2000 OK\r\n\r\n')],
  ['status 099', raw('HTTP/1.1 099 OK\r\n\r\n')],
  ['status 600', raw('HTTP/1.1 600 OK\r\n\r\n')],
  ['no space', raw('HTTP/1.1200 OK\r\n\r\n')],
  ['two lengths', answer('Content-Length: 5\r\nContent-Length: 6\r\n', 'hello!')],
  ['a list of lengths', answer('Content-Length: 5, 6\r\n', 'hello!')],
  ['length with plus', answer('Content-Length: +5\r\n', 'hello')],
  ['length with minus', answer('Content-Length: -5\r\n', 'hello')],
  ['length in letters', answer('Content-Length: five\r\n', 'hello')],
  ['length beyond 63 bits', answer('Content-Length: 99999999999999999999\r\n', 'hello')],
  ['both framings', answer('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n')],
  ['unknown coding', answer('Transfer-Encoding: gzip\r\n', 'hello')],
  ['gzip, chunked', answer('Transfer-Encoding: gzip, chunked\r\n', '5\r\nhello\r\n0\r\n\r\n')],
  ['chunked twice', answer('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n')],
  ['space before colon', answer('A : b\r\nContent-Length: 0\r\n')],
  ['no colon', answer('A\r\nContent-Length: 0\r\n')],
  ['no name', answer(': b\r\nContent-Length: 0\r\n')],
  ['bare CR in a value', answer('A: b\rSet-Cookie: evil=1\r\nContent-Length: 0\r\n')],
  ['bare LF', answer('A: b\nSet-Cookie: evil=1\r\nContent-Length: 0\r\n')],
  ['NUL in a value', answer('A: b\0\r\nContent-Length: 0\r\n')],
  ['folded value', answer('A: b\r\n c\r\nContent-Length: 0\r\n')],
  [
    'unasked 101',
    raw('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'),
  ],
  ['a head without end', raw(`HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(30_000)}`)],
  ['closed before its response', line => line.end()],
  ['closed inside its head', rawThenClose('HTTP/1.1 200 OK\r\nContent-Len')],
  ['nothing but an interim answer', rawThenClose('HTTP/1.1 103 Early Hints\r\n\r\n')],
]

t.test('answers that no correct app gives become 502, and their connection dies', async t => {
  for (const [name, script] of BAD) {
    upstream.on('/bad', script)
    const before = upstream.requests.length
    const client = await RawClient.connect(causeway.port())
    client.send(get('/bad'))
    const got = await client.response()
    t.equal(got.status, 502, name)
    t.notMatch(
      got.body.toString(),
      /evil|hello|127\.0\.0\.1|node|causeway\/\d/i,
      `${name}: says nothing of the inside`,
    )
    client.destroy()
    const next = await ask(causeway.port(), get('/good'))
    t.equal(next.body.toString(), 'ok\n', `${name}: the next answer is its own`)
    t.not(
      upstream.requests.at(-1)?.connection,
      upstream.requests[before]?.connection,
      `${name}: new connection`,
    )
  }
})

/** Bodies that end before their end. */
const SHORT: readonly (readonly [name: string, script: Script])[] = [
  ['short length', rawThenClose('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')],
  ['no last chunk', rawThenClose('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n')],
  ['half a chunk', rawThenClose('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf')],
  [
    'no line behind the last chunk',
    rawThenClose('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n'),
  ],
  [
    'a bad chunk size',
    raw('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n+4\r\nhalf\r\n0\r\n\r\n'),
  ],
  [
    'a bare LF in the chunks',
    raw('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\n0\r\n\r\n'),
  ],
]

t.test('an answer that was cut never looks complete to the client (RFC 9112 8)', async t => {
  for (const version of ['1.1', '1.0']) {
    for (const [name, script] of SHORT) {
      upstream.on('/short', script)
      const client = await RawClient.connect(causeway.port())
      client.send(get('/short').replace('1.1', version))
      const got = await client.response().catch(() => undefined)
      // An answer that was not out yet may be lost with the reset: also no complete one.
      if (got === undefined) t.equal(client.ended, 'reset', `${name}: nothing but a reset`)
      else if (got.status !== 502) {
        t.equal(got.status, 200, name)
        if (got.framing === 'close')
          t.equal(client.ended, 'reset', `${name}: an HTTP/1.0 client sees a reset`)
        else t.notOk(got.complete, `${name}: incomplete`)
      }
      await client.untilEnded()
    }
  }
})

t.test('bytes behind an answer are never handed on, and end the connection (RFC 9112 9.2)', async t => {
  const evil = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'
  const SURPLUS: readonly (readonly [name: string, script: Script, method: string])[] = [
    ['behind a length', raw(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${evil}`), 'GET'],
    [
      'behind the last chunk',
      raw(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n${evil}`),
      'GET',
    ],
    ['behind 204', raw(`HTTP/1.1 204 No Content\r\n\r\n${evil}`), 'GET'],
    ['behind 304', raw(`HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n${evil}`), 'GET'],
    ['a body for HEAD', raw('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'), 'HEAD'],
    ['an answer behind that for HEAD', raw(`HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n${evil}`), 'HEAD'],
    ['a line end', raw('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n'), 'GET'],
  ]
  for (const [name, script, method] of SURPLUS) {
    upstream.on('/surplus', script)
    const client = await RawClient.connect(causeway.port())
    client.send(get('/surplus').replace('GET', method))
    await client.response(method)
    const dead = upstream.requests.at(-1)?.connection
    for (let n = 0; n < 3; n += 1) {
      client.send(get('/own'))
      t.equal((await client.response()).body.toString(), 'ok\n', `${name}: the next answers are their own`)
      t.not(upstream.requests.at(-1)?.connection, dead, `${name}: the connection was dropped`)
    }
    t.notMatch(client.received, 'evil', name)
    client.destroy()
  }
})

t.test('an answer that nobody asked for kills the idle connection', async t => {
  upstream.on('/idle', async (line, request) => {
    await ok()(line, request)
    setTimeout(() => line.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'), 20)
  })
  const client = await RawClient.connect(causeway.port())
  client.send(get('/idle'))
  t.equal((await client.response()).body.toString(), 'ok\n')
  const connection = upstream.seen('/idle')[0]?.connection
  await causeway.metric('causeway_upstream_connections', { state: 'idle' }, value => value === 0)
  client.send(get('/after-idle'))
  t.equal((await client.response()).body.toString(), 'ok\n')
  t.not(upstream.seen('/after-idle')[0]?.connection, connection)
  client.destroy()
})

t.test('nothing the client asks for becomes part of an answer head', async t => {
  const client = await RawClient.connect(causeway.port())
  client.send(get('/%0d%0aSet-Cookie:%20evil=1?%0d%0aX:y'))
  const got = await client.response()
  t.notOk(got.fields.some(([name]) => name.toLowerCase() === 'set-cookie'))
  client.destroy()
})

t.test('502 and its like keep the connection of a client that has sent everything', async t => {
  upstream.on('/bad', raw('nonsense\r\n\r\n'))
  const client = await RawClient.connect(causeway.port())
  client.send(get('/bad') + get('/fine'))
  t.equal((await client.response()).status, 502)
  t.equal((await client.response()).status, 200)
  client.send(post('/bad', 'hello'))
  t.equal((await client.response('POST')).status, 502)
  client.destroy()
})

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, [upstream])
})
