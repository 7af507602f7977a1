import t from 'tap'
import { STATE } from '../lib/base/shared-state.ts'
import { turnOf } from '../lib/base/turn.ts'
import { queueStatus } from '../lib/server/admin/queue-status.ts'
import { rampPercent } from '../lib/server/health/slow-start.ts'
import { full, HEALTH, HealthBench, UPSTREAM_SLOT } from './support/health-bench.ts'
import { configOf, PASSIVE } from './support/upstream-world.ts'

t.test('without checks an endpoint is up from the beginning, at its full share', async t => {
  const bench = new HealthBench(t)
  bench.place([1, 2], { slowStartMs: 2000 })
  t.match(bench.status, [{ state: 'up', ramp: undefined }, { state: 'up' }])
  t.same(bench.events, [])
  t.equal(bench.board.isHeld('app'), false)
})

t.test('probe first: an endpoint with checks is down until it passes one', async t => {
  const bench = new HealthBench(t)
  bench.place([1, 2], { health: HEALTH })
  t.match(bench.status, [
    { state: 'down', reason: 'not checked yet' },
    { state: 'down', reason: 'not checked yet' },
  ])
  t.equal(bench.board.serves('app', full(1)), false)
  t.equal(bench.board.isHeld('app'), true)
  t.same(bench.events, [], 'that is no news')
  const version = bench.shared.version(UPSTREAM_SLOT)
  bench.board.checkFlipped('app', full(1), undefined)
  t.equal(bench.state(0), 0)
  t.not(bench.shared.version(UPSTREAM_SLOT), version, 'data threads see it')
  t.equal(bench.board.isHeld('app'), false)
  bench.board.checkFlipped('app', full(2), 'connect refused')
  bench.board.checkFlipped('app', full(2), undefined)
  t.same(bench.events, ['info endpoint up 1', 'warn endpoint down 2: connect refused', 'info endpoint up 2'])
  t.same(bench.changes(1), {}, 'its start is no flip')
  t.same(bench.changes(2), { down: 1, up: 1 })
})

t.test(
  'over a reload an endpoint keeps what it is; a new one, or one that has moved, is probed first',
  async t => {
    const bench = new HealthBench(t)
    bench.place([1])
    bench.place([1, 2], { health: HEALTH })
    t.match(bench.status, [{ state: 'up' }, { state: 'down', reason: 'not checked yet' }])
    t.equal(bench.board.serves('app', full(1)), true, 'it goes on until a check says otherwise')
    bench.board.checkFlipped('app', full(2), undefined)
    bench.board.drain('app', full(1))
    bench.place([2, 1, 3], { health: HEALTH })
    t.match(
      bench.status.map(({ state }) => state),
      ['up', 'draining', 'down'],
    )
    bench.place([2], { health: HEALTH })
    bench.place([1, 2], { health: HEALTH })
    t.match(bench.status, [{ state: 'down', reason: 'not checked yet' }, { state: 'up' }], 'it has been away')
  },
)

t.test('drain', async t => {
  const bench = new HealthBench(t)
  bench.place([1, 2], { slowStartMs: 1000 })
  t.equal(bench.board.drain('app', full(9)), false)
  t.equal(bench.board.drain('nobody', undefined), false)
  t.equal(bench.board.undrain('app', full(9)), false)
  t.equal(bench.board.drain('app', full(1)), true)
  t.equal(bench.board.drain('app', full(1)), true, 'twice is once')
  t.match(bench.status, [{ state: 'draining', reason: undefined }, { state: 'up' }])
  t.equal(bench.board.drain('app', undefined), true)
  t.equal(bench.board.isHeld('app'), true)
  t.equal(bench.board.undrain('app', undefined), true)
  t.match(bench.status, [
    { state: 'up', ramp: 5 },
    { state: 'up', ramp: 5 },
  ])
  t.same(bench.events, [
    'info endpoint draining 1',
    'info endpoint draining 2',
    'info endpoint undrained 1',
    'info endpoint undrained 2',
  ])
  t.same(bench.changes(1), { draining: 1, undrained: 1 })
})

