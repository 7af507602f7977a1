import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import type { Address, HealthConfig } from '../lib/config/model.ts'
import { probeKey } from '../upstreams/health/probe-target.ts'
import { Prober } from '../upstreams/health/prober.ts'
import {
  Bench,
  type Result,
  serve,
  serveRaw,
  serveSilence,
  type Tap,
  target,
} from './support/prober-bench.ts'
import { shortFolder } from './support/short-folder.ts'
import { until } from './support/until.ts'

const KEY = probeKey('app', 'one')

/** One probe of a server with this handler. */
async function probeOnce(t: Tap, address: Address, health: Partial<HealthConfig> = {}): Promise<Result> {
  const bench = new Bench(t)
  bench.prober.reconcile([target(address, health)])
  return bench.result(1)
}

t.test('the first probe goes out at once, with the Host and the fields of the configuration', async t => {
  const seen: IncomingMessage[] = []
  const address = await serve(t, (request, response) => {
    seen.push(request)
    response.end('fine')
  })
  const result = await probeOnce(t, address, { headers: { 'X-Forwarded-Proto': 'https', Accept: 'text/x' } })
  t.match(result, { ok: true, reason: '' })
  t.match(seen[0], { method: 'GET', url: '/healthz' })
  t.match(seen[0]?.headers, {
    host: 'example.com',
    'x-forwarded-proto': 'https',
    accept: 'text/x',
    'user-agent': 'causeway-probe',
  })
})

t.test('a Host among the configured fields wins', async t => {
  let host: string | undefined
  const address = await serve(t, (request, response) => {
    host = request.headers.host
    response.end()
  })
  t.equal((await probeOnce(t, address, { headers: { Host: 'other.example' } })).ok, true)
  t.equal(host, 'other.example')
})

t.test('every probe takes a new connection and closes it, so that none parks on a sync worker', async t => {
  const bench = new Bench(t)
  const sockets = new Set<Socket>()
  const fields: (string | undefined)[] = []
  const address = await serve(t, (request, response) => {
    sockets.add(request.socket)
    fields.push(request.headers.connection)
    // A server that would keep it.
    response.shouldKeepAlive = true
    response.end()
  })
  bench.prober.reconcile([target(address)])
  for (let i = 1; i <= 3; i += 1) {
    await bench.result(i)
    bench.advance(2050)
  }
  t.same(fields.slice(0, 3), ['close', 'close', 'close'])
  t.ok(sockets.size >= 3)
})

t.test('an unexpected status fails, and the reason names the likely setting', async t => {
  const address = await serve(t, (request, response) => {
    response.statusCode = Number(request.url?.slice(1))
    if (response.statusCode === 301) response.setHeader('location', 'https://example.com/')
    response.end()
  })
  const reason = async (status: number, expect = [200]) =>
    (await probeOnce(t, address, { path: `/${status}`, expect })).reason
  t.equal(
    await reason(400),
    'status 400, expected 200: Django\'s ALLOWED_HOSTS rejects the Host "example.com"; set health.host',
  )
  t.match(await reason(301), /^status 301, expected 200: it redirects to https/, 'redirects are not followed')
  t.equal(await reason(503, [200, 204]), 'status 503, expected 200 or 204')
  t.equal(await reason(204, [200, 204]), '')
})

t.test('a body is read up to 64 KiB and then dropped', async t => {
  const closed: Promise<unknown>[] = []
  const address = await serve(t, (_request, response) => {
    closed.push(once(response, 'close'))
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(16_384)));
    }
    response.on('drain', more)
    more()
  })
  t.match(await probeOnce(t, address), { ok: true, reason: '' })
  await closed[0]
})

t.test('failures of the connection are told in words', async t => {
  const refused = await serve(t, () => {})
  const gone = createTcpServer().listen(0, '127.0.0.1')
  await once(gone, 'listening')
  const { port } = gone.address() as AddressInfo
  await new Promise(resolve => gone.close(resolve))
  t.equal((await probeOnce(t, { ...refused, port } as Address)).reason, 'connect refused')
  const path = join(shortFolder(t), 'none.sock')
  t.equal((await probeOnce(t, { kind: 'unix', path })).reason, `no socket at ${path}`)

  const closing = await serveRaw(t, socket => socket.once('data', () => socket.end()))
  t.match((await probeOnce(t, closing)).reason, 'closed before the response')
  const resetting = await serveRaw(t, socket => socket.once('data', () => socket.resetAndDestroy()))
  t.match((await probeOnce(t, resetting)).reason, /(closed|reset) before the response/)
  const short = await serveRaw(t, socket =>
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')),
  )
  t.match((await probeOnce(t, short)).reason, 'before the response was complete')
  const mail = await serveRaw(t, socket => socket.end('220 mail.example ESMTP\r\n'))
  t.match((await probeOnce(t, mail)).reason, 'not HTTP')
})

