import t from 'tap'
import { CellColumn, createCellMemory } from '../lib/base/cells.ts'
import { Descriptors } from '../lib/base/descriptors.ts'
import { createSharedState, SharedState } from '../lib/base/shared-state.ts'
import { Timers } from '../lib/base/timers.ts'
import { afterTick, CALM, type LoopPressure } from '../lib/server/data/loop-pressure.ts'
import { Overload } from '../lib/server/data/overload.ts'
import {
  afterLook,
  type MemoryLook,
  type MemoryPressure,
  NEVER_SHORT,
} from '../lib/server/load/memory-pressure.ts'
import { OverloadWatch } from '../lib/server/load/overload-watch.ts'
import { FakeClock } from './support/fake-clock.ts'
import { RecordingExchange } from './support/recording-exchange.ts'

const LIMIT_MS = 100
const TICK_MS = 50
const THREADS = 2

/** What a thread is after ticks that came so late. */
function after(delays: readonly number[], from: LoopPressure = CALM): LoopPressure {
  let now = from
  let nowMs = 0
  for (const delayMs of delays) {
    nowMs += TICK_MS + delayMs
    now = afterTick(now, delayMs, nowMs, LIMIT_MS)
  }
  return now
}

const calmFor = (ms: number) => Array.from({ length: ms / TICK_MS }, () => 0)

t.test('one late tick is no overload, two in a row are', async t => {
  t.match(after([5000]), { state: 'calm' })
  t.match(after([5000, 0, 5000, 0]), { state: 'calm' }, 'nor are two with time between them')
  t.match(after([150, 120]), { state: 'late', severe: false, delayMs: 120 })
  t.match(after([100, 100]), { state: 'calm' }, 'the limit itself is allowed')
})

t.test('twice the limit is severe, at once or later', async t => {
  t.match(after([250, 250]), { state: 'late', severe: true })
  t.match(after([150, 150, 250]), { state: 'late', severe: false }, 'once is not')
  t.match(after([150, 150, 250, 250]), { state: 'late', severe: true })
})

t.test('it is over when a second has passed below 80 % of the limit', async t => {
  t.match(after([150, 150, ...calmFor(900)]), { state: 'late' })
  t.match(after([150, 150, ...calmFor(1050)]), { state: 'calm' })
  const shaky = [...calmFor(500), 85, ...calmFor(900)]
  t.match(after([150, 150, ...shaky]), { state: 'late' }, 'one tick at 85 % begins it anew')
  t.match(after([150, 150, ...calmFor(500), 75, ...calmFor(600)]), { state: 'calm' }, 'one at 75 % does not')
})

t.test('what was severe is first only late', async t => {
  const severe = after([300, 300])
  const later = after(calmFor(1050), severe.state === 'late' ? { ...severe, highAtMs: 0 } : severe)
  t.match(later, { state: 'late', severe: false })
  t.match(after([300, 300, ...calmFor(2200)]), { state: 'calm' })
})

const LIMIT_BYTES = 1000

/** The states behind looks of [resident, in use], a second apart. */
function afterLooks(looks: readonly (readonly [number, number])[], share = 0.95): string[] {
  let now: MemoryPressure = NEVER_SHORT
  return looks.map(([residentBytes, inUseBytes], second) => {
    const look: MemoryLook = {
      residentBytes,
      inUseBytes,
      limitBytes: LIMIT_BYTES,
      share,
      nowMs: second * 1000,
    }
    now = afterLook(now, look)
    return now.state
  })
}

t.test('memory is short from its share on, until it is clearly below', async t => {
  t.same(afterLooks([[940, 900]]), ['calm'])
  t.same(afterLooks([[950, 900]]), ['short'])
  t.same(afterLooks([[900, 950]]), ['short'], 'in use is as good a reason')
  const looks = [
    [950, 940],
    [910, 900],
    [900, 895],
  ] as const
  t.same(afterLooks(looks), ['short', 'short', 'calm'])
  t.same(afterLooks([[2000, 2000]], 0), ['calm'], 'switched off')
})

