import t from 'tap'
import { SharedState, type SharedStateMemory } from '../lib/base/shared-state.ts'
import { RecordingUpstream, rawThenClose, type UpstreamLine } from './support/recording-upstream.ts'
import { until } from './support/until.ts'
import { configOf, Process, TestJob } from './support/upstream-world.ts'

/** Something happens whenever a slot is taken. */
class WatchedSlots extends SharedState {
  readonly #taken: () => void

  constructor(memory: SharedStateMemory, taken: () => void) {
    super(memory)
    this.#taken = taken
  }

  override acquire(endpoint: number, thread: number, max: number): boolean {
    const got = super.acquire(endpoint, thread, max)
    if (got) this.#taken()
    return got
  }
}

t.test(
  'the order of the queue may change while a request gets its slot: it still goes out once, and nobody is lost',
  async t => {
    const app = await RecordingUpstream.start(t)
    const world = new Process(t)
    const shared: SharedState = new WatchedSlots(world.shared, () => {
      if (app.requests.length === 1) shared.setNewestFirst(0, true)
    })
    const config = configOf([app.port], { maxInflight: 1, queue: { length: 100, timeoutMs: 5_000 } })
    const upstream = world.upstream({ ...world.env(0), shared }, config)
    const jobs = Array.from({ length: 5 }, (_, n) => new TestJob(`/?${n}`, Buffer.from('once')))
    for (const job of jobs) upstream.submit(job)
    for (const job of jobs) t.equal(await job.end(), 200)
    t.same(
      app.requests.map(({ target }) => target),
      ['/?0', '/?1', '/?4', '/?3', '/?2'],
      'newest first from the second on',
    )
    t.notOk(shared.isNewestFirst(0), 'until nobody waited')
    t.ok(world.gauges().every(gauge => gauge === 0))
    t.equal(shared.queued(0), 0)
    upstream.retire()
  },
)

t.test('who waits for another endpoint than the one that failed it keeps nobody from that one', async t => {
  const apps = [await RecordingUpstream.start(t), await RecordingUpstream.start(t)] as const
  const lines: UpstreamLine[] = []
  for (const app of apps) {
    app.on('/twice', rawThenClose('HTTP/1.1 503 Sorry\r\nContent-Length: 0\r\n\r\n'))
    app.on('/long', line => {
      lines.push(line)
    })
  }
  const seen = (path: string) => apps.flatMap(app => app.seen(path)).length
  const world = new Process(t)
  const config = configOf(
    apps.map(({ port }) => port),
    {
      maxInflight: 1,
      // Long, so that the newest going first in a late queue does not help.
      queue: { length: 100, timeoutMs: 60_000 },
      retry: { attempts: 2, budgetShare: 0.2, statuses: [503] },
    },
  )
  const env = world.env(0)
  const upstream = world.upstream(env, config)
  const long = new TestJob('/long')
  upstream.submit(long)
  await until('the long one at the app', () => lines.length === 1)
  const twice = new TestJob('/twice')
  upstream.submit(twice)
  await until('it waits for the other', () => seen('/twice') === 1 && env.shared.queued(0) === 1)
  const others = [new TestJob('/a'), new TestJob('/b')]
  for (const job of others) upstream.submit(job)
  for (const job of others) t.equal(await job.end(), 200)
  t.equal(env.shared.queued(0), 1, 'it still waits')
  lines[0]?.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  t.equal(await long.end(), 200)
  t.equal(await twice.end(), 503)
  t.equal(seen('/twice'), 2, 'from each once')
  t.ok(world.gauges().every(gauge => gauge === 0))
  upstream.retire()
})
