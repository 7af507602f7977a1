import t from 'tap'
import type { Fault } from '../lib/simulate/fault.ts'
import type { Played } from '../lib/simulate/simulation.ts'
import { appOf, type Changes, playPool } from './support/simulated-pool.ts'
import { PASSIVE } from './support/upstream-world.ts'

// The dispatcher that serves real requests, on virtual time: what it promises holds. What queueing theory
// says is in simulate-theory.test.ts.

const failures = ({ failed, refused }: Played) => ({ failed, refused })
const NONE = { failed: {}, refused: {} }
const FOR_EVER = 1e9

const fast = [1, 2, 3].map(n => appOf(`fast-${n}`, { workers: 4 }))
const slow = appOf('slow', { workers: 4, service: { law: 'constant', ms: 100 } })

t.test('one of four endpoints is ten times slower, at 70 % of the capacity', async t => {
  const p99 = async (balance: 'p2c' | 'least-inflight' | 'peak-ewma' | 'round-robin', maxInflight = 0) => {
    const played = await playPool([...fast, slow], 868, { config: { balance, maxInflight } })
    t.same(failures(played), balance === 'round-robin' && maxInflight === 0 ? failures(played) : NONE)
    return played.latency?.p99Ms ?? Number.NaN
  }
  const p2c = await p99('p2c')
  t.ok(p2c < 200, `p2c: ${p2c}`)
  const least = await p99('least-inflight')
  t.ok(p2c <= 1.05 * least, `with so few endpoints as good as the least loaded of all: ${least}`)
  const peakEwma = await p99('peak-ewma')
  t.ok(peakEwma <= 0.4 * p2c, `peak-ewma: ${peakEwma}`)
  const blind = await p99('round-robin')
  t.ok(blind > 10 * p2c, `round-robin: ${blind}`)
  for (const balance of ['p2c', 'least-inflight', 'peak-ewma', 'round-robin'] as const) {
    const capped = await p99(balance, 4)
    t.ok(capped < 110, `${balance}, capped at the workers: ${capped}`)
  }
})

t.test(
  'at twice the capacity the app works all the time, and nobody waits for longer than agreed',
  async t => {
    const app = appOf('a', { workers: 4, service: { law: 'constant', ms: 20 } })
    const { requests, ok, refused, failed, latency, queue, endpoints } = await playPool([app], 400, {
      config: { maxInflight: 4, queue: { length: 1024, timeoutMs: 1000 } },
      load: { durationMs: 30_000 },
    })
    t.ok(ok >= 0.95 * 200 * 30, `${ok} answers`)
    // Deadlines run out at a tick of 50 ms.
    t.ok((latency?.maxMs ?? Number.NaN) <= 1000 + 50 + 20, `${latency?.maxMs}`)
    t.ok((latency?.p50Ms ?? Number.NaN) <= 100, `most are served at once: ${latency?.p50Ms}`)
    t.same(failed, {})
    t.equal(ok + Object.values(refused).reduce((sum, n) => sum + n, 0), requests)
    t.ok(queue.longest > 0)
    t.equal(endpoints[0]?.longestBacklog, 0)
  },
)

t.test('without a cap the same load fills the listen queue of the app', async t => {
  const app = appOf('a', { workers: 4, service: { law: 'constant', ms: 20 } })
  const { latency, endpoints } = await playPool([app], 400, { load: { durationMs: 30_000 } })
  t.ok((endpoints[0]?.longestBacklog ?? 0) > 1000)
  t.ok((latency?.maxMs ?? 0) > 4000)
})

