import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { StatusDocument } from '../../lib/server/admin/status.ts'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, get, RawClient } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'
import { echo, openWebSocket } from '../support/websocket-app.ts'

// What an operator sees at a glance: closed routes, protocols, tunnels, the spool and its folder.

const app = await RecordingUpstream.start(t)
app.on('/echo', echo)

const statusOf = async ({ adminUrl }: Running) =>
  (await (await fetch(`${adminUrl}/status`)).json()) as StatusDocument
const pageOf = async ({ adminUrl }: Running) => (await fetch(adminUrl)).text()

t.test('closed routes, protocols and open tunnels are shown', async t => {
  const config = (route: string) =>
    configText({
      endpoints: [app.port],
      more: `
[upstreams.django]
endpoints = ["uwsgi://127.0.0.1:9"]
[routes.shop]
path = "/shop/"
hosts = ["shop.example", "www.shop.example"]
upstream = "django"
${route}`,
    })
  const causeway = await startCauseway(t, { config: config('maintenance = { retry_after = "1m" }') })
  const client = await openWebSocket(causeway.port(), '/echo')
  const status = await until('the tunnel', async () => {
    const it = await statusOf(causeway)
    return it.upstreams[0]?.endpoints[0]?.tunnels === 1 ? it : undefined
  })
  t.match(status.routes, [
    { name: 'app', hosts: [], path: '/', leads_to: 'upstream app', closed: false },
    { name: 'shop', hosts: ['shop.example', 'www.shop.example'], leads_to: 'upstream django', closed: true },
  ])
  t.match(status.upstreams, [
    { endpoints: [{ protocol: 'http1', tunnels: 1, inflight: 1 }] },
    { endpoints: [{ protocol: 'uwsgi', tunnels: 0 }] },
  ])
  const page = await pageOf(causeway)
  t.match(page, '<p class="verdict doubtful">closed for maintenance: route shop; otherwise, all is well')
  t.match(page, '127.0.0.1:9 <span class="soft">uwsgi</span>')
  t.match(page, '<th class="number">tunnels</th>')
  t.match(
    page,
    /closed for maintenance<\/td><td>shop<\/td><td class="words">shop\.example, www\.shop\.example/,
  )
  t.equal(page.match(/<th class="number">tunnels/g)?.length, 1, 'only where there are any')
  client.destroy()
  t.equal(await causeway.reload(config('maintenance = { enabled = false }')), 'success')
  t.match(await pageOf(causeway), '<p class="verdict good">all is well: every endpoint is up')
  await assertClean(t, causeway, [app])
})

t.test('a spool folder that is not there is told at the start, until it is', async t => {
  const folder = join(t.testdir(), 'spool')
  const config = configText({ endpoints: [app.port], more: `[server.spool]\nfolder = "${folder}"` })
  const causeway = await startCauseway(t, { config })
  const warning = await causeway.line('the warning', ({ msg }) => msg === 'configuration warning')
  t.match(warning['warning'], `the spool folder ${folder} does not exist`)
  t.match(await causeway.line('the folder', ({ folder: named }) => named === folder), {
    level: 'warn',
    uid: process.geteuid?.(),
    problem: 'does not exist',
    help: /create it/,
  })
  const problem = `server.spool.folder ${folder} does not exist`
  t.match(await statusOf(causeway), { spool: { folder, problem }, warnings: [/the spool folder/] })
  t.match(await pageOf(causeway), `uploads that do not fit in memory get a 503: ${problem}`)
  mkdirSync(folder)
  t.equal(await causeway.reload(config), 'success')
  await causeway.line('the good news', ({ msg }) => msg === 'spool folder can be written again')
  t.match(await statusOf(causeway), { spool: { problem: null }, warnings: [] })
  t.equal(causeway.lines.filter(({ folder: named }) => named === folder).length, 2, 'once for each flip')
  await assertClean(t, causeway, [app])
})

t.test('what waits for slow clients is shown', async t => {
  const causeway = await startCauseway(t, {
    config: configText({ endpoints: [app.port], listener: 'limits = { body = "8MiB" }' }),
  })
  const client = await RawClient.connect(causeway.port())
  client.send('POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n')
  client.send(Buffer.alloc(2_900_000))
  const status = await until('the body', async () => {
    const it = await statusOf(causeway)
    return it.spool.file_bytes > 2_000_000 ? it : undefined
  })
  t.equal(status.spool.file_limit_bytes, 4 * 1024 ** 3)
  t.match(await pageOf(causeway), /<td class="number">2\.\d MiB<\/td><td class="number">4 GiB<\/td>/)
  client.destroy()
  await until('it to be given back', async () => (await statusOf(causeway)).spool.file_bytes === 0)
  t.equal((await ask(causeway.port(), get('/after'))).status, 200)
  await assertClean(t, causeway, [app])
})
