import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import type { Metrics } from '../support/metrics.ts'
import { ask, get, RawClient } from '../support/raw-client.ts'
import { ok, RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

/** Counters of `after` that are below what they were: there must be none. */
function fallen(before: Metrics, after: Metrics): string[] {
  const now = new Map(after.series.map(it => [`${it.name}${JSON.stringify(it.labels)}`, it.value]))
  return before.series
    .filter(({ name }) => name.startsWith('causeway_') && /_(total|count|sum|bucket)$/.test(name))
    .filter(({ name, labels, value }) => (now.get(`${name}${JSON.stringify(labels)}`) ?? 0) < value)
    .map(({ name, labels }) => `${name}${JSON.stringify(labels)}`)
}

/** Sends one request after the other on one connection until it is told to stop; gives what was not 200. */
async function load(port: number, goesOn: () => boolean): Promise<{ bad: string[]; sent: number }> {
  const client = await RawClient.connect(port)
  const bad: string[] = []
  let sent = 0
  while (goesOn()) {
    client.send(get(`/load/${sent}`))
    const answer = await client.response()
    if (answer.status !== 200) bad.push(`${answer.status} ${answer.body.toString()}`)
    sent += 1
  }
  client.destroy()
  return { bad, sent }
}

t.test(
  '20 reloads under load with changing upstreams: no request fails, no connection closes, no counter falls',
  async t => {
    const apps = await Promise.all([1, 2, 3].map(() => RecordingUpstream.start(t)))
    const ports = apps.map(app => app.port)
    const config = (round: number) =>
      configText({
        endpoints: [ports[round % 3] as number, ports[(round + 1) % 3] as number],
        workers: 2,
        upstream: round % 2 === 0 ? 'balance = "p2c"' : 'balance = "round-robin"',
        more: round % 2 === 0 ? '' : '[routes.extra]\npath = "/extra/"\nupstream = "app"',
      })
    const causeway = await startCauseway(t, { config: config(0) })
    const idle = await RawClient.connect(causeway.port())
    idle.send(get('/before'))
    t.equal((await idle.response()).status, 200)
    let running = true
    const loads = [1, 2, 3, 4].map(() => load(causeway.port(), () => running))
    let before = await causeway.metrics()
    for (let round = 1; round <= 20; round += 1) {
      t.equal(await causeway.reload(config(round)), 'success')
      const after = await causeway.metrics()
      t.same(fallen(before, after), [])
      before = after
    }
    running = false
    for (const { bad, sent } of await Promise.all(loads)) {
      t.same(bad, [])
      t.ok(sent > 0)
    }
    idle.send(get('/after'))
    t.equal((await idle.response()).status, 200, 'a connection that had nothing to do with it is still open')
    await causeway.metric('causeway_config_generation', {}, sum => sum === 2 * 21)
    await assertClean(t, causeway, apps)
  },
)

t.test('a bad configuration never replaces a running one, and every reason is told', async t => {
  const app = await RecordingUpstream.start(t)
  const good = configText({ endpoints: [app.port] })
  const causeway = await startCauseway(t, { config: good })
  t.equal(await causeway.reload(`${good}\n[routes.x]\npath = "no-slash"\nupstream = "none"\n`), 'failure')
  t.equal((await ask(causeway.port(), get('/still'))).status, 200)
  const told = await until('both reasons', () => {
    const refusals = causeway.lines.filter(({ msg }) => msg === 'reload refused')
    return refusals.length === 2 ? refusals.map(({ problem }) => String(problem)) : undefined
  })
  t.ok(told.some(it => it.includes('no-slash')))
  t.ok(told.some(it => it.includes('none')))
  t.equal((await causeway.metrics()).sum('causeway_config_last_reload_successful'), 0)
  const status = (await (await fetch(`${causeway.adminUrl}/status`)).json()) as {
    generation: number
    last_reload: { ok: boolean; problems: string[] }
  }
  t.equal(status.generation, 1)
  t.equal(status.last_reload.ok, false)
  t.same(status.last_reload.problems, told)
  t.equal(await causeway.reload(good), 'success')
  t.equal((await causeway.metrics()).sum('causeway_config_last_reload_successful'), 1)
  await assertClean(t, causeway, [app])
})

t.test('listeners come, go and move, and each touches only itself', async t => {
  const app = await RecordingUpstream.start(t)
  const base = configText({ endpoints: [app.port] })
  const second = (path: string) => `${base}\n[listeners.second]\naddress = "unix:${path}"\n`
  const a = join('/tmp', `causeway-${process.pid}-a.sock`)
  const b = join('/tmp', `causeway-${process.pid}-b.sock`)
  const causeway = await startCauseway(t, { config: base })
  const client = await RawClient.connect(causeway.port())
  const answers = (path: string) =>
    until(`an answer at ${path}`, async () => (await fetchUnix(path)) === 'ok\n').then(() => true)
  t.equal(await causeway.reload(second(a)), 'success')
  t.ok(await answers(a))
  t.equal(await causeway.reload(second(b)), 'success')
  t.ok(await answers(b))
  await until('the old address to be gone', async () => (await fetchUnix(a)) === undefined)
  t.equal(await causeway.reload(base), 'success')
  await until('the listener to be gone', async () => (await fetchUnix(b)) === undefined)
  client.send(get('/same'))
  t.equal((await client.response()).status, 200, 'the other listener kept its connection')
  t.equal(await causeway.reload(second('/tmp/no-such-folder/x.sock')), 'success')
  await causeway.line('what could not be opened', ({ msg, problem }) => {
    return msg === 'listener not opened' && String(problem).includes('listener "second"')
  })
  client.send(get('/same'))
  t.equal((await client.response()).status, 200)
  client.destroy()
  await assertClean(t, causeway, [app])
})

t.test('limits change in place, for connections that are open, too', async t => {
  const app = await RecordingUpstream.start(t)
  app.on('/upload', ok('taken\n'))
  const config = (body: string) =>
    configText({ endpoints: [app.port], listener: `limits = { body = "${body}" }` })
  const causeway = await startCauseway(t, { config: config('10B') })
  const client = await RawClient.connect(causeway.port())
  client.send(get('/'))
  t.equal((await client.response()).status, 200)
  t.equal(await causeway.reload(config('1KiB')), 'success')
  client.send(`POST /upload HTTP/1.1\r\nHost: example.test\r\nContent-Length: 20\r\n\r\n${'x'.repeat(20)}`)
  t.equal((await client.response('POST')).status, 200)
  client.destroy()
  await assertClean(t, causeway, [app])
})

t.test('the access log moves to another file with a reload, and is opened anew on SIGUSR2', async t => {
  const app = await RecordingUpstream.start(t)
  const folder = t.testdir({})
  const config = (access: string) =>
    configText({ endpoints: [app.port], more: `[log]\naccess = "${access}"` })
  const causeway = await startCauseway(t, { config: config('off') })
  await ask(causeway.port(), get('/unlogged'))
  t.equal(await causeway.reload(config(join(folder, 'access.log'))), 'success')
  await ask(causeway.port(), get('/logged'))
  const text = () => readFileSync(join(folder, 'access.log'), 'utf8')
  await until('the line', () => text().includes('"/logged"'))
  t.notOk(text().includes('/unlogged'))
  t.same(causeway.access, [])
  t.equal(await causeway.reload(config(join(folder, 'no', 'folder.log'))), 'failure')
  await ask(causeway.port(), get('/later'))
  await until('the line in the old file', () => text().includes('"/later"'))
  causeway.signal('SIGUSR2')
  await causeway.line('reopened', ({ msg }) => msg === 'log files reopened')
  await assertClean(t, causeway, [app])
})

/** The body of an answer over a unix socket; undefined if nobody listens. */
async function fetchUnix(socketPath: string): Promise<string | undefined> {
  const { request } = await import('node:http')
  return new Promise(resolve => {
    const asked = request(
      { socketPath, path: '/', headers: { host: 'example.test' }, agent: false },
      answer => {
        let body = ''
        answer.setEncoding('utf8').on('data', (text: string) => {
          body += text
        })
        answer.on('end', () => resolve(body))
      },
    )
    asked.on('error', () => resolve(undefined))
    asked.end()
  })
}
