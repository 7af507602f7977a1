import { totalmem } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import type { LoopLoad } from '../support/loop-load.ts'
import { ask, fieldOf, get, post, RawClient } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

const app = await RecordingUpstream.start(t)
const files = t.testdir({ 'a.txt': 'small file\n', 'sorry.html': '<h1>Sorry</h1>' })
const LIMIT_MS = 200
/** 30 MiB, as a share of what there is here: less than Node itself takes. */
const LITTLE = `${((100 * 30 * 2 ** 20) / Math.min(process.constrainedMemory() || Number.POSITIVE_INFINITY, totalmem())).toFixed(6)}%`

const config = (overload: string) =>
  configText({
    endpoints: [app.port],
    server: `overload = { ${overload} }`,
    route: `error_pages = { 503 = "${join(files, 'sorry.html')}" }`,
    more: `[routes.urgent]
path = "/urgent"
upstream = "app"
priority = "high"
[routes.reports]
path = "/reports"
upstream = "app"
priority = "low"
[routes.files]
path = "/files/"
static = { root = "${files}" }`,
  })

const status = async (causeway: Running, path: string) => (await ask(causeway.port(), get(path))).status
/** Asks until the answer has this status. */
const untilStatus = (causeway: Running, path: string, wanted: number) =>
  until(`${wanted} for ${path}`, async () => (await status(causeway, path)) === wanted, 30_000)
const shed = async (causeway: Running, cause: string, priority: string) =>
  (await causeway.metrics()).sum('causeway_shed_requests_total', { cause, priority })

t.test('short memory: every request to an app is refused with its cause, files and admin go on', async t => {
  const causeway = await startCauseway(t, { config: config(`memory = "${LITTLE}"`) })
  const port = causeway.port()
  await causeway.metric('causeway_overload', { cause: 'memory' }, value => value === 1)
  await untilStatus(causeway, '/', 503)
  const asked = app.requests.length
  const client = await RawClient.connect(port)
  for (const path of ['/', '/urgent', '/reports']) {
    client.send(get(path))
    const answer = await client.response()
    t.match(answer, { status: 503 })
    t.match(fieldOf(answer, 'retry-after'), /^[1-3]$/)
    t.equal(fieldOf(answer, 'connection'), undefined, 'the connection stays')
  }
  client.send(get('/files/a.txt'))
  t.match(await client.response(), { status: 200, body: Buffer.from('small file\n') })
  client.destroy()
  const page = await ask(port, post('/?form', 'a=b'))
  t.match(page, { status: 503, body: Buffer.from('<h1>Sorry</h1>') })
  t.equal(app.requests.length, asked, 'the app hears nothing of it')
  t.match(await causeway.accessOf('/reports'), {
    status: 503,
    route: 'reports',
    end: 'overloaded',
    detail: /^memory \d+ % of \d+ MiB$/,
  })
  await causeway.metric('causeway_exchange_ends_total', { end: 'overloaded', route: 'urgent' }, n => n === 1)
  t.equal(await shed(causeway, 'memory', 'high'), 1)
  t.equal(await shed(causeway, 'memory', 'low'), 1)
  t.ok((await shed(causeway, 'memory', 'normal')) >= 2)
  await causeway.line(
    'the flip',
    ({ msg, cause }) => msg === 'overloaded: requests are refused' && cause === 'memory',
  )
  t.equal(await causeway.reload(config('memory = "off"')), 'success')
  await untilStatus(causeway, '/', 200)
  await causeway.metric('causeway_overload', {}, value => value === 0)
  await causeway.line('its end', ({ msg }) => msg === 'overload is over')
  await assertClean(t, causeway, [app])
})

t.test('a late event loop: low priority is refused first, then normal, high never', async t => {
  const causeway = await startCauseway(t, {
    config: config(`memory = "off", loop_delay = "${LIMIT_MS}ms"`),
    preload: './loop-load.ts',
  })
  const load = (turnMs: number) => causeway.send({ turnMs } satisfies LoopLoad)
  t.same(await Promise.all(['/', '/urgent', '/reports'].map(path => status(causeway, path))), [200, 200, 200])
  load(LIMIT_MS * 1.6)
  await untilStatus(causeway, '/reports', 503)
  t.equal(await status(causeway, '/urgent'), 200)
  load(LIMIT_MS * 3)
  await untilStatus(causeway, '/', 503)
  t.equal(await status(causeway, '/urgent'), 200)
  t.equal(await status(causeway, '/files/a.txt'), 200)
  await causeway.metric('causeway_overload', { cause: 'loop' }, value => value === 1)
  load(0)
  await untilStatus(causeway, '/', 200)
  await untilStatus(causeway, '/reports', 200)
  await causeway.metric('causeway_overload', {}, value => value === 0)
  const line = await causeway.accessOf('/reports')
  t.match(line, { status: 200 }, 'from before')
  const refused = await until('the line of a refusal', () =>
    causeway.access.find(({ end, route }) => end === 'overloaded' && route === 'reports'),
  )
  t.match(refused, { status: 503, detail: /^event loop \d+ ms late$/ })
  t.ok((await shed(causeway, 'loop', 'low')) > 0)
  t.ok((await shed(causeway, 'loop', 'normal')) > 0)
  t.equal(await shed(causeway, 'loop', 'high'), 0)
  await causeway.line('its end', ({ msg, cause }) => msg === 'overload is over' && cause === 'loop')
  await assertClean(t, causeway, [app])
})
