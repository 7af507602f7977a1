import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { startDeafServer } from '../support/deaf-server.ts'
import { get, post, RawClient } from '../support/raw-client.ts'
import { never, ok, RecordingUpstream, type UpstreamLine } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

const PAGE_BYTES = 10_000
const PAGES = 20_000
const root = join(t.testdir(), 'site')
mkdirSync(root)
writeFileSync(join(root, 'page'), 'x'.repeat(PAGE_BYTES))

const upstream = await RecordingUpstream.start(t)
const causeway = await startCauseway(t, {
  config: configText({
    endpoints: [upstream.port],
    upstream: 'passive = { failures = "off" }\nretry = { attempts = 1 }',
    more: `[routes.files]\npath = "/files/"\nstatic = { root = "${root}" }`,
  }),
})

/** Waits until a number that only grows has stopped growing. */
async function settled(what: string, read: () => Promise<number>): Promise<number> {
  let before = -1
  return until(what, async () => {
    const now = await read()
    if (now > 0 && now === before) return now
    before = now
    await new Promise(done => setTimeout(done, 200))
    return undefined
  })
}

t.test(
  'requests behind answers that the client does not take wait in the kernel, not in our memory',
  async t => {
    for (const path of ['/files/page', '/page']) {
      upstream.on('/page', ok('x'.repeat(PAGE_BYTES)))
      const answered = async () => (await causeway.metrics()).sum('causeway_requests_total', {})
      const before = await answered()
      const client = await RawClient.connect(causeway.port())
      client.stall()
      client.send(get(path).repeat(PAGES))
      const taken = (await settled('the requests to stop', answered)) - before
      client.destroy()
      // What the kernel's buffers hold, and little more; without a bound it is all of them.
      t.ok(taken * PAGE_BYTES < 32 * 1024 * 1024, `${path}: ${taken} of ${PAGES} answered`)
      await causeway.metric('causeway_requests_in_flight', {}, value => value === 0)
    }
  },
)

t.test('a slow reader of pipelined answers gets them all', async t => {
  const client = await RawClient.connect(causeway.port())
  client.stall()
  client.send(get('/files/page').repeat(2_000) + get('/files/page', 'Connection: close\r\n'))
  await settled('the requests to stop', async () => (await causeway.metrics()).sum('causeway_requests_total'))
  client.socket.resume()
  const all = await client.untilEnded()
  t.equal(all.split('HTTP/1.1 200').length - 1, 2_001)
})

t.test('a client that resets before it is accepted asks nothing: its address is unknown', async t => {
  causeway.signal('SIGSTOP')
  const clients: RawClient[] = []
  for (let n = 0; n < 5; n += 1) clients.push(await RawClient.connect(causeway.port()))
  for (const client of clients) {
    client.send(get('/anonymous'))
    await until('the bytes to be sent', () => client.socket.writableLength === 0)
    client.reset()
  }
  causeway.signal('SIGCONT')
  const last = await RawClient.connect(causeway.port())
  last.send(get('/named'))
  t.equal((await last.response()).status, 200)
  last.destroy()
  for (const request of upstream.requests)
    t.ok(request.field('x-forwarded-for') !== undefined, `${request.target} comes from somewhere`)
})

