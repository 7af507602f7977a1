import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { startDeafServer } from '../support/deaf-server.ts'
import { ask, fieldOf, get, RawClient } from '../support/raw-client.ts'
import { never, RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

const upstream = await RecordingUpstream.start(t)
const causeway = await startCauseway(t, {
  config: configText({
    endpoints: [upstream.port],
    listener:
      'timeouts = { header = "400ms", body = "400ms", keepalive = "400ms", write = "500ms", min_rate = "1KiB/s" }',
    upstream: `
      timeouts = { connect = "300ms", response = "400ms", idle = "400ms" }
      passive = { failures = "off" }
      retry = { attempts = 1 }`,
  }),
})

/** Sends one byte now and then until the other side ends it. */
async function dribble(client: RawClient, bytes: string, everyMs: number): Promise<void> {
  for (const byte of bytes) {
    if (client.ended !== undefined || client.received !== '') return
    client.send(byte)
    await pause(everyMs)
  }
}

t.test('a head has one deadline, which no single byte moves: 408', async t => {
  const client = await RawClient.connect(causeway.port())
  await dribble(client, `GET /slow-head HTTP/1.1\r\nHost: example.test\r\nA: ${'a'.repeat(200)}`, 40)
  const answer = await client.response()
  t.equal(answer.status, 408)
  t.equal(fieldOf(answer, 'connection'), 'close')
  await client.untilEnded()
  t.equal(upstream.seen('/slow-head').length, 0)
})

t.test('a connection that never says a word is closed without one', async t => {
  const client = await RawClient.connect(causeway.port())
  t.equal(await client.untilEnded(), '')
})

t.test('a connection that has no next request is closed without a word', async t => {
  const client = await RawClient.connect(causeway.port())
  client.send(get('/only'))
  t.equal((await client.response()).status, 200)
  const before = client.receivedBytes
  await client.untilEnded()
  t.equal(client.receivedBytes, before)
})

t.test('a head on a kept connection has the same deadline', async t => {
  const client = await RawClient.connect(causeway.port())
  client.send(get('/first'))
  await client.response()
  client.send('GET /second HTTP/1.1\r\n')
  t.equal((await client.response()).status, 408)
  await client.untilEnded()
})

t.test('a body that falls silent: 408, and the app never sees its end', async t => {
  const client = await RawClient.connect(causeway.port())
  client.send('POST /silent HTTP/1.1\r\nHost: example.test\r\nContent-Length: 100\r\n\r\nhalf')
  t.equal((await client.response('POST')).status, 408)
  await client.untilEnded()
  t.notOk(upstream.seen('/silent').some(request => request.complete))
})

t.test('a body that comes too slowly: 408, though it is never silent for long', async t => {
  const client = await RawClient.connect(causeway.port())
  client.send('POST /too-slow HTTP/1.1\r\nHost: example.test\r\nContent-Length: 1000\r\n\r\n')
  await dribble(client, 'x'.repeat(200), 50)
  t.equal((await client.response('POST')).status, 408)
  await client.untilEnded()
})

t.test('an app that does not answer: 504, and its work is given up', async t => {
  upstream.on('/never', never)
  const client = await RawClient.connect(causeway.port())
  client.send(get('/never') + get('/behind-never'))
  t.equal((await client.response()).status, 504)
  t.equal((await client.response()).status, 200, 'the connection goes on')
  client.destroy()
  await causeway.metric('causeway_upstream_in_flight', {}, value => value === 0)
  const { end } = await causeway.accessOf('/never')
  t.equal(end, 'upstream_timeout')
})

t.test('interim answers buy time only as answers do: the final one still has to come', async t => {
  upstream.on('/only-hints', line => line.send('HTTP/1.1 103 Early Hints\r\n\r\n'))
  t.equal((await ask(causeway.port(), get('/only-hints'))).status, 504)
})

t.test('an app that falls silent within its response: the client sees the cut', async t => {
  upstream.on('/stalls', line => line.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'))
  upstream.on('/stalls-in-chunks', line =>
    line.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'),
  )
  for (const path of ['/stalls', '/stalls-in-chunks']) {
    const answer = await ask(causeway.port(), get(path))
    t.equal(answer.status, 200)
    t.notOk(answer.complete, path)
  }
})

t.test('an answer that keeps coming may take longer than any of the timeouts', async t => {
  upstream.on('/steady', async line => {
    line.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n')
    for (let n = 0; n < 10; n += 1) {
      line.send('x')
      await pause(100)
    }
  })
  const answer = await ask(causeway.port(), get('/steady'))
  t.ok(answer.complete)
  t.equal(answer.body.length, 10)
})

t.test('a client that takes nothing of its answer is cut', async t => {
  const big = Buffer.alloc(64 * 1024 * 1024)
  upstream.on('/big', line => {
    line.send(`HTTP/1.1 200 OK\r\nContent-Length: ${big.length}\r\n\r\n`)
    line.send(big)
  })
  const client = await RawClient.connect(causeway.port())
  client.send(get('/big'))
  await client.untilReceived('\r\n\r\n')
  client.stall()
  const { end } = await causeway.accessOf('/big')
  t.equal(end, 'client_timeout')
  await until('the upstream connection to be dropped', () =>
    upstream.sockets.every(socket => socket.bytesWritten < big.length),
  )
  client.destroy()
})

t.test('an app that takes no connection: 503 once the request has waited for one in vain', async t => {
  const port = await startDeafServer(t)
  const deaf = await startCauseway(t, {
    config: configText({
      endpoints: [port],
      upstream: 'timeouts = { connect = "200ms" }\nqueue = { timeout = "500ms" }',
    }),
  })
  t.equal((await ask(deaf.port(), get('/deaf'))).status, 503)
  const { end, detail } = await deaf.accessOf('/deaf')
  t.equal(end, 'no_endpoint')
  t.match(detail, /no connection within 200 ms/)
  await assertClean(t, deaf)
})

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, [upstream])
})
