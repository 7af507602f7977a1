import t, { type Test } from 'tap'
import { appOf, playPool } from './support/simulated-pool.ts'

// The dispatcher that serves real requests, on virtual time: what queueing theory says comes out.

const LONG = { durationMs: 4_000_000 }
const FOR_EVER = 1e9

function near(t: Test, what: string, seen: number | undefined, wanted: number, share: number): void {
  const off = Math.abs((seen ?? Number.NaN) - wanted) / wanted
  t.ok(off <= share, `${what}: ${seen?.toFixed(3)}, where theory says ${wanted.toFixed(3)}`)
}

/** Erlang's C: how many have to wait for one of `servers`, at an offered load of `erlangs`. */
function erlangC(servers: number, erlangs: number): number {
  let blocked = 1
  for (let n = 1; n <= servers; n += 1) blocked = (erlangs * blocked) / (n + erlangs * blocked)
  return blocked / (1 - (erlangs / servers) * (1 - blocked))
}

const exponential = { law: 'exponential', meanMs: 10 } as const

t.test('one exponential server: M/M/1', async t => {
  const { latency, endpoints } = await playPool([appOf('a', { service: exponential })], 70, { load: LONG })
  // The time in the system is exponential with rate 100/s - 70/s.
  near(t, 'mean', latency?.meanMs, 1000 / 30, 0.03)
  near(t, 'p50', latency?.p50Ms, (1000 / 30) * Math.log(2), 0.03)
  near(t, 'p99', latency?.p99Ms, (1000 / 30) * Math.log(100), 0.05)
  near(t, 'utilisation', endpoints[0]?.utilisation, 0.7, 0.01)
})

t.test('work that always takes the same: M/D/1 (Pollaczek and Khinchine)', async t => {
  const { latency } = await playPool([appOf('a')], 80, { load: LONG })
  near(t, 'mean', latency?.meanMs, 10 + (10 * 0.8) / (2 * 0.2), 0.03)
})

for (const threads of [1, 3]) {
  t.test(`four workers behind the queue, ${threads} data threads: M/M/4 (Erlang C)`, async t => {
    const app = appOf('a', { service: exponential, workers: 4 })
    const { queue, requests, ok, latency, endpoints } = await playPool([app], 320, {
      load: { durationMs: 600_000 },
      config: { maxInflight: 4, queue: { length: 100_000, timeoutMs: FOR_EVER } },
      scenario: { threads },
    })
    const waits = erlangC(4, 3.2)
    t.equal(ok, requests)
    near(t, 'share that waits', queue.waited / requests, waits, 0.03)
    // Of those who wait: exponential with rate 400/s - 320/s.
    near(t, 'mean wait', queue.meanWaitMs, 1000 / 80, 0.05)
    near(t, 'mean', latency?.meanMs, 10 + (waits * 1000) / 80, 0.03)
    t.equal(endpoints[0]?.longestBacklog, 0, "nobody waits in the app's own queue")
  })
}

t.test('a hundred servers at 90 %: two choices are as good as their theory (Mitzenmacher 2001)', async t => {
  const apps = Array.from({ length: 100 }, (_, i) => appOf(`a${i}`, { service: exponential }))
  const { latency } = await playPool(apps, 9000)
  let wantedMs = 0
  for (let i = 1; i <= 10; i += 1) wantedMs += 10 * 0.9 ** (2 ** i - 2)
  near(t, 'mean', latency?.meanMs, wantedMs, 0.05)
})
