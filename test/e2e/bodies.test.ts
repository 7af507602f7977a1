import { createHash, randomBytes } from 'node:crypto'
import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { fieldOf, get, post, RawClient } from '../support/raw-client.ts'
import { never, RecordingUpstream, type Script } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

const MIB = 1024 * 1024
const upstream = await RecordingUpstream.start(t)
const causeway = await startCauseway(t, {
  config: configText({
    endpoints: [upstream.port],
    upstream: 'read_ahead = "1MiB"',
    listener: 'limits = { body = "12MiB" }',
  }),
})
const big = randomBytes(10 * MIB)
const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** Answers with `big`, framed by this. */
function sendBig(framing: 'length' | 'chunked' | 'close'): Script {
  return line => {
    const fields = {
      length: `Content-Length: ${big.length}\r\n`,
      chunked: 'Transfer-Encoding: chunked\r\n',
      close: '',
    }
    line.send(`HTTP/1.1 200 OK\r\n${fields[framing]}\r\n`)
    if (framing === 'chunked') {
      for (let at = 0; at < big.length; at += 100_000) {
        const chunk = big.subarray(at, at + 100_000)
        line.send(`${chunk.length.toString(16)}\r\n`)
        line.send(chunk)
        line.send('\r\n')
      }
      line.send('0\r\n\r\n')
    } else line.send(big)
    if (framing === 'close') line.end()
  }
}

t.test('10 MiB come down byte for byte in every framing', async t => {
  const client = await RawClient.connect(causeway.port())
  for (const framing of ['length', 'chunked', 'close'] as const) {
    upstream.on(`/down-${framing}`, sendBig(framing))
    client.send(get(`/down-${framing}`))
    const answer = await client.response()
    t.equal(hash(answer.body), hash(big), framing)
    t.ok(answer.complete, framing)
  }
  client.destroy()
})

t.test('10 MiB go up byte for byte in both framings', async t => {
  const client = await RawClient.connect(causeway.port())
  client.send(`POST /up HTTP/1.1\r\nHost: example.test\r\nContent-Length: ${big.length}\r\n\r\n`)
  client.send(big)
  t.equal((await client.response()).status, 200)
  client.send('POST /up HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n')
  for (let at = 0; at < big.length; at += 77_777) {
    const chunk = big.subarray(at, at + 77_777)
    client.send(`${chunk.length.toString(16)}\r\n`)
    client.send(chunk)
    client.send('\r\n')
  }
  client.send('0\r\n\r\n')
  t.equal((await client.response()).status, 200)
  t.same(
    upstream.seen('/up').map(request => hash(request.body)),
    [hash(big), hash(big)],
  )
  client.destroy()
})

t.test('a reader that stalls does not fill our memory', async t => {
  upstream.on('/endless', async line => {
    line.send(`HTTP/1.1 200 OK\r\nContent-Length: ${4096 * MIB}\r\n\r\n`)
    const piece = Buffer.alloc(MIB)
    // As long as the proxy takes it: it must stop taking soon after its client did.
    while (!line.closed && line.socket.writable) {
      if (line.socket.write(piece)) continue
      await Promise.race([line.untilClosed(), new Promise(drained => line.socket.once('drain', drained))])
    }
  })
  const before = causeway.rssBytes()
  const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(causeway.port())))
  for (const client of clients) {
    client.send(get('/endless'))
    await client.untilReceived('\r\n\r\n')
    client.stall()
  }
  let last = -1
  await until('the flow to stop', async () => {
    const stopped = upstream.bytesSent === last
    last = upstream.bytesSent
    await new Promise(done => setTimeout(done, 300))
    return stopped && upstream.bytesSent === last
  })
  t.ok(causeway.rssBytes() - before < 64 * MIB, `RSS grew by ${(causeway.rssBytes() - before) / MIB} MiB`)
  t.equal((await (await freshGet('/while-stalled')).response()).status, 200, 'others are served')
  for (const client of clients) client.destroy()
  await until('the upstream connections to close', () => upstream.seen('/endless').length === 20)
})

