import t from 'tap'
import type { StatusDocument } from '../../lib/server/admin/status.ts'
import type { EndpointStatus } from '../../lib/server/health/endpoint-entry.ts'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, get, post } from '../support/raw-client.ts'
import { RecordingUpstream, type Script, type UpstreamLine } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

// Which endpoints get traffic, and when: probe first, quick probes, refused connects, outliers, slow start.

/** Far longer than a test waits: what happens sooner was hastened. */
const HEALTH = 'health = { path = "/healthz", interval = "1m", timeout = "2s", rise = 2, fall = 3 }'

/** An answer with this status; asked anew each time. */
function status(of: () => number): Script {
  return async (line, request) => {
    await request.whole()
    line.send(`HTTP/1.1 ${of()} Words\r\nContent-Length: 0\r\n\r\n`)
  }
}

async function endpoints({ adminUrl }: Running): Promise<readonly EndpointStatus[]> {
  const document = (await (await fetch(`${adminUrl}/status`)).json()) as StatusDocument
  return document.upstreams[0]?.endpoints ?? []
}

const endpoint = async (causeway: Running, app: RecordingUpstream) =>
  (await endpoints(causeway)).find(({ name }) => name.endsWith(`:${app.port}`))

t.test('at the start requests wait until an endpoint passes its first probe', async t => {
  const app = await RecordingUpstream.start(t)
  let healthy = 503
  app.on(
    '/healthz',
    status(() => healthy),
  )
  const causeway = await startCauseway(t, {
    config: configText({ endpoints: [app.port], upstream: `${HEALTH}\nslow_start = "30s"` }),
  })
  const answers = [get('/held-get'), post('/held-post', 'body')].map(text => ask(causeway.port(), text))
  await until('many probes', () => app.seen('/healthz').length > 5)
  t.same([...app.seen('/held-get'), ...app.seen('/held-post')], [], 'the app starts undisturbed')
  t.match(await endpoint(causeway, app), { state: 'down', reason: /^status 503/ })
  healthy = 200
  for (const answer of await Promise.all(answers)) t.equal(answer.status, 200)
  t.same([...app.seen('/held-get'), ...app.seen('/held-post')].length, 2)
  const { state, ramp = 100 } = (await endpoint(causeway, app)) ?? {}
  t.equal(state, 'up', 'after one pass')
  t.ok(ramp < 100, 'it gets its share bit by bit')
  const ratio = (await causeway.metrics()).sum('causeway_upstream_server_ramp_ratio')
  t.ok(ratio > 0 && ratio < 1)
  t.match(await (await fetch(causeway.adminUrl)).text(), /up <span class="soft">\d+ %<\/span>/)
  await assertClean(t, causeway, [app])
})

t.test('a reload causes no gap: who serves goes on, who is new is probed first', async t => {
  const [old, fresh] = [await RecordingUpstream.start(t), await RecordingUpstream.start(t)]
  let healthy = 503
  fresh.on(
    '/healthz',
    status(() => healthy),
  )
  const probes: (() => void)[] = []
  old.on('/healthz', async (line, request) => {
    await request.whole()
    await new Promise<void>(done => probes.push(done))
    line.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  })
  const upstream =
    'balance = "round-robin"\nslow_start = "0s"\nhealth.path = "/healthz"\nhealth.interval = "1m"'
  const causeway = await startCauseway(t, {
    config: configText({ endpoints: [old.port], upstream: 'balance = "round-robin"' }),
  })
  const config = configText({ endpoints: [old.port, fresh.port], upstream })
  t.equal(await causeway.reload(config), 'success')
  await until('the probes', () => probes.length > 0 && fresh.seen('/healthz').length > 0)
  for (let n = 0; n < 6; n += 1) t.equal((await ask(causeway.port(), get('/reload'))).status, 200)
  t.equal(old.seen('/reload').length, 6, 'all by the one that serves, whatever its probe will say')
  for (const pass of probes) pass()
  healthy = 200
  await causeway.metric('causeway_upstream_server_up', {}, value => value === 2)
  for (let n = 0; n < 6; n += 1) await ask(causeway.port(), get('/both'))
  t.equal(fresh.seen('/both').length, 3)
  t.equal(await causeway.reload(config), 'success')
  t.match(await endpoints(causeway), [{ state: 'up' }, { state: 'up' }], 'what has been checked stays so')
  await assertClean(t, causeway, [old, fresh])
})

