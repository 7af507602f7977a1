import t, { type Test } from 'tap'
import { CellColumn, CellReader, createCellMemory } from '../lib/base/cells.ts'
import { createSharedState, SharedState, STATE } from '../lib/base/shared-state.ts'
import { Timers } from '../lib/base/timers.ts'
import type { UpstreamConfig } from '../lib/config/model.ts'
import { OutlierWatch } from '../lib/server/health/outlier-watch.ts'
import { ENDPOINT_BLOCK } from '../upstreams/measures.ts'
import { FakeClock } from './support/fake-clock.ts'
import { configOf, PASSIVE } from './support/upstream-world.ts'

const RULES: UpstreamConfig['passive'] = { ...PASSIVE, failureRateShare: 0.5, latencyFactor: 3 }
const AT = ENDPOINT_BLOCK.at
/** Cells of `attempts`. */
const GOOD = 1
const BAD = 4
const NO_ANSWER = 5

/** A watch over upstreams with endpoints 1, 2, ... in the slots and blocks of the same numbers less one. */
class Bench {
  readonly ejected: string[] = []
  readonly shared = new SharedState(createSharedState(2))
  readonly watch: OutlierWatch
  upstream: UpstreamConfig
  readonly #clock = new FakeClock()
  readonly #timers = new Timers(this.#clock)
  readonly #cells = createCellMemory(2, 10 * ENDPOINT_BLOCK.size)

  constructor(t: Test, count: number, passive = RULES) {
    this.upstream = configOf(
      Array.from({ length: count }, (_, i) => i + 1),
      { passive },
    )
    this.watch = new OutlierWatch({
      cells: new CellReader(this.#cells),
      shared: this.shared,
      timers: this.#timers,
      pools: () => [{ config: this.upstream, place: this.#place }],
      eject: (_upstream, endpoint, reason) => {
        this.ejected.push(`${endpoint.slice(-1)}: ${reason}`)
        return true
      },
    })
    t.teardown(() => this.watch.stop())
    this.second()
  }

  /** Attempts at an endpoint, shared out to two threads. */
  count(endpoint: number, kind: number, count: number, firstByteMs = 10): void {
    for (const thread of [0, 1]) {
      const column = new CellColumn(this.#cells, thread)
      const row = (endpoint - 1) * ENDPOINT_BLOCK.size
      column.add(row + AT.attempts + kind, count / 2)
      column.add(row + AT.firstBytes, count / 2)
      column.add(row + AT.firstByteSum, ((count / 2) * firstByteMs) / 1000)
    }
  }

  second(): void {
    for (let n = 0; n < 20; n += 1) {
      this.#clock.pass(50)
      this.#timers.advance()
    }
  }

  get #place() {
    const endpoints = this.upstream.endpoints.map((_, i) => ({ index: i, row: i * ENDPOINT_BLOCK.size }))
    return { index: 0, row: 0, endpoints }
  }
}

t.test('failures and missing answers of all threads count, in ten seconds', async t => {
  const bench = new Bench(t, 3)
  for (let n = 0; n < 4; n += 1) {
    for (const endpoint of [1, 2, 3]) bench.count(endpoint, GOOD, 2)
    bench.count(1, BAD, 2)
    bench.count(1, NO_ANSWER, 2)
    t.same(bench.ejected, [], 'too few to tell')
    bench.second()
  }
  t.same(bench.ejected, ['1: 67 % of 24 requests failed in 10 s'])
  for (let n = 0; n < 8; n += 1) {
    for (const endpoint of [1, 2, 3]) bench.count(endpoint, GOOD, 20)
    bench.second()
  }
  bench.ejected.length = 0
  bench.second()
  t.same(bench.ejected, [], 'what is long over does not count')
})

t.test('a slow endpoint', async t => {
  const bench = new Bench(t, 3)
  for (const endpoint of [1, 2, 3]) bench.count(endpoint, GOOD, 40, endpoint === 2 ? 400 : 20)
  bench.second()
  t.same(bench.ejected, ['2: first byte after 400 ms, while the others need 20 ms'])
})

t.test('what an endpoint did before it went out is no measure of what it does now', async t => {
  const bench = new Bench(t, 2)
  const failing = () => {
    bench.count(1, BAD, 18)
    bench.count(2, GOOD, 18)
  }
  bench.count(1, GOOD, 2)
  failing()
  bench.watch.forget(0)
  bench.second()
  t.same(bench.ejected, [], 'it was away for less than a second')
  failing()
  bench.shared.setState(0, STATE.down, true)
  bench.second()
  bench.shared.setState(0, STATE.down, false)
  bench.second()
  t.same(bench.ejected, [], 'or for longer')
  failing()
  bench.second()
  t.equal(bench.ejected.length, 1)
})

t.test('at most the share that may be ejected', async t => {
  const bench = new Bench(t, 4)
  const failing = () => {
    for (const endpoint of [1, 2]) bench.count(endpoint, BAD, 20)
    for (const endpoint of [3, 4]) bench.count(endpoint, GOOD, 60)
    bench.second()
  }
  bench.shared.setState(3, STATE.ejected, true)
  failing()
  t.equal(bench.ejected.length, 1, 'one is out already')
  bench.shared.setState(0, STATE.ejected, true)
  failing()
  t.equal(bench.ejected.length, 1)
})

t.test('an endpoint alone, or without rules, is let be', async t => {
  for (const bench of [new Bench(t, 1), new Bench(t, 2, PASSIVE)]) {
    bench.count(1, BAD, 100)
    bench.count(2, GOOD, 100)
    bench.second()
    t.same(bench.ejected, [])
  }
})

t.test('after stop nothing is looked at', async t => {
  const bench = new Bench(t, 2)
  bench.watch.stop()
  bench.count(1, BAD, 100)
  bench.count(2, GOOD, 100)
  bench.second()
  bench.second()
  t.same(bench.ejected, [])
})