t.test('urgent requests go first, and the least urgent ones make room', async t => {
  const app = appOf('a', { workers: 4, service: { law: 'constant', ms: 20 } })
  const { priorities } = await playPool([app], 400, {
    config: { maxInflight: 4, queue: { length: 20, timeoutMs: 1000 } },
    load: { highShare: 0.3, lowShare: 0.4, durationMs: 30_000 },
  })
  // Of 200 that can be served each second 120 are urgent, and as many are neither.
  t.ok(priorities.high.requests > 3000)
  t.equal(priorities.high.ok, priorities.high.requests)
  t.ok(priorities.normal.ok > 0.5 * priorities.normal.requests, `${priorities.normal.ok}`)
  t.ok(priorities.low.ok < 0.1 * priorities.low.requests, `${priorities.low.ok}`)
})

/** Sixteen clients who ask again as soon as they have their answer. */
const sixteen = Array.from({ length: 16 }, (_, n) => ({
  atMs: 3 * n,
  demand: { quantile: 0.5, loggedMs: undefined, loggedAt: undefined },
  luck: 0.5,
  placeDraw: ((7 * n) % 16) / 16,
  priority: 'normal' as const,
  idempotent: true,
}))

for (const threads of [1, 2, 4]) {
  t.test(
    `16 clients on 8 slots of 4 s each, ${threads} data threads: all take turns, nobody is refused`,
    async t => {
      const app = appOf('a', { workers: 8, service: { law: 'constant', ms: 4_000 } })
      const { requests, ok, latency } = await playPool([app], 1, {
        config: { maxInflight: 8, queue: { length: 1024, timeoutMs: 10_000 } },
        scenario: { threads, arrivals: sixteen, againUntilMs: 120_000 },
      })
      t.ok(requests > 200)
      t.equal(ok, requests)
      t.ok((latency?.maxMs ?? Number.NaN) < 8_100, `one turn of waiting, and its own: ${latency?.maxMs}`)
    },
  )

  t.test(`twice as many as can be served, ${threads} data threads: most are served at once`, async t => {
    const app = appOf('a', { workers: 4, service: { law: 'exponential', meanMs: 20 } })
    const { ok, latency } = await playPool([app], 400, {
      config: { maxInflight: 4, queue: { length: 1000, timeoutMs: 1000 } },
      scenario: { threads },
    })
    t.ok(ok > 0.97 * 200 * 60, `${ok} of the 12,000 that can be`)
    t.ok((latency?.p50Ms ?? Number.NaN) < 30, `${latency?.p50Ms}`)
  })
}

t.test('a pause of the app that ends in time costs nobody a place, and no order stays behind', async t => {
  const pause: Fault = { kind: 'hung', fromMs: 20_000, toMs: 21_500 }
  const app = appOf('a', { workers: 8, service: { law: 'constant', ms: 4_000 }, faults: [pause] })
  const { requests, ok } = await playPool([app], 1, {
    config: {
      maxInflight: 8,
      queue: { length: 1024, timeoutMs: 10_000 },
      timeouts: { connectMs: 1_000, responseMs: 60_000, idleMs: 60_000, tunnelMs: 60_000 },
    },
    scenario: { threads: 2, arrivals: sixteen, againUntilMs: 120_000 },
  })
  t.equal(ok, requests)
})

const three = (...faults: Fault[]) => ['a', 'b', 'c'].map(name => appOf(name, { workers: 4, faults }))
const withFault = (fault: Fault) => [appOf('sick', { workers: 4, faults: [fault] }), ...three().slice(1)]
const MIXED: Changes['load'] = { durationMs: 20_000, postShare: 0.5 }

t.test('one of three restarts: nothing is lost, and no POST is made twice', async t => {
  const played = await playPool(withFault({ kind: 'restart', fromMs: 5_000, toMs: 8_000 }), 200, {
    load: MIXED,
  })
  t.same(failures(played), NONE)
  t.equal(played.repeated, 0)
  t.ok(played.retries > 0, 'somebody met the closed door')
})

