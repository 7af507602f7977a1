import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, get, RawClient } from '../support/raw-client.ts'
import { ok, RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

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

t.test('requests that wait in the queue go on to what the new configuration has', async t => {
  const [full, free] = [await RecordingUpstream.start(t), await RecordingUpstream.start(t)]
  const gate = Promise.withResolvers<void>()
  full.on('/held', async (line, request) => {
    await gate.promise
    await ok('held\n')(line, request)
  })
  const config = (app: RecordingUpstream) =>
    configText({ endpoints: [app.port], upstream: 'max_inflight = 1\nqueue = { timeout = "1m" }' })
  const causeway = await startCauseway(t, { config: config(full) })
  const [held, waiting] = [await RawClient.connect(causeway.port()), await RawClient.connect(causeway.port())]
  held.send(get('/held'))
  await full.arrival('/held')
  waiting.send(get('/waiting'))
  await causeway.metric('causeway_upstream_queue_depth', {}, depth => depth === 1)
  t.equal(await causeway.reload(config(free)), 'success')
  t.equal((await waiting.response()).status, 200, 'while the old endpoint is still busy')
  t.equal(free.seen('/waiting').length, 1)
  gate.resolve()
  t.equal((await held.response()).body.toString(), 'held\n')
  for (const client of [held, waiting]) client.destroy()
  await assertClean(t, causeway, [full, free])
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
