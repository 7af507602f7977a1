import { createServer } from 'node:tls'
import t, { type Test } from 'tap'
import type { UpstreamConfig } from '../lib/config/model.ts'
import { TestAuthority } from './support/certificates.ts'
import { h2 } from './support/http2-app.ts'
import { never, RecordingUpstream, type UpstreamLine } from './support/recording-upstream.ts'
import { listen } from './support/tls-app.ts'
import { until } from './support/until.ts'
import { configOf, Process, TestJob } from './support/upstream-world.ts'

// With max_inflight an endpoint never has more connections than that, whatever they do: servers that bound
// connections count idle ones, too (uvicorn --limit-concurrency, granian).

const POST = Buffer.from('once')
/** Long: what waits in these tests must not be helped by time. */
const QUEUE = { length: 1000, timeoutMs: 60_000 }
/** The app's own time for used connections is not known, so POSTs take new ones. */
const UNKNOWN_IDLE = { idleMs: undefined, max: 128 }

/** One app and two data threads in front of it. */
async function world(t: Test, changes: Partial<UpstreamConfig>) {
  const app = await RecordingUpstream.start(t)
  const process = new Process(t)
  const config = configOf([app.port], { queue: QUEUE, keepalive: UNKNOWN_IDLE, ...changes })
  const envs = [process.env(0), process.env(1)] as const
  const threads = [process.upstream(envs[0], config), process.upstream(envs[1], config)] as const
  const { shared } = envs[0]
  t.teardown(() => {
    for (const thread of threads) thread.retire()
  })
  /** Sends so many at once through a thread, and waits for their answers. */
  const ask = async (thread: 0 | 1, count: number, body?: Buffer) => {
    const jobs = Array.from({ length: count }, () => new TestJob('/', body))
    for (const job of jobs) threads[thread].submit(job)
    for (const job of jobs) t.equal(await job.end(), 200, job.detail)
  }
  return { app, process, config, envs, threads, shared, ask, open: () => shared.connections.open(0) }
}

t.test('a request that must not reuse closes a connection that rests, and takes its place', async t => {
  const { app, ask, open } = await world(t, { maxInflight: 2 })
  await ask(0, 2)
  t.equal(open(), 2, 'both rest')
  for (let n = 0; n < 5; n += 1) await ask(0, 1, POST)
  await ask(0, 4, POST)
  t.ok(app.mostOpen <= 2, `${app.mostOpen}`)
  t.equal(app.requests.length, 11)
})

t.test('a thread without a connection has another thread close one that rests there', async t => {
  const { app, ask, open } = await world(t, { maxInflight: 2 })
  for (let round = 0; round < 4; round += 1) {
    await ask(0, 2)
    await ask(1, 2)
    await ask(1, 1, POST)
    await ask(0, 3, POST)
  }
  t.ok(app.mostOpen <= 2, `${app.mostOpen}`)
  t.ok(open() <= 2)
})

t.test('over TLS it is the same', async t => {
  const authority = new TestAuthority(t.testdir())
  const { certificate: cert, key } = authority.issue({ names: ['127.0.0.1'] })
  let [open, most, answers] = [0, 0, 0]
  const server = createServer({ cert, key }, socket => {
    socket.on('error', () => {}).once('end', () => (open -= 1))
    socket.on('data', bytes => {
      if (!bytes.includes('\r\n\r\n')) return
      answers += 1
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    })
  })
  server.on('connection', () => {
    open += 1
    setImmediate(() => (most = Math.max(most, open)))
  })
  const port = await listen(t, server)
  const process = new Process(t)
  const ca = { path: '/somewhere.pem', text: authority.certificate }
  const bounds = { maxInflight: 2, queue: QUEUE, keepalive: UNKNOWN_IDLE }
  const config = h2([port], { ...bounds, tls: { ...configOf([]).tls, ca } }, 'https')
  const threads = [process.upstream(process.env(0), config), process.upstream(process.env(1), config)]
  for (let n = 0; n < 6; n += 1) {
    const jobs = Array.from({ length: 3 }, (_, i) => new TestJob('/', i === n % 3 ? POST : undefined))
    for (const job of jobs) threads[n % 2]?.submit(job)
    for (const job of jobs) t.equal(await job.end(), 200, job.detail)
  }
  t.equal(answers, 18)
  t.ok(most === 2, `${most} at a time`)
  for (const thread of threads) thread.retire()
  await until('all to be closed', () => open === 0)
})

t.test('a connection that another thread wants is not kept when its answer is there', async t => {
  const { app, ask, shared, threads } = await world(t, { maxInflight: 2 })
  const lines: UpstreamLine[] = []
  app.on('/held', line => void lines.push(line))
  const held = [new TestJob('/held'), new TestJob('/held')]
  for (const job of held) threads[0].submit(job)
  await until('both at the app', () => lines.length === 2)
  const other = ask(1, 1)
  t.equal(shared.queued(0), 1)
  lines[0]?.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  await other
  t.equal(app.connections, 3)
  t.ok(app.mostOpen <= 2, `${app.mostOpen}`)
  lines[1]?.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  for (const job of held) t.equal(await job.end(), 200)
})

t.test('GETs use what rests, however often POSTs need a place', async t => {
  const { app, ask } = await world(t, { maxInflight: 4 })
  await ask(0, 3)
  for (let n = 0; n < 10; n += 1) {
    await ask(0, 1, POST)
    await ask(0, 3)
  }
  t.ok(app.connections <= 3 + 10 + 2, `${app.connections} connections for 33 GETs and 10 POSTs`)
})

