import { createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { assertClean, type LogLine, type Running, startCauseway } from '../support/causeway.ts'
import type { RawClient } from '../support/raw-client.ts'
import { startPlain } from '../support/tls-app.ts'
import { echo, HELLO, knock, type TunnelParts, tunnelConfig } from '../support/tls-tunnels.ts'
import { until } from '../support/until.ts'

const MIB = 1024 * 1024
const FIRST = HELLO.toString('latin1')

async function start(t: Test, parts: TunnelParts): Promise<Running> {
  return startCauseway(t, { config: tunnelConfig(parts) })
}

/** Waits for so many access lines, and gives the last. */
async function lines(causeway: Running, count = 1): Promise<LogLine> {
  return until(`${count} access lines`, () => causeway.access[count - 1])
}

async function echoes(client: RawClient, text: string): Promise<void> {
  client.send(text)
  await client.untilReceived(text)
}

async function open(causeway: Running): Promise<RawClient> {
  const client = await knock(causeway.port())
  await client.untilReceived(FIRST)
  return client
}

/** A port that nobody listens on. */
async function closedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  await new Promise<void>(done => server.close(() => done()))
  return typeof address === 'object' && address !== null ? address.port : 0
}

t.test('back-pressure holds both ways, and nothing of a large transfer is lost', async t => {
  const apps: Socket[] = []
  const port = await startPlain(t, socket => apps.push(socket))
  const causeway = await start(t, { endpoints: [port] })
  const client = await knock(causeway.port())
  const app = await until('the app', () => apps[0])
  app.write('hi')
  await client.untilReceived('hi')
  client.socket.removeAllListeners('data')
  for (const [from, to] of [
    [app, client.socket],
    [client.socket, app],
  ] as const) {
    to.pause()
    const before = from.bytesWritten
    let left = 64
    const more = (): void => {
      while (left > 0) {
        left -= 1
        if (!from.write(Buffer.alloc(MIB, left))) return void from.once('drain', more)
      }
    }
    more()
    // All buffers on the way are full once nothing has moved for some looks.
    let [seen, looks] = [-1, 0]
    await until('the sender to stand still', () => {
      const taken = from.bytesWritten - from.writableLength
      looks = taken === seen ? looks + 1 : 0
      seen = taken
      return looks > 30
    })
    t.ok(seen - before < 48 * MIB, `the sender was held after ${Math.round((seen - before) / MIB)} MiB`)
    let got = 0
    let wrong = 0
    to.on('data', (bytes: Buffer) => {
      // Of the second round the app sees the hello first.
      for (let at = 0; at < bytes.length; at += 4096) {
        const index = got + at - (to === app ? HELLO.length : 0)
        if (index >= 0 && bytes[at] !== 63 - Math.floor(index / MIB)) wrong += 1
      }
      got += bytes.length
    })
    to.resume()
    const whole = 64 * MIB + (to === app ? HELLO.length : 0)
    await until('all of it', () => got >= whole, 60_000)
    t.same([got, wrong], [whole, 0])
    to.removeAllListeners('data')
    to.resume()
  }
  t.ok(causeway.rssBytes() < 400 * MIB, `resident: ${Math.round(causeway.rssBytes() / MIB)} MiB`)
  client.halfClose()
  app.end()
  t.match(await lines(causeway), { end: 'ok', bytes_in: 64 * MIB + HELLO.length, bytes_out: 64 * MIB + 2 })
  await assertClean(t, causeway)
})

t.test('each side may end its half, and the other goes on', async t => {
  const apps: Socket[] = []
  const port = await startPlain(t, socket => apps.push(socket.resume()))
  const causeway = await start(t, { endpoints: [port] })
  const [first, second] = [await knock(causeway.port()), await knock(causeway.port())]
  const [one, two] = await until('both', () => (apps.length === 2 ? (apps as [Socket, Socket]) : undefined))
  let ended = false
  one.once('end', () => {
    ended = true
  })
  for (const app of apps) app.write('hi')
  for (const client of [first, second]) await client.untilReceived('hi')
  first.halfClose()
  await until('the app to hear of it', () => ended)
  one.write('still here')
  await first.untilReceived('still here')
  one.end()
  await until('the end', () => first.ended)
  t.match(await lines(causeway), { end: 'ok', bytes_out: 12 })
  let heard = ''
  two.on('data', (bytes: Buffer) => {
    heard += bytes.toString('latin1')
  })
  two.end()
  await until('the client to hear of it', () => second.ended === 'fin')
  second.send('me too')
  await until('what came behind', () => heard === 'me too')
  second.halfClose()
  t.match(await lines(causeway, 2), { end: 'ok', bytes_in: HELLO.length + 6 })
  await assertClean(t, causeway)
})

