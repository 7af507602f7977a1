import t from 'tap'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { type ConfigParts, configText } from '../support/config-text.ts'
import { ask, get, RawClient } from '../support/raw-client.ts'
import { RecordingUpstream, type UpstreamLine } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'
import { echo, openWebSocket, switching } from '../support/websocket-app.ts'

async function start(changes: Partial<ConfigParts> = {}): Promise<[Running, RecordingUpstream]> {
  const app = await RecordingUpstream.start(t)
  app.on('/echo', echo)
  return [await startCauseway(t, { config: configText({ endpoints: [app.port], ...changes }) }), app]
}

async function echoes(client: RawClient, text: string): Promise<void> {
  client.send(text)
  await client.untilReceived(text)
}

/** What comes behind the head of the switch, in hex. */
function tunnelled(client: RawClient): string {
  return Buffer.from(client.received.split('\r\n\r\n')[1] ?? '', 'latin1').toString('hex')
}

t.test('a tunnel in which nothing moves is closed; every byte, either way, is a move', async t => {
  const [causeway, app] = await start({ upstream: 'timeouts = { tunnel = "1s" }', workers: 1 })
  const lines: UpstreamLine[] = []
  app.on(
    '/quiet',
    switching(line => lines.push(line)),
  )
  const [idle, talks, listens] = await Promise.all([
    openWebSocket(causeway.port(), '/echo?idle'),
    openWebSocket(causeway.port(), '/quiet?talks'),
    openWebSocket(causeway.port(), '/quiet?listens'),
  ])
  const quiet = await until('both tunnels', () => lines.length === 2 && lines)
  const [first, second] = quiet as [UpstreamLine, UpstreamLine]
  const opened = [talks, listens]
  const moving = setInterval(() => {
    talks.send('.')
    // Which line is whose does not matter: one client sends on it, both apps do.
    first.send('.')
    second.send('.')
  }, 100)
  await until('the idle one to be closed', () => idle.ended)
  const { end, detail, status } = await causeway.accessOf('/echo')
  t.match({ end, detail, status }, { end: 'tunnel_idle', detail: /1000 ms/, status: 101 })
  // For longer than the idle one lived.
  await until('more moves', () => opened.every(client => client.receivedBytes > 150 + 20))
  for (const client of opened) t.equal(client.ended, undefined)
  clearInterval(moving)
  for (const client of opened) await until('the end of the moves', () => client.ended)
  await assertClean(t, causeway, [])
})

t.test(
  'a reload does not disturb a tunnel, nor does the end of its endpoint, its upstream or its route',
  async t => {
    const [causeway, app] = await start()
    const other = await RecordingUpstream.start(t)
    const client = await openWebSocket(causeway.port(), '/echo')
    await echoes(client, 'before')
    t.equal(
      await causeway.reload(
        configText({ endpoints: [app.port], upstream: 'timeouts = { response = "9s" }' }),
      ),
      'success',
    )
    await echoes(client, 'changed')
    t.equal(await causeway.reload(configText({ endpoints: [other.port] })), 'success')
    t.equal((await ask(causeway.port(), get('/there'))).status, 200)
    t.equal(other.seen('/there').length, 1, 'the other endpoint is in force')
    await echoes(client, 'endpoint gone')
    const renamed = configText({ endpoints: [other.port] }).replaceAll('app', 'site')
    t.equal(await causeway.reload(renamed), 'success')
    await echoes(client, 'all gone')
    client.destroy()
    t.match(await causeway.accessOf('/echo'), { status: 101, route: 'app', upstream: 'app' })
    await assertClean(t, causeway, [app, other])
  },
)

t.test('a client that takes nothing for too long is cut, and its app let go', async t => {
  const [causeway, app] = await start({ listener: 'timeouts = { write = "1s" }' })
  const lines: UpstreamLine[] = []
  app.on(
    '/flood',
    switching(line => lines.push(line)),
  )
  const client = await openWebSocket(causeway.port(), '/flood')
  client.stall()
  const line = await until('the tunnel', () => lines[0])
  line.socket.resume()
  line.socket.write(Buffer.alloc(64 * 1024 * 1024))
  await line.untilClosed()
  t.match(await causeway.accessOf('/flood'), {
    end: 'client_timeout',
    detail: /stopped reading/,
    status: 101,
  })
  client.destroy()
  await assertClean(t, causeway, [app])
})

t.test('a shutdown waits for tunnels that close in time', async t => {
  const [causeway] = await start({ server: '' })
  const client = await openWebSocket(causeway.port(), '/echo')
  causeway.signal('SIGTERM')
  await causeway.line('draining', ({ msg }) => msg === 'draining')
  await echoes(client, 'still here')
  client.halfClose()
  await client.untilEnded()
  t.equal(await causeway.exitCode(), 0)
  t.notOk(causeway.lines.some(({ msg }) => msg === 'requests cut'))
  t.match(causeway.access, [{ path: '/echo', end: 'ok' }])
})

