import t from 'tap'
import { systemClock } from '../lib/base/clock.ts'
import type { ServerKind } from '../lib/config/model.ts'
import { FieldList } from '../lib/http/field-list.ts'
import { KeepaliveLimit } from '../upstreams/keepalive-limit.ts'
import { RecordingUpstream, raw } from './support/recording-upstream.ts'
import { until } from './support/until.ts'
import { configOf, Process, TestJob } from './support/upstream-world.ts'

function limitOf(kind: ServerKind = 'auto', server?: string): KeepaliveLimit {
  const limit = new KeepaliveLimit()
  limit.kind = kind
  if (server !== undefined) limit.recognise(FieldList.of([['Server', server]]))
  return limit
}

t.test('known servers have known limits, below the time after which they close', async t => {
  const restMs = (kind: ServerKind) => limitOf(kind).restMs(undefined, 0)
  t.equal(restMs('uwsgi'), 0, 'closes at once')
  t.equal(restMs('gunicorn'), 1500)
  t.equal(restMs('uvicorn'), 4000)
  t.equal(restMs('hypercorn'), 4000)
  t.equal(restMs('daphne'), 50_000)
  t.equal(restMs('auto'), 1500)
})

t.test('a server that the configuration does not name is known by its Server field', async t => {
  const restMs = (server: string) => limitOf('auto', server).restMs(undefined, 0)
  t.equal(restMs('gunicorn/20.1.0'), 1500)
  t.equal(restMs('hypercorn-h11'), 4000)
  t.equal(restMs('hypercorn-h2'), 4000)
  t.equal(restMs('Daphne'), 50_000)
  t.equal(restMs('uvicorn'), 1500, 'it may be a worker of gunicorn, which is less patient')
  t.equal(restMs('nginx/1.22'), 1500)
  const replaced = limitOf('auto', 'daphne')
  replaced.recognise(FieldList.of([]))
  t.equal(replaced.restMs(undefined, 0), 1500, 'another app came to the address')
  t.equal(limitOf('gunicorn', 'daphne').restMs(undefined, 0), 1500, 'the configuration knows better')
})

t.test('what the app promises counts, less a fifth', async t => {
  t.equal(limitOf('gunicorn').restMs(5000, 0), 4000)
  t.equal(limitOf().restMs(1000, 0), 800)
})

t.test('an app that closes sooner than expected twice is believed, and slowly forgotten', async t => {
  const limit = limitOf('uvicorn')
  limit.closedEarly(1000, 10_000)
  t.equal(limit.restMs(undefined, 10_000), 4000, 'once may be a restart')
  limit.closedEarly(1100, 12_000)
  t.equal(limit.restMs(undefined, 12_000), 800, 'four fifths of the shorter one')
  t.equal(limit.restMs(9000, 12_000), 800, 'whatever it promises')
  t.equal(limit.restMs(undefined, 42_000), 1600, 'twice as much after half a minute')
  t.equal(limit.restMs(undefined, 100_000), 4000, 'but never more than usual')
  limit.closedEarly(1000, 100_000)
  t.equal(limit.restMs(undefined, 100_000), 800, 'and it is noticed again at once')
})

t.test('a restart, which closes connections of every age, teaches nothing', async t => {
  const limit = limitOf('uvicorn')
  for (const agedMs of [3, 40, 900, 1000, 1100]) limit.closedEarly(agedMs, 10_000)
  limit.closedEarly(700, 60_000)
  t.equal(limit.restMs(undefined, 60_000), 4000, 'nor do two, at different ages')
  limit.survived(4000)
  limit.closedEarly(650, 90_000)
  t.equal(limit.restMs(undefined, 90_000), 4000, 'nor one that a longer rest has proved wrong')
})

t.test('an app that closes at once is not pooled at all', async t => {
  const limit = limitOf()
  limit.closedEarly(0, 10_000)
  t.equal(limit.restMs(undefined, 10_000), 0, 'it has never kept one')
  t.equal(limit.restMs(undefined, 60_000), 0, 'nor is it tried soon after')
  t.ok(limit.restMs(undefined, 400_000) > 0, 'but then it is')
  const usual = limitOf()
  usual.survived(1500)
  for (const nowMs of [10_000, 12_000]) {
    t.equal(usual.restMs(undefined, nowMs), 1500, 'one that has kept some may have restarted')
    usual.closedEarly(1, nowMs)
  }
  t.equal(usual.restMs(undefined, 12_000), 0)
})

t.test(
  'a POST goes out on a used connection only where the configuration says for how long one lasts',
  async t => {
    const app = await RecordingUpstream.start(t)
    const world = new Process(t)
    const asked = (idleMs: number | undefined) => {
      const upstream = world.upstream(world.env(0), configOf([app.port], { keepalive: { idleMs, max: 10 } }))
      t.teardown(() => upstream.retire())
      return async (method: string) => {
        const job = new TestJob('/', undefined, method)
        upstream.submit(job)
        t.equal(await job.end(), 200)
        return app.requests.at(-1)?.connection
      }
    }
    const learning = asked(undefined)
    t.equal(await learning('POST'), 1)
    t.equal(await learning('POST'), 2, 'the app may just be closing the one that waits')
    t.equal(await learning('GET'), 2, 'a GET may try')
    t.equal(await learning('POST'), 3)
    const told = asked(60_000)
    t.equal(await told('POST'), 4)
    t.equal(await told('POST'), 4)
  },
)

t.test(
  'in traffic: an app that closes its idle connections is left alone, and told apart by its name',
  async t => {
    const app = await RecordingUpstream.start(t)
    const world = new Process(t)
    let laterMs = 0
    const clock = { now: () => systemClock.now() + laterMs, wall: () => systemClock.wall() }
    const env = { ...world.env(0), clock }
    const config = configOf([app.port], { keepalive: { idleMs: undefined, max: 10 } })
    const upstream = world.upstream(env, config)
    const answer = (fields: string) =>
      app.on('/', raw(`HTTP/1.1 200 OK\r\nContent-Length: 0\r\n${fields}\r\n`))
    const ask = async () => {
      const job = new TestJob('/')
      upstream.submit(job)
      t.equal(await job.end(), 200)
    }
    const restMs = () => upstream.endpointAt(0)?.keepalive.restMs(undefined, env.clock.now())
    answer('Server: daphne\r\n')
    await ask()
    t.equal(restMs(), 50_000)

    // Two closes, apart in time, as by a server with a very short patience; before, it has kept one.
    await ask()
    for (let n = 0; n < 2; n += 1) {
      await ask()
      for (const socket of app.sockets) socket.end()
      await until('it to be taken out of the pool', () => app.open === 0)
      laterMs += 2000
    }
    t.equal(restMs(), 0)
    await ask()
    await until('the connection to be closed by us', () => app.open === 0)
    t.ok(world.gauges().every(gauge => gauge === 0))
    upstream.retire()
  },
)
