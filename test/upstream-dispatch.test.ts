import t, { type Test } from 'tap'
import { SharedState, STATE } from '../lib/base/shared-state.ts'
import { ok, RecordingUpstream, rawThenClose, type UpstreamLine } from './support/recording-upstream.ts'
import { until } from './support/until.ts'
import { configOf, type End, PASSIVE, Process, TestJob } from './support/upstream-world.ts'

/** An app that answers when the test says so, in any order. */
async function gatedApp(t: Test): Promise<{ app: RecordingUpstream; lines: Map<string, UpstreamLine> }> {
  const app = await RecordingUpstream.start(t)
  const lines = new Map<string, UpstreamLine>()
  app.on('/', (line, { target }) => {
    lines.set(target, line)
  })
  return { app, lines }
}

function answer(line: UpstreamLine | undefined): void {
  line?.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
}

t.test('max_inflight holds, and whoever came first goes first', async t => {
  const { app, lines } = await gatedApp(t)
  const world = new Process(t)
  const upstream = world.upstream(world.env(0), configOf([app.port], { maxInflight: 2 }))
  const jobs = Array.from({ length: 6 }, (_, n) => new TestJob(`/?${n}`))
  for (const job of jobs) upstream.submit(job)
  for (const [n, job] of jobs.entries()) {
    await until(`request ${n} at the app`, () => lines.has(`/?${n}`))
    t.ok(world.inflight() <= 2)
    t.ok(app.requests.length <= n + 2, 'no more than two at a time')
    answer(lines.get(`/?${n}`))
    t.equal(await job.end(), 200)
  }
  t.same(
    app.requests.map(({ target }) => target),
    jobs.map(({ name }) => name),
  )
  t.ok(world.gauges().every(gauge => gauge === 0))
  upstream.retire()
})

t.test('a slot that one thread frees wakes a request that waits in another', async t => {
  const { app, lines } = await gatedApp(t)
  const world = new Process(t)
  const config = configOf([app.port], { maxInflight: 1, queue: { length: 100, timeoutMs: 60_000 } })
  const one = world.upstream(world.env(0), config)
  const two = world.upstream(world.env(1), config)
  const jobs = Array.from({ length: 20 }, (_, n) => new TestJob(`/?${n}`))
  for (const [n, job] of jobs.entries()) (n % 2 === 0 ? one : two).submit(job)
  for (let done = 0; done < jobs.length; done += 1) {
    await until(`request ${done} at the app`, () => app.requests.length > done)
    t.equal(world.inflight(), 1)
    answer(lines.get(app.requests[done]?.target as string))
  }
  for (const job of jobs) t.equal(await job.end(), 200)
  t.ok(world.gauges().every(gauge => gauge === 0))
  one.retire()
  two.retire()
})

t.test('a reload moves waiting requests to the successor, in their order', async t => {
  const { app, lines } = await gatedApp(t)
  const world = new Process(t)
  const env = world.env(0)
  const config = configOf([app.port], { maxInflight: 1 })
  const before = world.upstream(env, config)
  const jobs = Array.from({ length: 4 }, (_, n) => new TestJob(`/?${n}`))
  for (const job of jobs) before.submit(job)
  await until('the first at the app', () => lines.has('/?0'))
  const after = world.upstream(env, { ...config, maxInflight: 3 }, before)
  before.retire(after)
  // Three run now: the first, and two that waited.
  await until('two more at the app', () => app.requests.length === 3)
  t.equal(world.inflight(), 3)
  for (const [n, job] of jobs.entries()) {
    await until(`request ${n} at the app`, () => lines.has(`/?${n}`))
    answer(lines.get(`/?${n}`))
    t.equal(await job.end(), 200)
  }
  t.same(new Set(app.requests.map(({ target }) => target)), new Set(jobs.map(({ name }) => name)))
  t.ok(world.gauges().every(gauge => gauge === 0))
  after.retire()
})

t.test('a reload that leaves no room tells those who waited, and takes nobody twice', async t => {
  const { app, lines } = await gatedApp(t)
  const world = new Process(t)
  const env = world.env(0)
  const config = configOf([app.port], { maxInflight: 1 })
  const before = world.upstream(env, config)
  const jobs = Array.from({ length: 4 }, (_, n) => new TestJob(`/?${n}`))
  for (const job of jobs) before.submit(job)
  await until('the first at the app', () => lines.has('/?0'))
  const after = world.upstream(env, { ...config, queue: { length: 1, timeoutMs: 5_000 } }, before)
  before.retire(after)
  t.equal(await jobs[2]?.end(), 'QUEUE_FULL')
  t.equal(await jobs[3]?.end(), 'QUEUE_FULL')
  answer(lines.get('/?0'))
  await until('the second at the app', () => lines.has('/?1'))
  answer(lines.get('/?1'))
  t.equal(await jobs[1]?.end(), 200)
  t.equal(app.requests.length, 2)
  t.ok(world.gauges().every(gauge => gauge === 0))
  after.retire()
})

t.test('an upstream that is taken out serves those who wait there', async t => {
  const { app, lines } = await gatedApp(t)
  const world = new Process(t)
  const upstream = world.upstream(world.env(0), configOf([app.port], { maxInflight: 1 }))
  const jobs = [new TestJob('/?0'), new TestJob('/?1')]
  for (const job of jobs) upstream.submit(job)
  await until('the first at the app', () => lines.has('/?0'))
  upstream.retire()
  for (const [n, job] of jobs.entries()) {
    await until(`request ${n} at the app`, () => lines.has(`/?${n}`))
    answer(lines.get(`/?${n}`))
    t.equal(await job.end(), 200)
  }
  await until('its connections to close', () => app.open === 0)
  t.ok(world.gauges().every(gauge => gauge === 0))
})