t.test('one of three is killed: only POSTs that ran there are lost', async t => {
  const fault: Fault = { kind: 'down', fromMs: 5_000, toMs: Number.POSITIVE_INFINITY }
  const gets = await playPool(withFault(fault), 200, { load: { durationMs: 20_000 } })
  t.same(failures(gets), NONE)
  const mixed = await playPool(withFault(fault), 200, { load: MIXED })
  t.ok(mixed.requests - mixed.ok <= 4, 'at most one a worker')
  t.equal(mixed.repeated, 0)
})

t.test('the only endpoint restarts for three seconds: requests wait for it', async t => {
  const faults: Fault[] = [{ kind: 'restart', fromMs: 4_000, toMs: 7_000 }]
  const played = await playPool([appOf('a', { workers: 4, faults })], 200, {
    load: MIXED,
    config: { queue: { length: 1024, timeoutMs: 10_000 }, slowStartMs: 2_000 },
  })
  t.same(failures(played), NONE)
  t.equal(played.repeated, 0)
  t.ok(played.queue.longest > 500)
  t.ok((played.latency?.maxMs ?? Number.NaN) < 5_000)
})

t.test('one of three hangs: those who are caught go elsewhere, and it is ejected', async t => {
  const config = {
    timeouts: { connectMs: 1_000, responseMs: 500, idleMs: 5_000, tunnelMs: 5_000 },
    passive: { ...PASSIVE, failures: 3 },
  }
  const fault: Fault = { kind: 'hung', fromMs: 5_000, toMs: Number.POSITIVE_INFINITY }
  const played = await playPool(withFault(fault), 200, { config, load: { durationMs: 20_000 } })
  t.same(failures(played), NONE)
  t.ok((played.latency?.maxMs ?? Number.NaN) < 1_200)
  t.ok(played.retries < 200, `${played.retries} were caught`)
})

t.test('a probe that fails takes an endpoint out, and one that passes brings it back', async t => {
  const health = {
    kind: 'http',
    path: '/',
    host: undefined,
    headers: {},
    intervalMs: 500,
    timeoutMs: 500,
    rise: 1,
    fall: 2,
    expect: [200],
  } as const
  const fault: Fault = { kind: 'errors', share: 1, fromMs: 5_000, toMs: 10_000 }
  const load = { durationMs: 20_000 }
  const blind = await playPool(withFault(fault), 200, { load })
  const probed = await playPool(withFault(fault), 200, { load, config: { health } })
  const bad = ({ failed }: Played) => failed['http_500'] ?? 0
  t.ok(bad(probed) > 0 && bad(probed) < bad(blind) / 3, `${bad(probed)} of ${bad(blind)}`)
  t.ok((probed.endpoints[0]?.answered ?? 0) > 20, 'it serves again')
})

t.test('five errors in a row eject an endpoint, for longer each time', async t => {
  const fault: Fault = { kind: 'errors', share: 1, fromMs: 0, toMs: Number.POSITIVE_INFINITY }
  const passive = { ...PASSIVE, failureRateShare: 0.5, ejectMs: 1_000 }
  const { failed } = await playPool(withFault(fault), 200, { config: { passive } })
  // Out for 1, 2, 3, ... 10 s: ten times in a minute; five meet it each time, and some were under way.
  t.ok((failed['http_500'] ?? 0) >= 5 * 8 && (failed['http_500'] ?? 0) <= 8 * 12, `${failed['http_500']}`)
})

t.test(
  'an endpoint with many errors among its answers, or slow ones, does worse than the others and is ejected',
  async t => {
    const errors: Fault = { kind: 'errors', share: 0.7, fromMs: 0, toMs: FOR_EVER }
    const bad = async (failureRateShare: number) => {
      const { failed } = await playPool(withFault(errors), 200, {
        config: { passive: { ...PASSIVE, failureRateShare } },
      })
      return failed['http_500'] ?? 0
    }
    const [blind, watched] = [await bad(0), await bad(0.5)]
    t.ok(watched > 0 && watched < blind / 3, `${watched} of ${blind}`)
    const slowness: Fault = { kind: 'slow', factor: 20, fromMs: 0, toMs: FOR_EVER }
    const answered = async (latencyFactor: number) => {
      const { endpoints } = await playPool(withFault(slowness), 200, {
        config: { passive: { ...PASSIVE, latencyFactor } },
      })
      return endpoints[0]?.answered ?? 0
    }
    const [patient, strict] = [await answered(0), await answered(5)]
    t.ok(strict > 0 && strict < patient / 3, `${strict} of ${patient}`)
  },
)

