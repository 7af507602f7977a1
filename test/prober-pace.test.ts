import t from 'tap'
import { probeKey } from '../upstreams/health/probe-target.ts'
import { Bench, serve, target } from './support/prober-bench.ts'

// When probes go out.

const KEY = probeKey('app', 'one')

t.test('the time between two probes is the interval, a tenth more or less', async t => {
  const intervals = async (random: number) => {
    const bench = new Bench(t)
    bench.random = random
    bench.prober.reconcile([target(await serve(t, (_request, response) => response.end()))])
    await bench.result(1)
    const startMs = bench.nowMs
    // The second probe is under way as soon as its deadline has left the wheel.
    while (bench.prober.status(KEY)?.probing === false) bench.advance(50)
    return bench.nowMs - startMs
  }
  t.equal(await intervals(0), 1800)
  t.equal(await intervals(0.5), 2000)
  t.equal(await intervals(0.999), 2200)
})

/** How many probes go out in this time. Answers are awaited while the clock stands still. */
async function probesIn(bench: Bench, ms: number): Promise<number> {
  const before = bench.results.length
  for (const endMs = bench.nowMs + ms; bench.nowMs < endMs; ) {
    bench.advance(50)
    if (bench.prober.status(KEY)?.probing === true) await bench.result(bench.results.length + 1)
  }
  return bench.results.length - before
}

t.test('a starting app is asked often, so that it serves soon', async t => {
  const bench = new Bench(t)
  let status = 503
  const address = await serve(t, (_request, response) => {
    response.statusCode = status
    response.end()
  })
  bench.prober.reconcile([target(address, { intervalMs: 10_000 })])
  t.equal(bench.prober.status(KEY)?.health.state, 'new', 'probe first')
  await bench.result(1)
  t.match(bench.changes, [{ health: { state: 'new', reason: /^status 503/ } }], 'why it does not come up')
  t.equal(await probesIn(bench, 3000), 20)
  t.equal(bench.changes.length, 1, 'is said once')
  await probesIn(bench, 3000)
  t.equal(await probesIn(bench, 5000), 10, 'after five seconds every half second')
  await probesIn(bench, 55_000)
  t.equal(await probesIn(bench, 30_000), 3, 'after a minute at its interval')
  status = 200
  t.equal(await probesIn(bench, 10_000), 1)
  t.match(bench.changes[1], { health: { state: 'up' } }, 'one pass is enough')
  t.equal(await probesIn(bench, 30_000), 3)
})

t.test('an endpoint that serves already goes on until its first probe', async t => {
  const bench = new Bench(t)
  bench.serves = true
  const address = await serve(t, (_request, response) => response.writeHead(500).end())
  bench.prober.reconcile([target(address)])
  t.equal(bench.prober.status(KEY)?.health.state, 'up')
  await bench.result(1)
  t.match(bench.changes, [{ health: { state: 'down' } }])
})

t.test('while requests wait for the endpoint it is probed often, for a minute', async t => {
  const bench = new Bench(t)
  bench.serves = true
  const address = await serve(t, (_request, response) => response.writeHead(500).end())
  bench.prober.reconcile([target(address, { intervalMs: 10_000 })])
  await bench.result(1)
  t.equal(await probesIn(bench, 9000), 0, 'others serve')
  bench.held = true
  bench.prober.hasten('app', 'one')
  await bench.result(2)
  t.equal(await probesIn(bench, 3000), 20)
  await probesIn(bench, 50_000)
  t.equal(await probesIn(bench, 10_000), 10, 'then every second')
})

t.test('hasten', async t => {
  await t.test('probes at once, but not twice within 100 ms', async t => {
    const bench = new Bench(t)
    bench.prober.reconcile([target(await serve(t, (_request, response) => response.end()))])
    await bench.result(1)
    bench.prober.hasten('app', 'one')
    bench.prober.hasten('app', 'one')
    t.equal(bench.prober.status(KEY)?.probing, false)
    t.equal(await probesIn(bench, 100), 1)
    bench.advance(500)
    bench.prober.hasten('app', 'one')
    t.equal(bench.prober.status(KEY)?.probing, true)
    await bench.result(3)
    t.equal(await probesIn(bench, 1900), 0, 'a pass ends the suspicion')
    bench.prober.hasten('app', 'nobody')
  })

  await t.test('what begins during a probe is looked at by another', async t => {
    const bench = new Bench(t)
    const answers: (() => void)[] = []
    const asked: (() => void)[] = []
    const address = await serve(t, (_request, response) => {
      answers.push(() => response.end())
      for (const tell of asked.splice(0)) tell()
    })
    const arrival = () => new Promise<void>(done => asked.push(done))
    const first = arrival()
    bench.prober.reconcile([target(address)])
    await first
    bench.prober.hasten('app', 'one')
    answers[0]?.()
    await bench.result(1)
    const second = arrival()
    bench.advance(100)
    await second
    answers[1]?.()
    await bench.result(2)
    t.equal(await probesIn(bench, 1900), 0, 'one is enough')
  })

  await t.test('a suspicion is confirmed in quick succession', async t => {
    const bench = new Bench(t)
    let status = 200
    const address = await serve(t, (_request, response) => {
      response.statusCode = status
      response.end()
    })
    bench.prober.reconcile([target(address, { intervalMs: 10_000 })])
    await bench.result(1)
    bench.advance(1000)
    status = 500
    bench.prober.hasten('app', 'one')
    await bench.result(2)
    t.equal(await probesIn(bench, 200), 2)
    t.match(bench.changes[1], { health: { state: 'down' } }, 'fall = 3')
    t.equal(await probesIn(bench, 9000), 0, 'others serve')
  })
})
