import t from 'tap'
import { STATE } from '../lib/base/shared-state.ts'
import { never, ok, RecordingUpstream, raw } from './support/recording-upstream.ts'
import { until } from './support/until.ts'
import { configOf, Process, TestJob } from './support/upstream-world.ts'

t.test('a refused connect marks the endpoint, and the request waits until it is reached again', async t => {
  const app = await RecordingUpstream.start(t)
  await app.stop()
  const world = new Process(t)
  const env = world.env(0)
  const upstream = world.upstream(env, configOf([app.port]))
  const jobs = [new TestJob('/get'), new TestJob('/post', Buffer.from('once'))]
  for (const job of jobs) upstream.submit(job)
  await until('the endpoint is marked', () => env.shared.state(0) === STATE.unreachable)
  await until('both wait', () => env.shared.queued(0) === 2)
  t.same(world.unreachable, [`127.0.0.1:${app.port}`], 'said once')
  await app.listen()
  env.shared.setState(0, STATE.unreachable, false)
  env.shared.changed(0)
  for (const job of jobs) t.equal(await job.end(), 200)
  t.equal(app.requests.length, 2)
  t.equal(env.shared.queued(0), 0)
  t.ok(world.gauges().every(gauge => gauge === 0))
  upstream.retire()
})

t.test('attempts that reached nobody are not counted against the limit of attempts', async t => {
  const dead = [
    await RecordingUpstream.start(t),
    await RecordingUpstream.start(t),
    await RecordingUpstream.start(t),
  ]
  const good = await RecordingUpstream.start(t)
  for (const app of dead) await app.stop()
  const world = new Process(t)
  const config = configOf([...dead.map(app => app.port), good.port], {
    retry: { attempts: 1, budgetShare: 0.2, statuses: [] },
  })
  const upstream = world.upstream(world.env(0), config)
  for (let n = 0; n < 4; n += 1) {
    const job = new TestJob('/', Buffer.from('body'))
    upstream.submit(job)
    t.equal(await job.end(), 200)
  }
  t.equal(good.requests.length, 4)
  upstream.retire()
})

t.test('who waits in vain is told so, and for which reason', async t => {
  const app = await RecordingUpstream.start(t)
  await app.stop()
  const world = new Process(t)
  const config = configOf([app.port], { queue: { length: 10, timeoutMs: 200 } })
  const upstream = world.upstream(world.env(0), config)
  const job = new TestJob('/')
  upstream.submit(job)
  t.equal(await job.end(), 'NO_ENDPOINT')
  t.match(job.detail, /connection refused/)
  const { shared } = world.env(1)
  shared.setState(0, STATE.unreachable, false)
  shared.setState(0, STATE.down, true)
  shared.changed(0)
  const later = new TestJob('/')
  upstream.submit(later)
  t.equal(await later.end(), 'NO_ENDPOINT')
  t.match(later.detail, /is down according to its health checks/)
  t.notMatch(later.detail, /refused/, 'that was before')
  upstream.retire()
})

t.test('queue.length holds over all threads, and a thread that dies gives its places back', async t => {
  const app = await RecordingUpstream.start(t)
  app.on('/', never)
  const world = new Process(t)
  const config = configOf([app.port], { maxInflight: 1, queue: { length: 3, timeoutMs: 5_000 } })
  const one = world.upstream(world.env(0), config)
  const env = world.env(1)
  const two = world.upstream(env, config)
  const jobs = Array.from({ length: 5 }, () => new TestJob('/'))
  for (const [n, job] of jobs.entries()) (n % 2 === 0 ? one : two).submit(job)
  t.equal(await jobs[4]?.end(), 'QUEUE_FULL', 'one runs, three wait')
  t.equal(env.shared.queued(0), 3)
  t.equal(env.shared.waiting(0), 2, 'threads that wait')
  env.shared.releaseAllOf(1)
  t.equal(env.shared.queued(0), 1, 'the two of the other thread')
  t.equal(env.shared.waiting(0), 1, 'and it waits no more')
  for (const job of jobs) job.leave()
  one.retire()
  two.retire()
})

