import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { StatusDocument } from '../../lib/server/admin/status.ts'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, get, RawClient } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

// The system itself refuses every further descriptor, as when another process or a mistake of the operator
// has taken them: less than are open.

const POST = 'POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi'

/** The soft limit of a process that runs; undefined: as it was. */
function limitFiles({ pid }: Running, soft: number | undefined): void {
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${soft ?? 4096}:`])
}

async function statesOf(running: Running): Promise<string[]> {
  const answer = await fetch(`${running.adminUrl}/status`, { headers: { connection: 'close' } })
  const { upstreams } = (await answer.json()) as StatusDocument
  return upstreams.flatMap(({ endpoints }) => endpoints.map(({ state }) => state))
}

t.test('with no descriptor left nothing is blamed, nothing spins, and all comes back', async t => {
  const app = await RecordingUpstream.start(t)
  const root = t.testdir({ 'here.txt': 'here\n' })
  const more = (name: string, health: string) => `
    [upstreams.${name}]
    endpoints = ["localhost:${app.port}"]
    ${health}
    [routes.${name}]
    path = "/${name}/"
    upstream = "${name}"`
  const config = configText({
    endpoints: [app.port],
    workers: 2,
    upstream: 'health = { path = "/health", interval = "100ms", timeout = "10s", fall = 1 }',
    more: `${more('tcp', 'health = { type = "tcp", interval = "100ms", timeout = "10s", fall = 1 }')}
      ${more('named', '')}
      [routes.static]
      path = "/static/"
      static = { root = "${root}" }`,
  })
  const running = await startCauseway(t, { openFiles: 4096, config })
  const allUp = () =>
    until('all endpoints to be up', async () => (await statesOf(running)).every(state => state === 'up'))
  await allUp()
  t.equal((await ask(running.port(), get('/named/x'))).status, 200)
  const clients: RawClient[] = []
  for (let n = 0; n < 8; n += 1) clients.push(await RawClient.connect(running.port()))
  for (const client of clients) {
    client.send(get('/app'))
    t.equal((await client.response()).status, 200)
  }

  limitFiles(running, 8)
  await running.line('the want', ({ msg }) => String(msg).startsWith('short of descriptors'))
  for (const client of clients) {
    client.send(POST)
    const answer = await client.response()
    t.equal(answer.status, 503)
    t.ok(answer.fields.some(([name, value]) => name === 'Retry-After' && value === '1'))
  }
  writeFileSync(join(root, 'new.txt'), 'new\n')
  for (const path of ['/static/new.txt', '/tcp/x'].values()) {
    const client = clients[0] as RawClient
    client.send(POST.replace('/app', path).replace('POST /static', 'GET /static'))
    t.equal((await client.response()).status, 503, path)
  }
  const newcomers = await Promise.all(
    Array.from({ length: 20 }, () => RawClient.connect(running.port()).catch(() => undefined)),
  )
  running.signal('SIGHUP')
  await running.line('the reload', ({ msg }) => msg === 'reload refused')
  running.signal('SIGUSR2')
  const wanted = app.seen('/health').length
  for (let n = 0; n < 3; n += 1) {
    clients[1]?.send(POST)
    await clients[1]?.response()
  }

  limitFiles(running, undefined)
  await until('the next probe', () => app.seen('/health').length > wanted)
  t.same(await statesOf(running), ['up', 'up', 'up'])
  for (const path of ['/app', '/tcp/x', '/named/x', '/static/new.txt'])
    await until(path, async () => (await ask(running.port(), get(path))).status === 200)
  t.equal(await running.reload(config), 'success')
  await running.line('the end of it', ({ msg }) => String(msg).includes('suffice again'))
  t.same(
    running.lines.filter(({ msg }) => /^endpoint (down|unreachable|ejected)/.test(String(msg))),
    [],
    'no endpoint has changed its state',
  )
  const rejected = (await running.metrics()).sum('causeway_connections_rejected_total', { reason: 'fd' })
  t.ok(
    rejected <= newcomers.length,
    `${rejected} were turned away: each newcomer once, however long it lasted`,
  )
  const errors = (await running.metrics()).sum('causeway_upstream_errors_total', {})
  t.equal(errors, 0, 'no attempt counts as failed by an endpoint')
  for (const client of [...clients, ...newcomers]) client?.destroy()
  await assertClean(t, running, [app])
})
