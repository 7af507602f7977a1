import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { fieldOf, get, RawClient } from '../support/raw-client.ts'
import { ok, RecordingUpstream, raw } from '../support/recording-upstream.ts'

const upstream = await RecordingUpstream.start(t)
const causeway = await startCauseway(t, {
  config: configText({ endpoints: [upstream.port], upstream: 'body = "stream"' }),
})

const REFUSAL = 'HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno\n'
const upload = (path: string, length = 1_000_000) =>
  `POST ${path} HTTP/1.1\r\nHost: example.test\r\nContent-Length: ${length}\r\n\r\n`

t.test('an answer that comes before the upload ends reaches the client at once', async t => {
  upstream.on('/early', line => line.send(REFUSAL))
  const client = await RawClient.connect(causeway.port())
  client.send(`${upload('/early')}some of it`)
  const answer = await client.response('POST')
  t.equal(answer.status, 403)
  t.equal(answer.body.toString(), 'no\n')
  client.destroy()
})

t.test('after an early answer neither connection is used again', async t => {
  upstream.on('/early-close', line => line.send(REFUSAL))
  const client = await RawClient.connect(causeway.port())
  // What is still missing of the upload is a request by its looks.
  const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: example.test\r\n\r\n'
  client.send(upload('/early-close', smuggled.length + 4))
  client.send('half')
  t.equal((await client.response('POST')).status, 403)
  client.send(smuggled)
  await client.untilEnded()
  t.equal(upstream.seen('/smuggled').length, 0)
  const connection = upstream.seen('/early-close')[0]?.connection
  t.equal((await askAgain()).status, 200)
  t.not(upstream.requests.at(-1)?.connection, connection)
})

t.test('an early answer arrives also where the app then resets', async t => {
  upstream.on('/early-reset', line => {
    line.send(REFUSAL)
    line.socket.once('drain', () => line.reset())
    setImmediate(() => line.end())
  })
  const client = await RawClient.connect(causeway.port())
  client.send(`${upload('/early-reset')}${'x'.repeat(100_000)}`)
  t.equal((await client.response('POST')).status, 403)
  client.destroy()
})

t.test('an early answer to chunks arrives, and the rest of the chunks is no request', async t => {
  upstream.on('/early-chunks', line => line.send(REFUSAL))
  const client = await RawClient.connect(causeway.port())
  client.send(
    'POST /early-chunks HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n',
  )
  t.equal((await client.response('POST')).status, 403)
  client.send('0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: example.test\r\n\r\n')
  await client.untilEnded()
  t.equal(upstream.seen('/smuggled').length, 0)
})

t.test('a long early answer streams while the upload runs', async t => {
  upstream.on('/echo', async (line, request) => {
    line.send('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none')
    await request.whole()
    line.send('two')
  })
  const client = await RawClient.connect(causeway.port())
  client.send(`${upload('/echo', 8)}half`)
  await client.untilReceived('one')
  client.send('half')
  const answer = await client.response('POST')
  t.equal(answer.body.toString(), 'onetwo')
  t.ok(upstream.seen('/echo')[0]?.complete)
  client.destroy()
})

t.test('interim answers are relayed to HTTP/1.1 clients, in order, with their fields', async t => {
  upstream.on('/hints', async line => {
    line.send('HTTP/1.1 102 Processing\r\n\r\n')
    line.send(
      'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: X-Hop\r\nX-Hop: h\r\n\r\n',
    )
    line.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const client = await RawClient.connect(causeway.port())
  client.send(get('/hints'))
  const answer = await client.response()
  const hints = answer.interim.find(({ status }) => status === 103)
  t.ok(hints, 'there is a 103')
  t.equal(hints === undefined ? '' : fieldOf(hints, 'link'), '</a.css>; rel=preload')
  t.equal(hints === undefined ? '' : fieldOf(hints, 'x-hop'), undefined)
  t.equal(answer.body.toString(), 'ok')
  client.send(get('/after-hints'))
  t.equal((await client.response()).status, 200)
  client.destroy()
})

t.test('an interim answer arrives before the final one exists', async t => {
  let release = () => {}
  upstream.on('/slow-hints', async line => {
    line.send('HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n')
    await new Promise<void>(done => {
      release = done
    })
    line.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const client = await RawClient.connect(causeway.port())
  client.send(get('/slow-hints'))
  await client.untilReceived('</a.css>\r\n\r\n')
  t.notMatch(client.received, '200 OK')
  release()
  t.equal((await client.response()).status, 200)
  client.destroy()
})

t.test('an HTTP/1.0 client gets the final answer only', async t => {
  upstream.on(
    '/old-hints',
    raw('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'),
  )
  const client = await RawClient.connect(causeway.port())
  client.send('GET /old-hints HTTP/1.0\r\n\r\n')
  await client.untilEnded()
  t.notMatch(client.received, '103')
  t.match(client.received, /^HTTP\/1\.[01] 200 /)
})

t.test("the app's own 100 is not a second one for the client", async t => {
  upstream.on('/double-100', async (line, request) => {
    line.send('HTTP/1.1 100 Continue\r\n\r\n')
    await ok()(line, request)
  })
  const client = await RawClient.connect(causeway.port())
  client.send(
    'POST /double-100 HTTP/1.1\r\nHost: example.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n',
  )
  await client.untilReceived('100 Continue')
  client.send('hi')
  const answer = await client.response('POST')
  t.equal(answer.interim.length, 1)
  t.equal(answer.status, 200)
  client.destroy()
})

async function askAgain() {
  const client = await RawClient.connect(causeway.port())
  client.send(get('/again', 'Connection: close\r\n'))
  return client.response()
}

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, [upstream])
})
