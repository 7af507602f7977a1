import { truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { StatusDocument } from '../../lib/server/admin/status.ts'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { type ConfigParts, configText } from '../support/config-text.ts'
import { SETTING } from '../support/http2-frames.ts'
import { ask, get } from '../support/raw-client.ts'
import { RawHttp2Client } from '../support/raw-http2-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

// A few connections with many streams each want more descriptors than the process may have.

const OPEN_FILES = 256
const CLIENTS = 5
const STREAMS = 100
const ROUNDS = 10

const root = t.testdir()
writeFileSync(join(root, 'big.bin'), '')
truncateSync(join(root, 'big.bin'), 100 * 1024 * 1024)
writeFileSync(join(root, 'small.txt'), 'small\n')

/** One file of configuration; `memory`: what counts as short of it. */
function configWith(endpoints: ConfigParts['endpoints'], memory: string): string {
  return configText({
    endpoints,
    listener: 'h2c = true\ntimeouts = { write = "1h", body = "1h" }',
    upstream:
      'timeouts = { response = "1h" }\nhealth = { path = "/health", interval = "100ms", timeout = "10s", fall = 1 }',
    server: `overload = { memory = "${memory}" }`,
    more: `[routes.static]\npath = "/static/"\nstatic = { root = "${root}" }`,
  })
}

async function statusOf(running: Running): Promise<StatusDocument> {
  const answer = await fetch(`${running.adminUrl}/status`, { headers: { connection: 'close' } })
  return (await answer.json()) as StatusDocument
}

/** Everybody else is served, and no endpoint is blamed. */
async function assertServed(t: Test, running: Running): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    t.equal((await ask(running.port(), get('/app'))).status, 200, 'an app')
    t.equal((await ask(running.port(), get('/static/small.txt'))).status, 200, 'a file')
    const ready = await fetch(`${running.adminUrl}/readyz`, { headers: { connection: 'close' } })
    t.equal(ready.status, 200, 'a probe')
  }
  const { upstreams } = await statusOf(running)
  t.same(new Set(upstreams.flatMap(({ endpoints }) => endpoints.map(({ state }) => state))), new Set(['up']))
}

/** The watch over memory, as every other look, has outlived it all: what a reload says takes effect. */
async function assertWatches(t: Test, running: Running, endpoints: readonly number[]): Promise<void> {
  const answers = (status: number) =>
    until(`answers of ${status}`, async () => (await ask(running.port(), get('/app'))).status === status)
  t.equal(await running.reload(configWith(endpoints, '0.1%')), 'success')
  await answers(503)
  t.equal(await running.reload(configWith(endpoints, '95%')), 'success')
  await answers(200)
}

for (const [what, path] of [
  ['for a large file that they do not read', '/static/big.bin'],
  ['for an app that does not answer', '/slow'],
] as const) {
  t.test(`${CLIENTS} clients with ${STREAMS} streams each ${what} leave room to all others`, async t => {
    const apps = [await RecordingUpstream.start(t), await RecordingUpstream.start(t)]
    for (const app of apps) app.on('/slow', () => {})
    const endpoints = apps.map(({ port }) => port)
    const running = await startCauseway(t, {
      openFiles: OPEN_FILES,
      config: configWith(endpoints, '95%'),
    })
    await until('both endpoints to be up', async () => {
      const { upstreams } = await statusOf(running)
      return upstreams[0]?.endpoints.every(({ state }) => state === 'up')
    })
    await assertServed(t, running)
    const clients: RawHttp2Client[] = []
    const streams: (readonly [RawHttp2Client, number])[] = []
    for (let n = 0; n < CLIENTS; n += 1) {
      const client = await RawHttp2Client.connect(running.port(), [[SETTING.initialWindowSize, 0]])
      clients.push(client)
      for (let stream = 0; stream < STREAMS; stream += 1) streams.push([client, client.get(path)])
    }
    const refused = await running.metric('causeway_requests_total', { code: '503' }, count => count > STREAMS)
    t.ok(refused < CLIENTS * STREAMS, `${refused} refused`)
    await assertServed(t, running)
    const ended = running.access.filter(({ end }) => end === 'out_of_resources')
    t.match(ended[0], { status: 503, detail: /descriptor/ })
    await assertServed(t, running)
    for (const client of clients) client.destroy()
    await running.metric('causeway_connections_active', {}, active => active === 0)
    await assertWatches(t, running, endpoints)
    t.same(
      running.lines.filter(({ msg }) => /^endpoint (down|unreachable|ejected)/.test(String(msg))),
      [],
      'no endpoint has changed its state',
    )
    await assertClean(t, running, apps)
  })
}
