import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, get, RawClient } from '../support/raw-client.ts'
import { RecordingUpstream, type UpstreamLine } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'
import { echo, KEY, opening, openWebSocket, switching } from '../support/websocket-app.ts'

const MIB = 1024 * 1024

const app = await RecordingUpstream.start(t)
const causeway = await startCauseway(t, { config: configText({ endpoints: [app.port] }) })
const web = causeway.port()
app.on('/echo', echo)

/** A path whose tunnels are kept for the test to play the app's part. */
function held(path: string, first = ''): () => Promise<UpstreamLine> {
  const lines: UpstreamLine[] = []
  app.on(
    path,
    switching(line => lines.push(line), '', first),
  )
  return () => until(`a tunnel at ${path}`, () => lines.shift())
}

/** All bytes of a tunnel that an app gets. */
function gathered({ socket }: UpstreamLine): Buffer[] {
  const pieces: Buffer[] = []
  socket.on('data', (bytes: Buffer) => pieces.push(bytes)).resume()
  return pieces
}

const sum = (...pieces: Buffer[]) => createHash('sha256').update(Buffer.concat(pieces)).digest('hex')

async function noTunnels(running: Running): Promise<void> {
  await running.metric('causeway_upstream_tunnels', {}, value => value === 0)
  await running.metric('causeway_upstream_in_flight', {}, value => value === 0)
  await running.metric('causeway_requests_in_flight', {}, value => value === 0)
}

t.test('the app is asked in one form, whatever the client wrote', async t => {
  const target = '/asked/../%2e/x?a=/../b&c=?&d'
  app.on('/asked/../%2e/x', echo)
  const client = await RawClient.connect(web)
  client.send(
    `GET ${target} HTTP/1.1\r\nHost: example.test:81\r\nConnection: keep-alive, UPGRADE, X-Hop\r\nUpgrade: WebSocket\r\n` +
      `sec-websocket-version: 13\r\nSec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Protocol: more\r\n` +
      'Origin: http://example.test:81\r\nCookie: a=1\r\nCookie: b=2\r\nX-Hop: h\r\nX-Forwarded-For: 192.0.2.9\r\n' +
      'Sec-WebSocket-Extensions: permessage-deflate\r\nX-Latin: caf\xe9\r\n\r\n',
  )
  t.equal((await client.response()).status, 101)
  const request = app.requests.at(-1)
  t.equal(request?.target, target, 'the target as it came')
  const expected = {
    host: 'example.test:81',
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-key': KEY,
    'sec-websocket-protocol': 'chat, superchat',
    origin: 'http://example.test:81',
    cookie: 'a=1; b=2',
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-host': 'example.test:81',
    'x-latin': 'caf\xe9',
    'x-hop': undefined,
  }
  for (const [name, value] of Object.entries(expected)) t.equal(request?.field(name), value, name)
  t.ok(request?.field('x-request-id'))
  t.equal(request?.names.filter(name => name === 'sec-websocket-protocol').length, 2, 'repeated fields stay')
  client.destroy()
})

t.test('the client gets the switch in our words, with the fields of the app', async t => {
  app.on(
    '/fields',
    switching(
      ({ socket }) => socket.pipe(socket),
      'Sec-WebSocket-Protocol: chat\r\nX-Accel-Redirect: /secret\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nServer: caf\xe9\r\n',
    ),
  )
  const client = await RawClient.connect(web)
  client.send(opening('/fields'))
  const { status, fields } = await client.response()
  t.equal(status, 101)
  const all = fields.map(([name, value]) => `${name.toLowerCase()}: ${value}`)
  t.same(all.toSorted(), [
    'connection: Upgrade',
    'sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
    'sec-websocket-protocol: chat',
    'server: caf\xe9',
    'set-cookie: a=1',
    'set-cookie: b=2',
    'upgrade: websocket',
  ])
  client.destroy()
})

t.test(
  'a handshake that gives its body a length of 0 opens; one with a body is an ordinary request',
  async t => {
    app.on('/early', echo)
    const before = app.requests.length
    const client = await openWebSocket(web, '/early', 'Content-Length: 0\r\n')
    client.send('through')
    await client.untilReceived('through')
    client.destroy()
    t.same(
      app.requests.slice(before).map(({ names }) => names.includes('content-length')),
      [false],
    )
    for (const body of ['Content-Length: 1\r\n\r\nx', 'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n']) {
      const plain = await RawClient.connect(web)
      plain.send(opening('/body', body).slice(0, -2))
      t.equal((await plain.response()).status, 200)
      plain.destroy()
    }
  },
)

t.test('bytes that come with the heads are not lost', async t => {
  const tunnel = held('/early', 'from the app')
  const client = await RawClient.connect(web)
  client.send(`${opening('/early')}from the client`)
  const line = await tunnel()
  const got = gathered(line)
  await client.untilReceived('from the app')
  await until("the client's bytes", () => Buffer.concat(got).toString() === 'from the client')
  client.send(', and more')
  await until('more of them', () => Buffer.concat(got).toString() === 'from the client, and more')
  t.match(client.received, /\r\n\r\nfrom the app$/)
  client.destroy()
})