t.test('a queue without places refuses nobody for whom there is a slot', async t => {
  const { ask, threads } = await world(t, { maxInflight: 2, queue: { length: 0, timeoutMs: 60_000 } })
  await ask(0, 2)
  await ask(0, 2, POST)
  await ask(1, 2)
  const jobs = Array.from({ length: 5 }, () => new TestJob('/'))
  for (const job of jobs) threads[1].submit(job)
  const ends = await Promise.all(jobs.map(job => job.end()))
  t.same(ends, [200, 200, 'QUEUE_FULL', 'QUEUE_FULL', 'QUEUE_FULL'], 'others are refused as ever')
})

t.test('a client that is bound to an endpoint, or hashed to it, waits for a connection there', async t => {
  for (const kind of ['sticky', 'hash'] as const) {
    const apps = [await RecordingUpstream.start(t), await RecordingUpstream.start(t)] as const
    const process = new Process(t)
    const config = configOf(
      apps.map(({ port }) => port),
      {
        maxInflight: 2,
        queue: QUEUE,
        keepalive: UNKNOWN_IDLE,
        balance: kind === 'hash' ? 'hash' : 'round-robin',
      },
    )
    const upstream = process.upstream(process.env(0), config)
    const ask = async (count: number, body?: Buffer) => {
      const jobs = Array.from({ length: count }, () => new TestJob('/', body))
      for (const job of jobs) {
        if (kind === 'sticky') job.wanted = `127.0.0.1:${apps[0].port}`
        upstream.submit(job)
      }
      for (const job of jobs) t.equal(await job.end(), 200)
    }
    await ask(2)
    for (let n = 0; n < 6; n += 1) await ask(1, POST)
    t.same(apps.map(({ requests }) => requests.length).toSorted(), [0, 8], kind)
    upstream.retire()
  }
})

t.test('a reload may set the bound, change it and drop it', async t => {
  const { app, ask, open, config, envs, process, threads } = await world(t, { maxInflight: 0 })
  await ask(0, 6)
  await ask(1, 4)
  t.equal(open(), 10, 'counted without a bound, too')
  let present = [...threads]
  const reload = (maxInflight: number) => {
    const before = present
    present = envs.map((env, i) => process.upstream(env, { ...config, maxInflight }, before[i]))
    for (const [i, old] of before.entries()) old.retire(present[i])
  }
  const askAnew = async (count: number, body?: Buffer) => {
    const jobs = Array.from({ length: count }, () => new TestJob('/', body))
    for (const [i, job] of jobs.entries()) present[i % 2]?.submit(job)
    for (const job of jobs) t.equal(await job.end(), 200)
  }
  reload(3)
  await until('what is too much to be closed', () => open() <= 3)
  app.mostOpen = 0
  await askAnew(12)
  await askAnew(6, POST)
  t.ok(app.mostOpen <= 3, `${app.mostOpen}`)
  reload(0)
  await askAnew(20)
  t.ok(app.mostOpen > 3, `${app.mostOpen}`)
  for (const upstream of present) upstream.retire()
  await until('nothing to be open', () => open() === 0 && envs[0].shared.descriptors.taken === 0)
})

t.test('a connect that fails, and a client that leaves, keep no place', async t => {
  const { app, threads, open } = await world(t, { maxInflight: 2, abandoned: 'close' })
  app.on('/', never)
  for (let n = 0; n < 6; n += 1) {
    const job = new TestJob('/', n % 2 === 0 ? POST : undefined)
    threads[0].submit(job)
    await until('it is at the app', () => app.requests.length === n + 1)
    job.leave()
  }
  t.equal(open(), 0)
  await app.stop()
  const job = new TestJob('/')
  threads[1].submit(job)
  await until('it waits', () => job.line !== undefined)
  t.equal(open(), 0)
  job.leave()
})

t.test('a thread that is stuck, and gives nothing up, does not keep the others from their slots', async t => {
  const { app, ask, shared, threads } = await world(t, { maxInflight: 3 })
  // Rest in it, and nobody looks after them.
  for (let n = 0; n < 3; n += 1) shared.connections.take(0, 0, 3)
  const lines: UpstreamLine[] = []
  app.on('/held', line => void lines.push(line))
  const jobs = Array.from({ length: 4 }, () => new TestJob('/held'))
  for (const job of jobs) threads[1].submit(job)
  await until('as many at the app as there are slots', () => lines.length === 3)
  t.equal(shared.queued(0), 1, 'no more than that')
  for (let n = 0; n < 3; n += 1) shared.connections.give(0, 0)
  for (let n = 0; n < 4; n += 1) {
    const line = await until('the next one', () => lines[n])
    line.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  }
  for (const job of jobs) t.equal(await job.end(), 200)
  app.mostOpen = 0
  await ask(1, 6, POST)
  t.ok(app.mostOpen <= 3, 'when it is over the bound holds again')
  t.ok(shared.connections.open(0) <= 3)
})

t.test('what a dead thread had open is for the others', async t => {
  const { ask, shared, envs } = await world(t, { maxInflight: 2 })
  await ask(0, 2)
  t.equal(shared.connections.open(0), 2)
  envs[1].shared.releaseAllOf(0)
  await ask(1, 2)
  t.equal(shared.connections.open(0), 2)
})
