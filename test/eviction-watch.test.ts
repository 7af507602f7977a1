import t, { type Test } from 'tap'
import { CellColumn, CellReader, createCellMemory } from '../lib/base/cells.ts'
import { Timers } from '../lib/base/timers.ts'
import { EvictionWatch } from '../lib/server/load/eviction-watch.ts'
import { LISTENER_BLOCK, REJECTIONS, type Rejection } from '../metrics/blocks.ts'
import type { PlacedListener } from '../metrics/placement.ts'
import { FakeClock } from './support/fake-clock.ts'

const WEB: PlacedListener = { name: 'web', row: 0 }
const OTHER: PlacedListener = { name: 'other', row: LISTENER_BLOCK.size }

/** A watch over listeners whose threads evict as the test says. */
class Bench {
  readonly lines: string[] = []
  listeners: readonly PlacedListener[] = [WEB, OTHER]
  readonly #clock = new FakeClock()
  readonly #timers = new Timers(this.#clock)
  readonly #cells = createCellMemory(2, 2 * LISTENER_BLOCK.size)
  readonly #watch: EvictionWatch

  constructor(t: Test) {
    this.#watch = new EvictionWatch({
      cells: new CellReader(this.#cells),
      timers: this.#timers,
      listeners: () => this.listeners,
      log: {
        warn: ({ listener, reason, closed }) => {
          this.lines.push(`${listener} ${reason} ${closed}`)
        },
      },
    })
    t.teardown(() => this.#watch.stop())
    this.#watch.start()
  }

  evict(listener: PlacedListener, reason: Rejection, count: number, thread = 0): void {
    const row = listener.row + LISTENER_BLOCK.at.evicted + REJECTIONS.indexOf(reason)
    new CellColumn(this.#cells, thread).add(row, count)
  }

  /** What was logged in so many seconds. */
  pass(seconds: number): string[] {
    this.lines.length = 0
    for (let tick = 0; tick < seconds * 20; tick += 1) {
      this.#clock.pass(50)
      this.#timers.advance()
    }
    return [...this.lines]
  }
}

t.test('the clients of all threads are told together, within a second or so', async t => {
  const bench = new Bench(t)
  t.same(bench.pass(60), [], 'nothing while none is closed')
  bench.evict(WEB, 'limit', 2, 0)
  bench.evict(WEB, 'limit', 3, 1)
  t.same(bench.pass(2), ['web limit 5'])
  t.same(bench.pass(60), [], 'once')
})

t.test('however many are closed, there is one line in ten seconds, and none is left out', async t => {
  const bench = new Bench(t)
  let told = 0
  let lines = 0
  for (let second = 0; second < 60; second += 1) {
    bench.evict(WEB, 'fd', 7)
    for (const line of bench.pass(1)) {
      lines += 1
      told += Number(line.split(' ')[2])
    }
  }
  for (const line of bench.pass(20)) told += Number(line.split(' ')[2])
  t.ok(lines >= 5 && lines <= 7, `${lines} lines in a minute`)
  t.equal(told, 60 * 7)
})

t.test('each listener and each reason has its own line', async t => {
  const bench = new Bench(t)
  bench.evict(WEB, 'limit', 1)
  bench.evict(WEB, 'fd', 2)
  bench.evict(OTHER, 'fd', 3)
  t.same(bench.pass(2), ['web limit 1', 'web fd 2', 'other fd 3'])
})

t.test('what a listener counted before it came back is not told again', async t => {
  const bench = new Bench(t)
  bench.evict(WEB, 'limit', 4)
  bench.pass(2)
  bench.listeners = [OTHER]
  bench.pass(20)
  bench.listeners = [OTHER, WEB]
  t.same(bench.pass(20), [])
  bench.evict(WEB, 'limit', 1)
  t.same(bench.pass(2), ['web limit 1'])
})