t.test('when little is in use, what stays resident refuses nobody after three seconds', async t => {
  const gone = Array.from({ length: 5 }, () => [955, 300] as const)
  t.same(afterLooks([[960, 950], ...gone]), ['short', 'short', 'short', 'calm', 'calm', 'calm'])
  const busy = Array.from({ length: 5 }, () => [955, 800] as const)
  t.same(afterLooks([[960, 950], ...busy]), ['short', 'short', 'short', 'short', 'short', 'short'])
})

t.test('what was kept may be used again, but more than that makes memory short', async t => {
  const kept = [
    [960, 950],
    [955, 300],
    [955, 300],
    [955, 300],
  ] as const
  t.equal(afterLooks([...kept, [960, 700]]).at(-1), 'calm')
  t.equal(afterLooks([...kept, [960, 955]]).at(-1), 'short', 'in use')
  t.equal(afterLooks([...kept, [980, 400]]).at(-1), 'short', 'grown')
  t.equal(afterLooks([...kept, [500, 400], [955, 400]]).at(-1), 'short', 'it had come back')
})

class Bench {
  readonly clock = new FakeClock()
  readonly timers = new Timers(this.clock, error => this.failures.push(error))
  readonly shared = new SharedState(createSharedState(THREADS))
  readonly logged: string[] = []
  readonly overload: Overload
  usedBytes: number | undefined = 0
  readonly failures: unknown[] = []
  memoryShare = 0.5
  readonly watch: OverloadWatch

  constructor() {
    const { clock, timers, shared } = this
    const cells = new CellColumn(createCellMemory(THREADS, 16), 1)
    const descriptors = new Descriptors(shared, 1)
    this.overload = new Overload({
      clock,
      timers,
      shared,
      cells,
      descriptors,
      thread: 1,
      random: () => 0.5,
    })
    const note = (level: string) => (facts: object, text: string) => {
      this.logged.push(`${level} ${text} ${JSON.stringify(facts)}`)
    }
    const [debug, info, warn] = [note('debug'), note('info'), note('warn')]
    const log = { debug, info, warn, error: note('error'), fatal: note('fatal') }
    this.watch = new OverloadWatch({
      clock,
      timers,
      shared,
      log,
      threads: THREADS,
      config: () => ({ loopDelayMs: LIMIT_MS, memoryShare: this.memoryShare }),
      usedBytes: () => this.usedBytes,
      limitBytes: () => 512 * 1024 * 1024,
    })
  }

  tick(delayMs: number, times = 1): void {
    for (let n = 0; n < times; n += 1) {
      this.clock.pass(TICK_MS + delayMs)
      this.overload.ticked(delayMs)
    }
  }

  /** Whom it refuses now, and why. */
  refused(): (string | undefined)[] {
    return (['high', 'normal', 'low'] as const).map(priority => this.overload.causeToRefuse(priority))
  }
}

t.test('a late thread refuses low priority, a very late one normal, none refuses high', async t => {
  const bench = new Bench()
  bench.overload.configure({ loopDelayMs: LIMIT_MS, memoryShare: 0 })
  bench.tick(150)
  t.notOk(bench.overload.active)
  bench.tick(150)
  t.ok(bench.overload.active)
  t.same(bench.refused(), [undefined, undefined, 'loop'])
  t.equal(bench.shared.lateThreads(), 1)
  bench.tick(250, 2)
  t.same(bench.refused(), [undefined, 'loop', 'loop'])
  const exchange = new RecordingExchange({ target: '/' })
  bench.overload.refuse(exchange, 'loop')
  t.match(exchange, {
    failure: 'OVERLOADED',
    record: { detail: 'event loop 250 ms late', retryAfterSeconds: 2 },
  })
  bench.watch.look()
  bench.watch.look()
  bench.tick(0, 50)
  t.notOk(bench.overload.active)
  t.same(bench.refused(), [undefined, undefined, undefined])
  t.equal(bench.shared.lateThreads(), 0)
  bench.watch.look()
  t.same(bench.logged, [
    'warn overloaded: requests are refused {"cause":"loop","thread":1,"loop_delay_ms":250}',
    'info overload is over {"cause":"loop","thread":1}',
  ])
})

