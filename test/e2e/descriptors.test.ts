import { readdirSync } from 'node:fs'
import t from 'tap'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, get, RawClient } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

const OPEN_FILES = 128
const CLIENTS = 300

/** A client that has begun an upload, so that it is not idle, or that was turned away. */
async function uploading(port: number): Promise<RawClient> {
  const client = await RawClient.connect(port)
  client.send('POST /app HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n')
  await client.untilReceived('100 Continue')
  return client
}

function openFiles({ pid }: Running): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

t.test(
  'with no descriptors to spare further clients get 503; the app, files and the admin listener are reached',
  async t => {
    const app = await RecordingUpstream.start(t)
    const root = t.testdir({ 'a.txt': 'here\n' })
    const causeway = await startCauseway(t, {
      openFiles: OPEN_FILES,
      config: configText({
        endpoints: [app.port],
        workers: 2,
        listener: 'timeouts = { body = "1h", min_rate = "off" }',
        more: `[routes.static]\npath = "/static/"\nstatic = { root = "${root}" }`,
      }),
    })
    await causeway.line('the warning', ({ warning }) => String(warning).includes('the limit of open files'))
    const rejected = (test: (count: number) => boolean) =>
      causeway.metric('causeway_connections_rejected_total', { reason: 'fd' }, test)
    const before = openFiles(causeway)
    const clients: RawClient[] = []
    for (let n = 0; n < CLIENTS; n += 1) clients.push(await uploading(causeway.port()))
    const turnedAway = await rejected(count => count > CLIENTS / 2)
    await until('them to be gone', () => clients.filter(it => it.ended !== undefined).length === turnedAway)
    t.equal((await causeway.metrics()).sum('causeway_connections_active'), CLIENTS - turnedAway)
    for (const client of clients) {
      const gone = client.ended !== undefined
      if (!gone) client.send('hi')
      t.equal((await client.response('POST')).status, gone ? 503 : 200)
    }
    const served = clients.find(client => client.ended === undefined) as RawClient
    served.send(get('/static/a.txt'))
    t.equal((await served.response()).body.toString(), 'here\n')
    t.equal((await fetch(`${causeway.adminUrl}/healthz`)).status, 200)
    t.ok(openFiles(causeway) < OPEN_FILES)
    for (const client of clients) client.destroy()
    await causeway.metric('causeway_connections_active', {}, active => active === 0)
    for (let n = 0; n < 20; n += 1) t.equal((await ask(causeway.port(), get('/app'))).status, 200)
    t.equal(await rejected(() => true), turnedAway, 'nobody else was turned away')
    await until('the descriptors', () => openFiles(causeway) <= before + 4)
    await assertClean(t, causeway, [app])
  },
)

t.test('bodies that wait in files do not take the last descriptors either', async t => {
  const app = await RecordingUpstream.start(t)
  const folder = t.testdir()
  const causeway = await startCauseway(t, {
    openFiles: OPEN_FILES,
    config: configText({
      endpoints: [app.port],
      workers: 2,
      more: `[server.spool]\nfolder = "${folder}"`,
    }),
  })
  const warning = await causeway.line('the warning', ({ warning }) => String(warning).includes('open files'))
  const most = Number(/allows (\d+)/.exec(String(warning['warning']))?.[1])
  const before = openFiles(causeway)
  const clients: RawClient[] = []
  // As many as may connect, less a few: their files alone would take more than there is.
  for (let n = 0; n < most - 5; n += 1) clients.push(await RawClient.connect(causeway.port()))
  for (const client of clients) {
    client.send('POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 300001\r\n\r\n')
    client.send(Buffer.alloc(300_000))
  }
  await causeway.metric('causeway_spool_files', {}, files => files > 0)
  const refused = await causeway.metric(
    'causeway_spool_bodies_total',
    { body: 'request', outcome: 'full' },
    count => count > 0,
  )
  t.ok(refused > 0)
  t.equal((await fetch(`${causeway.adminUrl}/healthz`)).status, 200)
  t.ok(openFiles(causeway) < OPEN_FILES - 16, `${openFiles(causeway)} of ${OPEN_FILES}`)
  for (const client of clients) client.destroy()
  await causeway.metric('causeway_spool_files', {}, files => files === 0)
  t.equal((await ask(causeway.port(), get('/app'))).status, 200)
  t.equal(app.seen('/upload').length, 0)
  await until('the descriptors', () => openFiles(causeway) <= before + 6)
  t.match(await causeway.accessOf('/upload'), { end: /spool_failed|client_gone/ })
  await assertClean(t, causeway, [app])
})
