import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { assertAllAnswered, membersAre, QUICK, startApps, startWith } from '../support/discovery-world.ts'
import { Load } from '../support/load.ts'
import { NameServer } from '../support/name-server.ts'
import { ask, get, RawClient } from '../support/raw-client.ts'
import { RecordingUpstream, type UpstreamLine } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

// A busy machine starts many processes here.

/** Servers that metrics have a series for. */
async function serversOf(causeway: Running): Promise<string[]> {
  const text = await (await fetch(`${causeway.adminUrl}/metrics`)).text()
  return [...new Set([...text.matchAll(/server="([^"]+)"/g)].map(([, server]) => server as string))].sort()
}

t.test('a name that changes its address under load costs no request, and needs no reload', async t => {
  const names = await NameServer.start(t)
  const { apps, port } = await startApps(t, 2)
  const [old, young] = apps as [RecordingUpstream, RecordingUpstream]
  const name = `app.test:${port}`
  names.set('app.test', '127.0.0.2')
  const causeway = await startWith(t, names, { endpoints: [name], upstream: QUICK })
  const load = new Load(causeway.port())
  await load.add(6)
  for (let round = 0; round < 5; round += 1) {
    for (const [address, app] of [
      ['127.0.0.3', young],
      ['127.0.0.2', old],
    ] as const) {
      names.set('app.test', address)
      await membersAre(causeway, { [name]: `${address}:${port}` })
      const before = app.requests.length
      await until('traffic at the new address', () => app.requests.length > before + 20)
      const gone = app === old ? young : old
      await until('the old address to be left', () => gone.open === 0)
    }
  }
  await assertAllAnswered(t, load)
  t.same(await serversOf(causeway), [name], 'one series, however many addresses')
  const metrics = await causeway.metrics()
  t.equal(metrics.sum('causeway_config_generation'), 2, 'both threads run the first configuration')
  const line = await causeway.line(
    'the change',
    ({ msg, removed }) => msg === 'endpoints changed' && String(removed) !== '',
  )
  t.match(line, { upstream: 'app', name, added: [`127.0.0.3:${port}`], removed: [`127.0.0.2:${port}`] })
  await assertClean(t, causeway, apps)
})

t.test('scaled from one to three and back: whoever stays is not disturbed', async t => {
  const names = await NameServer.start(t)
  const { apps, port } = await startApps(t, 3)
  const [one, two, three] = apps as [RecordingUpstream, RecordingUpstream, RecordingUpstream]
  const name = `app.test:${port}`
  names.set('app.test', '127.0.0.2')
  const causeway = await startWith(t, names, {
    workers: 1,
    endpoints: [name],
    upstream: `${QUICK}\nkeepalive.idle = "10s"`,
  })
  const stream = Promise.withResolvers<UpstreamLine>()
  one.on('/stream', stream.resolve)
  const client = await RawClient.connect(causeway.port())
  client.send(get('/stream'))
  const line = await stream.promise
  line.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
  const load = new Load(causeway.port())
  await load.add(4)
  await until('traffic', () => one.requests.length > 20)
  const connections = one.connections
  names.set('app.test', '127.0.0.4', '127.0.0.2', '127.0.0.3')
  await membersAre(causeway, {
    [name]: `127.0.0.2:${port}`,
    [`${name}/2`]: `127.0.0.3:${port}`,
    [`${name}/3`]: `127.0.0.4:${port}`,
  })
  await until('traffic at all', () => [two, three].every(app => app.requests.length > 20))
  names.set('app.test', '127.0.0.2')
  await membersAre(causeway, { [name]: `127.0.0.2:${port}` })
  await until('the others to be left', () => two.open + three.open === 0)
  const left = [two.requests.length, three.requests.length]
  const before = one.requests.length
  await until('traffic at the one that stays', () => one.requests.length > before + 20)
  t.same([two.requests.length, three.requests.length], left)
  await assertAllAnswered(t, load)
  t.ok(one.connections <= connections + 4, 'idle connections were kept')
  line.send('5\r\nstill\r\n0\r\n\r\n')
  t.equal((await client.response()).body.toString(), 'still')
  client.destroy()
  await assertClean(t, causeway, apps)
})

t.test('SRV records say hosts, ports and who is the backup', async t => {
  const names = await NameServer.start(t)
  const apps = await Promise.all([1, 2].map(() => RecordingUpstream.start(t)))
  const [first, second] = apps as [RecordingUpstream, RecordingUpstream]
  const name = 'srv://_http._tcp.app.test'
  names.set('one.test', '127.0.0.1')
  names.setServices(
    '_http._tcp.app.test',
    { target: 'one.test', port: first.port, priority: 1, weight: 0 },
    { target: 'one.test', port: second.port, priority: 2, weight: 50 },
  )
  const causeway = await startWith(t, names, { endpoints: [name], upstream: QUICK })
  for (let i = 0; i < 10; i += 1) t.equal((await ask(causeway.port(), get('/x'))).status, 200)
  t.same([first.requests.length, second.requests.length], [10, 0])
  names.setServices('_http._tcp.app.test', { target: 'one.test', port: second.port })
  await until('the other one', async () => {
    t.equal((await ask(causeway.port(), get('/x'))).status, 200)
    return second.requests.length > 0
  })
  await assertClean(t, causeway, apps)
})

t.test('reloads and changes of a name at the same time do not get in each other’s way', async t => {
  const names = await NameServer.start(t)
  const { apps, port } = await startApps(t, 3)
  const name = `app.test:${port}`
  names.set('app.test', '127.0.0.2')
  const config = (round: number) =>
    configText({
      workers: 2,
      server: `resolver = ["${names.address}"]`,
      endpoints: round % 2 === 0 ? [name] : [name, `http://127.0.0.4:${port}`],
      upstream: `${QUICK}\nqueue = { length = ${100 + round} }`,
    })
  const causeway = await startCauseway(t, { config: config(0) })
  const load = new Load(causeway.port())
  await load.add(4)
  for (let round = 1; round <= 12; round += 1) {
    names.set('app.test', `127.0.0.${2 + (round % 2)}`)
    t.equal(await causeway.reload(config(round)), 'success')
    if (round % 3 === 0) await pause(150)
  }
  await membersAre(causeway, { [name]: `127.0.0.2:${port}` })
  await assertAllAnswered(t, load)
  const metrics = await causeway.metrics()
  t.equal(metrics.sum('causeway_config_generation'), 2 * 13, 'only configurations count')
  await assertClean(t, causeway, apps)
})