t.test('nothing in a tunnel is read as HTTP', async t => {
  const tunnel = held('/http-inside')
  const client = await openWebSocket(web, '/http-inside')
  const got = gathered(await tunnel())
  const before = app.requests.length
  client.send(get('/smuggled') + get('/smuggled'))
  await until(
    'the bytes',
    () => Buffer.concat(got).toString('latin1') === get('/smuggled') + get('/smuggled'),
  )
  t.equal(app.requests.length, before)
  client.destroy()
})

t.test('16 MiB both ways at once: byte for byte', async t => {
  const client = await openWebSocket(web, '/echo')
  const pieces = Array.from({ length: 64 }, () => randomBytes(MIB / 4))
  const got: Buffer[] = []
  let size = 0
  // Its own reader is not made for so much.
  client.socket.removeAllListeners('data').on('data', (bytes: Buffer) => {
    got.push(bytes)
    size += bytes.length
  })
  for (const piece of pieces) client.send(piece)
  await until('all of it', () => size === 16 * MIB)
  t.equal(sum(...got), sum(...pieces))
  client.halfClose()
  await client.untilEnded()
  const { status, end, bytes_in, bytes_out } = await until('its line', () =>
    causeway.access.find(line => line['path'] === '/echo' && Number(line['bytes_in']) > MIB),
  )
  t.same([status, end], [101, 'ok'])
  t.ok(Number(bytes_in) > 16 * MIB && Number(bytes_out) > 16 * MIB, 'counted')
})

t.test('a client that has ended still gets what the app has to say', async t => {
  const tunnel = held('/client-ends')
  const client = await openWebSocket(web, '/client-ends')
  const { socket } = await tunnel()
  let ended = false
  socket.once('end', () => {
    ended = true
  })
  socket.resume()
  client.send('bye')
  client.halfClose()
  await until('the app to hear of it', () => ended)
  socket.write('last words')
  await client.untilReceived('last words')
  t.equal(client.ended, undefined)
  socket.end()
  await client.untilEnded()
  t.match(await causeway.accessOf('/client-ends'), { status: 101, end: 'ok' })
})

t.test('an app that has ended still gets what the client has to say', async t => {
  const tunnel = held('/app-ends')
  const client = await openWebSocket(web, '/app-ends')
  const line = await tunnel()
  const got = gathered(line)
  line.socket.end('bye')
  await until('the client to hear of it', () => client.ended === 'fin')
  client.send('last words')
  await until('its words', () => Buffer.concat(got).toString() === 'last words')
  client.halfClose()
  await line.untilClosed()
  t.match(await causeway.accessOf('/app-ends'), { status: 101, end: 'ok' })
})

t.test('one side has ended, and the other is silent: it is not waited for long', async t => {
  const silent = async (side: 'client' | 'app') => {
    const path = `/silent-behind-${side}`
    const tunnel = held(path)
    const client = await openWebSocket(web, path)
    const line = await tunnel()
    line.socket.resume()
    if (side === 'client') client.halfClose()
    else line.socket.end()
    t.match(await causeway.accessOf(path), { end: side === 'client' ? 'client_gone' : 'ok' }, side)
    // Whoever speaks now hears that nobody is there any more.
    await until(`${side}: the app's connection to be over`, () => {
      if (side === 'client') line.send('too late')
      return line.closed
    })
    client.destroy()
  }
  await Promise.all([silent('client'), silent('app')])
  await noTunnels(causeway)
})

t.test('a client that resets takes its tunnel with it, at once', async t => {
  const tunnel = held('/client-resets')
  const client = await openWebSocket(web, '/client-resets')
  const line = await tunnel()
  let code = ''
  line.socket.on('error', (error: NodeJS.ErrnoException) => {
    code = error.code ?? ''
  })
  line.socket.resume()
  client.reset()
  await line.untilClosed()
  t.equal(code, 'ECONNRESET')
  t.match(await causeway.accessOf('/client-resets'), { status: 101, end: 'client_gone' })
})

t.test('an app that resets takes its tunnel with it, at once', async t => {
  const tunnel = held('/app-resets')
  const client = await openWebSocket(web, '/app-resets')
  const line = await tunnel()
  line.reset()
  await until('the client to be told', () => client.ended === 'reset')
  t.match(await causeway.accessOf('/app-resets'), { status: 101, end: 'upstream_closed' })
  t.equal((await causeway.metrics()).sum('causeway_upstream_errors_total'), 0, 'no failure of the endpoint')
})

