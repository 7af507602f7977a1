import t, { type Test } from 'tap'
import { CellReader, createCellMemory } from '../../lib/base/cells.ts'
import { systemClock } from '../../lib/base/clock.ts'
import { createSharedState, SharedState } from '../../lib/base/shared-state.ts'
import { Timers } from '../../lib/base/timers.ts'
import { loadConfig } from '../../lib/config/load.ts'
import { NO_TLS } from '../../lib/front/tls/tls-state.ts'
import { ListenerAddresses } from '../../lib/server/rollout/listener-addresses.ts'
import type { FromDataThread, SnapshotMessage } from '../../lib/server/shared/messages.ts'
import { PlaceMemory } from '../../lib/server/shared/place-memory.ts'
import { type Placement, Placer } from '../../lib/server/shared/placement.ts'
import { AccessCollector } from '../../lib/server/threads/access-collector.ts'
import { ThreadPool } from '../../lib/server/threads/thread-pool.ts'
import { EXCHANGE_BLOCK } from '../../metrics/blocks.ts'
import { ask, get, RawClient } from '../support/raw-client.ts'
import { until } from '../support/until.ts'

const ROWS = 10_000

/** Real data threads with a static route, without a control thread around them. */
async function startThreads(t: Test, count: number) {
  const folder = t.testdir({
    site: { 'a.txt': 'here\n' },
    'a.toml': '',
  })
  const { writeFileSync } = await import('node:fs')
  writeFileSync(
    `${folder}/a.toml`,
    `[listeners.web]\naddress = "127.0.0.1:0"\n[routes.site]\npath = "/"\nstatic = { root = "${folder}/site" }\n`,
  )
  const loaded = await loadConfig(`${folder}/a.toml`, {})
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const { snapshot, release } = await new ListenerAddresses().resolve(loaded.snapshot)
  const timers = new Timers(systemClock)
  timers.start()
  const cells = createCellMemory(count, ROWS)
  const shared = createSharedState(count)
  const placer = new Placer(ROWS, new PlaceMemory(new SharedState(shared), cells))
  const placement = placer.place(snapshot, { nowMs: 0, serial: 1, applied: 0 })
  const messages: FromDataThread[] = []
  let lines = ''
  const access = new AccessCollector({ threads: count, timers, take: more => (lines += more ?? '') })
  const ended: number[] = []
  const pool = new ThreadPool({
    descriptors: { clients: 1000, all: 1100 },
    lines: access.rings,
    cells,
    shared,
    env: process.env,
    clock: systemClock,
    timers,
    observer: {
      message: (_thread, message) => messages.push(message),
      threadEnded: thread => ended.push(thread),
    },
  })
  t.teardown(async () => {
    await pool.stop()
    access.stop()
    timers.stop()
  })
  t.same(
    await pool.apply({ type: 'snapshot', serial: 1, generation: 1, snapshot, placement, tls: NO_TLS }),
    [],
  )
  release()
  const address = snapshot.listeners[0]?.address
  const port = address?.kind === 'tcp' ? address.port : 0
  return {
    pool,
    port,
    messages,
    lines: () => lines,
    ended,
    served: () => requestsIn(new CellReader(cells), placement),
  }
}

/** Requests counted by all threads. */
function requestsIn(cells: CellReader, placement: Placement): number {
  let sum = 0
  for (const { row } of placement.exchanges) {
    for (let i = 0; i < EXCHANGE_BLOCK.at.duration; i += 1) sum += cells.total(row + i)
  }
  return sum
}

/** A configuration that no data thread survives. */
const POISON = { type: 'snapshot', generation: 1 } as SnapshotMessage

t.test('a data thread that dies takes only its own connections along, and no counter falls', async t => {
  const { pool, port, messages, ended, served } = await startThreads(t, 2)
  const clients = await Promise.all(Array.from({ length: 24 }, () => RawClient.connect(port)))
  for (const client of clients) {
    client.send(get('/a.txt'))
    t.equal((await client.response()).status, 200)
  }
  await until('all requests to be counted', () => served() === 24)
  pool.post(0, POISON)
  await until('the end of the thread', () => ended.length === 1)
  t.match(
    messages.find(({ type }) => type === 'fault'),
    { kind: 'unhandledRejection', stack: /Runtime\.apply/ },
    'its last words are what it died of',
  )
  t.equal(served(), 24)
  const alive = clients.filter(client => client.ended === undefined)
  t.ok(alive.length > 0 && alive.length < 24, `${alive.length} of 24 connections live on`)
  for (const client of alive) {
    client.send(get('/a.txt'))
    t.equal((await client.response()).status, 200)
  }
  await until('the successor', () => pool.facts.every(it => it.state === 'running'))
  for (let n = 0; n < 24; n += 1) t.equal((await ask(port, get('/a.txt'))).status, 200)
  await until('the successor to count on', () => served() === 24 + alive.length + 24)
  t.same(pool.restarts, { exit: 1, stuck: 0 })
  for (const client of clients) client.destroy()
})

t.test('access lines come in whole lines, batched', async t => {
  const { port, lines } = await startThreads(t, 1)
  for (let n = 0; n < 20; n += 1) await ask(port, get('/a.txt'))
  const whole = () => lines().split('\n').slice(0, -1)
  await until('all lines', () => whole().length === 20)
  for (const line of whole()) t.match(JSON.parse(line), { msg: 'access', path: '/a.txt', status: 200 })
})

t.test('draining lets what runs finish; cutting says what was left', async t => {
  const { pool, port } = await startThreads(t, 1)
  const idle = await RawClient.connect(port)
  idle.send(get('/a.txt'))
  await idle.response()
  await pool.drain()
  await idle.untilEnded()
  await t.rejects(RawClient.connect(port), { message: /ECONNREFUSED/ })
  t.match(await pool.stop(), { exchanges: 0 })
})