t.test('an endpoint that refuses is passed over; the bytes go to another one, once', async t => {
  const port = await startPlain(t, echo)
  const causeway = await start(t, {
    endpoints: [await closedPort(), port],
    upstream: 'balance = "round-robin"',
  })
  const clients = [await open(causeway), await open(causeway)]
  for (const client of clients) {
    t.equal(client.received, FIRST)
    client.halfClose()
    await client.untilEnded()
  }
  await lines(causeway, 2)
  t.same(causeway.access.map(({ attempts }) => attempts).toSorted(), [1, 2])
  t.match(causeway.access, [{ endpoint: `127.0.0.1:${port}` }, { endpoint: `127.0.0.1:${port}` }])
  await assertClean(t, causeway)
})

t.test(
  'with no endpoint left a client is held; closed when its time is up, served if one comes back',
  async t => {
    const port = await closedPort()
    const causeway = await start(t, { endpoints: [port], upstream: 'queue = { timeout = "1s" }' })
    const late = await knock(causeway.port())
    await causeway.metric('causeway_upstream_queue_depth', {}, value => value === 1)
    t.equal(await late.untilEnded(), '', 'nothing of ours is put in')
    t.match(await lines(causeway), {
      end: 'no_endpoint',
      status: 503,
      detail: /connection refused/,
      tunnel: 'db',
    })
    t.equal(await causeway.reload(tunnelConfig({ endpoints: [port] })), 'success')
    const held = await knock(causeway.port())
    held.send('and more')
    await causeway.metric('causeway_upstream_queue_depth', {}, value => value === 1)
    const server = createServer({ allowHalfOpen: true }, echo)
    t.teardown(() => server.close())
    await new Promise<void>(done => server.listen(port, '127.0.0.1', done))
    await held.untilReceived('and more')
    t.equal(held.received, `${FIRST}and more`)
    held.halfClose()
    await held.untilEnded()
    t.match(await lines(causeway, 2), { end: 'ok', queue_ms: Number })
    await assertClean(t, causeway)
  },
)

t.test(
  'max_inflight holds: one waits until another has left, also without a word; who waits may leave',
  async t => {
    const port = await startPlain(t, echo)
    const causeway = await start(t, { endpoints: [port], upstream: 'max_inflight = 1' })
    const depth = (count: number) =>
      causeway.metric('causeway_upstream_queue_depth', {}, value => value === count)
    const first = await open(causeway)
    const [leaves, waits] = [await knock(causeway.port()), await knock(causeway.port())]
    await depth(2)
    leaves.destroy()
    t.match(await lines(causeway), { end: 'client_gone', status: 499, attempts: 0 })
    await depth(1)
    t.equal(waits.received, '')
    first.reset()
    await waits.untilReceived(FIRST)
    t.match(await lines(causeway, 2), { end: 'client_gone', status: 200 })
    const last = await knock(causeway.port())
    await depth(1)
    waits.halfClose()
    await last.untilReceived(FIRST)
    last.destroy()
    await assertClean(t, causeway)
  },
)

t.test('a tunnel in which nothing moves is closed; every byte, either way, is a move', async t => {
  const apps: Socket[] = []
  const port = await startPlain(t, socket => {
    apps.push(socket)
    socket.pipe(socket)
  })
  const causeway = await start(t, { endpoints: [port], upstream: 'timeouts = { tunnel = "1s" }' })
  const [idle, moving] = [await open(causeway), await open(causeway)]
  const beat = setInterval(() => moving.send('.'), 100)
  await until('the idle one to be closed', () => idle.ended)
  t.match(await lines(causeway), { end: 'tunnel_idle', detail: /1000 ms/, status: 200 })
  await until('more moves', () => moving.receivedBytes > HELLO.length + 20)
  t.equal(moving.ended, undefined)
  clearInterval(beat)
  await until('the end of the moves', () => moving.ended)
  await assertClean(t, causeway)
})

t.test('an endpoint that says nothing has failed, and its client is not sent to another', async t => {
  const heard: string[] = []
  const silent = await startPlain(t, socket =>
    socket.on('data', (bytes: Buffer) => heard.push(String(bytes.length))),
  )
  const closes = await startPlain(t, socket =>
    socket.once('data', (bytes: Buffer) => {
      heard.push(String(bytes.length))
      socket.end()
    }),
  )
  const upstream = 'timeouts = { response = "200ms" }\npassive = { failures = 0 }\nbalance = "round-robin"'
  const causeway = await start(t, { endpoints: [silent, closes], upstream })
  const clients = [await knock(causeway.port()), await knock(causeway.port())]
  for (const client of clients) t.equal(await client.untilEnded(), '')
  await lines(causeway, 2)
  t.same(causeway.access.map(({ end, status, attempts }) => [end, status, attempts]).toSorted(), [
    ['upstream_closed', 502, 1],
    ['upstream_timeout', 504, 1],
  ])
  t.same(heard, [String(HELLO.length), String(HELLO.length)])
  const metrics = await causeway.metrics()
  t.equal(metrics.sum('causeway_upstream_errors_total', { kind: 'header_timeout' }), 1)
  t.equal(metrics.sum('causeway_upstream_errors_total', { kind: 'reset' }), 1)
  await assertClean(t, causeway)
})

