import t, { type Test } from 'tap'
import { systemClock } from '../lib/base/clock.ts'
import { AckStall } from '../upstreams/ack-stall.ts'
import { h2 } from './support/http2-app.ts'
import { END_STREAM, FRAME, type RawHttp2Line, RawHttp2Server } from './support/raw-http2.ts'
import { RecordingUpstream, type Script } from './support/recording-upstream.ts'
import { until } from './support/until.ts'
import { configOf, Process, TestJob } from './support/upstream-world.ts'

const STALL_MS = 42

/** Feeds `count` answers, one a millisecond; the time after them. */
function feed(stall: AckStall, used: boolean, pausesMs: readonly number[], fromMs: number): number {
  for (const [i, pauseMs] of pausesMs.entries()) stall.answered(used, pauseMs, fromMs + i)
  return fromMs + pausesMs.length
}

function repeat(count: number, pauseMs: number): readonly number[] {
  return Array.from({ length: count }, () => pauseMs)
}

t.test('stalls on used connections and none on new ones: used ones are left alone', async t => {
  const stall = new AckStall('new-connections')
  const trialMs = feed(stall, true, repeat(8, STALL_MS), 0)
  t.ok(stall.isActing(trialMs), 'new ones are tried')
  t.ok(stall.isTrying)
  const pauses = repeat(4, 0)
  const found = pauses.map((pauseMs, i) => stall.answered(false, pauseMs, trialMs + i))
  t.same(found, [undefined, undefined, undefined, 300_000], 'it is said once')
  t.ok(stall.isActing(trialMs + 200_000))
  t.notOk(stall.isTrying)
})

t.test('a stream with an event every 40 ms pauses on new connections too: nothing changes', async t => {
  const stall = new AckStall('new-connections')
  let nowMs = feed(stall, true, repeat(8, STALL_MS), 0)
  t.equal(stall.answered(false, 40, nowMs), undefined)
  t.notOk(stall.isActing(nowMs))
  nowMs = feed(stall, true, repeat(100, STALL_MS), nowMs)
  t.notOk(stall.isActing(nowMs), 'nor is it tried again at once')
  nowMs = feed(stall, true, repeat(8, STALL_MS), 60_000)
  t.ok(stall.isActing(nowMs), 'but later')
})

t.test('an app of which some pages pause is asked long enough to tell', async t => {
  const stall = new AckStall('new-connections')
  const nowMs = feed(stall, true, [...repeat(12, 3), ...repeat(8, STALL_MS)], 0)
  t.ok(stall.isTrying)
  feed(stall, false, repeat(17, 3), nowMs)
  t.ok(stall.isTrying, 'with a share of 40 % seventeen without a pause can be chance')
  t.equal(stall.answered(false, 3, nowMs + 17), undefined)
  t.equal(stall.answered(false, 3, nowMs + 18), 300_000)
})

t.test('a few stalls, others than these pauses, and stalls on new connections alone are none', async t => {
  const rare = new AckStall('new-connections')
  for (let n = 0; n < 50; n += 1) feed(rare, true, [...repeat(9, 2), STALL_MS], n * 100)
  t.notOk(rare.isActing(5000), 'one of ten')
  const other = new AckStall('new-connections')
  feed(other, true, [...repeat(100, 30), ...repeat(100, 60), ...repeat(100, 200)], 0)
  t.notOk(other.isActing(300))
  const fresh = new AckStall('new-connections')
  feed(fresh, false, repeat(100, STALL_MS), 0)
  t.notOk(fresh.isActing(100))
})

t.test(
  'a server that was mended has its connections used again; one that was not is found out sooner',
  async t => {
    const stall = new AckStall('new-connections')
    const find = (nowMs: number) => {
      feed(stall, true, repeat(8, STALL_MS), nowMs)
      feed(stall, false, repeat(4, 0), nowMs)
    }
    find(0)
    t.ok(stall.isActing(299_000))
    t.notOk(stall.isActing(301_000), 'after five minutes they are used')
    feed(stall, true, repeat(3, STALL_MS), 301_000)
    t.equal(stall.answered(true, STALL_MS, 301_003), 600_000, 'four stalls are enough then, and last longer')
    t.notOk(stall.isActing(901_010))
    feed(stall, true, repeat(1000, 1), 901_010)
    t.notOk(stall.isActing(910_000), 'mended')
  },
)

t.test('another process at the address is looked at anew', async t => {
  const stall = new AckStall('new-connections')
  feed(stall, true, repeat(8, STALL_MS), 0)
  feed(stall, false, repeat(4, 0), 10)
  t.ok(stall.isActing(20))
  stall.replaced()
  t.notOk(stall.isActing(20))
})

t.test('where new connections stall as well, leaving the used ones ends', async t => {
  const stall = new AckStall('new-connections')
  feed(stall, true, repeat(8, STALL_MS), 0)
  feed(stall, false, repeat(4, 0), 10)
  feed(stall, false, repeat(8, STALL_MS), 20)
  t.notOk(stall.isActing(30))
})

t.test('where acting costs nothing, some stalls are enough', async t => {
  const stall = new AckStall('none')
  feed(stall, true, [...repeat(40, 1), ...repeat(3, STALL_MS)], 0)
  t.notOk(stall.isActing(50))
  t.equal(stall.answered(true, STALL_MS, 50), 300_000)
  t.ok(stall.isActing(60))
})