t.test(
  'with loop_delay = "off" a thread may be as late as it likes, also when that comes by a reload',
  async t => {
    const bench = new Bench()
    bench.overload.configure({ loopDelayMs: undefined, memoryShare: 0 })
    bench.tick(5000, 3)
    t.notOk(bench.overload.active)
    bench.overload.configure({ loopDelayMs: LIMIT_MS, memoryShare: 0 })
    bench.tick(150, 2)
    t.ok(bench.overload.active)
    bench.overload.configure({ loopDelayMs: undefined, memoryShare: 0 })
    bench.tick(150)
    t.notOk(bench.overload.active)
    t.equal(bench.shared.lateThreads(), 0)
  },
)

t.test('the gauge of a thread that dies while it is late goes with it', async t => {
  const bench = new Bench()
  bench.overload.configure({ loopDelayMs: LIMIT_MS, memoryShare: 0 })
  bench.tick(150, 2)
  bench.shared.releaseAllOf(1)
  t.equal(bench.shared.lateThreads(), 0)
})

t.test('short memory refuses all, and each flip is logged once', async t => {
  const bench = new Bench()
  const MIB = 1024 * 1024
  bench.usedBytes = 200 * MIB
  bench.watch.look()
  bench.tick(0)
  t.notOk(bench.overload.active)
  bench.usedBytes = 300 * MIB
  bench.clock.pass(1100)
  bench.timers.advance()
  bench.tick(0)
  t.same(bench.refused(), ['memory', 'memory', 'memory'], 'it is looked at each second')
  const exchange = new RecordingExchange({ target: '/' })
  bench.overload.refuse(exchange, 'memory')
  t.equal(exchange.record.detail, 'memory 59 % of 512 MiB')
  bench.watch.look()
  bench.usedBytes = 250 * MIB
  bench.watch.look()
  t.equal(bench.shared.memoryPercent(), 49, 'not yet clearly below')
  bench.usedBytes = 240 * MIB
  bench.watch.look()
  bench.tick(0)
  t.notOk(bench.overload.active)
  t.same(
    bench.logged.map(line => line.replace(/ \{.*/, '')),
    ['warn overloaded: requests are refused', 'info overload is over'],
  )
  bench.usedBytes = 500 * MIB
  bench.watch.look()
  bench.memoryShare = 0
  bench.watch.look()
  t.equal(bench.shared.memoryPercent(), 0, 'a reload switches it off')
  bench.watch.stop()
  bench.usedBytes = 0
  bench.timers.stop()
})

t.test('the watch outlives whatever a look throws', async t => {
  const bench = new Bench()
  let broken = true
  const watch = new OverloadWatch({
    clock: bench.clock,
    timers: bench.timers,
    shared: bench.shared,
    log: { debug() {}, info() {}, warn() {}, error() {}, fatal() {} },
    threads: THREADS,
    config: () => ({ loopDelayMs: LIMIT_MS, memoryShare: 0.5 }),
    usedBytes: () => {
      if (broken) throw new Error('EMFILE: too many open files, uv_resident_set_memory')
      return 512 * 1024 * 1024
    },
    limitBytes: () => 512 * 1024 * 1024,
  })
  t.throws(() => watch.look())
  for (let n = 0; n < 60; n += 1) {
    bench.clock.pass(TICK_MS)
    bench.timers.advance()
  }
  t.ok(bench.failures.length >= 2, 'it is tried, and told, each second')
  t.equal(bench.shared.memoryPercent(), 0)
  broken = false
  for (let n = 0; n < 30; n += 1) {
    bench.clock.pass(TICK_MS)
    bench.timers.advance()
  }
  t.equal(bench.shared.memoryPercent(), 100)
  watch.stop()
})

t.test('while its use cannot be read, memory is as short or long as it was', async t => {
  const bench = new Bench()
  bench.usedBytes = 512 * 1024 * 1024
  bench.watch.look()
  t.equal(bench.shared.memoryPercent(), 100)
  bench.usedBytes = undefined
  bench.watch.look()
  t.equal(bench.shared.memoryPercent(), 100)
  t.equal(bench.logged.length, 1)
  bench.watch.stop()
})
