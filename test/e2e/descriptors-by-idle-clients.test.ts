import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { get, RawClient } from '../support/raw-client.ts'
import { RawHttp2Client } from '../support/raw-http2-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

// Clients that keep their connection and ask for nothing hold all descriptors that clients may hold.

const OPEN_FILES = 128
const FILE = '/static/small.txt'

const root = t.testdir()
writeFileSync(join(root, 'small.txt'), 'small\n')

interface World {
  readonly app: RecordingUpstream
  readonly running: Running
  /** So many client connections does the limit of open files allow. */
  readonly most: number
}

async function start(t: Test, workers: number): Promise<World> {
  const app = await RecordingUpstream.start(t)
  app.on('/slow', () => {})
  const config = configText({
    endpoints: [app.port],
    workers,
    listener: 'h2c = true\nlimits = { connections = 10_000 }\ntimeouts = { keepalive = "1h" }',
    upstream: 'timeouts = { response = "1h" }',
    more: `[routes.static]\npath = "/static/"\nstatic = { root = "${root}" }`,
  })
  const running = await startCauseway(t, { openFiles: OPEN_FILES, config })
  const { warning } = await running.line('what the limit allows', line => 'warning' in line)
  return { app, running, most: Number(/allows (\d+)/.exec(String(warning))?.[1]) }
}

/** A client that has had an answer and stays. */
async function kept({ running }: World): Promise<RawClient> {
  const client = await RawClient.connect(running.port())
  client.send(get(FILE))
  const { status } = await client.response()
  if (status !== 200) throw new Error(`a newcomer got ${status}`)
  return client
}

async function keptHttp2({ running }: World): Promise<RawHttp2Client> {
  const client = await RawHttp2Client.connect(running.port())
  const status = await client.ask(FILE)
  if (status !== 200) throw new Error(`a newcomer over HTTP/2 got ${status}`)
  return client
}

/** As many idle clients as there may be clients. */
async function crowd(world: World): Promise<RawClient[]> {
  const clients: RawClient[] = []
  while (clients.length < world.most) clients.push(await kept(world))
  return clients
}

const rejected = async ({ running }: World) =>
  (await running.metrics()).sum('causeway_connections_rejected_total', {})

async function assertDone(t: Test, { running, app }: World, clients: readonly { destroy(): void }[]) {
  for (const client of clients) client.destroy()
  await assertClean(t, running, [app])
}

t.test(
  'a newcomer takes the place of the client that has been idle longest, whatever either speaks',
  async t => {
    const world = await start(t, 1)
    const oldest = [await kept(world), await keptHttp2(world), await kept(world)] as const
    const [http1, http2, last] = oldest
    const clients: { destroy(): void }[] = [...oldest]
    while (clients.length < world.most) clients.push(await kept(world))
    t.same(
      oldest.map(({ ended }) => ended),
      [undefined, undefined, undefined],
      'while there is room nobody goes',
    )
    clients.push(await keptHttp2(world))
    await until('the oldest to be closed', () => http1.ended)
    t.equal(http2.ended, undefined)
    clients.push(await kept(world))
    await until('the next one to be closed', () => http2.ended)
    t.equal(http2.goaway, 'NO_ERROR', 'HTTP/2 is told that nothing of it was lost')
    t.equal(last.ended, undefined)
    for (let n = 0; n < world.most; n += 1) clients.push(await kept(world))
    t.equal(await rejected(world), 0, 'nobody is turned away')
    t.ok((await world.running.metrics()).sum('causeway_connections_evicted_total', { reason: 'fd' }) > 2)
    const told = await world.running.line('why clients come back', ({ closed }) => Number(closed) > 0)
    t.match(told, { listener: 'web', reason: 'fd', help: /open files/ })
    await assertDone(t, world, clients)
  },
)

t.test('requests that need descriptors get those of idle clients, over both protocols', async t => {
  const world = await start(t, 1)
  const { running, app, most } = world
  const clients = await crowd(world)
  const [http1, http2] = [[] as RawClient[], [] as RawHttp2Client[]]
  for (let n = 0; n < most / 6; n += 1) {
    http1.push(await kept(world))
    http2.push(await keptHttp2(world))
  }
  for (const client of http1) client.send(get('/slow'))
  for (const client of http2) client.get('/slow')
  const busy = http1.length + http2.length
  await until(`${busy} requests at the app`, () => app.seen('/slow').length === busy)
  t.same(
    [...http1, ...http2].filter(({ ended }) => ended !== undefined),
    [],
    'those who ask for something stay',
  )
  t.ok(
    clients.some(({ ended }) => ended === undefined),
    'no more go than there is need for',
  )
  t.equal((await running.metrics()).sum('causeway_requests_total', { code: '503' }), 0)
  await assertDone(t, world, [...clients, ...http1, ...http2])
})

t.test('nobody is sent away for one connection with many streams', async t => {
  const world = await start(t, 1)
  const { running, most } = world
  const clients = await crowd(world)
  const greedy = await keptHttp2(world)
  await until('one to make room for it', () => clients[0]?.ended)
  for (let stream = 0; stream < 100; stream += 1) greedy.get('/slow')
  await running.metric('causeway_requests_total', { code: '503' }, count => count > 50)
  t.equal(clients.filter(({ ended }) => ended === undefined).length, most - 1)
  t.equal(greedy.resets, 0, 'what cannot be had is answered, not reset')
  await assertDone(t, world, [...clients, greedy])
})

t.test('where a thread has no idle client, those of the others make room', async t => {
  const world = await start(t, 2)
  const { running, app, most } = world
  const clients: RawClient[] = []
  for (let n = 0; n < most; n += 2) {
    const client = await RawClient.connect(running.port())
    client.send(get('/slow'))
    clients.push(client)
    await until('its request at the app', () => app.seen('/slow').length === clients.length)
  }
  const active = (await running.metrics()).sum('causeway_connections_active', {})
  for (let n = 0; n < 32; n += 1) {
    clients.push(await kept(world))
    await running.metric('causeway_connections_active', {}, now => now <= active + 1)
  }
  t.equal(await rejected(world), 0, 'nobody is turned away')
  await assertDone(t, world, clients)
})