t.test('a full queue takes the more urgent one in, and tells the other', async t => {
  const app = await RecordingUpstream.start(t)
  app.on('/', never)
  const world = new Process(t)
  const config = configOf([app.port], { maxInflight: 1, queue: { length: 1, timeoutMs: 5_000 } })
  const upstream = world.upstream(world.env(0), config)
  const [running, low, high] = [new TestJob('/running'), new TestJob('/low'), new TestJob('/high')]
  low.priority = 'low'
  high.priority = 'high'
  for (const job of [running, low, high]) upstream.submit(job)
  t.equal(await low.end(), 'QUEUE_FULL')
  running.leave()
  await until('the urgent one at the app', () => app.seen('/high').length === 1)
  high.leave()
  t.ok(world.gauges().every(gauge => gauge === 0))
  upstream.retire()
})

t.test('Retry-After says how long the queue takes', async t => {
  const app = await RecordingUpstream.start(t)
  const world = new Process(t)
  const config = configOf([app.port], { maxInflight: 1, queue: { length: 0, timeoutMs: 5_000 } })
  const upstream = world.upstream(world.env(0), config)
  for (let n = 0; n < 4; n += 1) {
    const job = new TestJob('/')
    upstream.submit(job)
    t.equal(await job.end(), 200)
  }
  app.on('/never', never)
  const running = new TestJob('/never')
  const refused = new TestJob('/')
  upstream.submit(running)
  upstream.submit(refused)
  t.equal(await refused.end(), 'QUEUE_FULL')
  t.equal(refused.record.retryAfterSeconds, 1, 'four in two seconds: one is through in a second')
  running.leave()
  upstream.retire()
})