t.test('a probe that takes too long fails, and says how far it came', async t => {
  const bench = new Bench(t)
  const { address, asked } = await serveSilence(t)
  bench.prober.reconcile([target(address)])
  await asked
  bench.advance(1000)
  t.same(bench.results, [], 'not before its time')
  bench.advance(100)
  t.match(await bench.result(1), { ok: false, reason: 'timed out after 1s (no response)' })
})

t.test('an answer that comes after the limit is late, even if no timer has noticed', async t => {
  const bench = new Bench(t)
  const address = await serve(t, (_request, response) => {
    bench.nowMs += 51
    response.end()
  })
  bench.prober.reconcile([target(address, { timeoutMs: 50 })])
  t.match(await bench.result(1), { ok: false, durationMs: 51, reason: 'timed out after 50ms' })
})

t.test('while our own thread stands still, the time of a probe does too', async t => {
  const bench = new Bench(t)
  const { address, asked } = await serveSilence(t)
  bench.prober.reconcile([target(address)])
  await asked
  bench.nowMs += 60_000
  bench.advance(800)
  t.same(bench.results, [], 'a machine that was suspended is no app that is slow')
  bench.advance(300)
  t.match(await bench.result(1), { ok: false, reason: 'timed out after 1s (no response)' })
})

t.test('an answer that has come while our own thread stood still is in time', async t => {
  const bench = new Bench(t)
  const address = await serve(t, (_request, response) => {
    bench.nowMs += 60_000
    response.end()
  })
  bench.prober.reconcile([target(address)])
  t.match(await bench.result(1), { ok: true })
})

t.test(
  'an endpoint that runs as many requests as it may is busy, not dead, until it has been silent for too long',
  async t => {
    const bench = new Bench(t)
    bench.serves = true
    const traffic = { running: 4, slots: 4, signs: 9, timeouts: 0, longestMs: 4_000, responseMs: 60_000 }
    bench.traffic = traffic
    let asked = 0
    const address = await serveRaw(t, socket => socket.once('data', () => (asked += 1)))
    const probed = (count: number) =>
      until(`${count} probes`, () => {
        const onItsWay = bench.prober.status(KEY)?.probing === true && asked === bench.results.length
        if (bench.results.length < count && !onItsWay) bench.advance(50)
        return bench.results.length >= count
      })
    bench.prober.reconcile([target(address, { intervalMs: 1500, fall: 1 })])
    await probed(1)
    t.match(bench.results.at(-1), {
      alibi: 'patient',
      reason: /^timed out .*; not counted as a failure: 4 of 4 slots are occupied$/,
    })
    bench.traffic = { ...traffic, signs: 10 }
    await probed(2)
    t.match(bench.results.at(-1), { alibi: 'alive' })
    t.same(bench.changes, [], 'it goes on serving')
    for (let n = 3; bench.changes.length === 0 && n < 9; n += 1) await probed(n)
    t.match(bench.changes, [
      { health: { state: 'down', reason: /4 of 4 slots are occupied, and there was no response/ } },
    ])
  },
)

t.test('kind tcp connects and closes without a byte', async t => {
  const bytes: Promise<Buffer[]>[] = []
  const address = await serveRaw(t, socket => bytes.push(socket.toArray()))
  t.match(await probeOnce(t, address, { kind: 'tcp' }), { ok: true, reason: '' })
  t.same(await bytes[0], [])
  const path = join(shortFolder(t), 'none.sock')
  t.equal((await probeOnce(t, { kind: 'unix', path }, { kind: 'tcp' })).reason, `no socket at ${path}`)
})

t.test('unix sockets are probed as well', async t => {
  const path = join(shortFolder(t), 'app.sock')
  const address = await serve(t, (_request, response) => response.end(), path)
  t.equal((await probeOnce(t, address)).ok, true)
  t.equal((await probeOnce(t, address, { kind: 'tcp' })).ok, true)
})

t.test('an app that goes and comes back: reported at the flips only, with the time in between', async t => {
  const bench = new Bench(t)
  let status = 200
  const address = await serve(t, (_request, response) => {
    response.statusCode = status
    response.end()
  })
  bench.prober.reconcile([target(address)])
  const probe = async (nextStatus: number) => {
    status = nextStatus
    bench.advance(2050)
    return bench.result(bench.results.length + 1)
  }
  await bench.result(1)
  t.match(bench.changes, [{ endpoint: 'one', health: { state: 'up' } }], 'its first pass is enough')
  for (const nextStatus of [500, 200, 500, 500]) await probe(nextStatus)
  t.equal(bench.changes.length, 1, 'two failures in a row are not three')
  await probe(500)
  t.match(bench.changes[1], {
    endpoint: 'one',
    health: { state: 'down', reason: /^status 500/ },
    lastedMs: 5 * 2050,
  })
  t.match(bench.prober.status(KEY), {
    health: { state: 'down' },
    sinceMs: bench.nowMs,
    probedAtMs: bench.nowMs,
  })
  await probe(200)
  t.equal(bench.changes.length, 2, 'one pass is not two')
  await probe(200)
  t.match(bench.changes[2], { health: { state: 'up' }, lastedMs: 2 * 2050 })
})

