import t from 'tap'
import { CellColumn, CellReader, createCellMemory } from '../lib/base/cells.ts'
import { createSharedState, SharedState } from '../lib/base/shared-state.ts'
import { Timers } from '../lib/base/timers.ts'
import type { AdaptiveConfig, UpstreamConfig } from '../lib/config/model.ts'
import { AdaptiveWatch } from '../lib/server/load/adaptive-watch.ts'
import { type Learned, learn, type Window } from '../upstreams/adaptive/gradient.ts'
import { ENDPOINT_BLOCK } from '../upstreams/measures.ts'
import { FakeClock } from './support/fake-clock.ts'
import { configOf } from './support/upstream-world.ts'

const BOUNDS = { min: 4, max: 1000 }

/** What is known after so many windows like this one. */
function after(windows: number, window: Window, from?: Learned, bounds = BOUNDS): Learned {
  let learned = learn(from, window, bounds)
  for (let n = 1; n < windows; n += 1) learned = learn(learned, window, bounds)
  return learned
}

t.test('it begins with 20, or with what runs already, within its bounds', async t => {
  t.equal(learn(undefined, { meanMs: 10, inflight: 3 }, BOUNDS).limit, 20)
  t.equal(learn(undefined, { meanMs: 10, inflight: 150 }, BOUNDS).limit, 150)
  t.equal(learn(undefined, { meanMs: 10, inflight: 150 }, { min: 4, max: 100 }).limit, 100)
  t.equal(learn(undefined, { meanMs: 10, inflight: 1 }, { min: 50, max: 100 }).limit, 50)
  t.equal(
    learn(undefined, { meanMs: 10, inflight: 1 }, { min: 50, max: 8 }).limit,
    8,
    'max_inflight below min',
  )
})

t.test('it rises while more than half is in use and answers come as fast as ever', async t => {
  const start = learn(undefined, { meanMs: 10, inflight: 20 }, BOUNDS)
  const one = learn(start, { meanMs: 10, inflight: 20 }, BOUNDS)
  t.equal(one.limit, 20 + 0.2 * Math.sqrt(20))
  let learned = one
  for (let n = 0; n < 200; n += 1) {
    const next = learn(learned, { meanMs: 10, inflight: Math.round(learned.limit) }, BOUNDS)
    t.ok(next.limit >= learned.limit)
    learned = next
  }
  t.ok(learned.limit > 400, String(learned.limit))
  const { limit } = after(2000, { meanMs: 10, inflight: 1000 }, learned)
  t.equal(limit, 1000, 'never above the highest')
})

t.test('an endpoint that is hardly used teaches nothing upwards', async t => {
  const start = learn(undefined, { meanMs: 10, inflight: 2 }, BOUNDS)
  t.equal(after(100, { meanMs: 10, inflight: 10 }, start).limit, 20, 'half is not more than half')
  t.ok(after(100, { meanMs: 10, inflight: 11 }, start).limit > 20)
})

t.test('it falls when answers take more than twice as long, down to the lowest', async t => {
  const steady = after(300, { meanMs: 10, inflight: 100 }, { limit: 100, longMs: 10, windows: 300 })
  const twice = learn(steady, { meanMs: 20, inflight: 100 }, BOUNDS)
  t.ok(twice.limit >= steady.limit, 'twice as long is tolerated')
  const slow = learn(steady, { meanMs: 80, inflight: 100 }, BOUNDS)
  t.ok(slow.limit < steady.limit && slow.limit > steady.limit / 2, 'never by half at once')
  t.ok(after(10, { meanMs: 80, inflight: 100 }, steady).limit < steady.limit * 0.6)
  t.equal(after(30, { meanMs: 1_000, inflight: 100 }, steady, { min: 50, max: 1000 }).limit, 50)
})

t.test('a mean of other days is soon forgotten: faster answers become the measure', async t => {
  const slow = after(600, { meanMs: 100, inflight: 50 })
  const fast = after(100, { meanMs: 10, inflight: 50 }, slow)
  t.ok(fast.longMs < 25, String(fast.longMs))
  const again = learn(fast, { meanMs: 100, inflight: 50 }, BOUNDS)
  t.ok(again.limit < fast.limit, 'what was usual then is slow now')
})

t.test('an app that has become slower is not strangled for long', async t => {
  const steady: Learned = { limit: 100, longMs: 10, windows: 600 }
  let learned = steady
  let lowest = steady.limit
  for (let n = 0; n < 900; n += 1) {
    learned = learn(learned, { meanMs: 40, inflight: Math.round(learned.limit) }, BOUNDS)
    lowest = Math.min(lowest, learned.limit)
  }
  t.ok(lowest < 20, `it takes it for overload at first: ${lowest}`)
  t.ok(learned.limit > 100, `${learned.limit} after a quarter of an hour`)
})

t.test('an endpoint with a knee is held near it, for an hour of overload', async t => {
  // So many at a time cost nothing; beyond that each waits for those before it.
  const workers = 32
  let learned = learn(undefined, { meanMs: 20, inflight: 20 }, BOUNDS)
  for (let n = 0; n < 3600; n += 1) {
    const inflight = Math.round(learned.limit)
    learned = learn(learned, { meanMs: (20 * Math.max(inflight, workers)) / workers, inflight }, BOUNDS)
  }
  t.ok(learned.limit > workers && learned.limit < workers * 8, String(learned.limit))
})