t.test('what has come back gets its share bit by bit', async t => {
  const bench = new HealthBench(t)
  bench.place([1], { health: HEALTH, slowStartMs: 2000 })
  bench.board.checkFlipped('app', full(1), undefined)
  t.equal(bench.shared.ramp(0), 5)
  const seen: number[] = []
  let version = bench.shared.version(UPSTREAM_SLOT)
  for (let n = 0; n < 20; n += 1) {
    bench.pass(100)
    seen.push(bench.shared.ramp(0))
    t.not(bench.shared.version(UPSTREAM_SLOT), version, 'pickers are built again')
    version = bench.shared.version(UPSTREAM_SLOT)
  }
  t.same(
    seen,
    Array.from({ length: 20 }, (_, n) => (n + 1) * 5),
  )
  bench.pass(1000)
  t.equal(bench.shared.version(UPSTREAM_SLOT), version, 'and then no more')
  bench.board.checkFlipped('app', full(1), 'status 500')
  bench.board.checkFlipped('app', full(1), undefined)
  bench.pass(500)
  t.match(bench.status, [{ ramp: 25 }])
  bench.board.checkFlipped('app', full(1), 'status 500')
  version = bench.shared.version(UPSTREAM_SLOT)
  bench.pass(500)
  t.equal(bench.shared.version(UPSTREAM_SLOT), version, 'what is out does not climb')
  bench.place([1], { health: HEALTH, slowStartMs: 0 })
  bench.board.checkFlipped('app', full(1), undefined)
  t.match(bench.status, [{ state: 'up', ramp: undefined }], 'slow_start = 0')
})

t.test('it climbs only once nothing keeps it out any more', async t => {
  const bench = new HealthBench(t)
  bench.place([1, 2], { health: HEALTH, slowStartMs: 1000 })
  bench.board.drain('app', full(1))
  bench.board.checkFlipped('app', full(1), undefined)
  t.equal(bench.shared.ramp(0), 100)
  bench.board.undrain('app', full(1))
  t.equal(bench.shared.ramp(0), 5)
})

t.test('the share grows in a straight line, and is never nothing', async t => {
  t.same(
    [0, 10, 50, 100, 500, 990, 1000, 5000].map(ms => rampPercent(ms, 1000)),
    [5, 5, 5, 10, 50, 99, 100, 100],
  )
})

t.test('ejections', async t => {
  const bench = new HealthBench(t)
  bench.place([1, 2], { passive: { ...PASSIVE, ejectMs: 1000 } })
  bench.board.ejected('app', full(1), 'late news')
  t.match(bench.status, [{ state: 'up' }, { state: 'up' }], 'it has been readmitted meanwhile')
  bench.mark(0, STATE.ejected)
  bench.board.ejected('app', full(1), 'reset')
  t.same(bench.hastened, ['1'], 'a failure asks for a probe')
  t.same(bench.gone, [0], 'what it did before is over')
  t.equal(bench.board.eject('app', full(2), 'slow'), true)
  t.equal(bench.board.eject('app', full(2), 'slow'), false)
  t.match(bench.status, [
    { state: 'ejected', reason: 'reset' },
    { state: 'ejected', reason: 'slow' },
  ])
  t.equal(bench.board.isHeld('app'), false, 'they are tried all the same')
  bench.pass(1050)
  t.match(bench.status, [{ state: 'up', reason: undefined }, { state: 'up' }])
  t.same(bench.changes(1), { ejected: 1, readmitted: 1 })
  bench.board.eject('app', full(1), 'again')
  bench.place([2], { passive: { ...PASSIVE, ejectMs: 1000 } })
  bench.place([1, 2], { passive: { ...PASSIVE, ejectMs: 1000 } })
  t.match(bench.status, [{ state: 'ejected' }, { state: 'up' }], 'leaving and coming back is no pardon')
  bench.pass(2050)
  t.match(bench.status, [{ state: 'up' }, { state: 'up' }], 'longer the second time')
})