t.test('a half-closed client whose whole body is here gets its answer, though it has to wait', async t => {
  let release = () => {}
  upstream.on('/first', async line => {
    await new Promise<void>(done => {
      release = done
    })
    line.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  })
  const narrow = await startCauseway(t, {
    config: configText({ endpoints: [upstream.port], upstream: 'max_inflight = 1\nbody = "stream"' }),
  })
  const first = await RawClient.connect(narrow.port())
  first.send(get('/first'))
  await upstream.arrival('/first')
  const whole = await RawClient.connect(narrow.port())
  whole.send(post('/whole', 'x'.repeat(1000)))
  whole.halfClose()
  const cut = await RawClient.connect(narrow.port())
  cut.send('POST /cut HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
  cut.halfClose()
  await narrow.metric('causeway_upstream_queue_depth', {}, value => value === 2)
  release()
  t.equal((await whole.response('POST')).status, 200)
  await cut.untilEnded()
  t.notMatch(cut.received, 'HTTP/1.1 200', 'half a body is no request')
  for (const client of [first, whole]) client.destroy()
  await assertClean(t, narrow)
})

t.test('a client that half-closes behind its request gets the answer to its last byte', async t => {
  const clients: RawClient[] = []
  for (let n = 0; n < 8; n += 1) {
    const client = await RawClient.connect(causeway.port())
    client.stall()
    client.send(get('/files/page').repeat(260 + n * 40))
    clients.push(client)
  }
  await settled('the requests to stop', async () => (await causeway.metrics()).sum('causeway_requests_total'))
  for (const client of clients) {
    client.halfClose()
    client.socket.resume()
  }
  for (const [n, client] of clients.entries())
    t.equal((await client.untilEnded()).split('HTTP/1.1 200').length - 1, 260 + n * 40)
})

t.test('a half-closed client with pipelined requests gets all answers, of files too', async t => {
  let release = () => {}
  upstream.on('/slow', async line => {
    await new Promise<void>(done => {
      release = done
    })
    line.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  })
  const client = await RawClient.connect(causeway.port())
  client.send(get('/slow') + get('/files/page').repeat(3))
  client.halfClose()
  await upstream.arrival('/slow')
  release()
  for (let n = 0; n < 4; n += 1) t.equal((await client.response()).status, 200, String(n))
  await client.untilEnded()
})

t.test('a half-closed client gets a second answer that comes slowly, however long the first was', async t => {
  const drip = async (line: UpstreamLine, count: number) => {
    for (let n = 0; n < count; n += 1) {
      await new Promise(done => setTimeout(done, 600))
      line.send('x')
    }
  }
  let halfClosed = () => {}
  upstream.on('/long', async line => {
    line.send(`HTTP/1.1 200 OK\r\nContent-Length: 100002\r\n\r\n${'x'.repeat(100_000)}`)
    await new Promise<void>(done => {
      halfClosed = done
    })
    await drip(line, 2)
  })
  upstream.on('/drops', line => {
    line.send('HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n')
    return drip(line, 12)
  })
  const client = await RawClient.connect(causeway.port())
  client.send(get('/long') + get('/drops'))
  await until('most of the first answer', () => client.received.length > 100_000)
  client.halfClose()
  halfClosed()
  t.equal((await client.response()).body.length, 100_002)
  t.equal((await client.response()).body.length, 12)
  await client.untilEnded()
})

t.test('a client that never takes the end of its answer is let go', async t => {
  const strict = await startCauseway(t, {
    config: configText({ endpoints: [upstream.port], listener: 'timeouts = { write = "3s" }' }),
  })
  // Of so many lengths some leave just a little that the kernel has no room for.
  const clients: RawClient[] = []
  upstream.on('/end', line => {
    const length = Number(upstream.requests.at(-1)?.target.split('?')[1])
    line.send(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`)
    line.send(Buffer.alloc(length, 'x'))
  })
  for (let n = 0; n < 40; n += 1) {
    const client = await RawClient.connect(strict.port())
    client.stall()
    client.send(get(`/end?${3_600_000 + n * 60_000}`, 'Connection: close\r\n'))
    clients.push(client)
  }
  await strict.metric('causeway_connections_active', {}, value => value === 0)
  for (const client of clients) client.destroy()
  await assertClean(t, strict)
})

t.test('10,000 requests in one go are answered one after the other', async t => {
  const client = await RawClient.connect(causeway.port())
  client.send(get('/files/none').repeat(9_999) + get('/files/none', 'Connection: close\r\n'))
  const all = await client.untilEnded()
  t.equal(all.split('HTTP/1.1 404').length - 1, 10_000)
})

t.test('a half-closed client is gone when its second answer does not come', async t => {
  upstream.on('/never', never)
  const client = await RawClient.connect(causeway.port())
  client.send(get('/ok') + get('/never'))
  client.halfClose()
  await upstream.arrival('/never')
  const { end } = await causeway.accessOf('/never')
  t.equal(end, 'client_gone')
  client.destroy()
})

t.test('a client that leaves while we connect takes its body along', async t => {
  const deaf = await startCauseway(t, {
    config: configText({
      endpoints: [await startDeafServer(t)],
      upstream: 'timeouts = { connect = "60s" }\nbody = "stream"',
    }),
  })
  const client = await RawClient.connect(deaf.port())
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf')
  await deaf.metric('causeway_upstream_in_flight', {}, value => value === 1)
  client.halfClose()
  await deaf.metric('causeway_upstream_in_flight', {}, value => value === 0)
  client.destroy()
  await assertClean(t, deaf)
})

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, [upstream])
})