const ROW = 0
const INDEX = 3

class Bench {
  readonly clock = new FakeClock()
  readonly timers = new Timers(this.clock)
  readonly shared = new SharedState(createSharedState(1))
  readonly cells: CellColumn
  readonly watch: AdaptiveWatch
  config: UpstreamConfig
  endpoints = [{ row: ROW, index: INDEX }]

  constructor(adaptive: Partial<AdaptiveConfig>, maxInflight = 0) {
    const memory = createCellMemory(1, 4 * ENDPOINT_BLOCK.size)
    this.cells = new CellColumn(memory, 0)
    this.config = configOf([1], { adaptive: { mode: 'enforce', ...BOUNDS, ...adaptive }, maxInflight })
    this.watch = new AdaptiveWatch({
      timers: this.timers,
      shared: this.shared,
      cells: new CellReader(memory),
      pools: () => [{ config: this.config, place: { index: 0, row: 0, endpoints: this.endpoints } }],
    })
    this.watch.look()
  }

  /** A second in which so many answers began, after so long; then as many run. */
  second(answers: number, meanMs: number, running = 0): void {
    this.cells.add(ROW + ENDPOINT_BLOCK.at.firstBytes, answers)
    this.cells.add(ROW + ENDPOINT_BLOCK.at.firstByteSum, (answers * meanMs) / 1000)
    while (this.shared.inflight(INDEX) < running) this.shared.acquire(INDEX, 0, 0)
    while (this.shared.inflight(INDEX) > running) this.shared.release(INDEX, 0)
    this.clock.pass(1050)
    this.timers.advance()
  }

  change(adaptive: Partial<AdaptiveConfig>): void {
    this.config = { ...this.config, adaptive: { ...this.config.adaptive, ...adaptive } }
  }

  get limits(): { learned: number; limit: number } {
    return { learned: this.shared.learned(INDEX), limit: this.shared.limit(INDEX) }
  }
}

t.test('what is learned shows, and where it is to be enforced it is in force', async t => {
  const bench = new Bench({ mode: 'enforce' })
  t.same(bench.limits, { learned: 0, limit: 0 }, 'nothing is held back before anything is known')
  bench.second(100, 10, 8)
  t.same(bench.limits, { learned: 20, limit: 20 })
  for (let n = 0; n < 50; n += 1) bench.second(100, 10, 100)
  t.ok(bench.limits.learned > 50)
  t.equal(bench.limits.limit, bench.limits.learned)
})

t.test('observe only shows it, and a reload decides anew', async t => {
  const bench = new Bench({ mode: 'observe' })
  bench.second(100, 10, 8)
  t.same(bench.limits, { learned: 20, limit: 0 })
  bench.change({ mode: 'enforce' })
  bench.second(0, 0)
  t.same(bench.limits, { learned: 20, limit: 20 })
  bench.change({ mode: 'observe' })
  bench.second(0, 0)
  t.same(bench.limits, { learned: 20, limit: 0 })
  bench.change({ mode: 'enforce' })
  bench.second(0, 0)
  bench.change({ mode: 'off' })
  bench.second(0, 0)
  t.same(bench.limits, { learned: 0, limit: 0 })
})

t.test('a few answers wait for more before they count', async t => {
  const bench = new Bench({})
  bench.second(4, 10, 8)
  bench.second(5, 10, 8)
  t.same(bench.limits, { learned: 0, limit: 0 })
  bench.second(1, 10, 8)
  t.same(bench.limits, { learned: 20, limit: 20 })
})

t.test('max_inflight is above all', async t => {
  const bench = new Bench({}, 8)
  bench.second(100, 10, 8)
  t.same(bench.limits, { learned: 8, limit: 8 })
})

t.test('an open tunnel takes no room from requests', async t => {
  const bench = new Bench({})
  bench.cells.add(ROW + ENDPOINT_BLOCK.at.tunnels, 500)
  bench.second(100, 10, 505)
  t.same(bench.limits, { learned: 20, limit: 520 })
})

t.test('an endpoint that has gone leaves nothing behind', async t => {
  const bench = new Bench({})
  bench.second(100, 10, 8)
  bench.endpoints = []
  bench.second(0, 0)
  t.same(bench.limits, { learned: 0, limit: 0 })
})

t.test('cells that were another endpoint of old begin anew', async t => {
  const bench = new Bench({})
  bench.second(100, 10, 8)
  bench.cells.set(ROW + ENDPOINT_BLOCK.at.firstBytes, 0)
  bench.cells.set(ROW + ENDPOINT_BLOCK.at.firstByteSum, 0)
  bench.second(5, 10, 8)
  bench.second(12, 10, 8)
  t.same(bench.limits, { learned: 20, limit: 20 })
  bench.watch.stop()
  bench.second(100, 1, 100)
  bench.second(100, 1, 100)
  t.same(bench.limits, { learned: 20, limit: 20 }, 'once stopped it looks no more')
})