t.test('an endpoint has one probe at a time, however slow it is', async t => {
  const bench = new Bench(t)
  let open = 0
  let most = 0
  const address = await serveRaw(t, socket => {
    open += 1
    most = Math.max(most, open)
    socket.resume().on('close', () => {
      open -= 1
    })
  })
  bench.prober.reconcile([target(address, { intervalMs: 100, timeoutMs: 1000 })])
  for (let i = 1; i <= 3; i += 1) {
    while (bench.results.length < i) {
      bench.advance(50)
      await new Promise(setImmediate)
    }
  }
  t.equal(bench.results.filter(result => result.durationMs >= 1000).length, bench.results.length)
  t.equal(most, 1)
})

t.test('reconcile', async t => {
  await t.test('does not disturb what has not changed, and keeps health over new settings', async t => {
    const bench = new Bench(t)
    const address = await serve(t, (_request, response) => {
      response.statusCode = 500
      response.end()
    })
    bench.prober.reconcile([target(address)])
    await bench.result(1)
    bench.prober.reconcile([target({ ...address })])
    t.equal(bench.prober.status(KEY)?.probing, false, 'no probe out of turn')
    bench.prober.reconcile([target(address, { expect: [500] })])
    t.equal(bench.prober.status(KEY)?.health.state, 'new', 'still')
    t.equal((await bench.result(2)).ok, true, 'probed at once by the new rule')
    t.match(bench.changes[1], { health: { state: 'up' } })
  })

  await t.test('new rules that come while a probe is under way are tried right after it', async t => {
    const bench = new Bench(t)
    bench.serves = true
    const held: ServerResponse[] = []
    const paths: string[] = []
    const address = await serve(t, ({ url }, response) => {
      paths.push(String(url))
      if (held.push(response) > 1) response.end()
    })
    bench.prober.reconcile([target(address)])
    await until('the first probe', () => held.length === 1)
    bench.prober.reconcile([target(address, { path: '/new' })])
    held[0]?.end()
    await bench.result(1)
    bench.advance(200)
    await bench.result(2)
    t.same(paths, ['/healthz', '/new'])
  })

  await t.test('an endpoint with another address starts anew', async t => {
    const bench = new Bench(t)
    const bad = await serve(t, (_request, response) => response.writeHead(500).end())
    const good = await serve(t, (_request, response) => response.end())
    bench.prober.reconcile([target(bad)])
    await bench.result(1)
    bench.prober.reconcile([target(good)])
    t.match(bench.prober.status(KEY)?.health, { state: 'new' }, 'nothing is known of it')
    t.equal(bench.changes.length, 1, 'and nothing is said of it')
    t.equal((await bench.result(2)).ok, true)
    t.match(bench.changes[1], { health: { state: 'up' } })
  })

  await t.test('an endpoint that leaves is probed no more, and does not stay marked', async t => {
    const bench = new Bench(t)
    const address = await serve(t, (_request, response) => response.writeHead(500).end())
    bench.prober.reconcile([target(address), target(address, {}, 'two')])
    await bench.result(2)
    bench.prober.reconcile([target(address, {}, 'two')])
    t.match(bench.changes.at(-1), { endpoint: 'one', health: { state: 'up' } })
    t.equal(bench.prober.status(KEY), undefined)
    bench.advance(2050)
    await bench.result(3)
    t.equal(bench.results.filter(result => result.endpoint === 'one').length, 1)
  })
})

t.test('stop gives up probes under way and reports nothing any more', async t => {
  const bench = new Bench(t)
  const { address, asked, closed } = await serveSilence(t)
  bench.prober.reconcile([target(address)])
  await asked
  await bench.prober.stop()
  await closed
  bench.advance(5000)
  t.same(bench.results, [])
  t.same(bench.changes, [])
})

t.test('without timers of the test the prober ticks by itself', async t => {
  const address = await serve(t, (_request, response) => response.end())
  await new Promise<void>(resolve => {
    let results = 0
    const prober = new Prober({
      clock: { now: () => performance.now(), wall: () => Date.now() },
      random: Math.random,
      onChange: () => {},
      onResult: () => {
        results += 1
        if (results === 2) resolve(prober.stop())
      },
    })
    prober.reconcile([target(address, { intervalMs: 100 })])
  })
  t.pass('two probes')
})