t.test('a break on one side is a break on the other', async t => {
  const apps: Socket[] = []
  const port = await startPlain(t, socket => {
    apps.push(socket)
    socket.write('hi')
  })
  const causeway = await start(t, { endpoints: [port] })
  const client = await knock(causeway.port())
  await client.untilReceived('hi')
  apps[0]?.resetAndDestroy()
  await until('the client to be told', () => client.ended === 'reset')
  t.match(await lines(causeway), {
    end: 'upstream_closed',
    status: 200,
    detail: /reset the connection within/,
  })
  const other = await knock(causeway.port())
  await other.untilReceived('hi')
  let error = ''
  apps[1]?.once('error', ({ message }) => {
    error = message
  })
  apps[1]?.resume()
  other.reset()
  await until('the app to be told', () => error !== '')
  t.match(error, /ECONNRESET/)
  await assertClean(t, causeway)
})

t.test(
  'an endpoint that has said its last word may close on a client that goes on; that is no break',
  async t => {
    const port = await startPlain(t, socket => {
      socket.resume()
      socket.end('bye', () => socket.destroy())
    })
    const causeway = await start(t, { endpoints: [port] })
    const client = await knock(causeway.port())
    await client.untilReceived('bye')
    const beat = setInterval(() => client.send('more'), 20)
    t.match(await lines(causeway), { end: 'ok', status: 200, bytes_out: 3 })
    clearInterval(beat)
    await causeway.metric('causeway_connections_active', {}, value => value === 0)
    client.destroy()
    await assertClean(t, causeway)
  },
)

t.test('a client that takes nothing for too long is cut', async t => {
  const port = await startPlain(t, socket => {
    socket.resume()
    socket.write(Buffer.alloc(64 * MIB))
  })
  const causeway = await start(t, { endpoints: [port], listener: 'timeouts = { write = "1s" }' })
  const client = await knock(causeway.port())
  client.stall()
  t.match(await lines(causeway), { end: 'client_timeout', detail: /stopped reading/ })
  client.destroy()
  await assertClean(t, causeway)
})

t.test(
  'a reload does not disturb a tunnel, nor does the end of its endpoint or of its tunnel table',
  async t => {
    const [port, other] = [await startPlain(t, echo), await startPlain(t, socket => socket.end('other'))]
    const causeway = await start(t, { endpoints: [port] })
    const client = await open(causeway)
    const changed = tunnelConfig({ endpoints: [port], upstream: 'timeouts = { tunnel = "9s" }' })
    t.equal(await causeway.reload(changed), 'success')
    await echoes(client, 'changed')
    t.equal(await causeway.reload(tunnelConfig({ endpoints: [other] })), 'success')
    const next = await knock(causeway.port())
    t.equal(await next.untilEnded(), 'other', 'the new endpoint is in force')
    await echoes(client, 'endpoint gone')
    t.equal(await causeway.reload(tunnelConfig({ endpoints: [other] }).replaceAll('db', 'site')), 'success')
    await echoes(client, 'all gone')
    client.halfClose()
    await client.untilEnded()
    t.match(await lines(causeway, 2), { tunnel: 'db', upstream: 'db', end: 'ok' })
    await assertClean(t, causeway)
  },
)

t.test('a shutdown waits for tunnels that close in time, and cuts the others after server.drain', async t => {
  const port = await startPlain(t, echo)
  const patient = await startCauseway(t, {
    config: tunnelConfig({ endpoints: [port] }).replace('drain = "1s"', ''),
  })
  const closes = await open(patient)
  patient.signal('SIGTERM')
  await patient.line('draining', ({ msg }) => msg === 'draining')
  await echoes(closes, 'still here')
  closes.halfClose()
  await closes.untilEnded()
  t.equal(await patient.exitCode(), 0)
  t.match(patient.access, [{ end: 'ok' }])
  const causeway = await start(t, { endpoints: [port] })
  const stays = await open(causeway)
  causeway.signal('SIGTERM')
  t.equal(await causeway.exitCode(), 0)
  await until('the end', () => stays.ended)
  t.match(causeway.access, [{ end: 'shutdown', status: 200 }])
  t.match(
    causeway.lines.find(({ msg }) => msg === 'requests cut'),
    { exchanges: 1, connections: 1 },
  )
})

t.test('status lists tunnels and how many are open', async t => {
  const port = await startPlain(t, echo)
  const causeway = await start(t, { endpoints: [port] })
  const client = await open(causeway)
  const status = await (await fetch(`${causeway.adminUrl}/status`)).json()
  t.match(status, {
    tunnels: [{ name: 'db', hosts: [], listeners: ['web'], upstream: 'db' }],
    upstreams: [{ name: 'db', endpoints: [{ tunnels: 1, inflight: 1 }] }],
  })
  const page = await (await fetch(`${causeway.adminUrl}/`)).text()
  t.match(page, /<h2>Tunnels <span>TLS, undecrypted<\/span><\/h2>[\s\S]*<td>db<\/td>/)
  client.destroy()
  await assertClean(t, causeway)
})