t.test('behind the end of one side it does not matter how the other one closes', async t => {
  for (const side of ['client', 'app'] as const) {
    const path = `/resets-behind-${side}`
    const tunnel = held(path)
    const client = await openWebSocket(web, path)
    const line = await tunnel()
    line.socket.resume()
    const ended = new Promise(done => line.socket.once('end', done))
    if (side === 'client') {
      client.halfClose()
      await ended
      line.reset()
      await until('the client to be told', () => client.ended)
      t.equal(client.ended, 'fin')
    } else {
      line.socket.end()
      await until('the client to be told', () => client.ended)
      client.reset()
      await line.untilClosed()
    }
    t.match(await causeway.accessOf(path), { status: 101, end: 'ok' }, side)
  }
})

t.test('who takes nothing stops the other side, not the memory', async t => {
  for (const slow of ['client', 'app'] as const) {
    const path = `/slow-${slow}`
    const tunnel = held(path)
    const client = await openWebSocket(web, path)
    const { socket } = await tunnel()
    const [from, to] = slow === 'client' ? [socket, client.socket] : [client.socket, socket]
    // The client's own reader would keep it all.
    to.removeAllListeners('data').pause()
    const before = causeway.rssBytes()
    from.write(Buffer.alloc(64 * MIB, 'x'))
    await until('the flow to stop', async () => {
      const sent = from.bytesWritten - from.writableLength
      await new Promise(done => setTimeout(done, 200))
      return from.bytesWritten - from.writableLength === sent
    })
    t.ok(from.writableLength > 0, `${slow}: the sender has to wait`)
    t.ok(causeway.rssBytes() - before < 32 * MIB, `${slow}: nothing piles up here`)
    let size = 0
    to.on('data', (bytes: Buffer) => {
      size += bytes.length
    })
    to.resume()
    await until(`${slow}: all of it`, () => size === 64 * MIB)
    client.destroy()
  }
  await noTunnels(causeway)
})

t.test('an endpoint that is a unix socket', async t => {
  const path = join(mkdtempSync(join(tmpdir(), 'causeway-tunnel-')), 'app.sock')
  const server = createServer(socket => {
    const onward = connect(app.port, '127.0.0.1')
    socket.pipe(onward).pipe(socket)
    for (const each of [socket, onward]) each.on('error', () => undefined)
  }).listen(path)
  t.teardown(() => server.close())
  const local = await startCauseway(t, { config: configText({ endpoints: [`unix:${path}`] }) })
  const client = await openWebSocket(local.port(), '/echo')
  client.send('through a file')
  await client.untilReceived('through a file')
  client.halfClose()
  await client.untilEnded()
  await assertClean(t, local)
})

t.test('a tunnel has its slot for as long as it is open', async t => {
  const limited = await startCauseway(t, {
    config: configText({ endpoints: [app.port], upstream: 'max_inflight = 1\nqueue = { timeout = "10s" }' }),
  })
  const first = await openWebSocket(limited.port(), '/echo')
  const second = await RawClient.connect(limited.port())
  second.send(opening('/echo'))
  await limited.metric('causeway_upstream_queue_depth', {}, value => value === 1)
  const third = await RawClient.connect(limited.port())
  third.send(opening('/echo'))
  await limited.metric('causeway_upstream_queue_depth', {}, value => value === 2)
  third.reset()
  await limited.metric('causeway_upstream_queue_depth', {}, value => value === 1)
  first.destroy()
  t.equal((await second.response()).status, 101)
  second.destroy()
  await assertClean(t, limited)
})

t.test('a thousand tunnels come and go, and leave nothing behind', async t => {
  await noTunnels(causeway)
  const before = await causeway.metrics()
  const opened = before.sum('causeway_upstream_tunnels_total')
  const descriptors = () => readdirSync(`/proc/${causeway.pid}/fd`).length
  await causeway.metric('causeway_connections_active', {}, value => value === 0)
  const atRest = descriptors()
  for (let round = 0; round < 10; round += 1) {
    const clients = await Promise.all(Array.from({ length: 100 }, () => openWebSocket(web, '/echo')))
    await causeway.metric('causeway_upstream_tunnels', {}, value => value === 100)
    for (const [i, client] of clients.entries()) {
      client.send('ping')
      if (i % 3 === 0) client.reset()
      else if (i % 3 === 1) client.halfClose()
      else client.destroy()
    }
  }
  await noTunnels(causeway)
  await causeway.metric('causeway_connections_active', {}, value => value === 0)
  t.equal((await causeway.metrics()).sum('causeway_upstream_tunnels_total') - opened, 1000)
  await until(
    () => `descriptors to be given back: ${atRest} at rest, now ${descriptors()}`,
    () => descriptors() <= atRest + 4,
  )
})

t.test('tunnels are no latency', async t => {
  const metrics = await causeway.metrics()
  t.ok(metrics.sum('causeway_requests_total', { code: '101' }) >= 1000)
  const plain =
    metrics.sum('causeway_requests_total') - metrics.sum('causeway_requests_total', { code: '101' })
  t.equal(metrics.sum('causeway_request_duration_seconds_count'), plain)
  t.equal((await ask(web, get('/fine'))).status, 200)
})

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, [app])
})