t.test('the only endpoint restarts: requests wait, and are sent once it listens again', async t => {
  const app = await RecordingUpstream.start(t)
  const causeway = await startCauseway(t, { config: configText({ endpoints: [app.port], workers: 2 }) })
  t.equal((await ask(causeway.port(), get('/before'))).status, 200)
  await app.stop()
  const answers = [1, 2, 3, 4].flatMap(n => [
    ask(causeway.port(), get(`/get-${n}`)),
    ask(causeway.port(), post(`/post-${n}`, 'body')),
  ])
  await causeway.line('unreachable', ({ msg }) => msg === 'endpoint unreachable')
  t.match(await endpoint(causeway, app), { state: 'down', reason: /refused/ })
  await causeway.metric('causeway_upstream_queue_depth', {}, value => value === answers.length)
  await app.listen()
  for (const answer of await Promise.all(answers)) t.equal(answer.status, 200)
  const targets = app.requests.map(({ target }) => target)
  t.equal(new Set(targets).size, targets.length, 'none was sent twice')
  await causeway.line('reachable', ({ msg }) => msg === 'endpoint reachable')
  t.equal(causeway.lines.filter(({ msg }) => msg === 'endpoint unreachable').length, 1, 'said once')
  const metrics = await causeway.metrics()
  t.equal(metrics.sum('causeway_upstream_state_changes_total', { to: 'down' }), 1)
  t.equal(metrics.sum('causeway_upstream_state_changes_total', { to: 'up' }), 1)
  await assertClean(t, causeway, [app])
})

t.test('a failure in traffic is followed by probes at once, which take the endpoint out', async t => {
  const apps = [await RecordingUpstream.start(t), await RecordingUpstream.start(t)] as const
  const causeway = await startCauseway(t, {
    config: configText({
      endpoints: apps.map(({ port }) => port),
      upstream: `${HEALTH}\nbalance = "round-robin"\nslow_start = "0s"\npassive.failures = "off"`,
    }),
  })
  await causeway.metric('causeway_upstream_server_up', {}, value => value === 2)
  const [sick] = apps
  for (const path of ['/healthz', '/sick']) sick.on(path, line => line.reset())
  await until('the endpoint to be down', async () => {
    await ask(causeway.port(), get('/sick'))
    return (await endpoint(causeway, sick))?.state === 'down'
  })
  t.ok(sick.seen('/healthz').length >= 4, 'the third failure decides')
  await assertClean(t, causeway, apps)
})

t.test('of three endpoints, one that fails more often than not is ejected for a time', async t => {
  const apps = [
    await RecordingUpstream.start(t),
    await RecordingUpstream.start(t),
    await RecordingUpstream.start(t),
  ] as const
  const [sick] = apps
  let requests = 0
  sick.on(
    '/work',
    status(() => {
      requests += 1
      // Never many in a row: only the share shows it.
      return requests % 3 === 0 ? 200 : 500
    }),
  )
  const causeway = await startCauseway(t, {
    config: configText({
      endpoints: apps.map(({ port }) => port),
      upstream:
        'balance = "round-robin"\npassive = { failure_rate = "50%", eject = "1s" }\nslow_start = "0s"',
    }),
  })
  const ejected = await until('the ejection', async () => {
    for (let n = 0; n < 15; n += 1) await ask(causeway.port(), get('/work'))
    const it = await endpoint(causeway, sick)
    return it?.state === 'ejected' ? it : undefined
  })
  t.match(ejected.reason, /^\d+ % of \d+ requests failed in 10 s$/)
  t.match(
    (await endpoints(causeway)).map(({ state }) => state),
    ['ejected', 'up', 'up'],
  )
  const before = sick.seen('/work').length
  sick.on(
    '/work',
    status(() => 200),
  )
  await causeway.line('the end of the ejection', ({ msg }) => msg === 'endpoint readmitted')
  await until('traffic there again', async () => {
    await ask(causeway.port(), get('/work'))
    return sick.seen('/work').length > before
  })
  t.equal(causeway.lines.filter(({ msg }) => msg === 'endpoint ejected').length, 1, 'it does well now')
  await assertClean(t, causeway, apps)
})

