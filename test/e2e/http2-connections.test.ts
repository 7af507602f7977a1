import { once } from 'node:events'
import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { Http2Client } from '../support/http2-client.ts'
import { SETTING, windowUpdate } from '../support/http2-frames.ts'
import { RawClient } from '../support/raw-client.ts'
import { RawHttp2Client } from '../support/raw-http2-client.ts'
import { never, ok, RecordingUpstream } from '../support/recording-upstream.ts'
import { until, within } from '../support/until.ts'
import { echo, switching } from '../support/websocket-app.ts'

// What becomes of HTTP/2 connections: goodbyes, time-outs, floods, tunnels.

const NO_ERROR = 0
const CANCEL = 8
const ENHANCE_YOUR_CALM = 11
const MIB = 1024 * 1024
/** Wider than any answer here. */
const WIDE = 2 ** 30

const upstream = await RecordingUpstream.start(t)
const config = (listener = '') =>
  configText({
    endpoints: [upstream.port],
    upstream: 'abandoned = "close"\nread_ahead = "0"',
    server: '',
    listener: `h2c = true\n${listener}`,
  })

/** A request for a tunnel, and its stream. */
async function openWebSocket(client: Http2Client, path: string, status = 200) {
  await until('the settings', () => client.session.remoteSettings.enableConnectProtocol)
  const stream = client.session.request(
    {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'http',
      ':path': path,
      ':authority': 'example.test',
      'sec-websocket-version': '13',
    },
    { endStream: false },
  )
  stream.on('error', () => undefined)
  const [headers] = (await within('the answer to CONNECT', once(stream, 'response'))) as [
    Record<string, unknown>,
  ]
  if (headers[':status'] !== status) throw new Error(`${headers[':status']} in place of ${status}`)
  return { stream, headers }
}

t.test('a WebSocket over HTTP/2 reaches the app as any other (RFC 8441)', async t => {
  const causeway = await startCauseway(t, { config: config() })
  upstream.on('/echo', echo)
  upstream.on(
    '/greets',
    switching(() => undefined, 'Sec-WebSocket-Protocol: chat\r\n', 'hello'),
  )
  const client = new Http2Client(causeway.port())
  const { stream, headers } = await openWebSocket(client, '/echo')
  t.notOk(headers['sec-websocket-accept'])
  const sent = Buffer.alloc(3 * MIB, 'causeway')
  const got: Buffer[] = []
  stream.on('data', (chunk: Buffer) => got.push(chunk))
  stream.end(sent)
  await within('the end of the tunnel', once(stream, 'close'))
  t.ok(Buffer.concat(got).equals(sent), 'all of it came back')
  t.equal(stream.rstCode, NO_ERROR)
  t.match(await causeway.accessOf('/echo'), { proto: 'HTTP/2.0', status: 101, end: 'ok' })

  const greeted = await openWebSocket(client, '/greets')
  t.equal(greeted.headers['sec-websocket-protocol'], 'chat')
  const [first] = (await within('the app to speak', once(greeted.stream, 'data'))) as [Buffer]
  t.equal(first.toString(), 'hello')
  greeted.stream.close(CANCEL)
  await causeway.metric('causeway_upstream_in_flight', {}, value => value === 0)

  t.equal((await openWebSocket(client, '/plain-answer', 501)).headers[':status'], 501, 'a 200 opens nothing')
  client.destroy()
  await assertClean(t, causeway)
})