t.test('a limit that is learned keeps the listen queue of the app shorter', async t => {
  const app = appOf('a', { workers: 40, service: { law: 'constant', ms: 100 } })
  const backlog = async (mode: 'observe' | 'enforce') => {
    const { endpoints } = await playPool([app], 600, {
      config: { adaptive: { mode, min: 4, max: 1000 }, queue: { length: 100, timeoutMs: 1_000 } },
    })
    return endpoints[0]?.longestBacklog ?? Number.NaN
  }
  const [observed, enforced] = [await backlog('observe'), await backlog('enforce')]
  t.ok(enforced < observed / 3, `${enforced}, not ${observed}`)
})

t.test('slots of clients who leave: kept, the app never gets more than it can do', async t => {
  const app = appOf('a', { workers: 4, service: { law: 'constant', ms: 1_000 } })
  const queue = { length: 1024, timeoutMs: 60_000 }
  const abandon = (abandoned: 'finish' | 'close') => {
    const config = { maxInflight: 4, abandoned, queue }
    return playPool([app], 20, { config, scenario: { patienceMs: 500 }, load: { durationMs: 20_000 } })
  }
  const kept = await abandon('finish')
  t.equal(kept.left, kept.requests, 'nobody waits for long enough')
  t.equal(kept.endpoints[0]?.longestBacklog, 0)
  const freed = await abandon('close')
  t.equal(freed.left, freed.requests)
  t.ok((freed.endpoints[0]?.longestBacklog ?? 0) > 50, "abandoned work piles up in the app's own queue")
})

t.test('a full listen queue does not answer connects', async t => {
  const app = appOf('a', { backlog: 5, service: { law: 'constant', ms: 1_000 } })
  const { failed, refused } = await playPool([app], 20, {
    load: { durationMs: 5_000 },
    config: { retry: { attempts: 0, budgetShare: 0, statuses: [] }, queue: { length: 0, timeoutMs: 1_000 } },
  })
  t.ok((failed['connect_timeout'] ?? 0) > 0)
  t.ok((refused['no_endpoint'] ?? 0) > 0, 'it is out until a connect gets through')
})

t.test('the same seed plays the same, another one does not', async t => {
  const changes: Changes = {
    config: { maxInflight: 4 },
    scenario: { threads: 2 },
    load: { durationMs: 5_000 },
  }
  const played = await playPool([...fast, slow], 1100, changes)
  t.same(await playPool([...fast, slow], 1100, changes), played)
  t.ok(played.queue.waited > 0)
  const other = await playPool([...fast, slow], 1100, { ...changes, scenario: { threads: 2, seed: 2 } })
  t.not(other.latency?.meanMs, played.latency?.meanMs)
})

t.test('what comes in the time of warming up is played but not counted', async t => {
  const load = { durationMs: 10_000, arrivals: 'uniform' } as const
  const all = await playPool([appOf('a')], 50, { load })
  const warm = await playPool([appOf('a')], 50, { load, scenario: { warmUpMs: 5_000 } })
  t.equal(all.requests, 500)
  t.equal(warm.requests, 251)
  t.equal(warm.endpoints[0]?.answered, all.endpoints[0]?.answered)
})

t.test('no requests, no figures', async t => {
  const played = await playPool([appOf('a')], 50, { scenario: { arrivals: [] } })
  t.equal(played.requests, 0)
  t.equal(played.latency, undefined)
  t.equal(played.endpoints[0]?.utilisation, 0)
})
