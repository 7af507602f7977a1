import t from 'tap'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { commandsFor } from '../support/command.ts'
import { configText } from '../support/config-text.ts'
import { answerLoad, Load } from '../support/load.ts'
import { ask, get, RawClient } from '../support/raw-client.ts'
import { ok, RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

/** Two apps behind one process. */
async function start() {
  const apps = [await RecordingUpstream.start(t), await RecordingUpstream.start(t)] as const
  for (const app of apps) answerLoad(app)
  const config = configText({ workers: 2, endpoints: apps.map(({ port }) => port) })
  const causeway = await startCauseway(t, { config })
  return { apps, config, causeway, names: apps.map(({ port }) => `127.0.0.1:${port}`) as [string, string] }
}

async function post({ adminUrl }: Running, path: string): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`${adminUrl}${path}`, { method: 'POST' })
  return { status: answer.status, body: await answer.json() }
}

async function statesOf({ adminUrl }: Running): Promise<string[]> {
  const answer = await fetch(`${adminUrl}/upstreams`)
  const { upstreams } = (await answer.json()) as { upstreams: { endpoints: { state: string }[] }[] }
  return upstreams.flatMap(({ endpoints }) => endpoints.map(({ state }) => state))
}

t.test(
  'a drained endpoint finishes what runs there, gets nothing new, and comes back with ready',
  async t => {
    const { apps, causeway, names, config } = await start()
    const [one, two] = apps
    const command = commandsFor(t, causeway)
    const gate = Promise.withResolvers<void>()
    for (const app of apps) {
      app.on('/slow', async (line, request) => {
        await gate.promise
        await ok('after all')(line, request)
      })
    }
    const clients = await Promise.all([1, 2, 3, 4].map(() => RawClient.connect(causeway.port())))
    for (const client of clients) client.send(get('/slow'))
    const asked = () => apps.map(app => app.seen('/slow').length)
    await until(
      () => `all requests to be there, some in each app: ${asked()}`,
      () => asked().every(count => count > 0) && asked().reduce((a, b) => a + b) === 4,
    )
    const running = one.seen('/slow').length
    const load = new Load(causeway.port())
    await load.add(4)
    const busy = await command('drain', 'app', names[0], '--timeout', '300ms')
    t.same(busy, { code: 1, stdout: `${names[0]} is draining: ${running} in flight\n`, stderr: '' })
    t.same(await statesOf(causeway), ['draining', 'up'])
    await until('the load to be elsewhere', async () => {
      const metrics = await causeway.metrics()
      return metrics.sum('causeway_upstream_in_flight', { server: names[0] }) === running
    })
    const before = one.requests.length
    const other = two.requests.length
    await until('traffic', () => two.requests.length > other + 50)
    t.equal(one.requests.length, before, 'nothing new')
    t.equal(await causeway.reload(`${config}\n# another`), 'success')
    t.same(await statesOf(causeway), ['draining', 'up'], 'a reload takes nothing back')
    gate.resolve()
    for (const client of clients) t.equal((await client.response()).body.toString(), 'after all')
    const drained = await command('drain', 'app', names[0])
    t.same(drained, {
      code: 0,
      stdout: `${names[0]} is drained\nto undo: causeway ready app\n`,
      stderr: '',
    })
    t.same(await command('ready', 'app', names[0]), { code: 0, stdout: `${names[0]} is up\n`, stderr: '' })
    await until('traffic again', () => one.requests.length > before + 20)
    for (const client of clients) client.destroy()
    await load.stop()
    t.same(load.wrong, [])
    t.equal(load.answered, load.sent)
    await assertClean(t, causeway, apps)
  },
)

t.test('a whole upstream can be drained: requests wait, and are answered when it is ready', async t => {
  const { apps, causeway, names } = await start()
  const command = commandsFor(t, causeway)
  const all = await command('drain', 'app', '--no-wait', '--json')
  t.equal(all.code, 0)
  t.match(JSON.parse(all.stdout), { upstream: 'app', endpoints: names.map(name => ({ name, inflight: 0 })) })
  const answer = ask(causeway.port(), get('/held'))
  await causeway.metric('causeway_upstream_queue_depth', {}, depth => depth === 1)
  const ready = await command('ready', 'app', '--json')
  t.match(JSON.parse(ready.stdout), { upstream: 'app', endpoints: [{ state: 'up' }, { state: 'up' }] })
  t.equal((await answer).status, 200)
  await assertClean(t, causeway, apps)
})