t.test('a drain says goodbye, lets run what runs, and closes what is idle', async t => {
  const causeway = await startCauseway(t, { config: config() })
  upstream.on('/slow', never)
  const idle = new Http2Client(causeway.port())
  const busy = new Http2Client(causeway.port())
  t.equal((await idle.get('/')).status, 200)
  let finish = () => {}
  upstream.on('/slow', line => {
    finish = () => line.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const call = busy.call({ ':path': '/slow' })
  await upstream.arrival('/slow')
  causeway.signal('SIGTERM')
  await idle.untilClosed()
  t.equal(idle.goaway ?? NO_ERROR, NO_ERROR)
  await until('the goodbye', () => busy.goaway === NO_ERROR)
  finish()
  t.equal((await call.answer).body.toString(), 'ok')
  await busy.untilClosed()
  t.equal(await causeway.exitCode(), 0)
  t.equal(causeway.stderr, '')
})

t.test('what still runs when the drain is over is cut so that its client sees it', async t => {
  const causeway = await startCauseway(t, { config: config() })
  upstream.on('/half', line => line.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'))
  const client = new Http2Client(causeway.port())
  const call = client.call({ ':path': '/half' })
  await until('half of the answer', () => call.received > 0)
  causeway.signal('SIGTERM')
  const answer = await call.answer
  t.not(answer.reset, NO_ERROR)
  t.equal(await causeway.exitCode(), 0)
})

t.test('a reload disturbs no connection', async t => {
  const causeway = await startCauseway(t, { config: config() })
  const client = new Http2Client(causeway.port())
  let finish = () => {}
  upstream.on('/across', line => {
    finish = () => line.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const call = client.call({ ':path': '/across' })
  await upstream.arrival('/across')
  t.equal(await causeway.reload(config('limits = { body = "1KiB" }')), 'success')
  finish()
  t.equal((await call.answer).status, 200)
  t.equal((await client.post('/', Buffer.alloc(2000))).status, 413, 'and the new limits hold')
  client.destroy()
  await assertClean(t, causeway)
})

t.test('an idle connection is told goodbye', async t => {
  const causeway = await startCauseway(t, {
    config: config('timeouts = { keepalive = "1s", header = "1s" }'),
  })
  const client = new Http2Client(causeway.port())
  t.equal((await client.get('/')).status, 200)
  await client.untilClosed()
  t.equal(client.goaway ?? NO_ERROR, NO_ERROR)
  const silent = new Http2Client(causeway.port())
  await silent.untilClosed()
  await causeway.metric('causeway_connections_active', {}, value => value === 0)
  await assertClean(t, causeway)
})

t.test('a client that takes nothing of a stream loses it, and its memory', async t => {
  const causeway = await startCauseway(t, { config: config('timeouts = { write = "1s" }') })
  upstream.on('/much', line => {
    line.send(`HTTP/1.1 200 OK\r\nContent-Length: ${8 * MIB}\r\n\r\n`)
    line.send(Buffer.alloc(8 * MIB))
  })
  const client = new Http2Client(causeway.port())
  const stream = client.session.request({ ':path': '/much', ':authority': 'example.test' })
  stream.on('error', () => undefined)
  await until('the reset', () => stream.closed)
  t.not(stream.rstCode, NO_ERROR)
  t.match(await causeway.accessOf('/much'), { end: 'client_timeout' })
  t.equal((await client.get('/')).status, 200, 'the others go on')
  client.destroy()
  await assertClean(t, causeway)
})

t.test('a connection that breaks the protocol is closed, and counted', async t => {
  const causeway = await startCauseway(t, { config: config() })
  const client = await RawClient.connect(causeway.port())
  client.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  // SETTINGS, then DATA on a stream that was never opened (RFC 9113 5.1).
  client.send('\0\0\0\x04\0\0\0\0\0' + '\0\0\x01\0\0\0\0\0\x01x')
  await until('the end', () => client.ended !== undefined)
  await causeway.metric('causeway_protocol_errors_total', { kind: 'http2' }, value => value === 1)
  await causeway.metric('causeway_connections_active', {}, value => value === 0)
  await assertClean(t, causeway)
})

t.test('a client that has half-closed gets its answer, if it comes soon', async t => {
  const causeway = await startCauseway(t, { config: config() })
  const client = await RawClient.connect(causeway.port())
  client.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0')
  // GET / of a.test, in HPACK's static table but for the name.
  client.send('\0\0\x0b\x01\x05\0\0\0\x01\x82\x86\x84\x01\x06a.test')
  client.halfClose()
  await until('the end', () => client.ended !== undefined)
  t.match(client.received, /ok\n/)
  await causeway.metric('causeway_connections_active', {}, value => value === 0)
  await assertClean(t, causeway)
})

t.test('a client that has half-closed and takes nothing for a while still gets its answer', async t => {
  const causeway = await startCauseway(t, { config: config() })
  upstream.on('/half-pausing', ok('x'.repeat(32 * MIB)))
  const client = await RawHttp2Client.connect(causeway.port(), [[SETTING.initialWindowSize, WIDE]])
  t.teardown(() => client.destroy())
  client.send(windowUpdate(0, WIDE))
  client.get('/half-pausing')
  await until('the answer to begin', () => client.dataBytes > 0)
  client.stall()
  client.socket.end()
  // Longer than a half-closed client may wait for the app.
  await new Promise(done => setTimeout(done, 7000))
  client.resume()
  await until('the end', () => client.ended)
  t.equal(client.dataBytes, 32 * MIB)
  await assertClean(t, causeway)
})

t.test('rapid resets end the connection, and are counted', async t => {
  const causeway = await startCauseway(t, { config: config('limits = { streams = 1000 }') })
  upstream.on('/reset', never)
  const client = new Http2Client(causeway.port())
  t.equal((await client.get('/')).status, 200)
  for (let i = 0; i < 1000 && !client.closed; i += 1) {
    const stream = client.session.request({ ':path': '/reset', ':authority': 'example.test' })
    stream.on('error', () => undefined)
    stream.close(CANCEL)
    if (i % 50 === 0) await new Promise(setImmediate)
  }
  await client.untilClosed()
  t.equal(client.goaway, ENHANCE_YOUR_CALM)
  await causeway.metric('causeway_protocol_errors_total', { kind: 'flood' }, value => value === 1)
  await assertClean(t, causeway)
})

t.test('a flood of pings ends the connection', async t => {
  const causeway = await startCauseway(t, { config: config() })
  const client = new Http2Client(causeway.port())
  t.equal((await client.get('/')).status, 200)
  const payload = Buffer.alloc(8)
  while (!client.closed) {
    for (let i = 0; i < 8 && !client.session.destroyed; i += 1) client.session.ping(payload, () => undefined)
    await new Promise(setImmediate)
  }
  t.equal(client.goaway, ENHANCE_YOUR_CALM)
  await causeway.metric('causeway_protocol_errors_total', { kind: 'flood' }, value => value === 1)
  await assertClean(t, causeway)
})