t.test('a slot of an abandoned request is free only when the app has ended it', async t => {
  const app = await RecordingUpstream.start(t)
  const world = new Process(t)
  const config = configOf([app.port], { maxInflight: 1, abandoned: 'finish' })
  const upstream = world.upstream(world.env(0), config)
  let finish = () => {}
  app.on('/slow', line => {
    finish = () => line.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const slow = new TestJob('/slow')
  upstream.submit(slow)
  await until('it is at the app', () => app.seen('/slow').length === 1)
  slow.leave()
  const next = new TestJob('/next')
  upstream.submit(next)
  t.equal(world.inflight(), 1)
  t.equal(world.abandonedNow(), 1)
  t.equal(app.seen('/next').length, 0)
  finish()
  t.equal(await next.end(), 200)
  t.equal(world.abandonedNow(), 0)
  t.equal(world.abandoned(), 1)
  t.ok(world.gauges().every(gauge => gauge === 0))
  upstream.retire()
})

t.test('where apps notice it, an abandoned request is closed at once', async t => {
  const app = await RecordingUpstream.start(t)
  app.on('/slow', never)
  const world = new Process(t)
  const upstream = world.upstream(world.env(0), configOf([app.port], { maxInflight: 1 }))
  const slow = new TestJob('/slow')
  upstream.submit(slow)
  await until('it is at the app', () => app.seen('/slow').length === 1)
  slow.leave()
  t.equal(world.inflight(), 0)
  t.equal(world.abandoned(), 0)
  upstream.retire()
})

t.test(
  'a status to retry is asked of another endpoint, and the last answer is the one that counts',
  async t => {
    const [bad, good] = [await RecordingUpstream.start(t), await RecordingUpstream.start(t)]
    bad.on('/', raw('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n'))
    const world = new Process(t)
    const config = configOf([bad.port, good.port], {
      retry: { attempts: 2, budgetShare: 1, statuses: [503] },
    })
    const upstream = world.upstream(world.env(0), config)
    for (let n = 0; n < 6; n += 1) {
      const job = new TestJob('/')
      upstream.submit(job)
      t.equal(await job.end(), 200)
      t.equal(job.received, 'ok\n', 'nothing of the other answer')
    }
    t.ok(bad.requests.length > 0)
    const posted = new Set<unknown>()
    for (let n = 0; n < 4; n += 1) {
      const job = new TestJob('/', Buffer.from('x'))
      upstream.submit(job)
      posted.add(await job.end())
    }
    t.same([...posted], [200], 'what must not be repeated keeps away from one that has just failed')
    good.on('/', raw('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n'))
    const job = new TestJob('/')
    upstream.submit(job)
    t.equal(await job.end(), 503)
    const asked = bad.requests.length + good.requests.length
    const post = new TestJob('/', Buffer.from('x'))
    upstream.submit(post)
    t.equal(await post.end(), 503)
    t.equal(bad.requests.length + good.requests.length, asked + 1, 'and is not repeated')
    t.ok(world.gauges().every(gauge => gauge === 0))
    upstream.retire()
  },
)

t.test('a bound client gets its endpoint while that one is ready, else any', async t => {
  const apps = [await RecordingUpstream.start(t), await RecordingUpstream.start(t)]
  const world = new Process(t)
  const env = world.env(0)
  const upstream = world.upstream(env, configOf(apps.map(app => app.port)))
  const ask = async () => {
    const job = new TestJob('/')
    job.wanted = `127.0.0.1:${apps[1]?.port}`
    upstream.submit(job)
    t.equal(await job.end(), 200)
  }
  for (let n = 0; n < 5; n += 1) await ask()
  t.equal(apps[1]?.requests.length, 5)
  env.shared.setState(1, STATE.draining, true)
  env.shared.changed(0)
  await ask()
  t.equal(apps[0]?.requests.length, 1)
  upstream.retire()
})

t.test('backups get traffic only while nobody else is ready', async t => {
  const apps = [await RecordingUpstream.start(t), await RecordingUpstream.start(t)]
  const world = new Process(t)
  const env = world.env(0)
  const plain = configOf(apps.map(app => app.port))
  const endpoints = plain.endpoints.map((endpoint, n) => ({ ...endpoint, backup: n === 1 }))
  const upstream = world.upstream(env, { ...plain, endpoints })
  const ask = async () => {
    const job = new TestJob('/')
    upstream.submit(job)
    t.equal(await job.end(), 200)
  }
  for (let n = 0; n < 5; n += 1) await ask()
  t.same(
    apps.map(app => app.requests.length),
    [5, 0],
  )
  env.shared.setState(0, STATE.down, true)
  env.shared.changed(0)
  await ask()
  t.equal(apps[1]?.requests.length, 1)
  env.shared.setState(0, STATE.down, false)
  env.shared.changed(0)
  await ask()
  t.equal(apps[1]?.requests.length, 1)
  upstream.retire()
})

t.test('an endpoint that starts slowly runs few at a time, and more with each step', async t => {
  const app = await RecordingUpstream.start(t)
  app.on('/', never)
  const world = new Process(t)
  const env = world.env(0)
  env.shared.setRamp(0, 5)
  const upstream = world.upstream(env, configOf([app.port], { maxInflight: 40 }))
  const jobs = Array.from({ length: 60 }, () => new TestJob('/'))
  for (const job of jobs) upstream.submit(job)
  t.equal(world.inflight(), 2, '5 % of 40')
  env.shared.setRamp(0, 50)
  env.shared.changed(0)
  await until('half of its slots', () => world.inflight() === 20)
  env.shared.setRamp(0, 100)
  env.shared.changed(0)
  await until('all of its slots', () => world.inflight() === 40)
  for (const job of jobs) job.leave()
  t.ok(world.gauges().every(gauge => gauge === 0))
  upstream.retire()
})

t.test('a learned limit holds besides max_inflight', async t => {
  const app = await RecordingUpstream.start(t)
  app.on('/', never)
  const world = new Process(t)
  const env = world.env(0)
  env.shared.setLimit(0, 3)
  const upstream = world.upstream(env, configOf([app.port]))
  const jobs = Array.from({ length: 5 }, () => new TestJob('/'))
  for (const job of jobs) upstream.submit(job)
  t.equal(world.inflight(), 3)
  for (const job of jobs) job.leave()
  upstream.retire()
})

t.test('five 5xx in a row eject an endpoint if another does better, and never the whole pool', async t => {
  const apps = [await RecordingUpstream.start(t), await RecordingUpstream.start(t)]
  const world = new Process(t)
  const env = world.env(0)
  const passive = { ...configOf([]).passive, failureRateShare: 0.5 }
  const upstream = world.upstream(
    env,
    configOf(
      apps.map(app => app.port),
      { passive },
    ),
  )
  const ask = async () => {
    const job = new TestJob('/')
    upstream.submit(job)
    return job.end()
  }
  for (const app of apps) app.on('/', raw('HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n'))
  for (let n = 0; n < 20; n += 1) t.equal(await ask(), 500)
  t.same(world.ejected, [], 'it is the app, not an endpoint')
  apps[1]?.on('/', ok())
  for (let n = 0; n < 20; n += 1) await ask()
  t.same(world.ejected, [`127.0.0.1:${apps[0]?.port}`])
  t.ok(world.suspects.length > 0, 'and a probe was asked for')
  for (let n = 0; n < 4; n += 1) t.equal(await ask(), 200)
  upstream.retire()
})
