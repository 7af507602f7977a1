import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { STATE } from '../lib/base/shared-state.ts'
import { BALANCE_POLICIES } from '../lib/config/balance-policies.ts'
import type { UpstreamConfig } from '../lib/config/model.ts'
import type { Upstream } from '../upstreams/upstream.ts'
import { never, ok, RecordingUpstream, raw, rawThenClose } from './support/recording-upstream.ts'
import { until, within } from './support/until.ts'
import { configOf, PASSIVE, Process, TestJob } from './support/upstream-world.ts'

// Two data threads, three apps that do what they like, endpoints whose state flips, clients that leave and
// configurations that change, all drawn by a seed. Whatever happens: each request ends once, no POST is sent
// to two apps, and in the end nothing is held.

const SEED = Number(process.env['UPSTREAM_SEED'] ?? 4)
const STEPS = 3000
/** Those that take a job as it comes; its key says nothing. */
const KEYLESS = BALANCE_POLICIES.filter(policy => policy !== 'hash')
const BITS = [STATE.down, STATE.ejected, STATE.draining, STATE.unreachable]

/** mulberry32: small, and the same everywhere. */
function drawing(seed: number): (below: number) => number {
  let state = seed >>> 0
  return below => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/** A request that counts how often it ended. */
class CountedJob extends TestJob {
  ends = 0
  hasLeft = false
  override afterwards = () => {
    this.ends += 1
  }
}

async function startApp(below: (limit: number) => number): Promise<RecordingUpstream> {
  const app = await RecordingUpstream.start(t)
  app.on('/ok', ok())
  app.on('/slow', async line => {
    await pause(1 + below(30))
    line.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  app.on('/close', rawThenClose(''))
  app.on('/half', rawThenClose('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'))
  app.on('/busy', raw('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n'))
  app.on('/nonsense', rawThenClose('nonsense\r\n\r\n'))
  app.on('/never', never)
  return app
}

const PATHS = ['/ok', '/ok', '/ok', '/slow', '/slow', '/close', '/half', '/busy', '/nonsense', '/never']

function drawConfig(ports: readonly number[], below: (limit: number) => number): UpstreamConfig {
  const some = below(3) === 0 ? ports.slice(0, 1 + below(ports.length)) : ports
  return configOf(some, {
    balance: KEYLESS[below(KEYLESS.length)] ?? 'p2c',
    maxInflight: below(4),
    abandoned: below(2) === 0 ? 'finish' : 'close',
    queue: { length: [0, 5, 100][below(3)] ?? 100, timeoutMs: 100 + below(2000) },
    timeouts: { connectMs: 500, responseMs: 150 + below(200), idleMs: 300, tunnelMs: 1000 },
    keepalive: { idleMs: below(2) === 0 ? undefined : 500, max: below(3) },
    retry: { attempts: below(3), budgetShare: 1, statuses: below(2) === 0 ? [] : [503] },
    passive: { ...PASSIVE, failures: below(4), failureRateShare: below(2) / 2 },
  })
}

t.test(
  `whatever happens, each request ends once and nothing stays behind (UPSTREAM_SEED=${SEED})`,
  async t => {
    const below = drawing(SEED)
    const apps = [await startApp(below), await startApp(below), await startApp(below)]
    const ports = apps.map(({ port }) => port)
    const world = new Process(t)
    const envs = [world.env(0), world.env(1)] as const
    const { shared } = envs[0]
    // The slots of the endpoints are theirs in this order, whatever a later configuration leaves out.
    const first = configOf(ports)
    const present: [Upstream, Upstream] = [world.upstream(envs[0], first), world.upstream(envs[1], first)]
    const jobs: CountedJob[] = []

    const submit = () => {
      const path = `${PATHS[below(PATHS.length)]}?${jobs.length}`
      const job = new CountedJob(path, below(2) === 0 ? Buffer.from('body') : undefined)
      job.priority = (['high', 'normal', 'low'] as const)[below(3)] ?? 'normal'
      jobs.push(job)
      present[below(2) as 0 | 1].submit(job)
    }
    const leave = () => {
      const job = jobs[Math.max(0, jobs.length - 1 - below(20))]
      if (job === undefined || job.ends > 0 || job.hasLeft) return
      job.hasLeft = true
      job.leave()
    }
    const flip = () => {
      const endpoint = below(ports.length)
      // More often off than on: mostly somebody is ready.
      shared.setState(endpoint, BITS[below(BITS.length)] ?? STATE.down, below(5) === 0)
      shared.setRamp(endpoint, below(3) === 0 ? 1 + below(100) : 100)
      shared.setLimit(endpoint, below(4) === 0 ? 1 + below(4) : 0)
      shared.changed(0)
    }
    const reload = () => {
      const config = drawConfig(ports, below)
      for (const thread of [0, 1] as const) {
        const before = present[thread]
        present[thread] = world.upstream(envs[thread], config, before)
        before.retire(present[thread])
      }
    }

    for (let step = 0; step < STEPS; step += 1) {
      const dice = below(100)
      if (dice < 60) submit()
      else if (dice < 75) leave()
      else if (dice < 90) flip()
      else if (dice < 91) reload()
      else await pause(below(8))
    }
    for (const endpoint of ports.keys()) {
      for (const bit of BITS) shared.setState(endpoint, bit, false)
      shared.setRamp(endpoint, 100)
      shared.setLimit(endpoint, 0)
    }
    shared.changed(0)

    const staying = jobs.filter(({ hasLeft }) => !hasLeft)
    await within('the end of all requests', Promise.all(staying.map(job => job.end())))
    await until('all slots to be free', () => ports.every((_, index) => shared.inflight(index) === 0))
    t.same(new Set(staying.map(({ ends }) => ends)), new Set([1]), 'each ends once')
    t.notOk(
      jobs.some(({ hasLeft, ends }) => hasLeft && ends > 0),
      'who has left hears nothing more',
    )
    t.equal(shared.queued(0), 0, 'nobody has a place in the queue')
    await until('nobody to wait for a slot', () => shared.waiting(0) === 0)
    t.ok(world.gauges().every(gauge => gauge === 0))
    const posts = apps.flatMap(app => app.requests.filter(({ method }) => method === 'POST'))
    const targets = posts.map(({ target }) => target)
    t.equal(new Set(targets).size, targets.length, 'no POST was sent twice')
    t.ok(
      posts.length > 50 && staying.length > 500,
      `${posts.length} POSTs sent, ${staying.length} requests ended`,
    )
    for (const upstream of present) upstream.retire()
    const { connections, descriptors } = shared
    await until('all connections to be given back', () =>
      ports.every((_, index) => connections.open(index) === 0),
    )
    t.equal(descriptors.taken, 0)
  },
)