t.test('one that was down and passes its checks again is forgiven', async t => {
  const bench = new HealthBench(t)
  bench.place([1, 2], { slowStartMs: 1000 })
  bench.board.eject('app', full(1), 'reset')
  bench.board.checkFlipped('app', full(1), 'connect refused')
  t.match(bench.status, [{ state: 'down', reason: 'connect refused' }, {}])
  bench.board.checkFlipped('app', full(1), undefined)
  t.match(bench.status, [{ state: 'up', ramp: 5 }, {}])
})

t.test('when the last one goes, all are looked at at once', async t => {
  const bench = new HealthBench(t)
  bench.place([1, 2, 3], { health: HEALTH })
  for (const port of [1, 2, 3]) bench.board.checkFlipped('app', full(port), undefined)
  bench.board.checkFlipped('app', full(1), 'gone')
  bench.board.eject('app', full(2), 'reset')
  bench.hastened.length = 0
  bench.board.checkFlipped('app', full(3), 'gone')
  t.same(bench.hastened, [], 'the ejected one is tried')
  bench.board.checkFlipped('app', full(2), 'gone')
  t.same(bench.hastened, ['1', '2', '3'])
})

t.test('while an endpoint is down for its checks, its reason is that of the last one', async t => {
  const bench = new HealthBench(t)
  bench.place([1], { health: { ...HEALTH, rise: 2 } })
  const reason = () => bench.status[0]?.reason
  bench.board.checkFlipped('app', full(1), undefined)
  bench.board.checked('app', full(1), { ok: false, reason: 'connect refused' }, 1)
  t.equal(reason(), undefined, 'it is up')
  bench.board.checkFlipped('app', full(1), 'connect refused')
  bench.board.checked('app', full(1), { ok: false, reason: 'status 503' }, 1)
  t.equal(reason(), 'status 503')
  bench.board.checked('app', full(1), { ok: true }, 1)
  t.equal(reason(), 'its last check passed; 2 consecutive passes are needed')
  bench.board.checkFlipped('app', full(1), undefined)
  t.equal(reason(), undefined)
})

t.test('a check without an answer that is no failure is told apart', async t => {
  const bench = new HealthBench(t)
  bench.place([1], { health: HEALTH, maxInflight: 4 })
  bench.board.checkFlipped('app', full(1), undefined)
  bench.board.checked('app', full(1), { ok: false, reason: 'timed out', unanswered: true, alibi: 'alive' }, 1)
  t.match(bench.status, [{ state: 'up', slots: 4, check: { ok: false, busy: true, message: 'timed out' } }])
  t.match(bench.tally.endpoint('app', full(1)), { checks: { pass: 0, fail: 0, busy: 1 } })
})

t.test('what waits for slots of an upstream is counted over all threads', async t => {
  const bench = new HealthBench(t)
  bench.place([1])
  t.same(queueStatus(bench.shared, UPSTREAM_SLOT, bench.clock.now()), { waiting: 0, oldest_ms: 0 })
  bench.shared.enterQueue(UPSTREAM_SLOT, 0, 10)
  bench.shared.setTurn(UPSTREAM_SLOT, 0, turnOf(1, bench.clock.now()), bench.clock.now())
  bench.pass(8_000)
  t.same(queueStatus(bench.shared, UPSTREAM_SLOT, bench.clock.now()), { waiting: 1, oldest_ms: 8_000 })
  t.same(queueStatus(bench.shared, undefined, bench.clock.now()), { waiting: 0, oldest_ms: 0 })
})

function placeWorker(bench: HealthBench): void {
  const [endpoint] = configOf([1]).endpoints
  if (endpoint === undefined) throw new Error('no endpoint')
  const run = {
    command: ['app'],
    count: 1,
    env: {},
    withheld: [],
    transport: 'port',
    protocol: 'http1',
  } as const
  bench.place([], { run, health: HEALTH, endpoints: [{ ...endpoint, name: 'worker-1' }] })
}