t.test('whoever leaves the queue, or leaves while it runs, frees what it had', async t => {
  const { app, lines } = await gatedApp(t)
  const world = new Process(t)
  const upstream = world.upstream(world.env(0), configOf([app.port], { maxInflight: 1 }))
  const jobs = Array.from({ length: 4 }, (_, n) => new TestJob(`/?${n}`))
  for (const job of jobs) upstream.submit(job)
  await until('the first at the app', () => lines.has('/?0'))
  jobs[1]?.leave()
  jobs[0]?.leave()
  await until('the third at the app', () => lines.has('/?2'))
  t.notOk(lines.has('/?1'))
  answer(lines.get('/?2'))
  t.equal(await jobs[2]?.end(), 200)
  await until('the last at the app', () => lines.has('/?3'))
  jobs[3]?.leave()
  t.ok(world.gauges().every(gauge => gauge === 0))
  upstream.retire()
})

t.test('an endpoint that keeps failing is ejected once; with all ejected, all are tried', async t => {
  const [bad, good] = [await RecordingUpstream.start(t), await RecordingUpstream.start(t)]
  bad.on('/', rawThenClose('nonsense\r\n\r\n'))
  const world = new Process(t)
  const env = world.env(0)
  const config = configOf([bad.port, good.port], { passive: { ...PASSIVE, failures: 3, maxEjectedShare: 1 } })
  const upstream = world.upstream(env, config)
  const ask = async () => {
    const job = new TestJob('/')
    upstream.submit(job)
    return job.end()
  }
  for (let n = 0; n < 20; n += 1) await ask()
  t.equal(bad.requests.length, 3)
  t.same(world.ejected, [`127.0.0.1:${bad.port}`])
  t.equal(env.shared.state(0), STATE.ejected)
  good.on('/', rawThenClose('nonsense\r\n\r\n'))
  for (let n = 0; n < 3; n += 1) t.equal(await ask(), 'UPSTREAM_BAD')
  t.equal(env.shared.state(1), STATE.ejected)
  good.on('/', ok())
  const ends = new Set<End>()
  for (let n = 0; n < 4; n += 1) ends.add(await ask())
  t.ok(ends.has(200), 'the pool is not empty')
  t.ok(bad.requests.length > 3, 'the other is tried as well')
  env.shared.setState(0, STATE.down, true)
  env.shared.changed(0)
  for (let n = 0; n < 4; n += 1) t.equal(await ask(), 200, 'what a probe has found down is not')
  upstream.retire()
})

t.test('when an app dies in a GET another endpoint gets it, or the only one once more', async t => {
  const [dying, good] = [await RecordingUpstream.start(t), await RecordingUpstream.start(t)]
  dying.on('/', rawThenClose(''))
  const world = new Process(t)
  const env = world.env(0)
  const both = world.upstream(env, configOf([dying.port, good.port]))
  for (let n = 0; n < 6; n += 1) {
    const job = new TestJob('/')
    both.submit(job)
    t.equal(await job.end(), 200)
  }
  t.ok(dying.requests.length > 0, 'it was asked')
  const asked = dying.requests.length
  const alone = world.upstream(env, configOf([dying.port]))
  const job = new TestJob('/')
  alone.submit(job)
  t.equal(await job.end(), 'UPSTREAM_CLOSED')
  t.equal(dying.requests.length, asked + 2)
  both.retire()
  alone.retire()
})

t.test('with every endpoint down, requests wait for the first that comes back', async t => {
  const app = await RecordingUpstream.start(t)
  const world = new Process(t)
  const env = world.env(0)
  env.shared.setState(0, STATE.down, true)
  const upstream = world.upstream(env, configOf([app.port]))
  const jobs = [new TestJob('/'), new TestJob('/')]
  for (const job of jobs) upstream.submit(job)
  const control = new SharedState(world.shared)
  control.setState(0, STATE.down, false)
  control.changed(0)
  for (const job of jobs) t.equal(await job.end(), 200)
  t.ok(world.gauges().every(gauge => gauge === 0))
  upstream.retire()
})

t.test(
  'ten thousand requests that fail in the turn of another one do not end in a deep recursion',
  async t => {
    const app = await RecordingUpstream.start(t)
    const world = new Process(t)
    const config = configOf([app.port], { maxInflight: 1, queue: { length: 0, timeoutMs: 1_000 } })
    const upstream = world.upstream(world.env(0), config)
    app.on('/', () => undefined)
    const first = new TestJob('/')
    upstream.submit(first)
    const jobs = Array.from({ length: 10_000 }, () => new TestJob('/'))
    for (const job of jobs) upstream.submit(job)
    t.same(new Set(await Promise.all(jobs.map(async job => job.end()))), new Set(['QUEUE_FULL']))
    first.leave()
    t.ok(world.gauges().every(gauge => gauge === 0))
    upstream.retire()
  },
)

t.test('a connection whose request is not out yet when the answer is there is not used again', async t => {
  const app = await RecordingUpstream.start(t)
  // Answers at the head and does not read on: what the kernel does not take of the body stays with us.
  app.on('/upload', line => {
    line.socket.pause()
    line.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const world = new Process(t)
  const upstream = world.upstream(world.env(0), configOf([app.port]))
  const upload = new TestJob('/upload', Buffer.alloc(16_000_000, 'x'))
  upstream.submit(upload)
  t.equal(await upload.end(), 200)
  const next = new TestJob('/next')
  upstream.submit(next)
  t.equal(await next.end(), 200)
  t.equal(app.connections, 2)
  upstream.retire()
  t.ok(world.gauges().every(gauge => gauge === 0))
})
