import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { CounterWatch } from '../support/counters.ts'
import { answerLoad, Load } from '../support/load.ts'
import { get, RawClient } from '../support/raw-client.ts'
import { ok, RecordingUpstream } from '../support/recording-upstream.ts'
import type { ThreadFault } from '../support/thread-fault.ts'
import { until } from '../support/until.ts'

/**
 * What a client of the load may lose: the slots of both apps are fewer, so that some of them wait in the
 * queue.
 */
const CLIENTS = 32
const SLOTS = 4

/** Two data threads and two apps under load. */
async function startLoaded(t: Test) {
  const apps = [await RecordingUpstream.start(t), await RecordingUpstream.start(t)]
  for (const app of apps) {
    answerLoad(app)
    app.on('/load/small', async (line, request) => {
      await pause(2)
      await ok()(line, request)
    })
  }
  const causeway = await startCauseway(t, {
    preload: './thread-fault.ts',
    config: configText({
      endpoints: apps.map(app => app.port),
      workers: 2,
      upstream: `max_inflight = ${SLOTS}\nqueue = { length = 1000, timeout = "30s" }`,
    }),
  })
  const load = new Load(causeway.port())
  await load.add(CLIENTS)
  await untilServed(load)
  return { apps, causeway, load, watch: new CounterWatch(causeway) }
}

async function untilServed(load: Load): Promise<void> {
  const enough = load.answered + 4 * CLIENTS
  await until('the load to go on', () => load.answered > enough)
}

/** Waits until both threads run again, `restarts` threads having been replaced for this reason. */
async function untilReplaced(
  causeway: Running,
  reason: 'exit' | 'stuck',
  restarts: number,
  patienceMs?: number,
): Promise<void> {
  await until(
    'the successor',
    async () => {
      const metrics = await causeway.metrics()
      return (
        metrics.sum('causeway_worker_restarts_total', { reason }) === restarts &&
        metrics.sum('causeway_workers', { state: 'running' }) === 2
      )
    },
    patienceMs,
  )
}

/** The dead thread's connections are lost, and no other one: both sides count the same. */
async function assertOnlyOwnLost(t: Test, causeway: Running, load: Load, before: number): Promise<void> {
  await causeway.metric('causeway_connections_active', {}, active => active === load.open)
  t.ok(load.open > 0 && load.open < before, `${load.open} of ${before} connections live on`)
  await untilServed(load)
  t.same(load.wrong, [], 'nobody got a wrong answer')
}

/** As many requests as there are slots run at the same time. */
async function assertSlotsFree(
  t: Test,
  causeway: Running,
  apps: readonly RecordingUpstream[],
): Promise<void> {
  await causeway.metric('causeway_upstream_in_flight', {}, slots => slots === 0)
  const gate = Promise.withResolvers<void>()
  for (const app of apps) {
    app.on('/gate', async (line, request) => {
      await gate.promise
      await ok()(line, request)
    })
  }
  const clients = await Promise.all(
    apps.flatMap(() => Array.from({ length: SLOTS }, () => RawClient.connect(causeway.port()))),
  )
  for (const client of clients) client.send(get('/gate'))
  for (const app of apps) await until('every slot to be taken', () => app.seen('/gate').length === SLOTS)
  gate.resolve()
  for (const client of clients) {
    t.equal((await client.response()).status, 200)
    client.destroy()
  }
}

t.test(
  'data threads killed in mid-load: their connections are lost, all others go on, no counter falls',
  async t => {
    const { apps, causeway, load, watch } = await startLoaded(t)
    for (let kills = 1; kills <= 4; kills += 1) {
      const before = load.open
      causeway.send({ thread: kills % 2, fault: 'kill' } satisfies ThreadFault)
      await untilReplaced(causeway, 'exit', kills)
      await assertOnlyOwnLost(t, causeway, load, before)
      await load.add(CLIENTS - load.open)
      await untilServed(load)
    }
    await load.stop()
    await watch.stop()
    t.same(load.wrong, [])
    t.same(watch.fallen, [])
    await assertSlotsFree(t, causeway, apps)
    const metrics = await causeway.metrics()
    t.equal(
      metrics.sum('causeway_upstream_queue_rejected_total'),
      metrics.sum('causeway_upstream_queue_rejected_total', { reason: 'client_gone' }),
    )
    t.equal(causeway.lines.filter(({ msg }) => msg === 'data thread replaced').length, 4)
    await assertClean(t, causeway, apps)
  },
)

t.test(
  'a data thread that never comes back to its event loop is replaced; /metrics and the other one answer meanwhile',
  async t => {
    const { apps, causeway, load, watch } = await startLoaded(t)
    const before = load.open
    causeway.send({ thread: 0, fault: 'block' } satisfies ThreadFault)
    // On a busy machine it may be replaced before all three are over: what was seen before that counts.
    let looks = 0
    for (let look = 1; look <= 3; look += 1) {
      const { scrapes } = watch
      await untilServed(load)
      await until('a further scrape', () => watch.scrapes > scrapes + 1)
      const { lost } = load
      if ((await causeway.metrics()).sum('causeway_worker_restarts_total') > 0) break
      t.equal(lost, 0, 'while the thread was stuck')
      looks += 1
    }
    t.ok(looks > 0, `${looks} looks while it was stuck`)
    await untilReplaced(causeway, 'stuck', 1, 30_000)
    await assertOnlyOwnLost(t, causeway, load, before)
    await load.stop()
    await watch.stop()
    t.same(load.wrong, [])
    t.same(watch.fallen, [])
    await assertSlotsFree(t, causeway, apps)
    await assertClean(t, causeway, apps)
  },
)