t.test(
  'a shutdown cuts the others after server.drain, says how many, and says goodbye to both sides',
  async t => {
    const [causeway, app] = await start()
    const got: Buffer[] = []
    app.on(
      '/goodbye',
      switching(({ socket }) => socket.on('data', (bytes: Buffer) => got.push(bytes)).resume()),
    )
    const clients = [
      await openWebSocket(causeway.port(), '/echo'),
      await openWebSocket(causeway.port(), '/echo'),
      await openWebSocket(causeway.port(), '/goodbye'),
    ]
    const [silent, torn, plain] = clients as [RawClient, RawClient, RawClient]
    // A whole frame, then half of one: nothing may be put into it, neither way.
    await echoes(torn, '\x81\x02hi\x81\x05ha')
    plain.send('\x81\x82\0\0\0\0hi')
    await until('the frame', () => Buffer.concat(got).length === 8)
    causeway.signal('SIGTERM')
    t.equal(await causeway.exitCode(), 0)
    t.match(
      causeway.lines.find(({ msg }) => msg === 'requests cut'),
      { exchanges: 3, connections: 3 },
    )
    t.same(
      causeway.access.map(({ end, status }) => [end, status]),
      Array.from({ length: 3 }, () => ['shutdown', 101]),
    )
    for (const client of clients) await until('the end', () => client.ended)
    t.equal(tunnelled(silent), '880203e9', 'a client is told that we are going away')
    t.equal(tunnelled(torn), Buffer.from('\x81\x02hi\x81\x05ha', 'latin1').toString('hex'))
    t.equal(Buffer.concat(got).subarray(8).toString('hex'), '88820000000003e9', 'and so is an app')
  },
)

t.test('a data thread that dies takes its tunnels with it, and leaves none counted', async t => {
  const app = await RecordingUpstream.start(t)
  app.on('/echo', echo)
  const causeway = await startCauseway(t, {
    preload: './thread-fault.ts',
    config: configText({ endpoints: [app.port] }),
  })
  const client = await openWebSocket(causeway.port(), '/echo')
  await causeway.metric('causeway_upstream_tunnels', {}, value => value === 1)
  causeway.send({ thread: 0, fault: 'kill' })
  await until('the client to be told', () => client.ended)
  await causeway.metric('causeway_worker_restarts_total', {}, value => value === 1)
  await causeway.metric('causeway_upstream_tunnels', {}, value => value === 0)
  const again = await until('the successor', async () =>
    openWebSocket(causeway.port(), '/echo').catch(() => undefined),
  )
  await echoes(again, 'here again')
  again.destroy()
  t.equal((await causeway.metrics()).sum('causeway_upstream_tunnels_total'), 2, 'nothing counted is lost')
  await assertClean(t, causeway, [app])
})

t.test('interim answers come before the switch, and before an answer', async t => {
  const [causeway, app] = await start()
  const hint = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nX-Accel-Redirect: /x\r\n\r\n'
  app.on('/hinted', line => line.send(`${hint}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`))
  const answer = await ask(causeway.port(), get('/hinted'))
  t.match(answer, { status: 200, interim: [{ status: 103 }] })
  t.same(answer.interim[0]?.fields, [['Link', '</a.css>; rel=preload']])
  app.on('/hinted-tunnel', async (line, request) => {
    line.send(hint)
    await switching(({ socket }) => socket.pipe(socket))(line, request)
  })
  const client = await openWebSocket(causeway.port(), '/hinted-tunnel')
  t.match(client.received, /^HTTP\/1.1 103 Early Hints\r\nLink: <\/a.css>; rel=preload\r\n\r\nHTTP\/1.1 101 /)
  client.destroy()
  const old = await ask(causeway.port(), 'GET /hinted HTTP/1.0\r\nHost: example.test\r\n\r\n')
  t.match(old, { status: 200, interim: [] }, 'never to HTTP/1.0')
  await assertClean(t, causeway, [app])
})

t.test('each event of a stream arrives while the stream goes on', async t => {
  const [causeway, app] = await start()
  let line: UpstreamLine | undefined
  app.on('/events', async (its, request) => {
    await request.whole()
    line = its
    its.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
  })
  const client = await RawClient.connect(causeway.port())
  client.send(get('/events'))
  await client.untilReceived('text/event-stream')
  for (const event of ['data: one\n\n', 'data: two\n\n', 'data: three\n\n']) {
    line?.send(`${event.length.toString(16)}\r\n${event}\r\n`)
    await client.untilReceived(event)
  }
  client.destroy()
  // Its next event finds nobody.
  await until('the app to be told', () => {
    line?.send('2\r\n:\n\r\n')
    return line?.closed
  })
  t.match(await causeway.accessOf('/events'), { end: 'client_gone' })
  await assertClean(t, causeway, [app])
})