t.test('the admin API: names that are not known, methods and pages that are not his', async t => {
  const { causeway, names } = await start()
  t.match(await post(causeway, '/upstreams/api/drain'), { status: 404, body: { known: ['app'] } })
  t.match(await post(causeway, `/upstreams/app/drain?endpoint=127.0.0.1:1`), {
    status: 404,
    body: { error: 'upstream "app" has no endpoint "127.0.0.1:1"', known: names },
  })
  t.match(await post(causeway, '/upstreams/app/drain?endpoint=a&x=1'), { status: 400 })
  t.match(await post(causeway, '/upstreams/app/ready?endpoint='), { status: 400 })
  t.match(await post(causeway, '/upstreams'), { status: 405 })
  const get = await fetch(`${causeway.adminUrl}/upstreams/app/drain`)
  t.same([get.status, get.headers.get('allow')], [405, 'POST'])
  const foreign = { method: 'POST', headers: { origin: 'https://evil.example' } }
  t.equal((await fetch(`${causeway.adminUrl}/upstreams/app/drain`, foreign)).status, 403)
  t.same(await statesOf(causeway), ['up', 'up'], 'nothing of this has done anything')
  t.match(await post(causeway, `/upstreams/app/drain?endpoint=${names[1]}`), {
    status: 200,
    body: { endpoints: [{ name: names[1], state: 'draining', inflight: 0 }], drain_ms: 1000 },
  })
  t.same(await statesOf(causeway), ['up', 'draining'])
  await assertClean(t, causeway)
})

t.test('with a token nothing is done without it', async t => {
  const app = await RecordingUpstream.start(t)
  const token = '[admin]\ntoken = "s3cret-s3cret-s3cret"'
  const config = configText({ endpoints: [app.port] }).replace('[admin]', token)
  const { adminUrl } = await startCauseway(t, { config })
  const headers = { authorization: 'Bearer s3cret-s3cret-s3cret' }
  const verbs = ['drain', 'ready', 'deploy?endpoint=127.0.0.1:1']
  for (const verb of verbs)
    t.equal((await fetch(`${adminUrl}/upstreams/app/${verb}`, { method: 'POST' })).status, 401, verb)
  t.equal((await fetch(`${adminUrl}/upstreams`)).status, 401)
  const list = await (await fetch(`${adminUrl}/upstreams`, { headers })).json()
  t.match(list, { upstreams: [{ endpoints: [{ state: 'up' }] }] })
  const drained = await fetch(`${adminUrl}/upstreams/app/drain`, { method: 'POST', headers })
  t.equal(drained.status, 200)
})

t.test('the commands say what is wrong with what they were given', async t => {
  const { causeway } = await start()
  const command = commandsFor(t, causeway)
  const cases: [string[], RegExp][] = [
    [['drain'], /expected arguments: UPSTREAM \[ENDPOINT\]/],
    [['drain', ''], /expected arguments: UPSTREAM \[ENDPOINT\]/],
    [['drain', 'app', 'a', 'b'], /expected arguments: UPSTREAM \[ENDPOINT\]/],
    [['drain', 'app', '--timeout', '5'], /--timeout requires a duration such as 30s, got "5"/],
    [['drain', 'apo'], /unknown upstream "apo"\nknown: app\n/],
    [['ready', 'app', '127.0.0.1:1'], /has no endpoint "127\.0\.0\.1:1"\nknown: 127/],
    [['ready', 'app', '--no-wait'], /no-wait/],
  ]
  for (const [args, words] of cases) {
    const { code, stdout, stderr } = await command(...args)
    t.same([code, stdout], [2, ''], args.join(' '))
    t.match(stderr, words)
  }
  t.same(await statesOf(causeway), ['up', 'up'])
  await causeway.stop()
  t.match(await command('drain', 'app'), { code: 1, stderr: /is causeway running\?/ })
})