t.test('that a worker of ours is not there while it starts is no warning', async t => {
  const bench = new HealthBench(t)
  placeWorker(bench)
  bench.board.checkFlipped('app', 'worker-1', 'connect refused')
  t.match(bench.status, [{ state: 'down', starting: true, reason: 'the process has not started yet' }])
  bench.pass(3_000)
  bench.board.processFlipped('app', 'worker-1', undefined)
  bench.board.checkFlipped('app', 'worker-1', undefined)
  t.match(bench.status, [{ state: 'up', starting: false }])
  bench.pass(20_000)
  t.same(bench.events, ['info endpoint starting worker-1: connect refused', 'info endpoint up worker-1'])
  bench.board.checkFlipped('app', 'worker-1', 'status 500')
  t.same(bench.events.slice(2), ['warn endpoint down worker-1: status 500'], 'later it is')
})

t.test('a worker of ours that does not get up in time is worth a warning, with its last reason', async t => {
  const bench = new HealthBench(t)
  placeWorker(bench)
  bench.board.checkFlipped('app', 'worker-1', 'connect refused')
  bench.board.processFlipped('app', 'worker-1', undefined)
  bench.board.checked('app', 'worker-1', { ok: false, reason: 'status 500' }, 1)
  bench.pass(14_000)
  t.same(bench.events, ['info endpoint starting worker-1: connect refused'])
  bench.pass(2_000)
  t.same(bench.events.slice(1), ['warn endpoint down worker-1: status 500'])
  t.match(bench.status, [{ starting: false }])
})

t.test('a managed worker is down until it accepts connections and passes its checks', async t => {
  const bench = new HealthBench(t)
  placeWorker(bench)
  t.match(bench.status, [{ state: 'down', reason: 'the process has not started yet' }])
  bench.board.processFlipped('app', 'worker-1', undefined)
  t.match(bench.status, [{ state: 'down', reason: 'not checked yet' }])
  t.same(bench.hastened, ['worker-1'])
  bench.board.checkFlipped('app', 'worker-1', undefined)
  t.match(bench.status, [{ state: 'up' }])
  bench.board.processFlipped('app', 'worker-1', 'killed by SIGKILL')
  bench.board.checkFlipped('app', 'worker-1', 'connect refused')
  bench.board.processFlipped('app', 'worker-1', undefined)
  t.match(bench.status, [{ state: 'down', reason: 'connect refused' }])
  bench.board.checkFlipped('app', 'worker-1', undefined)
  t.same(bench.events, [
    'info endpoint up worker-1',
    'warn endpoint down worker-1: killed by SIGKILL',
    'info endpoint up worker-1',
  ])
})

t.test(
  'an endpoint whose used connections stall stays up; it is said once, with the remedy in its status',
  async t => {
    const bench = new HealthBench(t)
    bench.place([1, 2])
    bench.board.stalls('app', full(9), 1000)
    t.same(bench.events, [])
    bench.board.stalls('app', full(1), 300_000)
    bench.board.stalls('app', full(1), 300_000)
    t.match(bench.events, [/^warn endpoint stalls 1: responses on reused connections are 40 ms late/])
    t.equal(bench.events.length, 1)
    t.match(bench.status, [
      { state: 'up', note: /each request now uses a new connection;.*uvloop/ },
      { note: undefined },
    ])
    bench.clock.pass(1_000_000)
    t.match(bench.status, [{ note: undefined }, {}], 'not found again')
    bench.board.stalls('app', full(1), 300_000)
    t.equal(bench.events.length, 2)
  },
)

t.test('that answers stall is not shown any more once a reload has turned the finding out off', async t => {
  const bench = new HealthBench(t)
  const learns = { keepalive: { idleMs: undefined, max: 8 } }
  bench.place([1], learns)
  bench.board.stalls('app', full(1), 300_000)
  bench.place([1], { ...learns, balance: 'hash' })
  t.match(bench.status, [{ note: /40 ms late/ }], 'another change means nothing')
  bench.place([1], { keepalive: { idleMs: 5000, max: 8 } })
  t.match(bench.status, [{ note: undefined }])
})