/** An app of so many workers: what comes beyond waits until one is free, probes too. */
class Workers {
  readonly #waiting: { readonly line: UpstreamLine; readonly ms: number }[] = []
  #free: number
  #hangs = false

  constructor(app: RecordingUpstream, count: number, times: Readonly<Record<string, number>>) {
    this.#free = count
    for (const [path, ms] of Object.entries(times)) {
      app.on(path, line => {
        this.#waiting.push({ line, ms })
        this.#next()
      })
    }
  }

  /** Nothing is answered any more. */
  hang(): void {
    this.#hangs = true
  }

  #next(): void {
    const next = this.#free > 0 && !this.#hangs ? this.#waiting.shift() : undefined
    if (next === undefined) return
    this.#free -= 1
    setTimeout(() => {
      if (this.#hangs) return
      this.#free += 1
      next.line.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
      this.#next()
    }, next.ms)
  }
}

t.test('an app whose workers are all busy stays up, one that hangs does not', async t => {
  const app = await RecordingUpstream.start(t)
  const slow = new Workers(app, 4, { '/healthz': 0, '/slow': 3_000 })
  const causeway = await startCauseway(t, {
    config: configText({
      endpoints: [app.port],
      upstream: `max_inflight = 4
server = "gunicorn"
queue = { length = 1000, timeout = "1m" }
timeouts = { response = "30s" }
health = { path = "/healthz", interval = "1s", timeout = "1s", rise = 1, fall = 2 }`,
    }),
  })
  await until('the first check', async () => (await endpoint(causeway, app))?.state === 'up')
  let going = true
  const answers: number[] = []
  const client = async () => {
    while (going) answers.push((await ask(causeway.port(), get('/slow')).catch(() => ({ status: 0 }))).status)
  }
  const clients = Array.from({ length: 12 }, client)
  await causeway.metric('causeway_upstream_health_checks_total', { result: 'busy' }, count => count >= 4)
  // Between two answers one of the four may be free for a moment.
  await until('all slots to be taken', async () => (await endpoint(causeway, app))?.inflight === 4)
  t.match(await endpoint(causeway, app), { state: 'up', slots: 4 })
  t.notOk(
    causeway.lines.some(({ msg }) => msg === 'endpoint down'),
    'it never went out',
  )
  t.same(new Set(answers), new Set([200]))
  going = false
  slow.hang()
  const { reason } = await causeway.line('endpoint down', ({ msg }) => msg === 'endpoint down')
  t.match(reason, /^timed out after 1s \(no response\); 4 of 4 slots are occupied/)
  await app.stop()
  await Promise.all(clients)
  await causeway.stop()
})

t.test(
  'a worker that Causeway has just started is starting: the log of a healthy start has no warning',
  async t => {
    const causeway = await startCauseway(t, {
      config: configText({
        endpoints: [],
        upstream: `health = { path = "/" }
run = { command = ["${process.execPath}", "-e", "setTimeout(() => require('http').createServer((q, r) => r.end()).listen(process.env.PORT, '127.0.0.1'), 700)"], count = 2 }`,
      }).replace('endpoints = []\n', ''),
    })
    t.equal((await ask(causeway.port(), get('/'))).status, 200)
    await causeway.metric('causeway_upstream_server_state', { state: 'up' }, count => count === 2)
    const warnings = causeway.lines.filter(({ level }) => level === 'warn' || level === 'error')
    t.same(warnings, [])
    await assertClean(t, causeway)
  },
)