t.test('behind TLS, where used connections stay, what was found is looked at again as well', async t => {
  const world = new Process(t)
  const config = configOf([443], { keepalive: { idleMs: undefined, max: 8 } })
  const endpoints = config.endpoints.map(it => ({ ...it, protocol: 'https' as const }))
  const endpoint = world.upstream(world.env(0), { ...config, endpoints }).endpointAt(0)
  const stall = endpoint?.stall
  if (endpoint === undefined || stall === undefined) throw new Error('nothing is learned')
  feed(stall, true, repeat(8, STALL_MS), 0)
  t.ok(endpoint.leavesUsed(10), 'new ones are tried')
  feed(stall, false, repeat(4, 0), 10)
  t.notOk(endpoint.leavesUsed(20))
  t.notOk(endpoint.leavesUsed(301_000))
  feed(stall, true, repeat(3, STALL_MS), 301_000)
  t.equal(stall.answered(true, STALL_MS, 301_003), 600_000, 'it is said again')
})

/** A world whose clock a test moves, and an app that pauses inside its answers. */
async function pausingApp(t: Test) {
  const app = await RecordingUpstream.start(t)
  const world = new Process(t)
  let nowMs = 0
  const clock = { now: () => nowMs, wall: () => systemClock.wall() }
  const env = { ...world.env(0), clock }
  const seen = new Set<number>()
  let pauses: (used: boolean) => number = () => 0
  const answer: { head: PromiseWithResolvers<void> } = { head: Promise.withResolvers() }
  const script: Script = async (line, { connection }) => {
    const pauseMs = pauses(seen.has(connection))
    seen.add(connection)
    if (pauseMs === 0) return line.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    line.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n')
    await answer.head.promise
    nowMs += pauseMs
    line.send('ok')
  }
  app.on('/', script)
  return {
    app,
    world,
    pause(how: typeof pauses) {
      pauses = how
    },
    upstream(idleMs: number | undefined) {
      const upstream = world.upstream(env, configOf([app.port], { keepalive: { idleMs, max: 10 } }))
      t.teardown(() => upstream.retire())
      return async (method = 'GET') => {
        answer.head = Promise.withResolvers()
        const job = new TestJob('/', undefined, method)
        const answered = job.answered.bind(job)
        job.answered = head => {
          answered(head)
          // In a turn of its own: what follows comes in another read.
          setImmediate(answer.head.resolve)
        }
        upstream.submit(job)
        t.equal(await job.end(), 200)
        return app.requests.at(-1)?.connection as number
      }
    },
  }
}

t.test(
  'in traffic: an app that stalls on used connections gets a new one for each request, and it is said',
  async t => {
    const bench = await pausingApp(t)
    bench.pause(used => (used ? STALL_MS : 0))
    const ask = bench.upstream(undefined)
    const connections: number[] = []
    for (let n = 0; n < 30; n += 1) connections.push(await ask())
    t.same(connections.slice(0, 9), Array(9).fill(1), 'one connection, as usual')
    t.equal(new Set(connections).size, 22, 'then one each')
    t.equal(bench.world.stalls.length, 1)
    t.ok(bench.world.gauges().every(gauge => gauge === 0))
  },
)

t.test('in traffic: an app that pauses by itself keeps its connections', async t => {
  const bench = await pausingApp(t)
  bench.pause(() => STALL_MS)
  const ask = bench.upstream(undefined)
  const connections = new Set<number>()
  for (let n = 0; n < 30; n += 1) connections.add(await ask())
  t.equal(connections.size, 2, 'one to find out')
  t.same(bench.world.stalls, [])
})

t.test('in traffic: a configured keepalive.idle is kept to', async t => {
  const bench = await pausingApp(t)
  bench.pause(used => (used ? STALL_MS : 0))
  const ask = bench.upstream(60_000)
  for (let n = 0; n < 30; n += 1) t.equal(await ask(n % 2 === 0 ? 'GET' : 'POST'), 1)
  t.same(bench.world.stalls, [])
})

t.test('over HTTP/2 an app that stalls keeps its connection: each part is acknowledged at once', async t => {
  const app = await RawHttp2Server.start(t)
  const world = new Process(t)
  let nowMs = 0
  const clock = { now: () => nowMs, wall: () => systemClock.wall() }
  const config = h2([app.port], { keepalive: { idleMs: undefined, max: 10 } })
  const upstream = world.upstream({ ...world.env(0), clock }, config)
  t.teardown(() => upstream.retire())
  const ask = async (n: number, between: (line: RawHttp2Line) => Promise<void> | void) => {
    const job = new TestJob('/')
    const head = Promise.withResolvers<void>()
    const answered = job.answered.bind(job)
    job.answered = given => {
      answered(given)
      head.resolve()
    }
    upstream.submit(job)
    const line = await app.line()
    const stream = await line.request(n)
    line.fields(stream, [[':status', '200']])
    await head.promise
    await between(line)
    line.data(stream, 'ok', END_STREAM)
    t.equal(await job.end(), 200)
  }
  for (const n of [1, 2, 3, 4]) {
    await ask(n, line => {
      t.same(line.of(FRAME.window), [], 'nothing is said without need')
      nowMs += STALL_MS
    })
  }
  t.same(world.stalls.length, 1)
  for (const n of [5, 6]) {
    const updates = () => app.lines[0]?.of(FRAME.window).length ?? 0
    const before = updates()
    await ask(n, async () => {
      await until('a frame that carries the acknowledgement', () => updates() > before)
    })
  }
  t.equal(app.lines.length, 1, 'on one connection')
})