t.test('an app that does not read does not fill our memory', async t => {
  upstream.on('/deaf', line => {
    line.socket.pause()
  })
  const before = causeway.rssBytes()
  const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(causeway.port())))
  for (const client of clients) {
    client.send(`POST /deaf HTTP/1.1\r\nHost: example.test\r\nContent-Length: ${11 * MIB}\r\n\r\n`)
    client.send(big)
  }
  const taken = () => clients.reduce((sum, client) => sum + client.sentBytes, 0)
  let last = -1
  await until('the flow to stop', async () => {
    const stopped = taken() === last
    last = taken()
    await new Promise(done => setTimeout(done, 300))
    return stopped && taken() === last
  })
  t.ok(causeway.rssBytes() - before < 64 * MIB, `RSS grew by ${(causeway.rssBytes() - before) / MIB} MiB`)
  for (const client of clients) client.reset()
  // While neither side can move, nobody hears of the clients' leaving: the app has to move.
  for (const socket of upstream.sockets) socket.destroy()
})

t.test('Expect: 100-continue is answered by us, once, and does not travel', async t => {
  const client = await RawClient.connect(causeway.port())
  client.send(
    'POST /expect HTTP/1.1\r\nHost: example.test\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n',
  )
  await client.untilReceived('HTTP/1.1 100 Continue\r\n\r\n')
  client.send('hello')
  const answer = await client.response('POST')
  t.same(
    answer.interim.map(({ status }) => status),
    [100],
  )
  t.equal(answer.status, 200)
  t.equal(upstream.seen('/expect')[0]?.field('expect'), undefined)
  t.equal(upstream.seen('/expect')[0]?.body.toString(), 'hello')
  client.destroy()
})

t.test('a client that does not wait for 100 is served as well', async t => {
  const client = await RawClient.connect(causeway.port())
  client.send(post('/expect-eager', 'hello', 'Expect: 100-continue\r\n') + get('/behind-eager'))
  t.equal((await client.response('POST')).status, 200)
  t.equal((await client.response()).status, 200)
  t.equal(upstream.seen('/expect-eager')[0]?.body.toString(), 'hello')
  client.destroy()
})

t.test('HTTP/1.0 and requests without a body get no 100', async t => {
  const client = await RawClient.connect(causeway.port())
  client.send(get('/expect-nothing', 'Expect: 100-continue\r\n'))
  t.same((await client.response()).interim, [])
  client.send(
    'POST /expect-old HTTP/1.0\r\nHost: example.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi',
  )
  t.same((await client.response('POST')).interim, [])
  client.destroy()
})

t.test('a request that is refused gets no 100', async t => {
  const client = await RawClient.connect(causeway.port())
  client.send(
    `POST /expect-big HTTP/1.1\r\nHost: example.test\r\nExpect: 100-continue\r\nContent-Length: ${13 * MIB}\r\n\r\n`,
  )
  const answer = await client.response('POST')
  t.equal(answer.status, 413)
  t.same(answer.interim, [])
  t.equal(fieldOf(answer, 'connection'), 'close')
  await client.untilEnded()
  t.equal(upstream.seen('/expect-big').length, 0)
})

t.test('a length beyond the limit is refused before the app hears of it', async t => {
  const client = await RawClient.connect(causeway.port())
  client.send(`POST /too-long HTTP/1.1\r\nHost: example.test\r\nContent-Length: ${12 * MIB + 1}\r\n\r\nxxxx`)
  const answer = await client.response('POST')
  t.equal(answer.status, 413)
  t.equal(fieldOf(answer, 'connection'), 'close')
  await client.untilEnded()
  t.equal(upstream.seen('/too-long').length, 0)
})

t.test('chunks beyond the limit are refused, and the app sees no complete request', async t => {
  const client = await RawClient.connect(causeway.port())
  client.send('POST /too-many HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n')
  for (let n = 0; n < 13; n += 1) {
    client.send(`${MIB.toString(16)}\r\n`)
    client.send(big.subarray(0, MIB))
    client.send('\r\n')
  }
  client.send('0\r\n\r\n')
  const answer = await client.response('POST')
  t.equal(answer.status, 413)
  t.equal(fieldOf(answer, 'connection'), 'close')
  await client.untilEnded()
  t.notOk(upstream.seen('/too-many').some(request => request.complete))
})

t.test('a body that the client never finishes never ends at the app either', async t => {
  upstream.on('/unfinished', never)
  const client = await RawClient.connect(causeway.port())
  client.send('POST /unfinished HTTP/1.1\r\nHost: example.test\r\nContent-Length: 10\r\n\r\nhalf')
  client.destroy()
  const fine = await freshGet('/fine')
  t.equal((await fine.response()).status, 200)
  t.notOk(upstream.seen('/unfinished').some(request => request.complete))
})

async function freshGet(target: string): Promise<RawClient> {
  const client = await RawClient.connect(causeway.port())
  client.send(get(target, 'Connection: close\r\n'))
  return client
}

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, [upstream])
})
