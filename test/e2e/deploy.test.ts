import t, { type Test } from 'tap'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { commandsFor } from '../support/command.ts'
import { type ConfigParts, configText } from '../support/config-text.ts'
import { answerLoad, Load } from '../support/load.ts'
import { NameServer } from '../support/name-server.ts'
import { ask, get, RawClient } from '../support/raw-client.ts'
import { ok, RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

// Every command is a process of its own.

const HEALTH = 'health = { path = "/healthz", interval = "100ms" }'

interface UpstreamRow {
  readonly name: string
  readonly deployed: readonly string[] | null
  readonly endpoints: readonly { readonly name: string; readonly state: string }[]
}

async function rowOf({ adminUrl }: Running): Promise<UpstreamRow> {
  const { upstreams } = (await (await fetch(`${adminUrl}/upstreams`)).json()) as { upstreams: UpstreamRow[] }
  return upstreams[0] as UpstreamRow
}

async function statesOf(causeway: Running): Promise<string[]> {
  return (await rowOf(causeway)).endpoints.map(({ name, state }) => `${name} ${state}`)
}

async function startApps(t: Test, count: number) {
  const apps = await Promise.all(Array.from({ length: count }, () => RecordingUpstream.start(t)))
  for (const app of apps) answerLoad(app)
  return { apps, names: apps.map(({ port }) => `127.0.0.1:${port}`) }
}

async function start(t: Test, parts: ConfigParts) {
  const config = configText({ workers: 2, ...parts })
  const causeway = await startCauseway(t, { config })
  const load = new Load(causeway.port())
  await load.add(4)
  return { causeway, load, config, command: commandsFor(t, causeway) }
}

async function assertAllAnswered(t: Test, load: Load): Promise<void> {
  await load.stop()
  t.same(load.wrong, [])
  t.equal(load.lost, 0)
  t.equal(load.answered, load.sent)
}

t.test(
  'a deploy waits until the new endpoints are ready, switches, drains the old: no request fails',
  async t => {
    const { apps, names } = await startApps(t, 3)
    const [blue, green, teal] = apps as [RecordingUpstream, RecordingUpstream, RecordingUpstream]
    const [old = '', first = '', second = ''] = names
    const gate = Promise.withResolvers<void>()
    green.on('/healthz', async (line, request) => {
      await gate.promise
      await ok()(line, request)
    })
    const { causeway, load, config, command } = await start(t, { endpoints: [blue.port], upstream: HEALTH })
    blue.on('/slow', async (line, request) => {
      await until('the switch', async () => (await statesOf(causeway))[0] !== `${old} up`)
      await ok('finished')(line, request)
    })
    const client = await RawClient.connect(causeway.port())
    client.send(get('/slow'))
    await until('the slow request', () => blue.seen('/slow').length > 0)
    const deployed = command('deploy', 'app', first, second)
    await until('the new ones to be probed', async () => {
      return (await statesOf(causeway)).join() === [`${old} up`, `${first} down`, `${second} draining`].join()
    })
    const requests = teal.seen('/load/small').length
    t.equal(requests, 0, 'probed, but without traffic')
    gate.resolve()
    const { code, stdout } = await deployed
    t.equal(code, 0)
    t.same(
      stdout.split('\n').sort(),
      [
        '',
        `${first} is ready`,
        `${first}, ${second} receive the traffic now`,
        `${old} is out, empty`,
        `${second} is ready`,
        `upstream app: ${first}, ${second}`,
      ].sort(),
    )
    t.equal((await client.response()).body.toString(), 'finished', 'what ran there has ended there')
    client.destroy()
    t.same(await statesOf(causeway), [`${first} up`, `${second} up`])
    await until('the old one to be left', () => blue.open === 0)
    t.match(
      (await command('status')).stdout,
      new RegExp(`deployed: ${first}, ${second} \\(not in the configuration`),
    )
    const line = await causeway.line('the deploy', ({ msg }) => msg === 'deployed')
    t.match(line, { upstream: 'app', endpoints: [first, second], where: 'not in the configuration files' })

    t.equal(await causeway.reload(config.replace('drain = "1s"', 'drain = "2s"')), 'success')
    t.same((await rowOf(causeway)).deployed, [first, second], 'it lasts over a reload')
    t.equal((await causeway.metrics()).sum('causeway_config_generation'), 2 * 2)

    const back = await command('deploy', 'app', '--configured', '--json')
    t.equal(back.code, 0)
    t.match(JSON.parse(back.stdout), { ok: true, endpoints: [old], problem: null })
    t.same(await statesOf(causeway), [`${old} up`])
    t.equal((await rowOf(causeway)).deployed, null)
    await assertAllAnswered(t, load)
    await assertClean(t, causeway, apps)
  },
)

t.test('if a new endpoint does not get ready, nothing has happened', async t => {
  const { apps, names } = await startApps(t, 2)
  const [blue, green] = apps as [RecordingUpstream, RecordingUpstream]
  const [old = '', other = ''] = names
  green.on('/healthz', line => line.send('HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n'))
  const { causeway, load, command } = await start(t, { endpoints: [blue.port], upstream: HEALTH })
  const { code, stdout } = await command('deploy', 'app', other, '--timeout', '500ms')
  t.equal(code, 1)
  t.match(stdout, `deploy failed: ${other}: `)
  t.match(stdout, /status 500.*\(waited 0\.5 s\); upstream app stays on 127/)
  t.same(await statesOf(causeway), [`${old} up`])
  t.equal((await rowOf(causeway)).deployed, null)
  t.equal(green.seen('/load/small').length, 0)
  await assertAllAnswered(t, load)
  await assertClean(t, causeway, apps)
})

t.test('without a health table a connect has to get through', async t => {
  const { apps, names } = await startApps(t, 2)
  const [blue, green] = apps as [RecordingUpstream, RecordingUpstream]
  // Its restart below cuts what runs there: that may not eject it, however many that are.
  const upstream = 'passive = { failures = "off", failure_rate = "off" }'
  const { causeway, load, command } = await start(t, { endpoints: [blue.port], upstream })
  await green.stop()
  const deployed = command('deploy', 'app', names[1] as string)
  await until('it to be held', async () => (await statesOf(causeway)).includes(`${names[1]} draining`))
  const early = await command('ready', 'app', names[1] as string)
  t.equal(early.code, 1)
  t.match(early.stderr, /held back by a deploy/)
  await green.listen()
  t.equal((await deployed).code, 0)
  t.same(await statesOf(causeway), [`${names[1]} up`])
  await green.stop()
  await green.listen()
  const gone = await command('deploy', 'app', '127.0.0.1:1', '--timeout', '200ms')
  t.equal(gone.code, 1)
  t.match(gone.stdout, /deploy failed: 127\.0\.0\.1:1: .*refused/i)
  t.same(await statesOf(causeway), [`${names[1]} up`])
  await load.stop()
  await causeway.stop()
})

t.test('an endpoint that stays is not touched', async t => {
  const { apps, names } = await startApps(t, 2)
  const [blue] = apps as [RecordingUpstream]
  const { causeway, load, command } = await start(t, { endpoints: [blue.port] })
  const both = await command('deploy', 'app', ...names, '--json')
  t.match(JSON.parse(both.stdout), { ok: true, endpoints: names })
  t.same(
    await statesOf(causeway),
    names.map(name => `${name} up`),
  )
  const again = await command('deploy', 'app', ...names)
  t.equal(again.code, 0)
  t.notMatch(again.stdout, /is out/)
  const out = await command('deploy', 'app', '--configured')
  t.match(out.stdout, `${names[1]} is out, empty`)
  t.same(
    causeway.lines.filter(({ msg, endpoint }) => msg === 'endpoint draining' && endpoint === names[0]),
    [],
  )
  await assertAllAnswered(t, load)
  await assertClean(t, causeway, apps)
})

t.test('names are deployed as well; two deploys of one upstream do not run at a time', async t => {
  const { apps, names } = await startApps(t, 2)
  const [blue, green] = apps as [RecordingUpstream, RecordingUpstream]
  const server = await NameServer.start(t)
  const { causeway, load, command } = await start(t, {
    endpoints: [blue.port],
    server: `resolver = ["${server.address}"]`,
  })
  const name = `green.test:${green.port}`
  const deployed = command('deploy', 'app', name)
  const page = `${causeway.adminUrl}/upstreams/app/deploy?endpoint=127.0.0.1:1`
  await until('the name to be asked for', () => server.asked('green.test') > 0)
  const second = await fetch(page, { method: 'POST' })
  t.equal(second.status, 409)
  t.match(await second.json(), { error: 'a deploy of upstream "app" is in progress' })
  server.set('green.test', '127.0.0.1')
  const { code, stdout } = await deployed
  t.equal(code, 0)
  t.match(stdout, `${name} receives the traffic now`)
  t.same(await statesOf(causeway), [`${name} up`])
  await assertAllAnswered(t, load)
  t.match(names[0], /127/)
  await assertClean(t, causeway, apps)
})

t.test('a reload that configures other endpoints ends a deploy, also one that is under way', async t => {
  const { apps, names } = await startApps(t, 3)
  const [blue, green, teal] = apps as [RecordingUpstream, RecordingUpstream, RecordingUpstream]
  const { causeway, load, config, command } = await start(t, { endpoints: [blue.port], upstream: HEALTH })
  t.equal((await command('deploy', 'app', names[1] as string)).code, 0)
  const other = config.replace(`127.0.0.1:${blue.port}`, `127.0.0.1:${teal.port}`)
  t.equal(await causeway.reload(other), 'success')
  t.match(await statesOf(causeway), [new RegExp(`^${names[2]} `)])
  t.equal((await rowOf(causeway)).deployed, null)
  const line = await causeway.line('its end', ({ msg }) => String(msg).startsWith('deploy is over'))
  t.match(line, { upstream: 'app' })
  const hanging = Promise.withResolvers<void>()
  green.on('/healthz', () => hanging.promise)
  const deployed = command('deploy', 'app', names[1] as string)
  await until('the deploy', async () => (await statesOf(causeway)).length === 2)
  t.equal(await causeway.reload(config), 'success')
  const { code, stdout } = await deployed
  t.equal(code, 1)
  t.match(stdout, /deploy failed: the configuration of the upstream has changed in the meantime/)
  t.match(await statesOf(causeway), [new RegExp(`^${names[0]} `)])
  await assertAllAnswered(t, load)
  hanging.resolve()
  await assertClean(t, causeway, apps)
})

t.test('what cannot be deployed is refused before anything has changed', async t => {
  const { apps } = await startApps(t, 1)
  const [app] = apps as [RecordingUpstream]
  const { causeway, load, command } = await start(t, {
    endpoints: [app.port],
    upstream: 'body = "stream"',
    more: `[upstreams.managed]\nrun = { command = ["${process.execPath}", "test/support/load-app.ts"] }`,
  })
  const cases: [string[], number, RegExp][] = [
    [['app'], 2, /specify the new endpoints/],
    [['app', 'a:1', '--configured'], 2, /specify the new endpoints/],
    [['app', 'a'], 2, /the address has no port/],
    [['app', 'ftp://a:443'], 2, /scheme is not supported/],
    [['app', 'uwsgi://127.0.0.1:1'], 2, /needs body = "spool"/],
    [['app', '127.0.0.1:1', '127.0.0.1:1'], 2, /specified twice/],
    [['app', '127.0.0.1:1', '--timeout', 'soon'], 2, /duration/],
    [['api', '127.0.0.1:1'], 2, /unknown upstream "api"\nknown: app, managed/],
    [['managed', '127.0.0.1:1'], 1, /managed by its run table/],
  ]
  for (const [args, code, words] of cases) {
    const ran = await command('deploy', ...args)
    t.equal(ran.code, code, args.join(' '))
    t.match(ran.stderr, words)
  }
  t.same(await statesOf(causeway), [`127.0.0.1:${app.port} up`])
  t.equal((await ask(causeway.port(), get('/x'))).status, 200)
  await assertAllAnswered(t, load)
  await assertClean(t, causeway, apps)
})
