import t, { type Test } from 'tap'
import { createCellMemory } from '../lib/base/cells.ts'
import { systemClock } from '../lib/base/clock.ts'
import { createLineRing } from '../lib/base/line-ring.ts'
import { createSharedState, SharedState } from '../lib/base/shared-state.ts'
import { Timers } from '../lib/base/timers.ts'
import type { SnapshotMessage } from '../lib/server/shared/messages.ts'
import { ThreadPool } from '../lib/server/threads/thread-pool.ts'
import { until } from './support/until.ts'

interface Ended {
  readonly thread: number
  readonly reason: string
  readonly detail: string
}

/** The scripted threads look at nothing but the numbers. */
const generation = (number: number) =>
  ({ type: 'snapshot', serial: number, generation: number }) as SnapshotMessage

function makePool(t: Test) {
  const timers = new Timers(systemClock)
  timers.start()
  const shared = createSharedState(2)
  const ended: Ended[] = []
  const pool = new ThreadPool({
    descriptors: { clients: 1000, all: 1100 },
    lines: [createLineRing(1024), createLineRing(1024)],
    cells: createCellMemory(2, 16),
    shared,
    env: process.env,
    clock: systemClock,
    timers,
    stuckMs: 1_500,
    entry: new URL('./support/scripted-thread.ts', import.meta.url),
    observer: {
      message: () => {},
      threadEnded: (thread, reason, detail) => ended.push({ thread, reason, detail }),
    },
  })
  t.teardown(async () => {
    await pool.stop()
    timers.stop()
  })
  return { pool, ended, state: new SharedState(shared) }
}

t.test('a configuration is taken by every thread', async t => {
  const { pool } = makePool(t)
  t.same(await pool.apply(generation(1)), [])
  t.same(
    pool.facts.map(it => [it.state, it.generation]),
    [
      ['running', 1],
      ['running', 1],
    ],
  )
  await pool.apply(generation(2))
  t.same(
    pool.facts.map(it => it.generation),
    [2, 2],
  )
  t.equal(pool.serial, 2)
})

t.test(
  'a thread that throws is replaced, gives its slots back, and its successor runs the newest configuration',
  async t => {
    const { pool, ended, state } = makePool(t)
    await pool.apply(generation(1))
    t.equal(state.inflight(0), 2)
    pool.post(1, { type: 'drain' })
    await until('the end of the thread', () => ended.length === 1)
    t.match(ended[0], { thread: 1, reason: 'exit', detail: 'told to throw' })
    t.equal(state.inflight(0), 1, 'what the dead thread held is free')
    await pool.apply(generation(2))
    t.same(
      pool.facts.map(it => [it.state, it.generation]),
      [
        ['running', 2],
        ['running', 2],
      ],
    )
    t.same(pool.restarts, { exit: 1, stuck: 0 })
  },
)

t.test('a thread that no longer beats is replaced; the other one goes on', async t => {
  const { pool, ended } = makePool(t)
  await pool.apply(generation(1))
  pool.post(0, generation(1_000))
  await until('the end of the stuck thread', () => ended.length === 1)
  t.match(ended[0], { thread: 0, reason: 'stuck' })
  await until('the successor', () => pool.facts.every(it => it.state === 'running'))
  t.equal(ended.length, 1)
  t.same(pool.restarts, { exit: 0, stuck: 1 })
})

t.test('stopping says how much was cut, and replaces nobody', async t => {
  const { pool, ended } = makePool(t)
  await pool.apply(generation(1))
  t.same(await pool.stop(), { exchanges: 2, connections: 4 })
  t.same(
    pool.facts.map(it => it.state),
    ['stopped', 'stopped'],
  )
  t.same(ended, [])
})

t.test('a thread that dies while it takes a configuration does not hold the others up', async t => {
  const { pool } = makePool(t)
  await pool.apply(generation(1))
  pool.post(1, { type: 'drain' })
  const failures = await pool.apply(generation(2))
  // Either it died before it could take it, or its successor took it.
  t.ok(failures.length <= 1)
  await until('both threads on generation 2', () =>
    pool.facts.every(it => it.generation === 2 && it.state === 'running'),
  )
})

t.test('what comes after the end starts no thread again', async t => {
  const { pool } = makePool(t)
  await pool.apply(generation(1))
  await pool.stop()
  t.same(await pool.apply(generation(2)), [])
  t.ok(pool.facts.every(it => it.state === 'stopped' && it.generation === 1))
  t.equal(pool.serial, Number.POSITIVE_INFINITY, 'nobody is behind')
})
